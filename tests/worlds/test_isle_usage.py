"""The environments as Gymnasium's users handle them: copies, refusals that leave no trace, settings of the wrong type."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from similitude.core.errors import WorldError
from similitude.worlds import make_world
from similitude.worlds.gym.environment import IsleEnv
from similitude.worlds.gym.vector import IsleVectorEnv

PLAIN: dict[str, Any] = {"backend": "plain", "observation": "state", "actions": "flat"}


def thawed(env: IsleEnv) -> IsleEnv:
    return pickle.loads(pickle.dumps(env))


@pytest.mark.parametrize("copied", [thawed, copy.deepcopy])
@pytest.mark.parametrize("backend", ["plain", "numba"])
def test_a_copy_goes_on_as_the_original(copied: Callable[[IsleEnv], IsleEnv], backend: str) -> None:
    env = IsleEnv("hunt", **{**PLAIN, "backend": backend}, difficulty=(0.0, 1.0))
    generator = np.random.default_rng(0)
    assert copied(env).reset(seed=2)[1]["seed"] == 2
    env.reset(seed=3)
    for _ in range(10):
        env.step(generator.uniform(-1, 1, 21))
    other = copied(env)
    for _ in range(10):
        action = generator.uniform(-1, 1, 21)
        one, two = env.step(action), other.step(action)
        assert (one[0]["state"] == two[0]["state"]).all()
        assert one[1:] == two[1:]
    env.step(np.zeros(21))  # which the copy does not feel
    assert env.simulation.body[0].tolist() != other.simulation.body[0].tolist()
    assert env.reset()[1] == other.reset()[1]


def test_a_reset_that_is_refused_leaves_the_series_where_it_was() -> None:
    one, two = IsleEnv("eat", **PLAIN), IsleEnv("eat", **PLAIN)
    one.reset(seed=1)
    two.reset(seed=1)
    for options in ({"dificulty": 0.5}, {"world": "x"}, {"difficulty": 2}):
        with pytest.raises(WorldError):
            one.reset(options=options)
    assert one.reset()[1] == two.reset()[1]


def test_a_first_reset_that_is_refused_is_no_episode() -> None:
    env, envs = IsleEnv("eat", **PLAIN), IsleVectorEnv("eat", 1, **PLAIN)
    for one, actions in ((env, np.zeros(21)), (envs, np.zeros((1, 21)))):
        with pytest.raises(WorldError, match="no option"):
            one.reset(seed=0, options={"dificulty": 0.5})
        with pytest.raises(WorldError, match="Call reset"):
            one.step(actions)
    envs.close()


def test_minus_zero_is_zero() -> None:
    world = make_world("eat", -0.0, 1)
    assert world.digest == make_world("eat", 0.0, 1).digest
    assert world.name == "eat-0-1"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"worlds": 5}, "`worlds` is a int"),
        ({"worlds": {1, 2}}, "`worlds` is a set"),
        ({"worlds": iter([1, 2])}, "a list of worlds or seeds"),
        ({"worlds": {"eat": 1}}, "`worlds` is a dict"),
        ({"resolution": (float("inf"), 96)}, "8 to 1024"),
        ({"backend": None}, "no backend None"),
    ],
)
def test_settings_of_another_type_are_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(WorldError, match=said):
        IsleEnv("eat", **{**PLAIN, **settings})


@pytest.mark.parametrize(
    "settings", [{"threads": 0}, {"threads": 1.5}, {"threads": "all"}, {"makers": -1}, {"makers": True}]
)
def test_threads_and_makers_are_whole_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(WorldError, match=next(iter(settings))):
        IsleVectorEnv("eat", 2, **PLAIN, **settings)


def test_environments_that_are_closed_say_so() -> None:
    envs = IsleVectorEnv("eat", 1, **PLAIN)
    envs.reset(seed=0)
    envs.close()
    with pytest.raises(WorldError, match="closed"):
        envs.reset(seed=0)
    with pytest.raises(WorldError, match="closed"):
        envs.step(np.zeros((1, 21)))
