"""Doors and locks: nothing moves while locked, pushes and hands open, progress as the closed forms say."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BODY_RADIUS
from similitude.worlds.engine.doors import LIFT_WAY, QUARTER, SHIFT_WAY
from tests.worlds.small_scenes import LAND, box, frames, place, scene, thing

SIDES = (box(2.0, -2.5, LAND + 1.375, (0.125, 2.0, 1.375)), box(2.0, 2.5, LAND + 1.375, (0.125, 2.0, 1.375)))
"""A wall at x = 2 with an opening from y = -0.5 to 0.5."""
DOOR_HALF = (0.5, 0.0625, 1.0)


def door(kind: str = "swing door", *, locks: int = 0, facing=(0.0, 1.0)):
    """A door in the opening."""
    return thing(kind, 2.0, 0.0, LAND + 1.0, half=DOOR_HALF, facing=facing, opens=float(locks))


@pytest.mark.parametrize("facing", [(0.0, 1.0), (0.0, -1.0)])
@pytest.mark.parametrize("way", [1.0, -1.0])
def test_a_body_pushes_a_swing_door_open_from_both_sides(facing, way):
    spawn = (0.0, 0.0) if way > 0 else (4.0, 0.0)
    simulation = scene(door(facing=facing), solids=SIDES, spawn=spawn)
    frames(simulation, 40, action={2: way})
    assert (simulation.body[0, c.BX] - 2.0) * way > 1.0
    assert abs(simulation.things[0, 0, c.MOVED]) == QUARTER
    hinge = np.array([2.0, 0.0]) - 0.5 * np.array(facing)
    now = place(simulation, 0)[:2] - 0.5 * simulation.things[0, 0, [c.COS, c.SIN]]
    np.testing.assert_allclose(now, hinge, atol=1e-9)
    assert abs(simulation.things[0, 0, [c.COS, c.SIN]] @ facing) < 1e-9


def test_the_panel_never_overlaps_the_body_that_pushes_it():
    simulation = scene(door(), solids=SIDES, spawn=(0.0, 0.2))
    for _ in range(40):
        frames(simulation, action={2: 1.0, 4: 0.1})
        row = simulation.things[0, 0]
        dx, dy = simulation.body[0, :2] - row[[c.TX, c.TY]]
        u = max(abs(dx * row[c.COS] + dy * row[c.SIN]) - 0.5, 0.0)
        v = max(abs(dy * row[c.COS] - dx * row[c.SIN]) - 0.0625, 0.0)
        assert np.hypot(u, v) >= BODY_RADIUS - 1e-5


@pytest.mark.parametrize("kind", ["swing door", "slide door"])
def test_a_locked_door_moves_for_nobody(kind):
    simulation = scene(door(kind, locks=1), solids=SIDES)
    before = simulation.things[0, 0].copy()
    frames(simulation, 40, action={2: 1.0, 8: 1.0, 18: 1.0})
    frames(simulation, 20, action={6: 1.0, 18: 1.0})
    np.testing.assert_array_equal(simulation.things[0, 0], before)
    assert simulation.body[0, c.BX] <= 2.0 - 0.0625 - BODY_RADIUS + 1e-6


def grasped(*things, above=0.0, **scenery):
    """Put the body before the first thing, with the right hand on it, `above` its middle."""
    simulation = scene(*things, **scenery)
    simulation.hands[0, 1, [c.HX, c.HY, c.HZ]] = place(simulation, 0) - (0.2, 0.0, -above)
    frames(simulation, 1, action={19: 1.0})
    assert simulation.hands[0, 1, c.HELD] == 0
    return simulation


def test_a_hand_shifts_a_sliding_door_along_itself_and_it_stays_open():
    simulation = grasped(door("slide door"), solids=SIDES, spawn=(1.2, 0.0))
    before = simulation.hands[0, 1, c.HY]
    frames(simulation, 1, action={19: 1.0, 12: 0.3})
    way = simulation.hands[0, 1, c.HY] - before
    assert way < -0.2, "to the right of a body that looks along +x"
    assert simulation.things[0, 0, c.MOVED] == pytest.approx(way, abs=1e-9)
    assert place(simulation, 0)[1] == pytest.approx(way, abs=1e-9)
    frames(simulation, 3, action={19: 1.0, 0: 1.0})
    assert simulation.things[0, 0, c.MOVED] == -1.0
    frames(simulation, 20, action={19: 0.0, 0: -1.0})
    frames(simulation, 30, action={2: 1.0, 0: 0.0})
    assert place(simulation, 0)[1] == pytest.approx(-1.0)


def test_a_hand_pulls_a_swing_door():
    simulation = grasped(door(), above=0.7, solids=SIDES, spawn=(1.1, -0.4))
    frames(simulation, 2, action={19: 1.0, 14: -0.3})
    assert simulation.things[0, 0, c.MOVED] > 0.3, "it turns to the left about the hinge at -y"
    assert place(simulation, 0)[0] < 2.0


def test_a_turning_bar_opens_after_half_a_metre_of_lifting():
    lock = thing("turning bar", 1.0, 0.0, LAND + 1.0, link=1)
    simulation = grasped(lock, door(locks=2), spawn=(0.4, 0.0))
    progress = []
    while simulation.things[0, 0, c.ROLE] == c.LOCK and len(progress) < 20:
        progress.append(simulation.things[0, 0, c.MOVED])
        frames(simulation, 1, action={19: 1.0, 13: 0.1})
    np.testing.assert_allclose(np.diff(progress), 0.1 / LIFT_WAY, atol=1e-6)
    assert len(progress) == round(LIFT_WAY / 0.1)
    assert simulation.things[0, 0, c.ROLE] == c.GONE
    assert simulation.things[0, 1, c.OPENS] == 1.0
    assert simulation.hands[0, 1, c.HELD] == -1.0


def test_a_turning_bar_also_opens_by_a_quarter_turn_of_the_hand():
    lock = thing("turning bar", 1.0, 0.0, LAND + 1.0, link=1)
    simulation = grasped(lock, door(locks=1), spawn=(0.4, 0.0))
    n = 0
    while simulation.things[0, 0, c.ROLE] == c.LOCK and n < 20:
        frames(simulation, 1, action={19: 1.0, 17: 1.0})
        n += 1
    assert n == 6, "15 degrees a frame"


@pytest.mark.parametrize("way", [1.0, -1.0])
def test_a_sliding_bar_opens_when_it_has_gone_its_way_and_not_by_going_to_and_fro(way):
    lock = thing("sliding bar", 1.0, 0.0, LAND + 1.0, facing=(0.0, 1.0), link=1)
    simulation = grasped(lock, door(locks=1), spawn=(0.4, 0.0))
    for _ in range(6):
        frames(simulation, 1, action={19: 1.0, 12: 0.2})
        frames(simulation, 1, action={19: 1.0, 12: -0.2})
    assert simulation.things[0, 0, c.MOVED] == pytest.approx(0.0, abs=1e-6)
    n = 0
    while simulation.things[0, 0, c.ROLE] == c.LOCK and n < 20:
        frames(simulation, 1, action={19: 1.0, 12: 0.2 * way})
        n += 1
    assert n in (round(SHIFT_WAY / 0.2), round(SHIFT_WAY / 0.2) + 1)
    assert simulation.things[0, 1, c.OPENS] == 0.0


def test_a_button_is_pressed_by_a_hand_that_comes_nearer_not_by_one_that_is_near():
    lock = thing("button", 1.0, -0.3, LAND + 1.3, facing=(0.0, 1.0), link=1)
    simulation = scene(lock, door(locks=1), spawn=(0.4, 0.0))
    simulation.hands[0, 1, [c.HX, c.HY, c.HZ]] = 0.9, -0.3, LAND + 1.3
    frames(simulation, 5)
    assert simulation.things[0, 0, c.ROLE] == c.LOCK
    frames(simulation, 1, action={14: -0.3})
    assert simulation.things[0, 0, c.ROLE] == c.LOCK
    frames(simulation, 1, action={14: 0.3})
    assert simulation.things[0, 0, c.ROLE] == c.GONE
    assert simulation.things[0, 1, c.OPENS] == 0.0


def test_two_locks_keep_a_door_until_both_are_open_and_then_it_swings():
    locks = [thing("button", 1.0, y, LAND + 1.3, facing=(0.0, 1.0), link=2) for y in (-0.3, 0.3)]
    simulation = scene(*locks, door(locks=2), solids=SIDES, spawn=(0.4, 0.0))
    for h, y in ((1, -0.3), (0, 0.3)):
        assert simulation.things[0, 2, c.OPENS] == 1.0 + h
        simulation.hands[0, h, [c.HX, c.HY, c.HZ]] = 0.7, y, LAND + 1.3
        frames(simulation, 1, action={8 + 6 * h: 0.25})
        moved = simulation.things[0, 2, c.MOVED]
        assert moved == 0.0
    frames(simulation, 30, action={2: 1.0})
    assert simulation.body[0, c.BX] > 3.0


@pytest.mark.parametrize("seed", range(3))
def test_random_hands_never_hold_one_thing_twice_nor_break_a_door(seed):
    random = np.random.default_rng(seed)
    simulation = scene(
        thing("sliding bar", 1.6, 0.3, LAND + 1.2, facing=(0.0, 1.0), link=2),
        thing("turning bar", 1.6, -0.2, LAND + 0.9, facing=(0.0, 1.0), link=2),
        door(locks=2),
        thing("rock", 1.2, 0.2),
        thing("stone", 0.5, 1.5),
        solids=SIDES,
        spawn=(1.1, 0.0),
    )
    for _ in range(150):
        actions = np.zeros((1, 21))
        actions[0, :18] = random.uniform(-1, 1, 18)
        actions[0, 18:] = random.random(3) < 0.7
        simulation.step(actions)
        assert np.isfinite(simulation.things).all()
        held = simulation.hands[0, :, c.HELD]
        assert held[0] != held[1] or held[0] == -1.0
        assert abs(simulation.things[0, 2, c.MOVED]) <= QUARTER
        assert ((simulation.things[0, :2, c.MOVED] >= 0) & (simulation.things[0, :2, c.MOVED] <= 1)).all()
        np.testing.assert_allclose(
            np.hypot(simulation.things[0, :, c.COS], simulation.things[0, :, c.SIN]), 1.0
        )
        locks = (simulation.things[0, :2, c.ROLE] == c.LOCK).sum()
        assert simulation.things[0, 2, c.OPENS] == locks
