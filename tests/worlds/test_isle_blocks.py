"""Stones, logs and boulders: what they rest on, how they are pushed, what they fill."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BODY_MASS, BODY_RADIUS, HEAD_MOVE, PUSH
from similitude.worlds.engine.ground import support
from similitude.worlds.engine.ground import terrain as terrain_at
from tests.worlds.small_scenes import LAND, box, corners_of, flat, frames, place, scene, thing, throw

AWAY = (-20.0, -20.0)
LOG = 0.1875
"""Half height of a log in metres."""


def trench(width: float, depth: float, rise: float = 0.0) -> np.ndarray:
    """Land with a trench along y whose rims are `width` metres apart; beyond it the land is `rise` metres higher."""
    x, _ = corners_of(flat())
    land = np.where(x > 0, LAND + rise, LAND)
    return np.where(np.abs(x) < width / 2 - 1e-9, LAND - depth, land)


def dropped(*things, **scenery):
    """Let go of the first thing in the air, and wait."""
    simulation = scene(*things, spawn=AWAY, **scenery)
    throw(simulation, 0, (0.0, 0.0, 0.0))
    return frames(simulation, 60)


@pytest.mark.parametrize("rise", [0.0, 0.25])
def test_a_log_over_a_trench_rests_on_its_rims_and_holds_a_body(rise):
    simulation = dropped(thing("log", 0.4, 0, 4.0), terrain=trench(4.0, 5.0, rise))
    assert place(simulation, 0) == pytest.approx([0.4, 0.0, LAND + rise + LOG], abs=1e-6)
    top = LAND + rise + 2 * LOG
    for x in (-2.0, 0.0, 2.0):
        assert support(
            0, x, 0.0, top, -1, simulation.height, simulation.meta, simulation.solids, simulation.things
        ) == pytest.approx(top)


def test_a_body_walks_over_a_trench_on_a_log():
    simulation = scene(thing("log", 0, 0, LAND + LOG), terrain=trench(4.0, 8.0), spawn=(-4.5, 0.0))
    lowest = LAND
    for _ in range(30):
        frames(simulation, action={2: 1.0})
        lowest = min(lowest, simulation.body[0, c.BZ])
    assert simulation.body[0, c.BX] > 3.5
    assert lowest == LAND


def test_a_log_that_is_too_short_falls_in():
    simulation = dropped(thing("log", 0.0, 0, 4.0), terrain=trench(8.0, 2.0))
    assert place(simulation, 0)[2] == pytest.approx(LAND - 2.0 + LOG, abs=1e-6)


def test_a_log_whose_middle_hangs_over_topples_and_one_whose_middle_is_held_stays():
    for x, low in ((-0.5, LAND), (0.6, LAND - 2.0)):
        land = np.where(corners_of(flat())[0] > 0.0, LAND - 2.0, LAND)
        simulation = dropped(thing("log", x, 0, 4.0), terrain=land)
        assert place(simulation, 0)[2] == pytest.approx(low + LOG, abs=0.05)


def test_stones_stack_and_topple():
    for offset, height in ((0.0, 2.5), (0.4, 2.5), (0.6, 1.5)):
        simulation = dropped(
            thing("stone", 3 + offset, 0, 6.0), thing("stone", 3, 0, LAND + 1.5), thing("stone", 3, 0)
        )
        assert place(simulation, 0)[2] == pytest.approx(LAND + height, abs=1e-6) or height == 1.5
        if offset == 0.6:
            assert place(simulation, 0)[2] == pytest.approx(LAND + 0.5, abs=1e-6)
            assert place(simulation, 0)[0] >= 4.0 - 0.1


def test_a_stone_that_is_let_go_inside_another_moves_out():
    simulation = dropped(thing("stone", 3.7, 0, LAND + 0.6), thing("stone", 3, 0))
    assert place(simulation, 0)[0] - place(simulation, 1)[0] >= 1.0 - 0.05
    assert place(simulation, 0)[2] == pytest.approx(LAND + 0.5, abs=1e-6)


def test_what_lay_on_a_stone_that_is_carried_off_falls():
    simulation = scene(thing("stone", 0.95, 0), thing("apple", 1.2, 0, LAND + 1.125))
    frames(simulation, 2)
    assert place(simulation, 1)[2] == LAND + 1.125
    frames(simulation, 3, action={18: 1.0, 1: -0.4})
    held = int(simulation.hands[0, 0, c.HELD])
    assert held == 0, "the left hand took the stone"
    frames(simulation, 12, action={18: 1.0, 0: -1.0})
    assert place(simulation, 1)[2] == pytest.approx(LAND + 0.125, abs=0.01)


@pytest.mark.parametrize("mass", [600.0, 1200.0, 2400.0])
def test_a_boulder_is_pushed_at_a_speed_that_falls_with_its_mass(mass):
    simulation = scene(thing("boulder", 1.0 + BODY_RADIUS, 0, mass=mass), spawn=(0.0, 0.0))
    n = 20
    frames(simulation, n, action={2: 1.0})
    way = place(simulation, 0)[0] - 1.0 - BODY_RADIUS
    assert way == pytest.approx(n * HEAD_MOVE * min(PUSH * BODY_MASS / mass, 1.0), rel=1e-6)
    gap = place(simulation, 0)[0] - 1.0 - simulation.body[0, c.BX]
    assert BODY_RADIUS - 1e-6 <= gap <= BODY_RADIUS + HEAD_MOVE


def test_a_turned_boulder_moves_along_its_own_axis():
    turned = thing("boulder", 1.5, 0.0, facing=(0.8, 0.6))
    simulation = scene(turned)
    frames(simulation, 12, action={2: 1.0})
    moved = place(simulation, 0)[:2] - [1.5, 0.0]
    assert np.hypot(*moved) > 0.5
    along = moved / np.hypot(*moved)
    assert max(abs(along @ [0.8, 0.6]), abs(along @ [-0.6, 0.8])) == pytest.approx(1.0, abs=1e-6)


def test_walls_steps_and_steep_ground_stop_a_boulder():
    wall = scene(thing("boulder", 1.5, 0), solids=(box(4.0, 0, 3.0, (0.25, 2.0, 1.0)),))
    frames(wall, 40, action={2: 1.0})
    assert 2.75 - HEAD_MOVE <= place(wall, 0)[0] <= 2.75 + 0.02
    land = flat()
    x, _ = corners_of(land)
    step = scene(thing("boulder", 1.5, 0), terrain=np.where(x > 4.0, LAND + 0.8, land))
    frames(step, 40, action={2: 1.0})
    assert place(step, 0)[0] < 4.0 - 0.5
    assert place(step, 0)[2] < LAND + 1.0 + 0.3 + 1e-6


def test_two_boulders_do_not_go_into_each_other():
    simulation = scene(thing("boulder", 1.5, 0), thing("boulder", 4.5, 0))
    frames(simulation, 30, action={2: 1.0})
    assert place(simulation, 1)[0] == 4.5
    assert place(simulation, 0)[0] <= 2.5 + 0.03


def test_a_boulder_fills_a_chasm_and_the_body_walks_over_it():
    x, _ = corners_of(flat())
    land = np.where((x > 2.9) & (x < 5.1), LAND - 2.0, LAND)
    simulation = scene(thing("boulder", 1.5, 0), terrain=land)
    while simulation.body[0, c.FRAME] < 60 and place(simulation, 0)[0] < 3.2:
        frames(simulation, action={2: 1.0})
    frames(simulation, 60)  # it topples over the edge by itself
    assert place(simulation, 0)[2] == pytest.approx(LAND - 1.0, abs=0.35)
    assert simulation.body[0, c.BZ] == LAND
    frames(simulation, 40, action={2: 1.0, 20: 1.0})
    frames(simulation, 20)
    assert simulation.body[0, c.BX] > 7.0
    assert simulation.body[0, c.BZ] == LAND
    assert simulation.body[0, c.HP] == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_random_walks_among_blocks_leave_nothing_below_ground_or_in_the_body(seed):
    random = np.random.default_rng(seed)
    land = flat()
    x, y = corners_of(land)
    land = land + 0.4 * np.sin(0.4 * x + seed) * np.cos(0.3 * y)
    things = [
        thing("boulder", 3, 0, 4.0, mass=700.0),
        thing("boulder", -3, 1, 4.0),
        thing("stone", 0, 2.5, 3.2),
        thing("stone", 0, -2.5, 3.2),
        thing("log", 5, 5, 3.5),
    ]
    simulation = scene(*things, terrain=land, feet=2.5)
    for k in range(len(things)):
        throw(simulation, k, (0.0, 0.0, 0.0))
    frames(simulation, 5)
    for _ in range(20):
        action = {2: 1.0, 4: float(random.uniform(-1, 1)), 18: float(random.random() < 0.5)}
        frames(simulation, 4, action=action)
        held = {int(simulation.hands[0, h, c.HELD]) for h in range(2)}
        bx, by, feet = simulation.body[0, :3]
        for k in range(len(things)):
            row = simulation.things[0, k]
            px, py, pz = place(simulation, k)
            assert np.isfinite(row).all()
            assert pz - row[c.EZ] >= terrain_at(0, px, py, simulation.height, simulation.meta) - 1e-6
            u = (bx - px) * row[c.COS] + (by - py) * row[c.SIN]
            v = (by - py) * row[c.COS] - (bx - px) * row[c.SIN]
            inside = abs(u) < row[c.EX] and abs(v) < row[c.EY] and pz + row[c.EZ] > feet + 0.41
            assert k in held or not inside or pz - row[c.EZ] > feet + 1.9
