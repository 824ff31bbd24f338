"""Ways through a house: the steps that lead from a place in one room to a place in another."""

from __future__ import annotations

from similitude.worlds.houses.building import CORRIDOR, STAIR_LINE, House, shaft
from similitude.worlds.houses.hanging import CLEAR, NEAR, side_of
from similitude.worlds.houses.plan import OUTSIDE
from similitude.worlds.tasks.site import Site

Place = tuple[int, float, float]
"""A room and a point in it, in the house's own frame."""


def before(house: House, opening: int, room: int, far: float = NEAR) -> Place:
    """Return the place before a doorway on a room's side, `far` metres from the middle of its wall."""
    way = house.plan.openings[opening]
    wall = house.plan.walls[way.wall]
    off = wall.line + side_of(house, opening, room) * far
    return (room, way.at, off) if wall.along == 0 else (room, off, way.at)


def lead(site: Site, house: House, start: Place, goal: Place) -> None:
    """Write the steps from a place to another in the same house, doors and locks on the way included.

    Args:
        site: The world in the making.
        house: The house.
        start: Where the way begins; OUTSIDE stands for the land before the entrance.
        goal: Where it ends; OUTSIDE likewise.
    """
    walk = _Walk(site, house, start)
    first, last = start[0], goal[0]
    entrance = len(house.plan.openings) - 1
    if first == OUTSIDE:
        first = house.plan.openings[entrance].rooms[0]
        walk.through(entrance, first)
    leaving = last == OUTSIDE
    if leaving:
        last = house.plan.openings[entrance].rooms[0]
    for opening, room in house.plan.route(first, last):
        if opening < 0:
            walk.stairs(room)
        else:
            walk.through(opening, room)
    if leaving:
        walk.through(entrance, OUTSIDE)
    walk.to(goal)
    walk.done()


class _Walk:
    """A walk in the making: points so far, and where it stands."""

    def __init__(self, site: Site, house: House, start: Place) -> None:
        self.site, self.house, self.here = site, house, start
        self.points = [self._point(start)]

    def _point(self, place: Place) -> tuple[float, float, float]:
        room, x, y = place
        wx, wy = self.house.at(x, y)
        if room == OUTSIDE:
            return wx, wy, self.site.height_at(wx, wy)
        return wx, wy, self.house.floor(self.house.plan.rooms[room].storey)

    def to(self, place: Place) -> None:
        """Go straight to a place in the room where it stands, round the stairs where there are some."""
        room, x, _ = place
        if room != OUTSIDE and self.house.plan.rooms[room].hall:
            for corner in ((room, self.here[1], CORRIDOR), (room, x, CORRIDOR)):
                self._add(corner)
        self._add(place)

    def _add(self, place: Place) -> None:
        if place[1:] != self.here[1:] or place[0] != self.here[0]:
            self.points.append(self._point(place))
        self.here = place

    def through(self, opening: int, room: int) -> None:
        """Go through a doorway into a room; unlock and open its door."""
        old = self.here[0]
        plan = self.house.plan
        self.to(before(self.house, opening, old, 1.5 if old == OUTSIDE else NEAR))
        if opening in self.house.doors:
            self.done()
            for lock in self.house.locks[opening]:
                self.site.step("unlock", thing=lock)
            self.site.step("open", thing=self.house.doors[opening])
            self.points = [self._point(self.here)]
        hall = room != OUTSIDE and plan.rooms[room].hall
        far = 1.5 if room == OUTSIDE else CLEAR if opening in self.house.doors and not hall else NEAR
        self.here = (room, *before(self.house, opening, room, far)[1:])
        self.points.append(self._point(self.here))

    def stairs(self, room: int) -> None:
        """Go up or down to the hall of the next storey: by the stairs, up a ladder or down beside it."""
        plan = self.house.plan
        storeys = plan.rooms[self.here[0]].storey, plan.rooms[room].storey
        up = storeys[1] > storeys[0]
        low, high = shaft(plan, min(storeys))
        if not plan.ladders:
            first, last = (low - 0.625, high + 0.625) if up else (high + 0.625, low - 0.625)
            self._beside(first)
            self._add((room, last, STAIR_LINE))
            return
        first, last = (high - 0.75, high + 0.75) if up else (high + 0.75, high - 0.75)
        self._beside(first)
        if not up:
            self._add((self.here[0], high + 0.125, STAIR_LINE))
        self.done()
        begun, self.here = self.points[-1], (room, last, STAIR_LINE)
        self.points = [self._point(self.here)]
        self.site.step("climb" if up else "drop", [begun, self.points[0]])

    def _beside(self, x: float) -> None:
        """Go along the corridor and then into the strip of the stairs."""
        self._add((self.here[0], self.here[1], CORRIDOR))
        self._add((self.here[0], x, CORRIDOR))
        self._add((self.here[0], x, STAIR_LINE))

    def done(self) -> None:
        """Write the walk so far as a step."""
        if len(self.points) > 1:
            self.site.step("walk", self.points)
        self.points = [self.points[-1]]
