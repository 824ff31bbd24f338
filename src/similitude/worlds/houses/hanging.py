"""Doors that hang in doorways, and the locks that hold them."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.worlds.houses.building import House
from similitude.worlds.houses.plan import DOOR_WIDTH, OUTSIDE, WALL
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.tasks.site import Site

PANEL = (DOOR_WIDTH / 2 - 0.015625, 0.0625, 1.03125)
"""Half extents of a door, in metres: a little smaller than its doorway."""
LOCKS = ("button", "sliding bar", "turning bar")
"""Kinds of locks from the easiest to the hardest."""
NEAR = 0.75
"""Where one stands before a door, in metres from the middle of its wall."""
CLEAR = DOOR_WIDTH + 0.5
"""How far one goes on behind a door that swung open, in metres from the middle of its wall, before turning."""
_HEIGHTS = {"button": 1.25, "sliding bar": 1.375, "turning bar": 1.0}


def hang(
    site: Site, house: House, opening: int, *, coming_from: int, slides: bool, locks: Sequence[str] = ()
) -> int:
    """Hang a door in a doorway, closed, with its locks on the side of one room; return its index.

    A swing door turns about the end of its own x axis that points backwards; which end that is gets chosen so that the
    open door stands in nobody's way. Where both ends would be in the way, the door slides.

    Args:
        site: The world in the making.
        house: The house.
        opening: Which doorway.
        coming_from: Room from which it is opened.
        slides: Whether it slides rather than swings.
        locks: Kinds of its locks, each at most once, from `LOCKS`.
    """
    way = house.plan.openings[opening]
    wall = house.plan.walls[way.wall]
    side = side_of(house, opening, coming_from)
    entered = way.rooms[1] if way.rooms[0] == coming_from else way.rooms[0]
    hinge = 0.0 if slides else _hinge(house, opening, entered)
    slides = hinge == 0.0
    sign = -hinge if hinge else 1.0
    x, y = house.on_wall(wall, way.at, 0.0)
    floor = house.floor(wall.storey)
    door = site.add_thing(
        "slide door" if slides else "swing door",
        *(x, y),
        z=floor + PANEL[2] + 0.015625,
        half=PANEL,
        facing=house.turned(wall.along, sign),
        opens=float(len(locks)),
    )
    house.doors[opening] = door
    house.locks[opening] = []
    for kind in locks:
        half = KINDS[NUMBER[kind]].half
        # the button sits on the wall beside the doorway, bars on the panel
        beside = DOOR_WIDTH / 2 + 0.3125 if kind == "button" else 0.0
        off = side * ((WALL if kind == "button" else PANEL[1]) + half[1] + 0.0078125)
        lx, ly = house.on_wall(wall, way.at + beside * (-hinge if hinge else 1.0), off)
        lock = site.add_thing(
            *(kind, lx, ly),
            z=floor + _HEIGHTS[kind],
            half=half,
            facing=house.turned(wall.along),
            link=door,
        )
        house.locks[opening].append(lock)
    return door


def side_of(house: House, opening: int, room: int) -> float:
    """Return on which side of a doorway's wall a room lies: 1 towards larger coordinates, else -1."""
    way = house.plan.openings[opening]
    if room == OUTSIDE:
        return -side_of(house, opening, way.rooms[0])
    wall = house.plan.walls[way.wall]
    return 1.0 if house.plan.rooms[room].middle[wall.along ^ 1] > wall.line else -1.0


def _hinge(house: House, opening: int, entered: int) -> float:
    """Return at which end of its doorway a door is hung (-1 or 1 along the wall), 0 where it would stand in the way."""
    plan = house.plan
    way = plan.openings[opening]
    wall = plan.walls[way.wall]
    side = side_of(house, opening, entered)
    for end in (-1.0, 1.0):
        blocked = False
        for i, other in enumerate(plan.openings):
            if i == opening or entered not in other.rooms:
                continue
            spot = _local(house, i, entered, NEAR)
            # distance from the open panel: a segment from the hinge into the room entered
            hinge = (way.at + end * DOOR_WIDTH / 2, wall.line)
            along, deep = (spot[0], spot[1]) if wall.along == 0 else (spot[1], spot[0])
            ahead = (deep - hinge[1]) * side
            gap = abs(along - hinge[0])
            if gap < 0.6 and -0.6 < ahead < DOOR_WIDTH + 0.6:
                blocked = True
        if entered != OUTSIDE and plan.rooms[entered].hall:
            blocked = True
        if not blocked:
            return end
    return 0.0


def _local(house: House, opening: int, room: int, far: float) -> tuple[float, float]:
    """Return the point before a doorway on a room's side, `far` metres from its wall, in the house's own frame."""
    way = house.plan.openings[opening]
    wall = house.plan.walls[way.wall]
    off = wall.line + side_of(house, opening, room) * far
    return (way.at, off) if wall.along == 0 else (off, way.at)
