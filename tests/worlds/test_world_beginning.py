"""What episodes begin with is made once per world, copied, and forgotten with the world."""

from __future__ import annotations

import gc
import weakref

import numpy as np

from similitude.worlds import make_world
from similitude.worlds.beginning import beginning
from similitude.worlds.engine import columns as c
from similitude.worlds.kinds import KINDS
from similitude.worlds.simulation import Simulation
from tests.worlds.test_isle_simulation import STATE, actions


def test_it_is_made_once_and_lives_as_long_as_its_world():
    world = make_world("eat", 0.5, 3)
    kept = beginning(world)
    assert beginning(world) is kept
    gone = weakref.ref(world)
    del world
    gc.collect()
    assert gone() is None


def test_playing_leaves_it_as_it_was():
    large, small = make_world("hunt", 1.0, 3), make_world("eat", 0.0, 3)
    played, fresh = Simulation(1), Simulation(1)
    for world in (large, small, large):  # the second leaves rows of the first behind
        played.load(0, world)
        for action in actions(60, 1, seed=4):
            played.step(action)
    played.load(0, small, limit=77)
    fresh.load(0, large)
    fresh.load(0, small, limit=77)
    n = small.size
    for name in STATE:
        ours, new = getattr(played, name), getattr(fresh, name)
        if name in ("height", "ground"):
            ours, new = ours[:, :n, :n], new[:, :n, :n]
        elif name == "meta":
            kept = len(beginning(small).meta)
            ours, new = ours[:, :kept], new[:, :kept]
        elif name == "solids":
            ours, new = ours[:, : len(small.solids)], new[:, : len(small.solids)]
        np.testing.assert_array_equal(ours, new, err_msg=name)
    assert played.meta[0, c.LIMIT] == 77


def test_things_bear_the_habits_of_their_kind():
    world = make_world("survive", 0.5, 1)
    begin = beginning(world)
    for row, thing in zip(begin.things, world.things, strict=True):
        kind = KINDS[int(thing[0])]
        assert (row[c.ROLE], row[c.SPEED], row[c.TRAITS]) == (kind.role, kind.speed, kind.traits)
        assert row[[c.TX, c.TY, c.TZ]].tolist() == thing[1:4].tolist()
        assert row[[c.HOME_X, c.HOME_Y, c.HOME_Z]].tolist() == thing[1:4].tolist()
    roles = begin.things[:, c.ROLE].tolist()
    animals = [k for k, role in enumerate(roles) if role in (c.PREY, c.PREDATOR)]
    assert begin.meta[c.ANIMALS] == animals[-1] + 1
    assert begin.meta[c.HARD] == max(
        [k + 1 for k, r in enumerate(roles) if r in (c.BLOCK, c.DOOR)], default=0
    )
