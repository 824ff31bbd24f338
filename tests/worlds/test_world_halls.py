"""Halls: obstacles under a roof that are solved as they say, and not without what they offer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine.constants import BODY_RADIUS, JUMP
from similitude.worlds.houses import halls
from similitude.worlds.making import make_world
from similitude.worlds.routes.proof import verify
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.tasks.site import Site
from similitude.worlds.world import World

Builder = Callable[[Site, Budget], None]
HALLS: dict[str, Builder] = {
    "jump": halls.gap_hall,
    "climb": halls.ladder_hall,
    "stack": halls.stone_hall,
    "push": halls.boulder_hall,
}


def made(task: str, difficulty: float, seed: int) -> World:
    draws = Draws("halls", task, difficulty, seed)
    site = Site(task, difficulty, seed, draws=draws)
    budget = Budget(draws.child("budget"), difficulty)
    HALLS[task](site, budget)
    return site.finish(budget.parameters)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("task", HALLS)
def test_halls_are_solved(task: str, difficulty: float) -> None:
    for seed in range(4):
        world = verify(made(task, difficulty, seed))
        assert world.solution[-1].do == "eat"
        assert len(world.solids) < 80


@pytest.mark.parametrize("task", HALLS)
def test_the_step_that_matters_cannot_be_left_out(task: str) -> None:
    """Without the jump, the climb, the stone or the boulder the proof fails."""
    needed = {"jump": "jump", "climb": "climb", "stack": "place", "push": "push"}[task]
    world = made(task, 0.5, 1)
    without = tuple(step for step in world.solution if step.do != needed)
    with pytest.raises(Flaw):
        verify(World(**{**vars(world), "solution": without}))


@pytest.mark.parametrize("task", ["climb", "stack", "push"])
def test_decks_are_higher_than_a_jump(task: str) -> None:
    for difficulty in (0.0, 1.0):
        for seed in range(4):
            world = made(task, difficulty, seed)
            key = "height" if task == "climb" else "cliff height"
            assert float(world.parameters[key]) > JUMP + 0.2


def test_the_gap_is_as_wide_as_it_says_and_as_deep_as_nobody_jumps() -> None:
    for difficulty, least, most in ((0.0, 1.0, 1.0), (1.0, 2.0, 2.0)):
        world = made("jump", difficulty, 3)
        gap = float(world.parameters["gap width"])
        assert least <= gap <= most
        (step,) = [step for step in world.solution if step.do == "jump"]
        (ax, ay, az), (bx, by, bz) = step.at
        assert np.hypot(bx - ax, by - ay) == gap
        assert az == bz
        # no box holds a body in the middle of the gap higher than a jump below the decks
        x, y = 0.5 * (ax + bx), 0.5 * (ay + by)
        solids = world.solids.astype(float)
        u = abs((x - solids[:, 0]) * solids[:, 3] + (y - solids[:, 1]) * solids[:, 4]) - solids[:, 5]
        v = abs((y - solids[:, 1]) * solids[:, 3] - (x - solids[:, 0]) * solids[:, 4]) - solids[:, 6]
        under = (u < BODY_RADIUS) & (v < BODY_RADIUS) & (solids[:, 2] + solids[:, 7] <= az)
        assert (solids[under, 2] + solids[under, 7] < az - JUMP).all()
        assert world.spawn[2] == az


def test_a_fifth_of_these_tasks_lies_indoors() -> None:
    inside = [
        bool(make_world(task, 0.3, seed).parameters["indoors"])
        for task in ("jump", "climb")
        for seed in range(60)
    ]
    assert 12 <= sum(inside) <= 38
