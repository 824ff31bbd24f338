"""Isle in Stable-Baselines3: `pip install stable-baselines3`, then `python examples/worlds/stable_baselines.py`."""

import sys

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import similitude.worlds  # noqa: F401  # registers the environments


def train(frames: int) -> PPO:
    """Train on eat from state observations; flat actions are one box, which is what the library wants."""
    settings = {"difficulty": (0.0, 0.3), "observation": "state", "actions": "flat", "training": True}
    envs = make_vec_env("similitude/Isle-eat-v1", n_envs=8, seed=0, env_kwargs=settings)
    agent = PPO("MultiInputPolicy", envs, n_steps=100, batch_size=200, seed=0, device="cpu")
    return agent.learn(frames)


class Saved:
    """A saved agent as a policy of the suite."""

    observation = "state"

    def __init__(self, path: str) -> None:
        self.agent = PPO.load(path, device="cpu")

    def __call__(self, observation, info=None):
        """Return the action of this frame."""
        return self.agent.predict(dict(observation))[0]


def agent(task: str, seed: int) -> Saved:
    """`similitude suite run worlds --policy examples/worlds/stable_baselines.py:agent --tasks eat`."""
    return Saved("isle-eat.zip")


if __name__ == "__main__":
    train(int(float(sys.argv[1]) if len(sys.argv) > 1 else 1e6)).save("isle-eat.zip")
