"""Open and explore: doors on the way, locks that have to be opened, food that cannot be seen from the start."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import HEAD_TOP
from similitude.worlds.kinds import KINDS
from similitude.worlds.making import make_world
from similitude.worlds.tasks.explore import hide
from similitude.worlds.tasks.hiding import sees
from similitude.worlds.tasks.site import Site
from similitude.worlds.world import World
from tests.oracles.isle_discs import joined
from tests.oracles.isle_sight import seen

DIFFICULTIES = (0.0, 0.5, 1.0)


def kinds(world: World) -> list[str]:
    return [KINDS[int(row[0])].name for row in world.things]


def eyes(world: World) -> tuple[float, float, float]:
    x, y, z, _, _ = world.spawn
    return x, y, z + HEAD_TOP


def food_of(world: World) -> tuple[float, float, float]:
    (food,) = [row for row in world.things if KINDS[int(row[0])].role == c.FOOD]
    return float(food[1]), float(food[2]), float(food[3])


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_doors_and_locks_of_open_are_dealt_with_in_order(difficulty: float) -> None:
    for seed in range(12):
        world = make_world("open", difficulty, seed)
        names, steps = kinds(world), list(world.solution)
        opened = [step.thing for step in steps if step.do == "open"]
        unlocked = [step.thing for step in steps if step.do == "unlock"]
        assert len(opened) == world.parameters["doors"]
        assert len(unlocked) == world.parameters["locks"]
        assert all(names[door] in ("swing door", "slide door") for door in opened)
        order = [(step.do, step.thing) for step in steps]
        for lock in unlocked:
            door = int(world.things[lock, 13])
            assert order.index(("unlock", lock)) < order.index(("open", door))
        locks = Counter(int(world.things[lock, 13]) for lock in unlocked)
        assert all(world.things[door, 14] == locks[door] for door in opened)
        assert steps[-1].do == "eat"
        assert names.count("swing door") + names.count("slide door") < 2 * int(world.parameters["rooms"])


def test_open_grows_with_difficulty() -> None:
    rooms, locks = [], []
    for difficulty in DIFFICULTIES:
        made = [make_world("open", difficulty, seed).parameters for seed in range(25)]
        rooms.append(np.mean([float(one["rooms"]) for one in made]))
        locks.append(np.mean([float(one["locks"]) for one in made]))
        assert all(1 <= int(one["doors"]) <= 4 for one in made)
    assert rooms[0] == 2.0
    assert rooms[0] < rooms[1] < rooms[2]
    assert rooms[2] > 4.0
    assert locks[0] < 1.0 < locks[2]


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_food_of_open_is_behind_doors(difficulty: float) -> None:
    for seed in range(6):
        world = make_world("open", difficulty, seed)
        x, y, _ = food_of(world)
        assert not joined(world, (x, y), doors=True)
        assert joined(world, (x, y), doors=False)


@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_food_of_explore_cannot_be_seen_from_the_start(difficulty: float) -> None:
    for seed in range(10):
        world = make_world("explore", difficulty, seed)
        assert not seen(world, eyes(world), food_of(world))


def test_a_fifth_of_explore_is_indoors_with_up_to_three_storeys() -> None:
    made = [make_world("explore", 1.0, seed).parameters for seed in range(40)]
    inside = [one for one in made if one["indoors"]]
    assert 3 <= len(inside) <= 16
    assert all(one["storeys"] == 3 for one in inside)
    assert {one["storey of the food"] for one in inside} >= {2}
    assert all(float(one["radius"]) <= 25.0 for one in made if not one["indoors"])
    easy = [make_world("explore", 0.0, seed).parameters for seed in range(20)]
    assert all(one["storeys"] == 1 for one in easy if one["indoors"])


def test_lines_of_sight_agree_with_brute_force() -> None:
    agreed = 0
    for seed in range(6):
        site = Site("explore", 0.5, seed, draws=Draws("sight", seed))
        site.island(relief=6.0, base=2.0)
        site.add_box(3.0, 0.0, (0.25, 2.0, 1.5), facing=(0.6, 0.8))
        site.trees = 0.0
        world = site.finish()
        random = np.random.default_rng(seed)
        for _ in range(20):
            (x0, y0), (x1, y1) = random.uniform(-12.0, 12.0, (2, 2))
            one = (x0, y0, site.height_at(x0, y0) + random.uniform(0.3, 1.8))
            two = (x1, y1, site.height_at(x1, y1) + random.uniform(0.3, 1.8))
            agreed += sees(site, one, two) == seen(world, one, two)
    assert agreed >= 117  # of 120: grazing lines may differ


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_ridge_hides_and_can_be_walked_around(side: float) -> None:
    site = Site("explore", 0.5, 0, draws=Draws("ridge"))
    site.z[:] = 2.0
    start, goal = (0.0, 0.0), (9.0, 12.0)
    assert sees(site, (*start, 3.8), (*goal, 2.1))
    around = hide(site, start, goal, side=side)
    assert not sees(site, (*start, 3.8), (*goal, 2.1))
    left = math.copysign(1.0, goal[0] * around[0][1] - goal[1] * around[0][0])
    assert left == side
    for one, two in itertools.pairwise([start, *around, goal]):
        for share in np.linspace(0.0, 1.0, 50):
            assert site.height_at(*(a + share * (b - a) for a, b in zip(one, two, strict=True))) == 2.0
