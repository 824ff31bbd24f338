"""Isle in TorchRL: `pip install torchrl`, then `python examples/worlds/torchrl_env.py`."""

import gymnasium
from torchrl.envs import GymWrapper

import similitude.worlds  # noqa: F401  # registers the environments


def environment(task: str = "eat") -> GymWrapper:
    """Return a TorchRL environment; what is called `state` here is called `observation` there."""
    return GymWrapper(
        gymnasium.make(
            f"similitude/Isle-{task}-v1",
            observation="state",
            actions="flat",
            training=True,
            difficulty=(0.0, 0.3),
        )
    )


if __name__ == "__main__":
    episode = environment().rollout(50)
    print(episode["observation"].shape, episode["action"].shape, episode["next", "reward"].sum().item())
