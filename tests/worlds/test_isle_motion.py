"""The body of the engine against closed forms: steps, slopes, jumps, falls, walls."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import (
    BODY_MASS,
    BODY_RADIUS,
    CELL,
    DT,
    FALL_FACTOR,
    GRAVITY,
    HEAD_CLEAR,
    HEAD_LOW,
    HEAD_MOVE,
    HEAD_TOP,
    HEAD_YAW,
    JUMP,
)
from tests.worlds.isle_grounds import box, loaded, run, thing, world


def feet(simulation):
    return simulation.body[0, [c.BX, c.BY, c.BZ]]


def test_a_walk_is_as_long_as_its_frames():
    simulation = loaded(world())
    bodies = run(simulation, 10, ahead=1.0)
    np.testing.assert_allclose(feet(simulation), (10 * HEAD_MOVE, 0.0, 1.0), atol=1e-12)
    np.testing.assert_allclose(bodies[:, c.DX], HEAD_MOVE, atol=1e-12)
    np.testing.assert_allclose(bodies[:, c.BVX], HEAD_MOVE / DT, atol=1e-12)


def test_the_triplet_is_clipped_to_the_unit_ball():
    simulation = loaded(world())
    run(simulation, 1, ahead=1.0, right=1.0, up=-1.0)
    share = HEAD_MOVE / math.sqrt(3.0)
    assert simulation.body[0, c.HEAD] == pytest.approx(HEAD_TOP - share)
    pace = 0.2 + 0.8 * (HEAD_TOP - share - HEAD_LOW) / (HEAD_TOP - HEAD_LOW)
    np.testing.assert_allclose(feet(simulation)[:2], (share * pace, -share * pace), atol=1e-12)


@pytest.mark.parametrize("turns", [1, 5, 9, 30])
def test_a_positive_yaw_turns_left(turns):
    simulation = loaded(world())
    run(simulation, turns, yaw=1.0)
    expected = math.remainder(turns * HEAD_YAW, 2 * math.pi)
    assert math.remainder(simulation.body[0, c.YAW] - expected, 2 * math.pi) == pytest.approx(0.0, abs=1e-9)
    run(simulation, 1, ahead=1.0)
    np.testing.assert_allclose(
        feet(simulation)[:2], (HEAD_MOVE * math.cos(expected), HEAD_MOVE * math.sin(expected)), atol=1e-9
    )


def test_looking_up_and_rolling_end_at_their_limits():
    simulation = loaded(world())
    run(simulation, 40, pitch=0.9, roll=0.4)
    assert simulation.body[0, c.PITCH] == 1.5
    assert simulation.body[0, c.DPITCH] == 0.0
    assert 0.0 < simulation.body[0, c.ROLL] <= 0.5


def test_crouching_slows_to_a_fifth():
    simulation = loaded(world())
    run(simulation, 10, up=-1.0)
    assert simulation.body[0, c.HEAD] == HEAD_LOW
    run(simulation, 1, ahead=1.0)
    assert feet(simulation)[0] == pytest.approx(0.2 * HEAD_MOVE)


@pytest.mark.parametrize(
    ("degrees", "passes"), [(30, True), (44, True), (45, True), (46, False), (80, False)]
)
def test_ground_of_45_degrees_is_the_steepest_that_is_walked_up(degrees, passes):
    slope = math.tan(math.radians(degrees))
    simulation = loaded(world(lambda x, y: np.maximum(x - 2.0, 0.0) * slope, base=0.5))
    run(simulation, 20, ahead=1.0)
    x, _, z = feet(simulation)
    if passes:
        assert x == pytest.approx(20 * HEAD_MOVE, abs=1e-6)
        assert z == pytest.approx(0.5 + (x - 2.0) * slope, abs=0.02)
    else:
        assert x < 2.2


@pytest.mark.parametrize(("degrees", "stays"), [(44, True), (47, False), (70, False)])
def test_a_body_slides_down_what_it_cannot_walk_up(degrees, stays):
    slope = math.tan(math.radians(degrees))
    simulation = loaded(
        world(lambda x, y: np.clip(-x, 0.0, 6.0) * slope, spawn=(-3.0, 0.0, 1.0 + 3.0 * slope, 1.0, 0.0))
    )
    bodies = run(simulation, 60)
    if stays:
        assert feet(simulation)[0] == -3.0
    else:
        assert 1.0 <= feet(simulation)[2] < 1.22  # the foot of the slope falls by less than 0.21 m in 0.3 m
        assert simulation.body[0, c.GROUNDED] == 1.0
        speed = -bodies[:, c.BVZ].min()
        assert speed**2 < 2 * GRAVITY * 3.0 * slope  # friction took its part


def test_jumping_does_not_get_a_body_up_a_steep_slope():
    simulation = loaded(world(lambda x, y: np.maximum(x - 2.0, 0.0) * 1.5))
    highest = run(simulation, 150, ahead=1.0, jump=1.0)[:, c.BZ].max()
    assert highest <= 1.0 + JUMP + HEAD_MOVE  # one jump, and a stride into the slope


@pytest.mark.parametrize(("height", "passes"), [(0.39, True), (0.41, False)])
def test_a_step_of_a_box_is_at_most_forty_centimetres(height, passes):
    simulation = loaded(world(solids=[box(3.0, 0.0, 1.0 + height / 2, 1.0, 5.0, height / 2)]))
    run(simulation, 9, ahead=1.0)
    x, _, z = feet(simulation)
    if passes:
        assert (x, z) == (pytest.approx(2.7), pytest.approx(1.0 + height, abs=1e-6))
    else:
        assert (x, z) == (pytest.approx(2.0 - BODY_RADIUS, abs=1e-6), 1.0)


def test_a_jump_rises_by_exactly_its_height():
    simulation = loaded(world())
    bodies = run(simulation, 1, jump=1.0)
    bodies = np.concatenate([bodies, run(simulation, 12)])
    t = DT * np.arange(1, 12)
    np.testing.assert_allclose(bodies[:11, c.BZ], 1.0 + 5.5 * t - 0.5 * GRAVITY * t**2, atol=1e-12)
    assert bodies[:, c.BZ].max() == pytest.approx(1.0 + JUMP, abs=1e-12)
    np.testing.assert_array_equal(bodies[:, c.GROUNDED], [0.0] * 10 + [1.0] * 3)


def test_a_running_jump_crosses_two_metres_and_twenty():
    gap = world(lambda x, y: np.where(np.abs(x - 1.0) < 0.9, -9.0, 0.0), base=10.0, spawn=(0, 0, 10, 1, 0))
    simulation = loaded(gap)
    run(simulation, 11, ahead=1.0, jump=1.0)
    np.testing.assert_allclose(feet(simulation), (2.2, 0.0, 10.0), atol=1e-9)


def test_a_jump_needs_ground_under_the_feet():
    simulation = loaded(world())
    heights = run(simulation, 10, jump=1.0)[:, c.BZ]
    np.testing.assert_allclose(heights[4:6], 1.0 + JUMP)
    assert heights[9] == pytest.approx(1.5)


@pytest.mark.parametrize("drop", [3.0, 8.0, 15.0, 30.0])
def test_a_fall_follows_gravity_and_harms_by_its_speed(drop):
    simulation = loaded(world(spawn=(0.0, 0.0, 1.0 + drop, 1.0, 0.0)))
    simulation.body[0, c.GROUNDED] = 0.0
    frames = math.ceil(math.sqrt(2.0 * drop / GRAVITY) / DT)
    bodies = run(simulation, frames)
    t = DT * np.arange(1, frames)
    np.testing.assert_allclose(bodies[:-1, c.BZ], 1.0 + drop - 0.5 * GRAVITY * t**2, atol=1e-9)
    assert bodies[-1, c.BZ] == 1.0
    harm = max(FALL_FACTOR * BODY_MASS * (2.0 * GRAVITY * drop - 100.0), 0.0)
    assert bodies[-1, c.FALL] == pytest.approx(harm, abs=1e-9)
    assert bodies[-1, c.HP] == pytest.approx(1.0 - harm)
    assert bodies[-1, c.REWARD] == pytest.approx(-harm - 1e-4)


def test_a_deadly_fall_ends_the_episode_and_takes_what_is_left():
    simulation = loaded(world(spawn=(0.0, 0.0, 61.0, 1.0, 0.0)))
    simulation.body[0, c.GROUNDED] = 0.0
    bodies = run(simulation, 40)
    assert simulation.done(0)
    assert simulation.body[0, c.HP] == 0.0
    assert bodies[:, c.REWARD].min() == pytest.approx(-1.0 - 1e-4)
    assert bodies[-1, c.REWARD] == 0.0  # it stands still


def test_walking_off_a_cliff_falls_all_the_way():
    simulation = loaded(world(lambda x, y: np.where(x > 1.2, -9.0, 0.0), base=10.0, spawn=(0, 0, 10, 1, 0)))
    bodies = run(simulation, 40, ahead=1.0)
    assert feet(simulation)[2] == 1.0
    assert bodies[:, c.FALL].sum() == pytest.approx(FALL_FACTOR * BODY_MASS * 80.0, rel=0.1)


@pytest.mark.parametrize("yaw", [0.0, 0.3, -0.7])
def test_walls_are_slid_along(yaw):
    wall = box(1.5, 0.0, 2.0, 0.125, 8.0, 1.0, yaw=yaw)
    simulation = loaded(world(solids=[wall]))
    run(simulation, 3, yaw=1.0)
    angle = float(simulation.body[0, c.YAW])
    run(simulation, 20, ahead=1.0)
    x, y, _ = feet(simulation)
    away = (1.5 - x) * math.cos(yaw) - y * math.sin(yaw)
    assert away == pytest.approx(0.125 + BODY_RADIUS, abs=1e-6)
    along = y * math.cos(yaw) - (x - 1.5) * math.sin(yaw)
    start = 1.5 * math.sin(yaw)
    assert along - start == pytest.approx(20 * HEAD_MOVE * math.sin(angle - yaw), abs=0.02)


def test_a_trunk_is_walked_around():
    trunk = box(1.5, 0.05, 2.0, 0.2, 0.2, 2.0, shape=c.CYLINDER)
    simulation = loaded(world(solids=[trunk]))
    bodies = run(simulation, 30, ahead=1.0)
    away = np.hypot(bodies[:, c.BX] - 1.5, bodies[:, c.BY] - 0.05)
    assert away.min() > 0.2 + BODY_RADIUS - 1e-5
    assert feet(simulation)[0] > 3.0


@pytest.mark.parametrize("width", [0.52, 1.0])
def test_a_body_passes_a_gap_that_is_wider_than_it(width):
    walls = [box(2.0, s * (width / 2 + 2.0), 2.0, 0.125, 2.0, 1.0) for s in (-1, 1)]
    simulation = loaded(world(solids=walls))
    run(simulation, 20, ahead=1.0)
    assert feet(simulation)[0] > 4.0


def test_a_narrower_gap_stops_it():
    walls = [box(2.0, s * (0.24 + 2.0), 2.0, 0.125, 2.0, 1.0) for s in (-1, 1)]
    simulation = loaded(world(solids=walls))
    run(simulation, 40, ahead=1.0)
    assert feet(simulation)[0] < 2.0


def test_thin_walls_hold_a_running_body_from_any_direction():
    random = np.random.default_rng(0)
    walls = [
        box(3.0 * math.cos(a), 3.0 * math.sin(a), 2.0, 0.0625, 1.6, 1.5, yaw=a)
        for a in np.arange(8) * np.pi / 4
    ]
    simulation = loaded(world(solids=walls))
    for _ in range(400):
        ahead, right, yaw = random.uniform(-1, 1, 3)
        run(simulation, 1, ahead=ahead, right=right, yaw=yaw, jump=float(random.random() < 0.2))
        assert np.hypot(*feet(simulation)[:2]) < 3.4


def test_a_low_ceiling_needs_a_crouch_and_keeps_one_down():
    beam = box(2.0, 0.0, 2.9, 0.5, 5.0, 0.5)  # from 2.4 to 3.4: 1.4 m over the ground
    simulation = loaded(world(solids=[beam]))
    run(simulation, 10, ahead=1.0)
    assert feet(simulation)[0] == pytest.approx(1.5 - BODY_RADIUS, abs=1e-6)
    run(simulation, 3, up=-1.0)
    run(simulation, 8, ahead=0.8)
    assert 1.5 < feet(simulation)[0] < 2.5
    run(simulation, 10, up=1.0)
    assert 2.4 - HEAD_CLEAR - HEAD_MOVE - 1.0 < simulation.body[0, c.HEAD] <= 2.4 - HEAD_CLEAR - 1.0
    heights = run(simulation, 5, jump=1.0)[:, c.BZ]
    assert heights.max() + simulation.body[0, c.HEAD] + HEAD_CLEAR <= 2.4 + 1e-9


def test_stairs_are_climbed_and_descended():
    stairs = [box(2.0 + 0.4 * i, 0.0, 1.0 + 0.15 * (i + 1), 0.2, 2.0, 0.15 * (i + 1)) for i in range(8)]
    floor = box(7.0, 0.0, 1.0 + 1.2, 2.0, 2.0, 1.2)
    simulation = loaded(world(solids=[*stairs, floor]))
    run(simulation, 20, ahead=1.0)
    assert feet(simulation)[2] == pytest.approx(3.4, abs=1e-6)
    bodies = run(simulation, 20, ahead=-1.0)
    assert feet(simulation)[2] == 1.0
    assert bodies[:, c.GROUNDED].all()
    assert not bodies[:, c.FALL].any()


def test_wading_halves_the_pace_and_the_sea_is_shallow():
    simulation = loaded(world(base=-6.0, spawn=(0.0, 0.0, -0.5, 1.0, 0.0)))
    run(simulation, 4, ahead=1.0)
    np.testing.assert_allclose(feet(simulation), (4 * 0.5 * HEAD_MOVE, 0.0, -0.5), atol=1e-12)


def test_nobody_leaves_the_map():
    simulation = loaded(world(size=32))
    run(simulation, 200, ahead=1.0, right=0.5)
    x, y, _ = feet(simulation)
    edge = 16 * CELL
    assert edge - 1.5 < x < edge
    assert -edge < y < 1.5 - edge


def test_a_closed_door_and_a_stone_block_but_a_carried_stone_does_not():
    door = thing("swing door", 2.0, 0.0, 2.0, half=(2.0, 0.0625, 1.0), yaw=math.pi / 2)
    simulation = loaded(world(things=[door]))
    simulation.things[0, 0, c.OPENS] = 1.0  # locked
    run(simulation, 12, ahead=1.0)
    assert feet(simulation)[0] == pytest.approx(2.0 - 0.0625 - BODY_RADIUS, abs=1e-6)
    for state, stopped in ((c.RESTING, True), (c.CARRIED, False)):
        simulation = loaded(world(things=[thing("stone", 2.0, 0.0, 1.5, state=state)]))
        simulation.hands[0, 0, [c.HELD, c.OX]] = (0.0, 1.0) if state == c.CARRIED else (-1.0, 0.0)
        simulation.things[0, 0, c.MASS] = 1e6  # too heavy to be pushed or grasped
        run(simulation, 8, ahead=1.0, left_grasp=1.0)
        assert (feet(simulation)[0] < 1.5) == stopped
