"""The examples for other libraries run, where those are installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from similitude.worlds.gym.environment import IsleEnv

EXAMPLES = Path(__file__).parents[3] / "examples" / "worlds"


def example(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_stable_baselines(tmp_path, monkeypatch) -> None:
    pytest.importorskip("stable_baselines3")
    monkeypatch.chdir(tmp_path)
    found = example("stable_baselines")
    found.train(800).save("isle-eat.zip")
    policy = found.agent("eat", 0)
    env = IsleEnv("eat", observation="state", actions="flat")
    observation, _ = env.reset(seed=0)
    action = policy(observation)
    assert env.action_space.contains(np.asarray(action, np.float32))


def test_torchrl() -> None:
    pytest.importorskip("torchrl")
    from torchrl.envs.utils import check_env_specs

    env = example("torchrl_env").environment()
    check_env_specs(env)
    episode = env.rollout(5)
    assert episode["observation"].shape == (5, 178)
    assert episode["action"].shape == (5, 21)
