"""Oracles reach their goals through actions alone, and chance does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds import TASKS, Simulation, make_world, oracle, random_policy
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import ARM, GRAVITY, HEAD_MOVE, HEAD_YAW
from similitude.worlds.oracles.avatar import LEFT, REST, RIGHT, Avatar, angle_between
from similitude.worlds.oracles.fighting import fight, sweep
from similitude.worlds.oracles.rates import play, play_all
from similitude.worlds.oracles.throwing import SWIFT, aim
from similitude.worlds.oracles.walking import walk
from similitude.worlds.oracles.wayfinding import land_now, room_to_run, way_around
from tests.worlds.small_scenes import LAND, scene, thing

COMPOSED = ("navigate", "find", "gather", "survive")
BASIC = tuple(task for task in TASKS if task not in COMPOSED)


def carried_out(simulation, me, deed, frames=400):
    """Let a controller act until it is done, and return what it returned; None if it was not done in time."""
    for _ in range(frames):
        me.look()
        try:
            action = next(deed)
        except StopIteration as done:
            return done.value
        simulation.step(np.clip(np.array(action), -1.0, 1.0)[None])
    return None


@pytest.mark.parametrize("task", TASKS)
def test_oracles_succeed_where_worlds_are_easy(task):
    simulation = Simulation(1, backend="plain", resolution=(8, 8))
    outcome = play(oracle(task), task, 0.0, 3, simulation=simulation)
    assert outcome.success
    assert outcome.eaten == outcome.foods > 0
    assert outcome.score > 0.9  # a food's energy is at least 0.5, and hit points are seldom lost


def test_oracles_only_look():
    simulation = Simulation(1, backend="plain", resolution=(8, 8))
    simulation.load(0, make_world("stack", 0.5, 1))
    policy = oracle("stack")
    names = ("height", "ground", "meta", "solids", "things", "body", "hands")
    for _ in range(60):
        before = [getattr(simulation, name).copy() for name in names]
        action = policy.act_on(simulation, 0)
        for name, old in zip(names, before, strict=True):
            np.testing.assert_array_equal(getattr(simulation, name), old, err_msg=name)
        simulation.step(action[None])


def test_oracles_of_environments_side_by_side_act_as_alone():
    worlds = [make_world("eat", 0.8, seed) for seed in (1, 2)]
    both = Simulation(2, backend="plain", resolution=(8, 8))
    alone = [Simulation(1, backend="plain", resolution=(8, 8)) for _ in worlds]
    for e, world in enumerate(worlds):
        both.load(e, world)
        alone[e].load(0, world)
    policy, single = oracle("eat"), [oracle("eat"), oracle("eat")]
    for _ in range(50):
        actions = np.stack([policy.act_on(both, e) for e in range(2)])
        for e in range(2):
            np.testing.assert_array_equal(actions[e], single[e].act_on(alone[e], 0))
            alone[e].step(actions[e : e + 1])
        both.step(actions)


def test_oracles_notice_new_episodes_without_reset():
    simulation = Simulation(1, backend="plain", resolution=(8, 8))
    policy = oracle()
    for seed in range(3):
        simulation.load(0, make_world("eat", 0.0, seed))
        for _ in range(60):
            simulation.step(policy.act_on(simulation, 0)[None])
        assert simulation.body[0, c.FOOD_LEFT] == 0.0


def test_oracles_go_on_after_they_are_carried_away():
    simulation = Simulation(1, backend="plain", resolution=(8, 8))
    world = make_world("move", 0.6, 4)
    simulation.load(0, world)
    policy = oracle("move")
    for frame in range(400):
        if frame == 10:  # as if by a gust
            simulation.body[0, c.BX : c.BZ + 1] = world.spawn[:3]
        simulation.step(policy.act_on(simulation, 0)[None])
    assert simulation.body[0, c.FOOD_LEFT] == 0.0


def test_oracles_play_environments_of_gymnasium():
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("similitude/Isle-eat-v1", difficulty=0.0, observation="state", backend="plain")
    observation, info = env.reset(seed=2)
    policy = oracle("eat")
    ended = False
    for _ in range(100):
        action = policy(observation, info)
        assert action.shape == (21,)
        asked = {"real": action[:18].astype(np.float32), "discrete": (action[18:] > 0.5).astype(np.int8)}
        observation, _reward, ended, _, info = env.step(asked)
        if ended:
            break
    assert ended
    assert info["success"]
    env.close()


def test_an_observation_without_its_source_is_refused():
    with pytest.raises(WorldError, match=r"copy observations lose `\.truth`"):
        oracle("eat")({"rgbd": np.zeros((8, 8, 4))})


def test_an_environment_without_a_world_is_refused():
    with pytest.raises(WorldError, match="environment 0 has no world yet"):
        oracle("eat").act_on(Simulation(1, backend="plain"), 0)


def test_an_unknown_task_is_refused():
    with pytest.raises(WorldError, match="climb"):
        oracle("climbb")


def test_chance_is_repeatable_and_within_bounds():
    first, second = random_policy(7), random_policy(7)
    draws = np.stack([first() for _ in range(500)])
    np.testing.assert_array_equal(draws, np.stack([second() for _ in range(500)]))
    assert np.abs(draws).max() <= 1.0
    assert set(np.unique(draws[:, 18:])) == {0.0, 1.0}
    assert 0.4 < draws[:, 18].mean() < 0.6
    assert 0.05 < draws[:, 20].mean() < 0.15
    assert not np.array_equal(draws[0], random_policy(8)())


# what a scene asks for is what happens


def test_actions_lead_the_body_and_both_hands_to_where_they_are_sent():
    random = np.random.default_rng(0)
    for _ in range(20):
        simulation = scene()
        simulation.body[0, c.YAW] = random.uniform(-3.0, 3.0)
        me = Avatar(simulation, 0)
        go = random.uniform(-0.2, 0.2, 2)
        face = float(random.uniform(-3.0, 3.0))
        goals = {}
        for hand in (LEFT, RIGHT):
            eyes = np.array([me.x + go[0], me.y + go[1], me.eye])
            now = simulation.hands[0, hand, :3] + [*go, 0.0]
            goals[hand] = eyes + 0.5 * (now - eyes) + random.uniform(-0.2, 0.2, 3)
        turn = angle_between(face, me.yaw)
        simulation.step(np.array(me.act(go=(go[0], go[1]), face=face, hands=goals))[None])
        np.testing.assert_allclose(simulation.body[0, :2], [go[0], go[1]], atol=1e-9)
        got = angle_between(simulation.body[0, c.YAW], face - turn)
        assert got == pytest.approx(math.copysign(min(abs(turn), HEAD_YAW), turn), abs=1e-9)
        for hand in (LEFT, RIGHT):
            # a turn moves the hand too, so that it may need more than one frame's reach
            np.testing.assert_allclose(simulation.hands[0, hand, :3], goals[hand], atol=1e-6)


def test_hands_without_a_goal_rest_beside_the_body():
    simulation = scene()
    me = Avatar(simulation, 0)
    for _ in range(3):
        simulation.step(np.array(me.act())[None])
        me.look()
    for hand in (LEFT, RIGHT):
        np.testing.assert_allclose(me.off(hand), REST[hand], atol=1e-9)
        assert math.hypot(*REST[hand]) < ARM


def test_actions_stay_within_bounds():
    simulation = scene()
    me = Avatar(simulation, 0)
    far = (50.0, -50.0, 9.0)
    action = np.array(
        me.act(go=(9.0, -9.0), face=3.0, head=0.0, at=far, hands={LEFT: far, RIGHT: far}, jump=True)
    )
    assert np.abs(action).max() <= 1.0
    for first in (0, 3, 6, 12):
        assert np.linalg.norm(action[first : first + 3]) <= 1.0 + 1e-9


# ways


def wall_between() -> Simulation:
    """A wall 6 m long across the way from the spawn along x, 3 m ahead."""
    row = (3.0, 0.0, LAND + 1.0, 1.0, 0.0, 0.25, 3.0, 1.0, c.BOX, 0.0, 0.0)
    return scene(solids=(row,))


def test_ways_lead_around_walls():
    simulation = wall_between()
    me = Avatar(simulation, 0)
    way = way_around(me, (6.0, 0.0))
    assert way[-1] == (6.0, 0.0)
    assert max(abs(y) for _, y in way) > 3.0
    assert way_around(me, (1.0, 0.0)) == [(1.0, 0.0)]  # nothing in between
    assert carried_out(simulation, me, walk(me, way)) is True
    assert me.far(6.0, 0.0) < 0.2


def test_a_walk_that_is_stuck_finds_another_way():
    simulation = wall_between()
    me = Avatar(simulation, 0)
    assert carried_out(simulation, me, walk(me, [(6.0, 0.0)])) is True
    assert me.far(6.0, 0.0) < 0.2


def test_room_to_run_ends_at_walls():
    simulation = wall_between()
    me = Avatar(simulation, 0)
    room = room_to_run(me, land_now(me), np.array([(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0)]), 6.0)
    assert 2.0 <= room[0] <= 2.75
    np.testing.assert_allclose(room[1:], 6.0)


# throwing and fighting


@pytest.mark.parametrize(("x", "y", "drop"), [(5.0, 0.0, 0.0), (-3.0, 8.0, 0.0), (9.0, -2.0, 0.0)])
def test_the_aim_is_the_parabola_that_meets_the_animal(x, y, drop):
    simulation = scene(thing("turtle", x, y))
    me = Avatar(simulation, 0)
    v = aim(me, 0)
    assert v is not None
    assert math.hypot(*v) <= SWIFT
    # closed form: it comes down to the animal's height just above its place
    z = me.place(0)[2] - me.eye
    t = (v[2] + math.sqrt(v[2] ** 2 - 2.0 * GRAVITY * z)) / GRAVITY
    assert math.hypot(v[0] * t - x, v[1] * t - y) < 1e-6


def test_what_is_too_far_cannot_be_hit():
    simulation = scene(thing("turtle", 22.0, 0.0))
    # the longest throw goes SWIFT**2 / GRAVITY = 20.3 m on level ground
    assert aim(Avatar(simulation, 0), 0) is None


@pytest.mark.parametrize("predator", ["wolf", "alligator", "bee"])
def test_fights_with_a_stick_end_well(predator):
    simulation = scene(thing("large stick", 0.5, 0.3), thing(predator, 9.0, 0.0))
    me = Avatar(simulation, 0)
    assert carried_out(simulation, me, fight(me, [1])) is True
    assert simulation.things[0, 1, c.STATE] == c.DEAD
    assert simulation.body[0, c.HP] > 0.4


def test_a_stick_reaches_farther_than_a_rock_and_not_through_the_ground():
    simulation = scene(thing("large stick", 0.5, 0.3), thing("rock", 0.5, -0.3), thing("wolf", 9.0, 0.0))
    simulation.hands[0, :, c.HELD] = 0.0, 1.0
    me = Avatar(simulation, 0)
    stick, pose = sweep(me, 0, 2, 1.8)
    rock, _ = sweep(me, 1, 2, 1.8)
    assert stick > rock > 0.0
    assert math.hypot(*pose) <= ARM
    # by Pythagoras: the arm and the sizes of tool and wolf in one line down to its middle
    long = ARM + 0.75 + sum(me.half(2)) / 3.0 + 0.1
    assert stick < math.sqrt(long**2 - (1.8 - 0.375) ** 2)


def test_running_uses_the_whole_step():
    simulation = scene()
    me = Avatar(simulation, 0)
    carried_out(simulation, me, walk(me, [(6.0, 0.0)]), frames=11)
    assert simulation.body[0, c.BX] == pytest.approx(10 * HEAD_MOVE, abs=0.31)


# rates


@pytest.mark.slow
@pytest.mark.parametrize("task", BASIC)
def test_oracles_succeed_on_nine_in_ten_easy_and_half_of_hard_worlds(task):
    outcomes = play_all(lambda seed: oracle(task), [task], difficulties=(0.0, 1.0), seeds=range(100, 110))
    easy = [outcome.success for outcome in outcomes if outcome.difficulty == 0.0]
    hard = [outcome.success for outcome in outcomes if outcome.difficulty == 1.0]
    assert sum(easy) >= 9
    assert sum(hard) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("task", COMPOSED)
def test_oracles_succeed_on_half_of_easy_composed_worlds(task):
    outcomes = play_all(lambda seed: oracle(task), [task], difficulties=(0.0,), seeds=range(100, 110))
    assert sum(outcome.success for outcome in outcomes) >= 5


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_chance_seldom_succeeds(task):
    outcomes = play_all(random_policy, [task], difficulties=(0.0,), seeds=range(100, 112))
    assert sum(outcome.success for outcome in outcomes) / 12 < (0.4 if task == "eat" else 0.15)
