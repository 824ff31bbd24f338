"""The vector environment held against single ones: same worlds, same numbers, three ways to begin anew."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import similitude.worlds  # noqa: F401  # registers the environments
from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.gym.environment import IsleEnv
from similitude.worlds.gym.vector import IsleVectorEnv

PLAIN: dict[str, Any] = {"backend": "plain", "observation": "state", "actions": "flat"}


def vector(count: int = 3, **settings: Any) -> IsleVectorEnv:
    return IsleVectorEnv("eat", count, **{**PLAIN, **settings})


def actions(frames: int, count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (frames, count, 21))


def test_environments_of_a_vector_are_those_made_alone() -> None:
    envs = vector(difficulty=(0.0, 1.0), autoreset_mode="SameStep")
    alone = [IsleEnv("eat", difficulty=(0.0, 1.0), **PLAIN) for _ in range(3)]
    seen, infos = envs.reset(seed=5)
    ones = [env.reset(seed=5 + i) for i, env in enumerate(alone)]
    assert infos["seed"].tolist() == [5, 6, 7]
    for e in range(3):
        assert all((seen[name][e] == ones[e][0][name]).all() for name in seen)
    # Episodes of different lengths, so that beginnings fall between each other.
    for e, env in enumerate(alone):
        envs.simulation.meta[e, c.LIMIT] = env.simulation.meta[0, c.LIMIT] = 3 + 4 * e
    ends = 0
    for action in actions(14, 3):
        seen, rewards, terminated, truncated, infos = envs.step(action)
        for e, env in enumerate(alone):
            observation, reward, died, cut, info = env.step(action[e])
            assert (rewards[e], terminated[e], truncated[e]) == (reward, died, cut)
            if died or cut:
                ends += 1
                final = infos["final_obs"][e]
                assert all((final[name] == observation[name]).all() for name in final)
                assert infos["final_info"]["score"][e] == info["score"]
                assert infos["final_info"]["seed"][e] == info["seed"]
                observation, info = env.reset()
                assert infos["seed"][e] == info["seed"]
                assert infos["difficulty"][e] == info["difficulty"]
            assert all((seen[name][e] == observation[name]).all() for name in seen)
    assert ends == 3
    envs.close()


def test_the_step_after_an_end_begins_anew_by_default() -> None:
    envs = gymnasium.make_vec("similitude/Isle-eat-v1", num_envs=2, **PLAIN)
    assert isinstance(envs, IsleVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    first, _ = envs.reset(seed=0)
    envs.simulation.meta[1, c.LIMIT] = 2
    still = np.zeros((2, 21))
    assert not envs.step(still)[3].any()
    _, _, terminated, truncated, infos = envs.step(still)
    assert truncated.tolist() == [False, True]
    assert infos["success"].tolist() == [False, False]
    assert infos["_score"].tolist() == [False, True]
    broken = still.copy()
    broken[1] = np.nan  # the action of an environment that begins anew is not used
    seen, rewards, terminated, truncated, infos = envs.step(broken)
    assert (rewards[1], terminated[1], truncated[1]) == (0, False, False)
    assert infos["_seed"].tolist() == [False, True]
    assert envs.simulation.body[:, c.FRAME].tolist() == [3, 0]
    assert not (seen["state"][1] == first["state"][1]).all()
    envs.close()


def test_without_autoreset_a_mask_says_which_begin_anew() -> None:
    envs = vector(autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.simulation.meta[1, c.LIMIT] = 1
    _, _, _, truncated, _ = envs.step(np.zeros((3, 21)))
    with pytest.raises(WorldError, match=r"environments \[1\] have ended"):
        envs.step(np.zeros((3, 21)))
    _, infos = envs.reset(options={"reset_mask": truncated})
    assert infos["_seed"].tolist() == [False, True, False]
    assert envs.simulation.body[:, c.FRAME].tolist() == [1, 0, 1]
    envs.step(np.zeros((3, 21)))
    envs.close()


def test_gymnasiums_own_vectors_give_the_same_numbers() -> None:
    ours = gymnasium.make_vec("similitude/Isle-eat-v1", num_envs=2, **PLAIN)
    theirs = gymnasium.make_vec("similitude/Isle-eat-v1", num_envs=2, vectorization_mode="sync", **PLAIN)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    one, other = ours.reset(seed=3)[0], theirs.reset(seed=3)[0]
    for action in actions(8, 2).astype(np.float32):
        assert all((one[name] == other[name]).all() for name in one)
        one, reward, *_ = ours.step(action)
        other, same, *_ = theirs.step(action)
        assert (reward == same).all()
    assert one in ours.observation_space
    ours.close()
    theirs.close()


@pytest.mark.slow
def test_vectors_in_processes_work_too() -> None:
    theirs = gymnasium.make_vec(
        "similitude/Isle-eat-v1",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"context": "spawn"},
        **PLAIN,
    )
    _, infos = theirs.reset(seed=3)
    assert infos["seed"].tolist() == [3, 4]
    theirs.step(theirs.action_space.sample())
    theirs.close()


@pytest.mark.slow
def test_worlds_made_in_processes_are_the_same() -> None:
    here, apart = vector(difficulty=0.5), vector(difficulty=0.5, makers=1)
    told = []
    for envs in (here, apart):
        envs.reset(seed=0)
        envs.simulation.meta[:, c.LIMIT] = 1
        envs.step(np.zeros((3, 21)))
        envs.step(np.zeros((3, 21)))
        told.append([world.digest for world in envs.simulation.worlds if world is not None])
        envs.close()
    assert told[0] == told[1]


def test_a_list_of_worlds_is_shared_out() -> None:
    envs = vector(2, worlds=[10, 11, 12], autoreset_mode="SameStep")
    _, infos = envs.reset(seed=0)
    seeds = [infos["seed"].tolist()]
    for _ in range(2):
        envs.simulation.meta[:, c.LIMIT] = 1
        seeds.append(envs.step(np.zeros((2, 21)))[4]["seed"].tolist())
    assert seeds == [[10, 11], [12, 10], [11, 12]]
    envs.close()


def test_the_difficulty_may_be_set_while_environments_run() -> None:
    envs = vector(1, autoreset_mode="SameStep")
    envs.reset(seed=0)
    envs.difficulty = 0.75
    told = []
    for _ in range(3):
        envs.simulation.meta[:, c.LIMIT] = 1
        told.append(envs.step(np.zeros((1, 21)))[4]["difficulty"][0])
    assert told[1:] == [0.75, 0.75]  # the next world was made already
    assert envs.reset(seed=0)[1]["difficulty"] == [0.75]
    with pytest.raises(WorldError, match=r"not in \[0, 1\]"):
        envs.difficulty = 2.0
    envs.close()


def test_thousands_of_environments_are_arrays() -> None:
    envs = vector(2000, worlds=[1])
    seen, _ = envs.reset(seed=0)
    assert seen["state"].shape[0] == 2000
    assert (seen["state"] == seen["state"][0]).all()
    assert envs.action_space.shape == (2000, 21)
    envs.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"count": 0}, "0 environments"),
        ({"autoreset_mode": "never"}, "NextStep, SameStep, Disabled"),
        ({"render_mode": "human"}, "open no window"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(WorldError, match=said):
        vector(**settings)


def test_wrong_use_is_told() -> None:
    envs = vector(2)
    with pytest.raises(WorldError, match="Call reset"):
        envs.step(np.zeros((2, 21)))
    with pytest.raises(WorldError, match="3 seeds for 2 environments"):
        envs.reset(seed=[1, 2, 3])
    with pytest.raises(WorldError, match="not a whole number"):
        envs.reset(seed=0.5)  # type: ignore[arg-type]
    envs.reset(seed=0)
    with pytest.raises(WorldError, match="'reset_mask'"):
        envs.reset(options={"reset_mask": [True]})
    bad = np.zeros((2, 21))
    bad[1, 4] = np.nan
    with pytest.raises(WorldError, match="component 4 of the action of environment 1"):
        envs.step(bad)
    with pytest.raises(WorldError, match=r"\(2, 21\)"):
        envs.step(np.zeros((3, 21)))
    envs.close()
