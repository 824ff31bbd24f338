"""Ground plans: a rectangle split into rooms by walls, with openings that join the rooms into a tree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from similitude.core.errors import WorldError
from similitude.worlds.draws import Draws

WALL = 0.125
"""Half the thickness of a wall, in metres."""
WALL_HEIGHT = 2.75
"""Metres from floor to ceiling."""
STOREY = 3.0
"""Metres from floor to floor."""
DOOR_WIDTH = 1.25
DOOR_HEIGHT = 2.1
SMALLEST = 3.0
"""Shortest side of a room between the middles of its walls, in metres: a door swings into it and a body passes beside."""
HALL = 2.75
"""Width of the hall that holds the stairs, in metres."""
OUTSIDE = -1


@dataclass(frozen=True)
class Room:
    """A room between the middle lines of its walls, in metres of the house's own frame; `storey` counts from 0."""

    x0: float
    y0: float
    x1: float
    y1: float
    storey: int = 0
    hall: bool = False

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


@dataclass(frozen=True)
class Wall:
    """A wall along x (`along` 0) or y (1) at `line`, from `low` to `high`; `outer` ones belong to the shell."""

    along: int
    line: float
    low: float
    high: float
    storey: int = 0
    outer: bool = False


@dataclass(frozen=True)
class Opening:
    """A doorway in wall number `wall`, its middle `at` metres along it, between two rooms (the second may be OUTSIDE)."""

    wall: int
    at: float
    rooms: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """Rooms, walls and openings of a house.

    Attributes:
        length: Extent along x between the middles of the outer walls, in metres.
        width: Extent along y, in metres.
        storeys: Number of floors.
        rooms: All rooms; one of each storey is the hall when there are stairs.
        walls: All walls.
        openings: All doorways.
        ladders: Whether ladders rather than stairs join the storeys.
    """

    length: float
    width: float
    storeys: int
    rooms: tuple[Room, ...]
    walls: tuple[Wall, ...]
    openings: tuple[Opening, ...] = ()
    ladders: bool = False

    def route(self, start: int, goal: int) -> list[tuple[int, int]]:
        """Return the way between two rooms as (opening, room entered); opening -1 is a flight of stairs or a ladder.

        Raises:
            WorldError: No way joins them.
        """
        came: dict[int, tuple[int, int]] = {start: (-2, start)}
        queue = [start]
        for room in queue:
            for opening, other in self.neighbours(room):
                if other not in came:
                    came[other] = (opening, room)
                    queue.append(other)
        if goal not in came:
            raise WorldError(
                f"room {goal} of a house cannot be reached from room {start}: its openings leave "
                f"{len(came)} of {len(self.rooms)} rooms. Join them with openings."
            )
        way: list[tuple[int, int]] = []
        while goal != start:
            opening, before = came[goal]
            way.append((opening, goal))
            goal = before
        return way[::-1]

    def neighbours(self, room: int) -> list[tuple[int, int]]:
        """Return (opening, room) of every room next to this one; opening -1 is a flight of stairs or a ladder."""
        found = [
            (i, opening.rooms[1] if opening.rooms[0] == room else opening.rooms[0])
            for i, opening in enumerate(self.openings)
            if room in opening.rooms and OUTSIDE not in opening.rooms
        ]
        here = self.rooms[room]
        if here.hall:
            found += [
                (-1, i)
                for i, other in enumerate(self.rooms)
                if other.hall and abs(other.storey - here.storey) == 1
            ]
        return found

    def farthest(self, start: int) -> tuple[int, int]:
        """Return the room that most openings lie before, and how many."""
        lengths = [len(self.route(start, goal)) for goal in range(len(self.rooms))]
        most = max(lengths)
        return lengths.index(most), most


def plan_row(draws: Draws, rooms: int) -> Plan:
    """Return rooms in a row along x.

    Args:
        draws: Random numbers.
        rooms: How many.
    """
    width = _quarter(draws.uniform(3.5, 5.5))
    edges = [0.0]
    for _ in range(rooms):
        edges.append(edges[-1] + _quarter(draws.uniform(3.25, 5.0)))
    leaves = [Room(low, 0.0, high, width) for low, high in itertools.pairwise(edges)]
    walls = [Wall(1, edge, 0.0, width) for edge in edges[1:-1]]
    return _joined(draws, edges[-1], width, [leaves], [walls])


def plan_tree(draws: Draws, rooms: int, *, storeys: int = 1, ladders: bool = False) -> Plan:
    """Return rooms by splitting a rectangle again and again; with several storeys each has a hall along y = 0.

    Args:
        draws: Random numbers.
        rooms: How many on each storey, the hall not counted.
        storeys: How many.
        ladders: Whether ladders rather than stairs join them.

    Raises:
        WorldError: The rectangle cannot be split that often.
    """
    hall = HALL if storeys > 1 else 0.0
    side = 4.25
    columns = 1
    while columns * columns < rooms:
        columns += 1
    rows = (rooms + columns - 1) // columns
    length = _quarter(max(columns * side * draws.uniform(0.9, 1.2), 7.0 if hall else SMALLEST + 0.5))
    depth = _quarter(max(rows * side * draws.uniform(0.9, 1.2), SMALLEST + 0.5))
    levels: list[list[Room]] = []
    barriers: list[list[Wall]] = []
    for storey in range(storeys):
        leaves, walls = _split(draws, Room(0.0, hall, length, hall + depth, storey), rooms)
        if hall:
            leaves.insert(0, Room(0.0, 0.0, length, hall, storey, hall=True))
            walls.insert(0, Wall(0, hall, 0.0, length, storey))
        levels.append(leaves)
        barriers.append(walls)
    return replace(_joined(draws, length, hall + depth, levels, barriers), ladders=ladders)


def with_entrance(draws: Draws, plan: Plan) -> Plan:
    """Return the plan with a doorway from the ground floor to the outside: the last of its openings.

    A house with stairs has it at the end of its hall, beside the lowest step.
    """
    base = len(plan.walls) - 4 * plan.storeys
    options: list[Opening] = []
    for i, room in enumerate(plan.rooms):
        if room.storey:
            continue
        if room.hall:
            options = [Opening(base + 2, HALL - 0.75, (i, OUTSIDE))]
            break
        for side, low, high in _shell_sides(room, plan):
            options.append(Opening(base + side, _quarter(draws.uniform(low, high)), (i, OUTSIDE)))
    return replace(plan, openings=(*plan.openings, draws.pick(options)))


def with_loops(draws: Draws, plan: Plan, chance: float) -> Plan:
    """Return the plan with more doorways: each pair of rooms that shares a wall gets one with this chance."""
    more = list(plan.openings)
    joined = {frozenset(opening.rooms) for opening in more}
    for i in range(len(plan.walls) - 4 * plan.storeys):
        for a, b, low, high in _pairs(plan.walls[i], plan.rooms):
            if frozenset((a, b)) not in joined and draws.chance(chance):
                more.append(Opening(i, _quarter(draws.uniform(low, high)), (a, b)))
                joined.add(frozenset((a, b)))
    return replace(plan, openings=tuple(more))


def _quarter(value: float) -> float:
    """Return the nearest multiple of a quarter metre: exact in every float format."""
    return int(value * 4.0 + 0.5) / 4.0


def _split(draws: Draws, room: Room, count: int) -> tuple[list[Room], list[Wall]]:
    for _ in range(20):
        leaves, walls = [room], []
        while len(leaves) < count:
            sizes = [max(leaf.x1 - leaf.x0, leaf.y1 - leaf.y0) for leaf in leaves]
            if max(sizes) < 2 * SMALLEST:
                break
            index = draws.pick(range(len(leaves)), [s if s >= 2 * SMALLEST else 0.0 for s in sizes])
            leaf = leaves.pop(index)
            if leaf.x1 - leaf.x0 >= leaf.y1 - leaf.y0:
                cut = _quarter(draws.uniform(leaf.x0 + SMALLEST, leaf.x1 - SMALLEST))
                parts = [
                    Room(leaf.x0, leaf.y0, cut, leaf.y1, leaf.storey),
                    Room(cut, leaf.y0, leaf.x1, leaf.y1, leaf.storey),
                ]
                walls.append(Wall(1, cut, leaf.y0, leaf.y1, leaf.storey))
            else:
                cut = _quarter(draws.uniform(leaf.y0 + SMALLEST, leaf.y1 - SMALLEST))
                parts = [
                    Room(leaf.x0, leaf.y0, leaf.x1, cut, leaf.storey),
                    Room(leaf.x0, cut, leaf.x1, leaf.y1, leaf.storey),
                ]
                walls.append(Wall(0, cut, leaf.x0, leaf.x1, leaf.storey))
            leaves[index:index] = parts
        if len(leaves) == count:
            return leaves, walls
    raise WorldError(
        f"impossible world: {room.x1 - room.x0:g} x {room.y1 - room.y0:g} m cannot be split into {count} rooms "
        f"of at least {SMALLEST:g} m. Ask for fewer rooms."
    )


def _joined(
    draws: Draws, length: float, width: float, levels: Sequence[list[Room]], barriers: Sequence[list[Wall]]
) -> Plan:
    """Give every inner wall one opening (which makes a tree of each storey's rooms) and close the shell."""
    rooms = [room for level in levels for room in level]
    walls = [wall for level in barriers for wall in level]
    openings = []
    for i, wall in enumerate(walls):
        a, b, low, high = draws.pick(_pairs(wall, rooms))
        openings.append(Opening(i, _quarter(draws.uniform(low, high)), (a, b)))
    for storey in range(len(levels)):
        walls += [
            Wall(0, 0.0, 0.0, length, storey, outer=True),
            Wall(0, width, 0.0, length, storey, outer=True),
            Wall(1, 0.0, 0.0, width, storey, outer=True),
            Wall(1, length, 0.0, width, storey, outer=True),
        ]
    return Plan(length, width, len(levels), tuple(rooms), tuple(walls), tuple(openings))


def _pairs(wall: Wall, rooms: Sequence[Room]) -> list[tuple[int, int, float, float]]:
    """Return (room, room, low, high): rooms on both sides of a wall and where the middle of a doorway can be."""
    found = []
    margin = DOOR_WIDTH / 2 + WALL + 0.25
    for i, a in enumerate(rooms):
        for j, b in enumerate(rooms):
            if not a.storey == b.storey == wall.storey:
                continue
            if wall.along == 1:
                touching, low, high = (
                    a.x1 == wall.line == b.x0,
                    max(a.y0, b.y0, wall.low),
                    min(a.y1, b.y1, wall.high),
                )
            else:
                touching, low, high = (
                    a.y1 == wall.line == b.y0,
                    max(a.x0, b.x0, wall.low),
                    min(a.x1, b.x1, wall.high),
                )
            if touching and high - low >= 2 * margin:
                found.append((i, j, low + margin, high - margin))
    return found


def _shell_sides(room: Room, plan: Plan) -> list[tuple[int, float, float]]:
    """Return (side of the shell, low, high) where a doorway can lead out of a room."""
    margin = DOOR_WIDTH / 2 + WALL + 0.25
    sides = [
        (0, room.y0 == 0.0, room.x0, room.x1),
        (1, room.y1 == plan.width, room.x0, room.x1),
        (2, room.x0 == 0.0, room.y0, room.y1),
        (3, room.x1 == plan.length, room.y0, room.y1),
    ]
    return [(side, low + margin, high - margin) for side, outer, low, high in sides if outer]
