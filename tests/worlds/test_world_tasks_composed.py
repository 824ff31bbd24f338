"""Navigate, find, gather, survive: obstacles nobody walks around, foods all eaten, hidden where they should be."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import HEAD_TOP
from similitude.worlds.houses.building import House
from similitude.worlds.houses.plan import plan_tree, with_entrance
from similitude.worlds.kinds import KINDS
from similitude.worlds.making import make_world
from similitude.worlds.routes.reach import reaches
from similitude.worlds.tasks.composing import (
    LARGEST,
    LONGEST,
    PARTS,
    Course,
    choose_parts,
    facing_house,
    lay_course,
)
from similitude.worlds.tasks.site import ImpossibleSiteError, Site
from similitude.worlds.tasks.survive import in_turn
from similitude.worlds.world import World
from tests.oracles.isle_sight import seen

COMPOSED = ("navigate", "find", "gather", "survive")
WALKED = {"move", "fight", "descend"}
"""Obstacles through which one walks, or down which one falls."""


def foods(world: World) -> list[int]:
    """Return what has to be eaten: foods and prey with energy."""
    roles = [KINDS[int(row[0])].role for row in world.things]
    return [i for i, role in enumerate(roles) if role in (c.FOOD, c.PREY) and world.things[i, 11] > 0.0]


def obstacles(world: World) -> list[str]:
    return [str(value) for name, value in world.parameters.items() if name.startswith("obstacle ")]


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("task", COMPOSED)
def test_worlds_are_made_and_their_solutions_eat_everything_once(
    task: str, difficulty: float, tmp_path
) -> None:
    for seed in range(2):
        world = make_world(task, difficulty, seed)
        eaten = [step.thing for step in world.solution if step.do == "eat"]
        assert sorted(eaten) == foods(world)
        assert world.size <= LARGEST
        assert world.save(tmp_path / "world").stat().st_size < 350_000
        assert len(world.solids) < 250


@pytest.mark.slow
@pytest.mark.parametrize("task", COMPOSED)
def test_many_worlds_are_made(task: str) -> None:
    for seed in range(100, 130):
        world = make_world(task, (seed % 11) / 10.0, seed)
        assert sorted(step.thing for step in world.solution if step.do == "eat") == foods(world)


@pytest.mark.parametrize("task", ["navigate", "find", "gather"])
def test_obstacles_cannot_be_walked_around(task: str) -> None:
    checked = 0
    for seed in range(8):
        world = make_world(task, 0.4, seed)
        if set(obstacles(world)) <= WALKED or world.parameters["goal in a house"]:
            continue
        goal = [step for step in world.solution if step.do == "eat"][-1].thing
        x, y = (float(value) for value in world.things[goal, 1:3])
        assert not reaches(world, x, y, jumps=False), world.name
        checked += 1
    assert checked


def test_obstacles_that_need_more_than_legs_cannot_be_jumped_around() -> None:
    checked = 0
    for task, seed in (
        ("navigate", 0),
        ("navigate", 7),
        ("find", 3),
        ("find", 9),
        ("gather", 2),
        ("gather", 6),
    ):
        world = make_world(task, 0.8, seed)
        if not set(obstacles(world)) & {"climb", "stack", "bridge"} or world.parameters["goal in a house"]:
            continue
        goal = [step for step in world.solution if step.do == "eat"][-1].thing
        assert not reaches(world, *(float(value) for value in world.things[goal, 1:3])), world.name
        checked += 1
    assert checked


def test_courses_through_which_one_walks_are_found_open() -> None:
    """The flood fill that finds the others closed can find a way: a strip over a chasm."""
    found = 0
    for seed in range(30):
        world = make_world("navigate", 0.0, seed)
        if obstacles(world) == ["move"] and not world.parameters["goal in a house"]:
            goal = [step for step in world.solution if step.do == "eat"][-1].thing
            assert reaches(world, *(float(value) for value in world.things[goal, 1:3]), jumps=False)
            found += 1
        if found == 2:
            break
    assert found


def test_the_number_of_obstacles_grows_and_no_kind_comes_twice() -> None:
    means = []
    for difficulty in (0.0, 0.5, 1.0):
        counts = []
        for seed in range(200):
            budget = Budget(Draws("count", difficulty, seed), difficulty)
            parts = choose_parts(budget)
            assert len({part.name for part in parts}) == len(parts)
            assert sum(part.length for part in parts) <= LONGEST
            assert budget.parameters["obstacles"] == len(parts)
            counts.append(len(parts))
        assert min(counts) >= 1
        assert max(counts) <= 4
        means.append(np.mean(counts))
    assert means[0] == 1.0
    assert 1.5 < means[1] < 2.6
    assert means[2] > 2.9


def test_all_kinds_of_obstacles_appear_when_hard_and_none_is_too_long_when_easy() -> None:
    seen_kinds = set()
    for seed in range(200):
        seen_kinds |= {part.name for part in choose_parts(Budget(Draws("kinds", seed), 1.0))}
    assert seen_kinds == {part.name for part in PARTS}
    easy = {part.name for seed in range(100) for part in choose_parts(Budget(Draws("easy", seed), 0.0))}
    assert "push" not in easy
    assert "move" in easy


@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_food_of_find_cannot_be_seen_from_the_start(difficulty: float) -> None:
    for seed in range(5):
        world = make_world("find", difficulty, seed)
        x, y, z, _, _ = world.spawn
        (food,) = foods(world)
        assert not seen(world, (x, y, z + HEAD_TOP), tuple(world.things[food, 1:4].tolist()))


def test_food_of_navigate_is_seen_or_marked_by_a_tower() -> None:
    found = set()
    for seed in range(14):
        world = make_world("navigate", 0.3, seed)
        if world.parameters["goal in a house"]:
            continue
        x, y, z, _, _ = world.spawn
        (food,) = foods(world)
        near = np.hypot(*(world.solids[:, :2] - world.things[food, 1:3]).T) < 2.0
        tall = near & (world.solids[:, c.SEZ] > 10.0)
        fx, fy, fz, top = (float(world.things[food, k]) for k in (1, 2, 3, 8))
        free = any(seen(world, (x, y, z + HEAD_TOP), (fx, fy, fz + more)) for more in (0.0, top))
        assert free == bool(world.parameters["food seen"])
        assert free != bool(tall.any())
        found.add(free)
    assert found


def test_gather_has_fruit_before_the_obstacles() -> None:
    for difficulty, low, high in ((0.0, 1, 1), (1.0, 4, 5)):
        for seed in range(2):
            world = make_world("gather", difficulty, seed)
            assert low <= int(world.parameters["fruit trees"]) <= high
            assert len(foods(world)) == int(world.parameters["fruit trees"]) + 1
            eaten = [step.thing for step in world.solution if step.do == "eat"]
            x, y = (float(value) for value in world.things[eaten[0], 1:3])
            assert reaches(world, x, y, jumps=False)


def test_survive_follows_its_densities() -> None:
    hunters = 0
    counts: dict[float, list[int]] = {0.0: [], 1.0: []}
    for difficulty, found in counts.items():
        for seed in range(4):
            world = make_world("survive", difficulty, seed)
            roles = [KINDS[int(row[0])].role for row in world.things]
            found.append(roles.count(c.PREDATOR))
            hunter = bool(world.parameters["hunter"])
            hunters += hunter
            assert (c.FOOD in roles) != hunter
            assert c.PREY in roles
            assert roles.count(c.TOOL) >= 2
            away = [
                np.hypot(*(row[1:3] - world.spawn[:2]))
                for row, r in zip(world.things, roles, strict=True)
                if r == c.PREDATOR
            ]
            assert min(away, default=18.0) >= 18.0
    assert np.mean(counts[0.0]) <= 1.0
    assert np.mean(counts[1.0]) > 6.0
    assert hunters < 5


def test_spots_are_visited_nearest_first() -> None:
    assert in_turn([(5.0, 0.0), (1.0, 0.0), (2.0, 2.0)]) == [(1.0, 0.0), (2.0, 2.0), (5.0, 0.0)]


@pytest.mark.parametrize("seed", range(12))
def test_a_house_at_the_goal_turns_its_entrance_to_whoever_comes(seed: int) -> None:
    draws = Draws("entrance", seed)
    plan = with_entrance(draws, plan_tree(draws, 3))
    direction = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[seed % 4]
    course = Course([], [], 12.0, (1.5, -0.5), direction)
    (x, y), facing = facing_house(course, plan)
    house = House(plan, x, y, facing, 0.0)
    entrance = plan.openings[-1]
    at = house.on_wall(plan.walls[entrance.wall], entrance.at, 0.0)
    middle = house.at(*plan.rooms[entrance.rooms[0]].middle)
    # on the axis, before the house's middle, with the room behind it
    off = (at[0] - 1.5) * -direction[1] + (at[1] + 0.5) * direction[0]
    assert off == pytest.approx(0.0, abs=2e-3)
    assert (middle[0] - at[0]) * direction[0] + (middle[1] - at[1]) * direction[1] > 1.0


def test_a_course_that_no_map_holds_is_impossible() -> None:
    site = Site("navigate", 1.0, 0, draws=Draws("long"))
    with pytest.raises(ImpossibleSiteError, match="more land than a map has"):
        lay_course(site, list(PARTS), core=10.0, relief=1.0)
