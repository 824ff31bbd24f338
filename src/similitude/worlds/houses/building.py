"""Houses that stand in a world: a plan raised with boxes for walls, floors, stairs and the roof."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from similitude.worlds.draws import Draws, exact
from similitude.worlds.houses.plan import (
    DOOR_HEIGHT,
    DOOR_WIDTH,
    HALL,
    STOREY,
    WALL,
    WALL_HEIGHT,
    Plan,
    Wall,
)
from similitude.worlds.tasks.site import Site

FLOOR = 0.125
"""Height of the lowest floor over the ground, in metres: one steps onto it."""
FOOT = 1.375
"""Where stairs begin, in metres from the end of the hall."""
STAIR_WIDTH = 1.25
RISERS = 10
TREAD = 0.4
"""Depth of a step in metres, more than a body walks in a frame."""
RUN = (RISERS - 1) * TREAD
STAIR_LINE = WALL + STAIR_WIDTH / 2
"""Middle of the stairs, in metres from the wall they run along."""
SHAFT = 1.5
"""Length of the opening in a floor through which a ladder leads, in metres."""
CORRIDOR = HALL - 0.75
"""Middle of the hall beside the stairs, in metres from the same wall."""


def shaft(plan: Plan, storey: int) -> tuple[float, float]:
    """Return where the opening in a storey's ceiling begins and ends along the hall, in metres.

    Flights of stairs stand above each other; ladders stand at either end in turn, at the far edge of their openings.
    """
    if not plan.ladders:
        return FOOT, FOOT + RUN
    return (FOOT, FOOT + SHAFT) if storey % 2 else (FOOT + RUN - SHAFT, FOOT + RUN)


@dataclass
class House:
    """A plan at a place.

    Attributes:
        plan: What it looks like.
        x: Of the middle of its rectangle, in metres.
        y: Of the middle, in metres.
        facing: Unit vector of its own x axis.
        ground: Height of the land it stands on, in metres.
        doors: By opening, the door that hangs in it.
        locks: By opening, the locks of its door.
    """

    plan: Plan
    x: float
    y: float
    facing: tuple[float, float]
    ground: float
    doors: dict[int, int] = field(default_factory=dict)
    locks: dict[int, list[int]] = field(default_factory=dict)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place in the world of a point of its own frame."""
        a, b = x - self.plan.length / 2, y - self.plan.width / 2
        u, v = self.facing
        return exact(self.x + a * u - b * v), exact(self.y + a * v + b * u)

    def inside(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of its own frame of a place in the world."""
        a, b = x - self.x, y - self.y
        u, v = self.facing
        return a * u + b * v + self.plan.length / 2, b * u - a * v + self.plan.width / 2

    def floor(self, storey: int) -> float:
        """Return the height of a floor in metres."""
        return exact(self.ground + FLOOR + STOREY * storey)

    def turned(self, along: int, sign: float = 1.0) -> tuple[float, float]:
        """Return the direction in the world of its own x (0) or y (1) axis, or against it (sign -1)."""
        u, v = self.facing
        return (sign * u, sign * v) if along == 0 else (-sign * v, sign * u)

    def on_wall(self, wall: Wall, at: float, off: float) -> tuple[float, float]:
        """Return the place `at` metres along a wall and `off` metres from its middle line."""
        return self.at(at, wall.line + off) if wall.along == 0 else self.at(wall.line + off, at)

    @property
    def radius(self) -> float:
        """Distance from its middle to its corners, in metres."""
        return math.sqrt(self.plan.length * self.plan.length + self.plan.width * self.plan.width) / 2


def raise_house(
    site: Site, plan: Plan, x: float, y: float, *, facing: tuple[float, float] = (1.0, 0.0), draws: Draws
) -> House:
    """Level the land and set up a house; doors are hung afterwards, see `hanging`.

    Args:
        site: The world in the making.
        plan: What is built.
        x: Middle of its rectangle, in metres.
        y: Middle of its rectangle, in metres.
        facing: Unit vector of its own x axis.
        draws: Where windows are drawn from.
    """
    facing = exact(facing[0]), exact(facing[1])
    house = House(plan, x, y, facing, 0.0)
    house.ground = site.flatten(x, y, house.radius + 1.5, max(site.height_at(x, y), 0.5), rim=3.0)
    site.clear.append((x, y, house.radius + 1.5))
    bodies = _Bodies(site, house)
    for index, wall in enumerate(plan.walls):
        spots = sorted(opening.at for opening in plan.openings if opening.wall == index)
        bodies.wall(wall, spots)
        if wall.outer:
            _glaze(bodies, wall, spots, draws)
    half_x, half_y = plan.length / 2, plan.width / 2
    bodies.box(
        *(0.0 - WALL, plan.length + WALL, 0.0 - WALL, plan.width + WALL),
        *(house.ground - 0.375, house.floor(0), "floor"),
    )
    for storey in range(1, plan.storeys):
        _slab(bodies, storey)
        if plan.ladders:
            _ladder(bodies, storey - 1)
        else:
            _stairs(bodies, storey - 1)
    top = house.floor(plan.storeys)
    bodies.box(
        *(0.0 - WALL - 0.25, 2 * half_x + WALL + 0.25, 0.0 - WALL - 0.25, 2 * half_y + WALL + 0.25),
        *(top - STOREY + WALL_HEIGHT, top, "roof"),
    )
    return house


class _Bodies:
    """Adds boxes given by their extents in a house's own frame."""

    def __init__(self, site: Site, house: House) -> None:
        self.site, self.house = site, house

    def box(
        self, x0: float, x1: float, y0: float, y1: float, z0: float, z1: float, color: str = "wall"
    ) -> None:
        x, y = self.house.at((x0 + x1) / 2, (y0 + y1) / 2)
        half = (x1 - x0) / 2, (y1 - y0) / 2, (z1 - z0) / 2
        self.site.add_solid(x, y, (z0 + z1) / 2, half, color=color, facing=self.house.facing)

    def panel(
        self,
        wall: Wall,
        low: float,
        high: float,
        bottom: float,
        top: float,
        *,
        half: float = WALL,
        color: str = "wall",
    ) -> None:
        """Add a piece of a wall between two heights over its floor."""
        z = self.house.floor(wall.storey)
        if wall.along == 0:
            self.box(low, high, wall.line - half, wall.line + half, z + bottom, z + top, color)
        else:
            self.box(wall.line - half, wall.line + half, low, high, z + bottom, z + top, color)

    def wall(self, wall: Wall, spots: list[float]) -> None:
        """Add a wall with doorways: pieces between them and a lintel over each.

        Outer walls also close the edge of the floor above, which the stairs leave open.
        """
        top = STOREY if wall.outer and wall.storey < self.house.plan.storeys - 1 else WALL_HEIGHT
        reach = WALL if wall.outer else 0.0
        low = wall.low - reach
        for at in spots:
            left, right = at - DOOR_WIDTH / 2, at + DOOR_WIDTH / 2
            self.panel(wall, low, left, 0.0, top)
            self.panel(wall, left, right, DOOR_HEIGHT, top)
            low = right
        self.panel(wall, low, wall.high + reach, 0.0, top)


def _glaze(bodies: _Bodies, wall: Wall, spots: list[float], draws: Draws) -> None:
    """Add panes of glass about every five metres where no doorway is; nobody passes through them."""
    count = max(int((wall.high - wall.low) / 5.0), 1)
    for k in range(count):
        at = wall.low + (wall.high - wall.low) * (k + 0.5) / count + draws.uniform(-0.5, 0.5)
        if all(abs(at - spot) > DOOR_WIDTH / 2 + 0.75 for spot in spots):
            bodies.panel(wall, at - 0.5, at + 0.5, 1.0, 2.0, half=WALL + 0.0156, color="window")


def _slab(bodies: _Bodies, storey: int) -> None:
    """Add an upper floor that leaves the stairs open."""
    plan, top = bodies.house.plan, bodies.house.floor(storey)
    bottom = top - STOREY + WALL_HEIGHT
    edge = WALL + STAIR_WIDTH
    bodies.box(-WALL, plan.length + WALL, edge, plan.width + WALL, bottom, top, "floor")
    low, high = shaft(plan, storey - 1)
    bodies.box(-WALL, low, -WALL, edge, bottom, top, "floor")
    bodies.box(high, plan.length + WALL, -WALL, edge, bottom, top, "floor")


def _stairs(bodies: _Bodies, storey: int) -> None:
    """Add the flight from a floor to the next: solid on the ground, slabs higher up, which leave room below."""
    base = bodies.house.floor(storey)
    for k in range(1, RISERS):
        top = exact(base + STOREY * k / RISERS)
        bottom = base if storey == 0 else top - STOREY / RISERS - 0.0625
        start = FOOT + (k - 1) * TREAD
        bodies.box(start, start + TREAD, WALL, WALL + STAIR_WIDTH, bottom, top, "stair")


def _ladder(bodies: _Bodies, storey: int) -> None:
    """Add a ladder from a floor to the edge of the next."""
    house = bodies.house
    x, y = house.at(shaft(house.plan, storey)[1] - 0.0625, STAIR_LINE)
    z = house.floor(storey) + 0.5 * STOREY
    bodies.site.add_solid(
        *(x, y, z, (0.0625, 0.5, 0.5 * STOREY)), color="ladder", climbs=True, facing=house.facing
    )
