"""Making worlds: names, the same bytes in any process, retries, what cannot be made."""

import dataclasses
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds import TASKS, make_world, making
from similitude.worlds.routes.proof import verify
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.tasks.site import ImpossibleSiteError
from similitude.worlds.world import SOLID_FIELDS, THING_FIELDS

NAMES = [("eat", 0.0, 0), ("move", 0.7, 3), ("climb", 1.0, 2), ("scramble", 0.5, 1)]


def test_there_are_twenty_tasks():
    assert len(TASKS) == len(set(TASKS)) == 20


def test_a_fresh_process_with_another_hash_seed_makes_the_same_worlds():
    code = f"from similitude.worlds import make_world\nfor n in {NAMES}: print(make_world(*n).digest)"
    for seed in ("1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        out = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert out.stdout.split() == [make_world(*name).digest for name in NAMES]


def test_worlds_cannot_be_written_to_and_what_they_were_made_of_can():
    world = make_world("eat", 0.0, 0)
    for name in ("height", "ground", "solids", "things"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(world, name)[:1] = 0
    own = world.height.copy()
    assert dataclasses.replace(world, height=own).digest == world.digest
    own[0, 0] += 1
    assert dataclasses.replace(world, height=own).digest != world.digest


def test_making_needs_neither_numba_nor_torch():
    code = (
        "import sys; from similitude.worlds import make_world; make_world('jump', 0.5, 1); "
        "print([m for m in ('numba', 'torch', 'warp') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_every_name_gives_another_world():
    digests = {
        make_world(*name).digest
        for name in [("eat", 0.0, 0), ("eat", 0.0, 1), ("eat", 0.1, 0), ("move", 0.0, 0), ("eat", 1.0, 0)]
    }
    assert len(digests) == 5


def test_numbers_of_numpy_name_the_same_world():
    seed: Any = np.int64(3)
    assert make_world("eat", np.float64(0.5), seed).digest == make_world("eat", 0.5, 3).digest
    assert make_world("eat", 1, 3).digest == make_world("eat", 1.0, 3).digest


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (("eaat", 0.5, 1), "there is no task 'eaat'. Did you mean 'eat'"),
        (("swim", 0.5, 1), "The 20 tasks are eat, move"),
        (("eat", 1.5, 1), r"not in \[0, 1\]"),
        (("eat", float("nan"), 1), r"not in \[0, 1\]"),
        (("eat", "hard", 1), "not a number"),
        (("eat", 0.5, 1.0), "not a whole number"),
        (("eat", 0.5, "a"), "not a whole number"),
        (("eat", 0.5, True), "not a whole number"),
        (("eat", 0.5, -1), "not in"),
    ],
)
def test_wrong_names(name, text):
    with pytest.raises(WorldError, match=text):
        make_world(*name)


def test_worlds_are_arrays_of_the_right_kinds():
    world = make_world("climb", 0.5, 4)
    n = world.size
    assert world.height.dtype == np.int16
    assert world.ground.dtype == np.uint8
    assert world.ground.shape == world.height.shape == (n, n)
    assert world.solids.shape[1:] == (len(SOLID_FIELDS),)
    assert world.things.shape[1:] == (len(THING_FIELDS),)
    assert world.solids.dtype == world.things.dtype == np.float32
    assert world.spawn[3] ** 2 + world.spawn[4] ** 2 == pytest.approx(1.0, abs=2e-3)


def test_positions_are_whole_multiples_of_the_grain():
    for name in NAMES:
        world = make_world(*name)
        for array in (world.solids[:, :8], world.things[:, 1:9]):
            scaled = array.astype(np.float64) * 1024.0
            assert np.array_equal(scaled, np.round(scaled))


def test_a_bad_attempt_is_made_again(monkeypatch):
    build = making.builder("eat")
    calls = []

    def twice_unlucky(site, budget):
        calls.append(site.draws.name)
        if len(calls) == 1:
            raise ImpossibleSiteError("no room")
        if len(calls) == 2:
            raise Flaw("no way")
        build(site, budget)

    monkeypatch.setattr(making, "builder", lambda task: twice_unlucky)
    world = make_world("eat", 0.5, 1)
    assert len(calls) == 3
    assert len(set(calls)) == 3
    verify(world)


def test_an_impossible_world_says_why(monkeypatch):
    def hopeless(site, budget):
        raise ImpossibleSiteError("no room for the goal")

    monkeypatch.setattr(making, "builder", lambda task: hopeless)
    with pytest.raises(
        WorldError, match=r"impossible world: none of 10 attempts at eat.*no room for the goal"
    ):
        make_world("eat", 0.5, 1)


def test_a_proof_keeps_what_was_proved():
    for name in NAMES:
        world = make_world(*name)
        assert verify(world).digest == world.digest


def test_worlds_without_a_solution_are_refused(monkeypatch):
    build = making.builder("eat")

    def forgetful(site, budget):
        build(site, budget)
        site.steps.clear()

    monkeypatch.setattr(making, "builder", lambda task: forgetful)
    with pytest.raises(WorldError, match="1 foods are left"):
        make_world("eat", 0.0, 1)


@pytest.mark.slow
def test_worlds_are_made_quickly():
    times = {task: [] for task in TASKS}
    for task, own in times.items():
        for seed in range(22):
            start = time.process_time()
            make_world(task, (seed % 11) / 10, seed)
            own.append(time.process_time() - start)
    assert np.median([one for own in times.values() for one in own]) < 0.03
    for task, own in times.items():  # compositional ones take six times the others' time
        assert np.median(own) < 0.12, task
