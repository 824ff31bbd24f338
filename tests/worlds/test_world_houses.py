"""Houses: rooms are joined by their doorways alone, stairs obey the step rule, boxes are few.

The oracles here are plain geometry of their own: a flood fill of discs between rectangles, a body that follows a way.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds.draws import Draws
from similitude.worlds.engine.constants import BODY_RADIUS, HEAD_CLEAR, HEAD_TOP, STEP_UP
from similitude.worlds.houses.building import House, raise_house
from similitude.worlds.houses.furnishing import beside, put_agent, put_food, spot
from similitude.worlds.houses.hanging import LOCKS, hang
from similitude.worlds.houses.plan import (
    OUTSIDE,
    SMALLEST,
    Plan,
    Room,
    plan_row,
    plan_tree,
    with_entrance,
    with_loops,
)
from similitude.worlds.houses.wayfinding import before, lead
from similitude.worlds.kinds import KINDS
from similitude.worlds.tasks.site import Site

TALL = HEAD_TOP + HEAD_CLEAR
STEP = 0.125
"""Grid of the flood fill, in metres."""


def site_of(name: object = 0) -> Site:
    site = Site("open", 0.5, 0, draws=Draws("houses", name))
    site.island(relief=1.0, base=2.0)
    return site


def raised(plan: Plan, name: object = 0, facing: tuple[float, float] = (1.0, 0.0)) -> tuple[Site, House]:
    site = site_of(name)
    return site, raise_house(site, plan, 1.0, -2.0, facing=facing, draws=Draws("panes", name))


def boxes(site: Site, *, doors: bool) -> np.ndarray:
    """Return x, y, z, cos, sin, half extents of what bodies bump into."""
    rows = [row[:8] for row in site.solids]
    if doors:
        rows += [row[1:9] for row in site.things if KINDS[int(row[0])].name.endswith("door")]
    return np.array(rows)


def gaps(rows: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the distance of every point from every box's footprint, (points, boxes)."""
    dx, dy = x[:, None] - rows[:, 0], y[:, None] - rows[:, 1]
    u = np.maximum(np.abs(dx * rows[:, 3] + dy * rows[:, 4]) - rows[:, 5], 0.0)
    v = np.maximum(np.abs(dy * rows[:, 3] - dx * rows[:, 4]) - rows[:, 6], 0.0)
    return np.hypot(u, v)


def rooms_reached(site: Site, house: House, room: int, *, doors: bool) -> set[int]:
    """Return the rooms of the ground floor that a body gets to from one of them, OUTSIDE among them."""
    plan, level = house.plan, house.floor(0)
    margin = 1.5
    nx, ny = int((plan.length + 2 * margin) / STEP), int((plan.width + 2 * margin) / STEP)
    lx, ly = np.meshgrid(np.arange(nx) * STEP - margin, np.arange(ny) * STEP - margin, indexing="ij")
    u, v = house.facing
    a, b = lx.ravel() - plan.length / 2, ly.ravel() - plan.width / 2
    rows = boxes(site, doors=doors)
    rows = rows[(rows[:, 2] + rows[:, 7] > level + STEP_UP) & (rows[:, 2] - rows[:, 7] < level + TALL)]
    near = gaps(rows, house.x + a * u - b * v, house.y + a * v + b * u)
    free = (near >= BODY_RADIUS).all(axis=1).reshape(nx, ny)
    seen = np.zeros_like(free)
    start = tuple(round((value + margin) / STEP) for value in plan.rooms[room].middle)
    assert free[start], "the middle of the room is not free"
    queue = [start]
    seen[start] = True
    for i, j in queue:
        for p, q in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if 0 <= p < nx and 0 <= q < ny and free[p, q] and not seen[p, q]:
                seen[p, q] = True
                queue.append((p, q))
    found = {OUTSIDE} if seen[0, 0] else set()
    for i, other in enumerate(plan.rooms):
        if other.storey == 0:
            inside = (
                (lx > other.x0 + 0.5) & (lx < other.x1 - 0.5) & (ly > other.y0 + 0.5) & (ly < other.y1 - 0.5)
            )
            if (seen & inside).any():
                found.add(i)
    return found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rooms", [2, 3, 5])
def test_rooms_are_joined_by_doorways_only(seed: int, rooms: int) -> None:
    draws = Draws("joined", seed, rooms)
    plan = plan_tree(draws, rooms) if seed % 2 else plan_row(draws, rooms)
    assert len(plan.openings) == rooms - 1  # a tree
    site, house = raised(plan, (seed, rooms), draws.direction() if seed % 3 else (1.0, 0.0))
    for opening, way in enumerate(plan.openings):
        hang(site, house, opening, coming_from=way.rooms[0], slides=draws.chance(0.5))
    assert rooms_reached(site, house, 0, doors=False) == set(range(rooms))
    for room in range(rooms):
        assert rooms_reached(site, house, room, doors=True) == {room}


@pytest.mark.parametrize("seed", range(6))
def test_an_entrance_leads_out_and_loops_join_more_rooms(seed: int) -> None:
    draws = Draws("entrance", seed)
    plan = plan_tree(draws, 4)
    looped = with_loops(draws, plan, 1.0)
    assert len(looped.openings) >= len(plan.openings)
    assert len({frozenset(way.rooms) for way in looped.openings}) == len(looped.openings)
    entered = with_entrance(draws, looped)
    assert entered.openings[-1].rooms[1] == OUTSIDE
    site, house = raised(entered, seed)
    assert rooms_reached(site, house, 0, doors=False) == {OUTSIDE, 0, 1, 2, 3}
    entrance = len(entered.openings) - 1
    hang(site, house, entrance, coming_from=OUTSIDE, slides=True)
    assert OUTSIDE not in rooms_reached(site, house, 0, doors=True)


@pytest.mark.parametrize("rooms", range(1, 8))
def test_rooms_tile_the_house_and_are_large_enough(rooms: int) -> None:
    for seed in range(20):
        plan = plan_tree(Draws("tiles", seed), rooms)
        assert sum((r.x1 - r.x0) * (r.y1 - r.y0) for r in plan.rooms) == plan.length * plan.width
        assert all(min(r.x1 - r.x0, r.y1 - r.y0) >= SMALLEST for r in plan.rooms)
        assert len(plan.rooms) == rooms


def walked(site: Site, points: list[tuple[float, ...]]) -> list[float]:
    """Follow a way by the rules of steps and head room without doors; return the heights of the feet.

    Raises:
        AssertionError: A box stands in the way.
    """
    rows = boxes(site, doors=False)
    feet, heights = points[0][2], []
    for first, last in itertools.pairwise(points):
        length = math.dist(first[:2], last[:2])
        for k in range(1, max(int(length / 0.05), 1) + 1):
            t = k / max(int(length / 0.05), 1)
            x, y = first[0] + t * (last[0] - first[0]), first[1] + t * (last[1] - first[1])
            near = gaps(rows, np.array([x]), np.array([y]))[0]
            top, bottom = rows[:, 2] + rows[:, 7], rows[:, 2] - rows[:, 7]
            below = top[(near < 0.2) & (top <= feet + STEP_UP)]
            feet = max([site.height_at(x, y), *below])
            blocking = (near < BODY_RADIUS - 1e-3) & (top > feet + STEP_UP) & (bottom < feet + TALL)
            assert not blocking.any(), (x, y, feet, rows[blocking])
            heights.append(feet)
    return heights


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("storeys", [2, 3])
def test_stairs_lead_to_every_storey(seed: int, storeys: int) -> None:
    draws = Draws("stairs", seed, storeys)
    plan = with_entrance(draws, plan_tree(draws, 3, storeys=storeys))
    site, house = raised(plan, seed, draws.direction() if seed % 2 else (0.0, 1.0))
    for goal, room in enumerate(plan.rooms):
        site.steps.clear()
        start = before(house, len(plan.openings) - 1, OUTSIDE, 3.0)
        place = spot(house, goal, draws)
        lead(site, house, start, (goal, *place))
        (step,) = site.steps
        heights = walked(site, list(step.at))
        assert heights[-1] == pytest.approx(house.floor(room.storey))
        assert max(abs(b - a) for a, b in itertools.pairwise(heights)) <= STEP_UP
        back = list(reversed(step.at))
        assert walked(site, back)[-1] == pytest.approx(site.height_at(*back[-1][:2]), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_ladders_lead_up_and_one_drops_beside_them(seed: int) -> None:
    draws = Draws("ladders", seed)
    plan = with_entrance(draws, plan_tree(draws, 3, storeys=3, ladders=True))
    site, house = raised(plan, seed, draws.direction() if seed % 2 else (0.0, 1.0))
    top = next(i for i, room in enumerate(plan.rooms) if room.storey == 2 and not room.hall)
    low = next(i for i, room in enumerate(plan.rooms) if room.storey == 0 and not room.hall)
    for start, goal, do in ((low, top, "climb"), (top, low, "drop")):
        site.steps.clear()
        lead(site, house, (start, *plan.rooms[start].middle), (goal, *plan.rooms[goal].middle))
        assert [step.do for step in site.steps] == ["walk", do, "walk", do, "walk"]
        for step in site.steps:
            if step.do == "walk":
                assert walked(site, list(step.at))[-1] == pytest.approx(step.at[-1][2])
            else:
                # from beside a ladder to the floor above it, or back
                (ladder,) = [
                    row
                    for row in site.solids
                    if row[10] and row[2] - row[7] < min(p[2] for p in step.at) + 0.1 < row[2] + row[7]
                ]
                below, above = sorted(step.at, key=lambda point: point[2])
                assert above[2] - below[2] == pytest.approx(3.0)
                assert ladder[2] + ladder[7] == pytest.approx(above[2])
                assert math.dist(below[:2], ladder[:2]) == pytest.approx(0.6875, abs=0.01)
                rows = boxes(site, doors=False)
                near = gaps(rows, np.array([below[0]]), np.array([below[1]]))[0] < BODY_RADIUS
                overhead = (
                    near & (rows[:, 2] - rows[:, 7] > below[2]) & (rows[:, 2] - rows[:, 7] < above[2] + TALL)
                )
                assert not overhead.any()


def test_the_way_unlocks_and_opens_each_door_in_turn() -> None:
    site, house = raised(plan_row(Draws("way"), 3))
    first = hang(site, house, 0, coming_from=0, slides=False, locks=("button", "turning bar"))
    second = hang(site, house, 1, coming_from=1, slides=True, locks=("sliding bar",))
    lead(site, house, (0, *house.plan.rooms[0].middle), (2, *house.plan.rooms[2].middle))
    assert [(step.do, step.thing) for step in site.steps] == [
        *(("walk", -1), ("unlock", first + 1), ("unlock", first + 2), ("open", first)),
        *(("walk", -1), ("unlock", second + 1), ("open", second), ("walk", -1)),
    ]
    assert [row[14] for row in (site.things[first], site.things[second])] == [2.0, 1.0]
    # the whole way is free once doors are gone
    points = [point for step in site.steps for point in step.at]
    assert walked(site, points)[-1] == pytest.approx(house.floor(0))


@pytest.mark.parametrize("kind", LOCKS)
def test_locks_hang_within_reach_of_the_side_they_are_opened_from(kind: str) -> None:
    for coming_from, slides in ((0, False), (1, False), (0, True), (1, True)):
        facing = (0.6, 0.8)
        site, house = raised(plan_row(Draws("reach"), 2), facing=facing)
        door = hang(site, house, 0, coming_from=coming_from, slides=slides, locks=(kind,))
        (lock,) = house.locks[0]
        assert site.things[lock][13] == door
        x, y, z = site.place_of(lock)
        stand = house.at(*before(house, 0, coming_from)[1:])
        eyes = house.floor(0) + HEAD_TOP
        assert math.dist((x, y), stand) < 1.3
        assert abs(eyes - z) < 1.0
        lx, _ = house.inside(x, y)
        wall = house.plan.walls[0].line
        assert (lx < wall) == (coming_from == 0)


@pytest.mark.parametrize("seed", range(10))
def test_an_open_door_stands_in_nobodys_way(seed: int) -> None:
    """A panel turned by a quarter about its hinge stays clear of where one stands before the other doorways."""
    draws = Draws("swing", seed)
    plan = plan_tree(draws, 5)
    site, house = raised(plan, seed)
    swinging = 0
    for opening, way in enumerate(plan.openings):
        door = hang(site, house, opening, coming_from=way.rooms[0], slides=False)
        row = site.things[door]
        if KINDS[int(row[0])].name == "slide door":
            continue
        swinging += 1
        hinge = row[1] - row[4] * row[6], row[2] - row[5] * row[6]
        # it swings into the room entered, away from whoever comes
        inner = house.at(*before(house, opening, way.rooms[1], 1.0)[1:])
        side = math.copysign(1.0, (inner[0] - row[1]) * -row[5] + (inner[1] - row[2]) * row[4])
        end = hinge[0] - side * 2 * row[6] * row[5], hinge[1] + side * 2 * row[6] * row[4]
        for other, there in enumerate(plan.openings):
            if other != opening and way.rooms[1] in there.rooms:
                spots = house.at(*before(house, other, way.rooms[1])[1:])
                line = np.linspace(hinge, end, 50)
                assert np.hypot(*(line - spots).T).min() > BODY_RADIUS + 0.0625
    assert swinging


def test_boxes_are_few() -> None:
    for seed in range(20):
        draws = Draws("few", seed)
        site, _ = raised(with_entrance(draws, plan_tree(draws, 5)), seed)
        assert len(site.solids) <= 60
        site, _ = raised(with_entrance(draws, plan_tree(draws, 5, storeys=3)), seed)
        assert len(site.solids) <= 150


def test_local_and_world_places_are_inverse() -> None:
    _, house = raised(plan_row(Draws("frames"), 3), facing=(0.6, -0.8))
    for place in ((0.0, 0.0), (1.5, 2.25), (7.0, -1.0)):
        assert house.inside(*house.at(*place)) == pytest.approx(place, abs=0.01)
    assert house.turned(1) == pytest.approx((0.8, 0.6), abs=1e-3)


def test_food_and_agent_stand_on_the_floor_of_their_room() -> None:
    draws = Draws("furniture")
    site, house = raised(plan_tree(draws, 4))
    for room in range(4):
        here = house.plan.rooms[room]
        place = spot(house, room, draws)
        assert here.x0 + 0.5 < place[0] < here.x1 - 0.5
        assert here.y0 + 0.5 < place[1] < here.y1 - 0.5
        food = site.things[put_food(site, house, room, place, altar=room % 2 == 0, draws=draws)]
        rest = food[3] - food[8] - house.floor(0)
        assert rest == 0.0 if room % 2 else 0.7 < rest < 1.3
        assert math.dist(beside(house, 0, room, place), place) == pytest.approx(0.7, abs=0.01)
        put_agent(site, house, room, place, here.middle)
        assert site.spawn[2] == house.floor(0)


def test_rooms_without_a_way_are_named() -> None:
    cut = Plan(6.0, 3.0, 1, (Room(0.0, 0.0, 3.0, 3.0), Room(3.0, 0.0, 6.0, 3.0)), ())
    with pytest.raises(WorldError, match=r"room 1 of a house cannot be reached from room 0.*1 of 2 rooms"):
        cut.route(0, 1)
