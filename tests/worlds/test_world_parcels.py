"""Lists of the solids near each parcel of the map: nothing that could be touched is left out, and no state changes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from similitude.worlds import make_world
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import ARM, BODY_RADIUS
from similitude.worlds.engine.ground import nearby
from similitude.worlds.engine.passage import beside
from similitude.worlds.parcels import MOST, PARCEL, one_list, solid_lists
from similitude.worlds.simulation import Simulation
from tests.worlds.isle_grounds import box, loaded, thing, world
from tests.worlds.test_isle_simulation import actions


def scattered(count: int, *, half: float, most: float, seed: int) -> np.ndarray:
    """Return solids of every shape, turned, some of them beyond the edge of a map of 2 x `half` metres."""
    draws = np.random.default_rng(seed)
    rows = np.zeros((count, c.SOLID))
    rows[:, [c.SX, c.SY]] = draws.uniform(-1.1 * half, 1.1 * half, (count, 2))
    yaw = draws.uniform(-np.pi, np.pi, count)
    rows[:, c.SCOS], rows[:, c.SSIN] = np.cos(yaw), np.sin(yaw)
    rows[:, [c.SEX, c.SEY, c.SEZ]] = draws.uniform(0.05, most, (count, 3))
    rows[:, c.SHAPE] = draws.choice([c.BOX, c.CYLINDER, c.CROWN], count)
    rows[:, c.SOLID_CLIMBS] = draws.random(count) < 0.2
    return rows


def things_as_wide_as(wide: float) -> np.ndarray:
    rows = np.zeros((2, c.THING))
    rows[:, c.EX], rows[:, c.EY] = (0.1, 2.0 * wide), (0.1, wide)
    return rows


def meta_of(lists: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(c.PARCELS), lists])[None]


def listed(meta: np.ndarray, x: float, y: float) -> list[int]:
    first, last = nearby(0, x, y, meta)
    return meta[0, first:last].astype(int).tolist()


@pytest.mark.parametrize(
    ("count", "half", "most", "wide", "share"),
    [(80, 64.0, 2.0, 0.5, 0.1), (60, 33.0, 12.0, 3.0, 1.0), (7, 3.0, 1.0, 0.1, 1.0)],
)
def test_every_solid_within_reach_is_listed_in_rising_order(count, half, most, wide, share):
    solids = scattered(count, half=half, most=most, seed=count)
    meta = meta_of(solid_lists(solids, things_as_wide_as(wide), 2.0 * half))
    asked = (solids[:, c.SHAPE] != c.CROWN) | (solids[:, c.SOLID_CLIMBS] == 1.0)
    margin = max(ARM, 2.0 * wide)
    lengths = []
    for x, y in np.random.default_rng(1).uniform(-1.3 * half, 1.3 * half, (1500, 2)).tolist():
        found = listed(meta, x, y)
        assert found == sorted(set(found))
        reach = solids[:, c.SEX] + solids[:, c.SEY] + margin
        near = (np.abs(solids[:, c.SX] - x) < reach) & (np.abs(solids[:, c.SY] - y) < reach) & asked
        assert set(np.flatnonzero(near)) <= set(found) <= set(np.flatnonzero(asked))
        lengths.append(len(found))
    assert np.mean(lengths) <= share * asked.sum()  # where there is room, lists are short


def test_parcels_grow_where_large_solids_would_fill_the_lists():
    few = solid_lists(scattered(5, half=128.0, most=1.0, seed=0), things_as_wide_as(0.1), 256.0)
    many = solid_lists(scattered(400, half=128.0, most=60.0, seed=0), things_as_wide_as(0.1), 256.0)
    assert few[0] == 256.0 / PARCEL
    assert 1.0 <= many[0] < few[0]
    entries = len(many) - 2 - (many[0] ** 2 + 1)
    assert many[0] == 1.0 or entries <= MOST * many[0] ** 2


def test_a_map_without_solids_has_empty_lists():
    lists = solid_lists(np.zeros((0, c.SOLID)), np.zeros((0, c.THING)), 64.0)
    assert listed(meta_of(lists), 3.0, -70.0) == []
    assert listed(meta_of(one_list(0)), 3.0, -70.0) == []
    assert listed(meta_of(one_list(3)), 1e6, -1e6) == [0, 1, 2]


def test_a_body_that_is_moved_into_another_parcel_meets_the_solids_there():
    """From the middle of a wide wall the way out leads to a parcel whose lists the first one does not share."""
    wide = box(-20.0, 0.0, 3.0, 12.0, 14.0, 2.0)
    post = box(-32.2, 0.0, 3.0, 0.2, 0.2, 2.0)  # where the wall's way out ends
    made = world(base=2.0, size=160, solids=[post, wide, post])
    simulation = loaded(made)
    state = (simulation.height, simulation.meta, simulation.solids, simulation.things)
    found = beside(0, -20.5, 0.0, 2.0, 3.8, *state)
    every = simulation.meta.copy()
    every = np.concatenate([every[:, : c.PARCELS], one_list(3)[None]], axis=1)
    assert found == beside(0, -20.5, 0.0, 2.0, 3.8, state[0], every, *state[2:])
    assert 2 not in listed(simulation.meta, -20.5, 0.0)
    assert found[0] < -32.4 - BODY_RADIUS + 1e-9  # beyond the second post, which only the second list names


@pytest.mark.parametrize("task", ["survive", "open", "push"])
def test_lists_change_no_bit_of_any_state(task):
    pair = [Simulation(4), Simulation(4)]
    for simulation in pair:
        for e in range(4):
            simulation.load(e, make_world(task, 0.25 * (e + 1), 5))
    near, every = pair
    every.meta = np.zeros((4, c.PARCELS + len(one_list(near.solids.shape[1]))))
    for e in range(4):
        lists = one_list(int(near.meta[e, c.N_SOLIDS]))
        every.meta[e, : c.PARCELS] = near.meta[e, : c.PARCELS]
        every.meta[e, c.PARCELS : c.PARCELS + len(lists)] = lists
    played = actions(400, 4, seed=2)
    played[:, :, 2] = np.abs(played[:, :, 2])
    for action in np.repeat(played[::8], 8, axis=0):
        near.step(action)
        every.step(action)
        for name in ("things", "body", "hands"):
            assert getattr(near, name).tobytes() == getattr(every, name).tobytes()


def test_compiled_steps_hold_no_references():
    simulation = loaded(world(things=[thing("apple", 2.0, 0.0, 1.2)]), backend="numba")
    action = np.zeros((1, 21))
    names = ("height", "ground", "meta", "solids", "things", "body", "hands")
    simulation.step(action)
    before = [sys.getrefcount(getattr(simulation, name)) for name in names]
    for _ in range(50):
        simulation.step(action)
    assert [sys.getrefcount(getattr(simulation, name)) for name in names] == before
