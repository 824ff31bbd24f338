"""Hands of the engine: reach, grasp, carry, throw, eat, and climb."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import (
    ARM,
    CARRY_LIMIT,
    DT,
    EAT,
    GRASP,
    HAND_MOVE,
    HEAD_TOP,
    HEAD_YAW,
    THROW,
    THROW_LIMIT,
)
from similitude.worlds.engine.hands import entry
from tests.worlds.isle_grounds import box, loaded, run, thing, world

LEFT, RIGHT = 0, 1
EYES = 1.0 + HEAD_TOP


def hand(simulation, side=RIGHT):
    return simulation.hands[0, side, [c.HX, c.HY, c.HZ]].copy()


def put(simulation, side, x, y, z):
    """Place a hand."""
    simulation.hands[0, side, [c.HX, c.HY, c.HZ]] = x, y, z


def test_hands_follow_the_eyes_and_turn_with_the_body():
    simulation = loaded(world())
    before = hand(simulation) - (0.0, 0.0, EYES)
    run(simulation, 5, yaw=1.0)
    run(simulation, 3, ahead=1.0)
    run(simulation, 2, up=-1.0)
    body = simulation.body[0]
    angle = 5 * HEAD_YAW
    turned = (
        before[0] * math.cos(angle) - before[1] * math.sin(angle),
        before[0] * math.sin(angle) + before[1] * math.cos(angle),
        before[2],
    )
    eyes = body[c.BX], body[c.BY], body[c.BZ] + body[c.HEAD]
    np.testing.assert_allclose(hand(simulation) - eyes, turned, atol=1e-9)


def test_right_up_and_forward_are_those_of_the_body():
    for name, way in (("right", (1, 0, 0)), ("up", (0, 0, 1)), ("ahead", (0, 1, 0))):
        simulation = loaded(world(spawn=(0.0, 0.0, 1.0, 0.0, 1.0)))  # looks along +y, so that right is +x
        before = hand(simulation)
        run(simulation, 1, **{f"right_{name}": 0.1})
        np.testing.assert_allclose(hand(simulation) - before, 0.1 * HAND_MOVE * np.array(way), atol=1e-12)
        np.testing.assert_allclose(
            simulation.hands[0, RIGHT, [c.HVX, c.HVY, c.HVZ]], 0.1 * np.array(way) / DT, atol=1e-9
        )


def test_an_arm_is_no_longer_than_its_length():
    simulation = loaded(world())
    run(simulation, 5, right_ahead=1.0)
    assert np.linalg.norm(hand(simulation) - (0.0, 0.0, EYES)) == pytest.approx(ARM)
    assert np.abs(simulation.hands[0, RIGHT, [c.HVX, c.HVY, c.HVZ]]).max() < 0.2 / DT


def test_hands_stop_at_walls_and_turn_by_their_own_action():
    simulation = loaded(world(solids=[box(1.0, 0.0, 2.0, 0.125, 3.0, 2.0)]))
    run(simulation, 4, right_ahead=1.0, right_yaw=0.5)
    assert 0.8 < hand(simulation)[0] < 0.875
    assert simulation.hands[0, RIGHT, c.HYAW] == pytest.approx(4 * 0.5 * math.radians(15))


def points_near(u, v, w, half):
    """Whether a sampled way comes within 1 mm of a box."""
    return bool(
        (np.maximum(np.maximum(np.abs(u) - half[0], np.abs(v) - half[1]), np.abs(w) - half[2]) < 1e-3).any()
    )


def test_the_way_into_a_box_agrees_with_a_search():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        start, way = random.uniform(-3, 3, 3), random.uniform(-4, 4, 3)
        half, angle = random.uniform(0.2, 1.5, 3), random.uniform(0, 6.3)
        share = entry(*start, *way, math.cos(angle), math.sin(angle), *half)
        t = np.linspace(0, 1, 4001)[:, None]
        points = start + t * way
        u = points[:, 0] * math.cos(angle) + points[:, 1] * math.sin(angle)
        v = points[:, 1] * math.cos(angle) - points[:, 0] * math.sin(angle)
        inside = (np.abs(u) < half[0]) & (np.abs(v) < half[1]) & (np.abs(points[:, 2]) < half[2])
        if inside[0]:
            assert share == 2.0
        elif not inside.any():
            assert share > 1.0 or points_near(
                u, v, points[:, 2], half
            )  # it may graze an edge between two samples
        else:
            hits += 1
            assert share == pytest.approx(float(t[inside.argmax(), 0]), abs=5e-4)
    assert hits > 20


@pytest.mark.parametrize(("away", "taken"), [(GRASP - 0.01, True), (GRASP + 0.01, False)])
def test_grasp_reaches_so_far_from_the_surface(away, taken):
    simulation = loaded(world(things=[thing("rock", 0.5 + 0.125 + away, -0.3, 2.0)]))
    put(simulation, RIGHT, 0.5, -0.3, 2.0)
    simulation.things[0, 0, c.TZ] = 2.0
    run(simulation, 1, right_grasp=1.0)
    assert (simulation.hands[0, RIGHT, c.HELD] == 0) == taken
    if taken:  # it came to the hand
        assert simulation.things[0, 0, c.TX] == pytest.approx(0.5 + 0.125, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "extra", "taken"),
    [
        ("apple", {}, True),
        ("stick", {}, True),
        ("stone", {"mass": CARRY_LIMIT}, True),
        ("stone", {"mass": CARRY_LIMIT + 1.0}, False),
        ("frog", {"state": c.DEAD}, True),
        ("frog", {"state": c.ALIVE}, False),
        ("wolf", {"state": c.DEAD}, False),
    ],
)
def test_what_hands_can_take(name, extra, taken):
    simulation = loaded(world(things=[thing(name, 0.7, 0.0, 2.0, **extra)]))
    put(simulation, RIGHT, 0.6, 0.0, 2.2)
    run(simulation, 1, right_grasp=1.0)
    assert (simulation.hands[0, RIGHT, c.HELD] == 0) == taken


def test_the_nearest_thing_is_taken_and_one_thing_by_one_hand():
    things = [thing("rock", 0.6, 0.0, 2.0), thing("apple", 0.5, 0.0, 2.0)]
    simulation = loaded(world(things=things))
    for side in (LEFT, RIGHT):
        put(simulation, side, 0.35, 0.0, 2.0)
    run(simulation, 1, left_grasp=1.0, right_grasp=1.0)
    assert simulation.hands[0, :, c.HELD].tolist() == [1.0, 0.0]


def test_walls_and_doors_hide_things():
    door = thing("swing door", 0.9, 0.0, 2.0, half=(1.0, 0.0625, 1.0), yaw=math.pi / 2)
    for blocker in ({"solids": [box(0.9, 0.0, 2.0, 0.0625, 2.0, 1.0)]}, {"things": [door]}):
        items = [*blocker.pop("things", []), thing("rock", 1.1, -0.3, 2.3)]
        simulation = loaded(world(**blocker, things=items))
        simulation.things[0, -1, c.TZ] = 2.3
        put(simulation, RIGHT, 0.7, -0.3, 2.3)
        run(simulation, 1, right_ahead=0.3, right_grasp=1.0)
        assert simulation.hands[0, RIGHT, c.HELD] != len(items) - 1


def test_what_is_held_follows_the_hand_and_turns_with_the_body():
    simulation = loaded(world(things=[thing("stone", 0.9, -0.3, 1.6)]))
    put(simulation, RIGHT, 0.6, -0.3, 2.2)
    run(simulation, 1, right_grasp=1.0)
    away = simulation.things[0, 0, [c.TX, c.TY, c.TZ]] - hand(simulation)
    np.testing.assert_allclose(away, (0.3, 0.0, -0.6), atol=1e-6)
    run(simulation, 6, right_grasp=1.0, yaw=1.0, ahead=0.5)
    angle = 6 * HEAD_YAW
    away = simulation.things[0, 0, [c.TX, c.TY, c.TZ]] - hand(simulation)
    np.testing.assert_allclose(away, (0.3 * math.cos(angle), 0.3 * math.sin(angle), -0.6), atol=1e-6)
    assert math.atan2(*simulation.things[0, 0, [c.SIN, c.COS]]) == pytest.approx(angle)
    run(simulation, 2, right_grasp=1.0, right_yaw=1.0)
    assert math.atan2(*simulation.things[0, 0, [c.SIN, c.COS]]) == pytest.approx(angle + math.radians(30))


@pytest.mark.parametrize("share", [0.2, 0.8, 1.0])
def test_letting_go_throws_with_the_hand(share):
    simulation = loaded(world(things=[thing("rock", 0.1, 0.0, 2.6)]))
    put(simulation, RIGHT, 0.0, 0.0, 2.6)
    run(simulation, 1, right_grasp=1.0)
    assert simulation.hands[0, RIGHT, c.HELD] == 0
    put(simulation, RIGHT, -0.5, 0.0, EYES)
    start = simulation.things[0, 0, c.TX]
    run(simulation, 1, right_ahead=share)
    speed = min(THROW * share * HAND_MOVE / DT, THROW_LIMIT)
    assert simulation.hands[0, RIGHT, c.HELD] == -1
    assert simulation.things[0, 0, c.TVX] == pytest.approx(speed, rel=1e-6)
    assert simulation.things[0, 0, c.TX] > start


def test_stones_are_put_down_not_thrown():
    simulation = loaded(world(things=[thing("stone", 0.9, -0.3, 1.5)]))
    put(simulation, RIGHT, 0.6, -0.3, 2.2)
    run(simulation, 1, right_grasp=1.0)
    assert simulation.things[0, 0, c.STATE] == c.CARRIED
    run(simulation, 1, right_ahead=0.3)
    assert simulation.things[0, 0, c.STATE] == c.RESTING
    assert np.hypot(*simulation.things[0, 0, [c.TVX, c.TVY]]) == 0.0


def test_food_is_eaten_at_the_eyes():
    simulation = loaded(world(things=[thing("apple", 0.7, 0.0, 2.0), thing("banana", 9.0, 9.0, 1.2)]))
    put(simulation, RIGHT, 0.7, 0.0, 2.1)
    run(simulation, 1, right_grasp=1.0)
    assert simulation.body[0, c.EATEN] == 0.0
    for _ in range(30):
        bodies = run(simulation, 1, right_grasp=1.0, right_up=0.05, right_ahead=-0.05)
        if bodies[0, c.EATEN] > 0:
            break
        held = simulation.things[0, 0, [c.TX, c.TY, c.TZ]] - (0.0, 0.0, EYES)
        assert np.linalg.norm(np.maximum(np.abs(held) - 0.125, 0.0)) > EAT
    assert bodies[0, c.EATEN] == 1.0
    assert bodies[0, c.REWARD] == pytest.approx(1.0 - 1e-4)
    assert bodies[0, c.HP] == 2.0
    assert simulation.things[0, 0, c.ROLE] == c.GONE
    assert bodies[0, c.FOOD_LEFT] == 1.0
    assert not simulation.done(0)


@pytest.mark.parametrize(("name", "state"), [("coconut", c.CLOSED), ("rock", 0), ("frog", c.ALIVE)])
def test_closed_food_and_stones_are_not_eaten(name, state):
    simulation = loaded(world(things=[thing(name, 0.2, 0.0, EYES, state=state)]))
    put(simulation, RIGHT, 0.2, 0.0, EYES)
    bodies = run(simulation, 3, right_grasp=1.0)
    assert not bodies[:, c.EATEN].any()


def test_the_last_food_freezes_the_score_and_ends_the_episode_twenty_frames_later():
    simulation = loaded(world(things=[thing("apple", 0.2, 0.0, EYES)]), limit=1000)
    put(simulation, RIGHT, 0.2, 0.0, EYES)
    run(simulation, 1, right_grasp=1.0)
    assert simulation.body[0, c.SCORE] == pytest.approx(1.0 + 999 * 1e-4)
    frames = 0
    while not simulation.done(0):
        run(simulation, 1)
        frames += 1
    assert frames == 20
    assert simulation.body[0, c.SCORE] == pytest.approx(1.0 + 999 * 1e-4)


def cliff(top, width, *, climbs=True):
    """Ground that rises by `top` metres over `width`, from x = 1 on."""
    return world(lambda x, y: np.clip((x - 1.0) / width, 0.0, 1.0) * top, climbs=climbs)


def ascend(made, frames):
    """Climb hand over hand: one hand goes to a place above, the other pulls; returns the highest feet."""
    simulation = loaded(made)
    run(simulation, 4, ahead=1.0)
    body, hands = simulation.body[0], simulation.hands[0]
    free, top = LEFT, 1.0
    names = ("left", "right")
    for _ in range(frames):
        pulls = 1 - free
        eye = body[c.BZ] + body[c.HEAD]
        parts = {f"{names[pulls]}_grasp": float(hands[pulls, c.GRIP] == 2)}
        rel = hands[free, [c.HX, c.HZ]] - (body[c.BX], eye)
        if hands[free, c.GRIP] == 2:
            parts[f"{names[free]}_grasp"] = 1.0
            parts[f"{names[free]}_up"], parts[f"{names[free]}_ahead"] = -0.4, -0.15
            if rel[1] < -0.5:
                free = pulls
        else:
            # where the slope ahead is as high as the arm reaches
            way = np.array([0.55, 0.55]) if made.height[32, 36:40].max() > 128 * 6 else np.array([0.7, -0.3])
            step = way - rel
            size = max(np.linalg.norm(step), 1e-9)
            if size < 0.05:
                parts[f"{names[free]}_grasp"] = 1.0
            else:
                step = step / max(size, 1.0)
                parts[f"{names[free]}_ahead"], parts[f"{names[free]}_up"] = step
        run(simulation, 1, **parts)
        top = max(top, float(body[c.BZ]))
    return top, simulation


def test_climbing_gets_up_where_there_are_holds_and_nowhere_else():
    top, simulation = ascend(cliff(20.0, 2.0), 160)
    assert top == pytest.approx(21.0, abs=0.01)
    assert simulation.body[0, c.GROUNDED] == 1.0  # it stands on the edge
    assert simulation.body[0, c.HP] == 1.0
    top, _ = ascend(cliff(20.0, 2.0, climbs=False), 60)
    assert top == 1.0


def test_hands_that_hold_on_stop_a_fall_and_move_the_body_against_them():
    simulation = loaded(cliff(20.0, 0.5))
    simulation.body[0, [c.BX, c.BZ, c.GROUNDED]] = 0.9, 9.0, 0.0
    put(simulation, RIGHT, 1.3, 0.0, 11.0)
    run(simulation, 1, right_grasp=1.0)
    for action, moved in (
        ({}, (0, 0, 0)),
        ({"right_up": -0.2}, (0, 0, 0.2)),
        ({"right_right": 0.1}, (0, 0.1, 0)),
    ):
        before = simulation.body[0, [c.BX, c.BY, c.BZ]].copy()
        place = hand(simulation)
        run(simulation, 1, right_grasp=1.0, **action)
        np.testing.assert_allclose(simulation.body[0, [c.BX, c.BY, c.BZ]] - before, moved, atol=1e-9)
        np.testing.assert_array_equal(hand(simulation), place)
        assert simulation.body[0, c.CLIMBING] == 1.0
    before = simulation.body[0, c.BZ]
    run(simulation, 3)
    assert simulation.body[0, c.BZ] == pytest.approx(before - 0.45)


def test_flat_ground_gives_no_hold():
    simulation = loaded(world())
    run(simulation, 10, up=-1.0)
    put(simulation, RIGHT, 0.4, 0.0, 1.05)
    run(simulation, 1, right_grasp=1.0)
    before = simulation.body[0, c.BX]
    run(simulation, 1, right_grasp=1.0, right_ahead=-0.5)
    assert simulation.body[0, c.BX] == before


def test_ladders_are_climbed_onto_the_floor_above():
    floor = box(2.5, 0.0, 3.4, 1.5, 2.0, 0.1)  # its top is at 3.5
    ladder = box(0.95, 0.0, 2.25, 0.05, 0.4, 1.25, climbs=1)
    simulation = loaded(world(solids=[floor, ladder]))
    run(simulation, 2, ahead=1.0)
    for _ in range(6):
        for mine, other in (("right", "left"), ("left", "right")):
            held = {f"{other}_grasp": 1.0}
            run(simulation, 2, **held, **{f"{mine}_up": 0.6, f"{mine}_ahead": 0.4})
            run(simulation, 1, **held, **{f"{mine}_grasp": 1.0})
            run(simulation, 3, **{f"{mine}_grasp": 1.0, f"{mine}_up": -0.4, f"{mine}_ahead": -0.1})
    assert simulation.body[0, c.BZ] == pytest.approx(3.5, abs=1e-6)
    run(simulation, 3, ahead=1.0)
    assert simulation.body[0, [c.BX, c.BZ]] == pytest.approx((1.7, 3.5), abs=0.1)
