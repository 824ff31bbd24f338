"""What a task puts into a house: the agent's place, food on the floor or on an altar."""

from __future__ import annotations

import math

from similitude.worlds.draws import Draws, exact
from similitude.worlds.houses.building import CORRIDOR, FOOT, House
from similitude.worlds.houses.plan import DOOR_WIDTH
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.tasks.site import Site

FOODS = ("apple", "banana", "orange", "honeycomb", "cherry", "mulberry")
"""Foods that lie in houses."""


def spot(house: House, room: int, draws: Draws) -> tuple[float, float]:
    """Return a point of a room, in the house's own frame, away from walls and from where its doors swing."""
    here = house.plan.rooms[room]
    if here.hall:
        return FOOT - 0.625, CORRIDOR
    best, most = here.middle, -1.0
    for _ in range(12):
        x, y = draws.uniform(here.x0 + 0.75, here.x1 - 0.75), draws.uniform(here.y0 + 0.75, here.y1 - 0.75)
        room_left = min((_distance(house, i, x, y) for i in _doorways(house, room)), default=9.0)
        if room_left > DOOR_WIDTH + 1.25:
            return exact(x), exact(y)
        if room_left > most:
            best, most = (exact(x), exact(y)), room_left
    return best


def put_agent(
    site: Site, house: House, room: int, place: tuple[float, float], towards: tuple[float, float]
) -> None:
    """Let the agent start in a room at a place of the house's own frame, looking towards another."""
    x, y = house.at(*place)
    p, q = house.at(*towards)
    dx, dy = p - x, q - y
    length = math.sqrt(dx * dx + dy * dy)
    facing = (dx / length, dy / length) if length > 0.01 else house.facing
    site.spawn = (x, y, house.floor(house.plan.rooms[room].storey), exact(facing[0]), exact(facing[1]))


def put_food(
    site: Site, house: House, room: int, place: tuple[float, float], *, altar: bool, draws: Draws
) -> int:
    """Lay food on the floor of a room or on an altar; return its index."""
    kind = draws.pick(FOODS)
    x, y = house.at(*place)
    z = house.floor(house.plan.rooms[room].storey)
    if altar:
        tall = draws.integer(3, 5) * 0.125
        site.add_solid(x, y, z + tall, (0.25, 0.25, tall), color="altar", facing=house.facing)
        z += 2.0 * tall
    return site.add_thing(kind, x, y, z=z + KINDS[NUMBER[kind]].half[2])


def beside(
    house: House, start: int, room: int, place: tuple[float, float], gap: float = 0.7
) -> tuple[float, float]:
    """Return the point `gap` metres before a place in a room, seen from the doorway through which one comes.

    Args:
        house: The house.
        start: Room where the way begins.
        room: Room where it ends.
        place: A point of that room, in the house's own frame.
        gap: In metres.
    """
    ways = [opening for opening, _ in house.plan.route(start, room)][-1:]
    x, y = house.plan.rooms[room].middle
    if ways and ways[0] >= 0:
        x, y = _doorway(house, ways[0])
    dx, dy = x - place[0], y - place[1]
    length = math.sqrt(dx * dx + dy * dy)
    if length < 0.1:
        return exact(place[0] + gap), place[1]
    return exact(place[0] + gap * dx / length), exact(place[1] + gap * dy / length)


def _doorways(house: House, room: int) -> list[int]:
    return [i for i, opening in enumerate(house.plan.openings) if room in opening.rooms]


def _doorway(house: House, opening: int) -> tuple[float, float]:
    """Return the middle of a doorway in the house's own frame."""
    way = house.plan.openings[opening]
    wall = house.plan.walls[way.wall]
    return (way.at, wall.line) if wall.along == 0 else (wall.line, way.at)


def _distance(house: House, opening: int, x: float, y: float) -> float:
    px, py = _doorway(house, opening)
    return math.sqrt((px - x) * (px - x) + (py - y) * (py - y))
