"""The Gymnasium environment: spaces, seeds, observations held against closed forms, ends, wrong use."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from similitude.core.errors import WorldError
from similitude.worlds import make_world, oracle
from similitude.worlds.engine import columns as c
from similitude.worlds.gym.effort import effort
from similitude.worlds.gym.environment import IsleEnv
from similitude.worlds.gym.flat_actions import FlatActions
from similitude.worlds.gym.privileged import GRID, SELF, SLOT, STATE
from similitude.worlds.gym.senses import PLACE, VECTORS
from similitude.worlds.tasks.catalog import TASKS
from similitude.worlds.tasks.limits import LIMITS, frame_limit

PLAIN: dict[str, Any] = {"backend": "plain", "observation": "state", "actions": "flat"}


def plain(task: str = "eat", **settings: Any) -> IsleEnv:
    return IsleEnv(task, **{**PLAIN, **settings})


STILL = np.zeros(21)


def test_importing_registers_twenty_environments_and_loads_no_heavy_library() -> None:
    code = (
        "import sys, similitude.worlds, gymnasium;"
        "print(sum(n.startswith('similitude/Isle-') for n in gymnasium.registry), {'torch', 'numba'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split(maxsplit=1) == ["20", "set()\n"]


def test_the_default_observation_holds_an_image_and_23_vectors() -> None:
    env = gymnasium.make("similitude/Isle-eat-v1", difficulty=0.3, backend="plain")
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    spaces = dict(env.observation_space.spaces)
    image = spaces.pop("rgbd")
    assert (image.shape, image.dtype) == ((96, 96, 4), np.uint8)
    assert len(spaces) == 23
    assert all(
        box.dtype == np.float32 and (box.low == -1).all() and (box.high == 1).all() for box in spaces.values()
    )  # type: ignore[attr-defined]
    assert env.action_space["real"].shape == (18,)  # type: ignore[index]
    assert env.action_space["discrete"].shape == (3,)  # type: ignore[index]


@pytest.mark.parametrize("kind", ["full", "flat", "state"])
@pytest.mark.filterwarnings("ignore:.*not within a wrapped.*", "ignore:.*spec.*")
def test_gymnasiums_checker_passes(kind: str) -> None:
    env = gymnasium.make(
        "similitude/Isle-eat-v1",
        observation=kind,
        resolution=(8, 8),
        backend="plain",
        render_mode="rgb_array",
    )
    check_env(env.unwrapped, skip_render_check=False)


def test_stable_baselines_checker_passes() -> None:
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(FlatActions(plain("eat", actions="headset")))


def test_a_seed_names_the_world_and_all_that_follow() -> None:
    first, second = plain(difficulty=0.4), plain(difficulty=0.4)
    _, info = first.reset(seed=11)
    assert info == {"task": "eat", "difficulty": 0.4, "seed": 11}
    assert first.simulation.worlds[0].digest == make_world("eat", 0.4, 11).digest  # type: ignore[union-attr]
    second.reset(seed=11)
    series = [(first.reset()[1]["seed"], second.reset()[1]["seed"]) for _ in range(3)]
    assert all(one == other for one, other in series)
    assert len({one for one, _ in series}) == 3
    generator = np.random.default_rng(0)
    for _ in range(10):
        action = generator.uniform(-1, 1, 21)
        one, other = first.step(action), second.step(action)
        assert all((one[0][name] == other[0][name]).all() for name in one[0])
        assert one[1:] == other[1:]


def test_options_name_the_world_of_one_episode() -> None:
    env = plain()
    assert env.reset(seed=1, options={"difficulty": 0.5})[1]["difficulty"] == 0.5
    assert env.reset()[1]["difficulty"] == 0.0
    assert env.reset(options={"world": ("move", 0.25, 9)})[1] == {
        "task": "move",
        "difficulty": 0.25,
        "seed": 9,
    }
    world = make_world("jump", 0.5, 3)
    assert env.reset(options={"world": world})[1]["seed"] == 3
    assert env.simulation.worlds[0] is world
    assert env.reset(options={"world": 5, "difficulty": 0.75})[1] == {
        "task": "eat",
        "difficulty": 0.75,
        "seed": 5,
    }


def test_worlds_are_played_in_turn_or_as_a_function_says() -> None:
    env = plain(worlds=[4, ("move", 0.5, 6)])
    assert [env.reset(seed=0)[1]["seed"], *(env.reset()[1]["seed"] for _ in range(3))] == [4, 6, 4, 6]
    env = plain(worlds=lambda place, number: ("eat", 0.0, 100 + number))
    assert [env.reset(seed=0)[1]["seed"], env.reset()[1]["seed"]] == [100, 101]
    env = plain(worlds="validation", difficulty=(0.2, 0.6))
    told = [env.reset(seed=3)[1], *(env.reset()[1] for _ in range(4))]
    assert all(2**40 <= info["seed"] < 2**41 and 0.2 <= info["difficulty"] <= 0.6 for info in told)
    assert len({info["difficulty"] for info in told}) == 5


def test_vectors_are_those_of_the_bodys_frame() -> None:
    env = plain(observation="full", resolution=(8, 8))
    env.reset(seed=0)
    body, hands = env.simulation.body[0], env.simulation.hands[0]
    yaw = 2.0
    body[[c.YAW, c.PITCH, c.ROLL, c.HEAD]] = yaw, 0.5, -0.1, 1.5
    body[[c.DX, c.DY, c.DZ]] = (
        0.3 * math.cos(yaw),
        0.3 * math.sin(yaw),
        -0.2,
    )  # 0.3 m straight ahead, 0.2 m down
    body[[c.DYAW, c.DPITCH, c.DHEAD]] = math.radians(10), math.radians(-5), -0.3
    body[[c.HP, c.FALL, c.ENEMY, c.EATEN]] = 0.6, 0.1, 0.25, 0.5
    right = np.array([math.sin(yaw), -math.cos(yaw)])
    hands[1, [c.HX, c.HY]] = body[[c.BX, c.BY]] + 0.7 * right
    hands[1, c.HZ] = body[c.BZ] + 1.2
    hands[1, [c.HVX, c.HVY, c.HVZ]] = 0.0, 0.0, 5.0
    hands[0, c.HELD] = 0.0
    from similitude.worlds.gym.observing import observe

    seen = {name: array[0] for name, array in observe(env.simulation, "full").items()}
    assert seen["body_delta_position"] == pytest.approx([0, -0.02, 0.03], abs=1e-6)
    assert seen["body_delta_rotation"] == pytest.approx([0, 0.05, 0])
    assert seen["head_delta_rotation"] == pytest.approx([-0.025, 0, 0])
    assert seen["head_delta_position"] == pytest.approx([0, -0.03, 0])
    assert seen["head_rotation"] == pytest.approx([0.005 * math.degrees(0.5), 0, -0.005 * math.degrees(0.1)])
    assert seen["head_position"] == pytest.approx([0, 0.15, 0])
    assert seen["right_hand_position"] == pytest.approx([0.07, 0.12, 0], abs=1e-6)
    assert seen["right_hand_delta_position"] == pytest.approx([0, 0.05, 0], abs=1e-6)
    assert (seen["left_hand_holds"], seen["right_hand_holds"]) == (1, 0)
    assert seen["hit_points"] == pytest.approx([0.6])
    assert seen["fall_damage"] == pytest.approx([0.1])
    assert seen["enemy_damage"] == pytest.approx([0.25])
    assert seen["energy_eaten"] == pytest.approx([0.5])
    assert seen["frames_remaining"] == pytest.approx([0.3])
    assert set(seen) == {"rgbd", *(name for name, _ in VECTORS)}


def test_flat_vectors_are_the_named_ones_in_order() -> None:
    named, flat = plain(observation="full", resolution=(8, 8)), plain()
    one, other = named.reset(seed=2)[0], flat.reset(seed=2)[0]
    for name, place in PLACE.items():
        assert (one[name] == other["proprioception"][place]).all()


def test_the_privileged_state_says_where_the_nearest_food_is() -> None:
    env = plain("eat")
    env.reset(seed=0)
    simulation = env.simulation
    simulation.body[0, c.YAW] = math.pi / 2  # looking along +y: +x is to the right
    food = np.flatnonzero(simulation.things[0, :, c.ROLE] == c.FOOD)[0]
    x, y, z, head = simulation.body[0, [c.BX, c.BY, c.BZ, c.HEAD]]
    simulation.things[0, food, [c.TX, c.TY, c.TZ]] = x + 0.6, y + 0.8, z + head
    from similitude.worlds.gym.privileged import privileged_state

    state = privileged_state(simulation)[0]
    assert len(state) == STATE
    slot = state[SELF : SELF + SLOT]
    assert slot[0] == 1
    assert slot[1:4] == pytest.approx([0.6, 0.0, 0.8])
    assert slot[4] == pytest.approx(1 / 40)
    assert slot[5:8] == pytest.approx([0.3, 0.0, 0.4])
    simulation.things[0, food, c.ROLE] = c.GONE
    assert not privileged_state(simulation)[0, SELF : SELF + SLOT].any()


def test_the_grid_of_ground_holds_heights_before_the_body() -> None:
    env = plain("move")
    env.reset(seed=0)
    simulation = env.simulation
    simulation.body[0, [c.BX, c.BY, c.BZ, c.YAW]] = 0.0, 0.0, 2.0, 0.0
    simulation.height[0] = 2 * 128
    middle = int(simulation.meta[0, c.SIZE]) // 2
    simulation.height[0, middle, middle + 6] = 3 * 128 + 64  # 3 m ahead, 1.5 m up
    simulation.height[0, middle + 2, middle] = 128  # 1 m to the left, 1 m down
    from similitude.worlds.gym.privileged import privileged_state

    heights = privileged_state(simulation)[0, -2 * GRID * GRID : -GRID * GRID].reshape(GRID, GRID)
    expected = np.zeros((GRID, GRID))
    expected[5, 3], expected[2, 2] = 0.5, -1 / 3
    assert heights == pytest.approx(expected)


def test_an_episode_ends_by_food_by_death_and_by_its_limit() -> None:
    env = plain()
    env.reset(seed=0)
    things = env.simulation.things[0]
    things[things[:, c.ROLE] == c.FOOD, c.ROLE] = c.GONE
    told = [env.step(STILL) for _ in range(21)]
    assert [one[2] for one in told] == [False] * 20 + [True]
    info = told[-1][4]
    assert (info["task"], info["difficulty"], info["seed"]) == ("eat", 0.0, 0)
    assert (info["success"], info["frames"], info["score"]) == (True, 21, pytest.approx(2999e-4))
    env.reset()
    env.simulation.body[0, c.HP] = 0.0
    _, _, terminated, truncated, info = env.step(STILL)
    assert (terminated, truncated, info["success"], info["score"]) == (True, False, False, 0.0)
    env.reset()
    env.simulation.meta[0, c.LIMIT] = 2
    assert env.step(STILL)[2:4] == (False, False)
    _, _, terminated, truncated, info = env.step(STILL)
    assert (terminated, truncated, info["success"], info["frames"]) == (False, True, False, 2)


def test_training_has_its_own_limits_rewards_and_worlds() -> None:
    evaluation, training = plain(difficulty=0.5), plain(difficulty=0.5, training=True)
    for env in (evaluation, training):
        env.reset(seed=0)
    assert evaluation.simulation.meta[0, c.LIMIT] == 3000
    assert training.simulation.meta[0, c.LIMIT] == round(260 * 10**0.5)
    assert evaluation.step(STILL)[1] == pytest.approx(-1e-4)
    assert -1e-6 < training.step(STILL)[1] <= 0
    training.simulation.body[0, c.PITCH] = -0.5
    assert training.step(STILL)[1] == pytest.approx(-0.5e-6, rel=1e-3)
    for seed in (2**40, 2**41 + 7):
        evaluation.reset(seed=seed)
        with pytest.raises(WorldError, match="training must not see"):
            training.reset(seed=seed)


def test_effort_is_the_energy_that_the_body_gains() -> None:
    body = np.zeros((3, c.BODY))
    body[0, [c.BVX, c.BVY]] = 3.0, 4.0  # from 3 m/s to 5 m/s: 60 kg (25 - 9) / 2 m2/s2
    body[1, c.DZ] = 0.5  # half a metre up: 60 kg, 10 m/s2
    body[2, [c.BVX, c.DZ, c.PITCH, c.ROLL]] = (
        1.0,
        -0.5,
        0.2,
        -0.1,
    )  # slower and downward costs nothing, a tilt does
    cost, squares = effort(body, np.array([9.0, 0.0, 4.0]))
    assert cost == pytest.approx([480e-8, 300e-8, 0.3e-6])
    assert squares.tolist() == [25.0, 0.0, 1.0]


def test_limits_grow_tenfold_and_stop_at_those_of_evaluation() -> None:
    assert set(LIMITS) == set(TASKS)
    assert frame_limit("jump", 0.0, training=True) == 310
    assert frame_limit("jump", 1.0, training=True) == 3000
    assert all(frame_limit(task, 0.0, training=True) == easy for task, (_, easy) in LIMITS.items())


def test_observations_carry_the_truth_which_copies_do_not() -> None:
    env = plain()
    observation, _ = env.reset(seed=0)
    assert observation.truth is not None
    assert observation.truth.simulation is env.simulation
    assert observation.truth.environment == 0
    for twin in (copy.deepcopy(observation), pickle.loads(pickle.dumps(observation))):
        assert twin.truth is None
        assert (twin["state"] == observation["state"]).all()
        assert not np.shares_memory(twin["state"], observation["state"])


def test_an_oracle_plays_through_gymnasiums_wrappers() -> None:
    env = gymnasium.make("similitude/Isle-eat-v1", **PLAIN)
    policy = oracle("eat")
    observation, _ = env.reset(seed=0)
    things = observation.truth.simulation.things[0]
    energy = float(things[things[:, c.ROLE] == c.FOOD, c.ENERGY].sum())
    total, ended, info = 0.0, False, {}
    while not ended:
        observation, reward, terminated, truncated, info = env.step(policy(observation))
        total, ended = total + float(reward), terminated or truncated
    assert (info["success"], terminated) == (True, True)
    assert total == pytest.approx(energy - 1e-4 * info["frames"])
    assert info["score"] == pytest.approx(energy + 1e-4 * (3000 - info["frames"] + 20))


def test_pictures_are_what_the_camera_sees() -> None:
    env = plain(observation="flat", resolution=(8, 12), render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert (env.render() == observation["rgbd"][..., :3]).all()  # type: ignore[operator]
    blind = plain(resolution=(8, 12), render_mode="rgb_array")
    blind.reset(seed=0)
    assert (blind.render() == observation["rgbd"][..., :3]).all()  # type: ignore[operator]
    assert plain().render() is None


def test_switches_and_numbers_are_the_same_action() -> None:
    parts, numbers = plain(actions="headset"), plain()
    action = np.linspace(-1, 1, 21)
    action[18:] = 1, 0, 1
    wrapped = FlatActions(plain(actions="headset"))
    told = []
    for env, given in (
        (parts, {"real": action[:18].astype(np.float32), "discrete": np.array([1, 0, 1], np.int8)}),
        (numbers, action.astype(np.float32)),
        (wrapped, action.astype(np.float32)),
    ):
        env.reset(seed=0)
        told.append(env.step(given)[0]["proprioception"])
    assert (told[0] == told[1]).all()
    assert (told[0] == told[2]).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"task": "ete"}, "Did you mean 'eat'"),
        ({"difficulty": 1.5}, r"not in \[0, 1\]"),
        ({"difficulty": "hard"}, "not a number"),
        ({"difficulty": (0.5, 0.1)}, "goes upward"),
        ({"observation": "pixels"}, "full, flat, state"),
        ({"actions": "keys"}, "headset, flat"),
        ({"resolution": (96,)}, "resolution=\\(96, 96\\)"),
        ({"resolution": (0, 96)}, "8 to 1024"),
        ({"render_mode": "human"}, "open no window"),
        ({"backend": "cuda"}, "backend 'cuda'"),
        ({"worlds": "holdout"}, "train, validation, test"),
        ({"worlds": []}, "empty"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(WorldError, match=said):
        plain(settings.pop("task", "eat"), **settings)


@pytest.mark.parametrize("seed", [1.5, "7", -1, True, 2**63])
def test_seeds_that_are_none_are_told(seed: Any) -> None:
    with pytest.raises(WorldError, match="the seed"):
        plain().reset(seed=seed)


def test_wrong_options_are_told() -> None:
    env = plain()
    for options, said in (
        ({"dificulty": 0.5}, "no option 'dificulty'"),
        ({"difficulty": 2}, r"not in \[0, 1\]"),
        ({"world": "eat"}, "not a whole number"),
        ({"world": ("eat", 0.5)}, "task, difficulty and seed"),
    ):
        with pytest.raises(WorldError, match=said):
            env.reset(seed=0, options=options)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.full(21, np.nan), "not a finite number"),
        (np.full(21, 1.5), r"outside \[-1, 1\]"),
        (np.zeros(20), r"\(20,\)"),
        ("left", "not made of numbers"),
        ({"real": np.zeros(18)}, "'real' and 'discrete'"),
        ({"real": np.zeros(18), "discrete": np.array([0, 2, 0])}, "0 or 1"),
        ({"real": np.full(18, -np.inf), "discrete": np.zeros(3)}, "not a finite number"),
    ],
)
def test_wrong_actions_are_told(action: Any, said: str) -> None:
    env = plain(actions="headset")
    env.reset(seed=0)
    with pytest.raises(WorldError, match=said):
        env.step(action)


def test_a_step_before_a_reset_is_told() -> None:
    with pytest.raises(WorldError, match="Call reset"):
        plain().step(STILL)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_made_by_gymnasium(task: str) -> None:
    env = gymnasium.make(f"similitude/Isle-{task}-v1", difficulty=0.2, observation="state", backend="plain")
    observation, info = env.reset(seed=1)
    assert observation in env.observation_space
    env.action_space.seed(0)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert math.isfinite(float(reward))
    assert info["task"] == task
