"""A wrapper that turns actions of 21 numbers into those with a headset's parts, for libraries that want one box."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from similitude.worlds.gym.spaces import REALS, action_space


class FlatActions(gymnasium.ActionWrapper):
    """An environment whose actions are 21 numbers in [-1, 1]; the last three are switches, on above 0.5.

    `IsleEnv(..., actions="flat")` has them by itself; this is for environments that are made already.

    Args:
        env: An environment with headset actions.

    Example:
        >>> from similitude.worlds.gym.environment import IsleEnv
        >>> FlatActions(IsleEnv("eat", observation="state")).action_space.shape
        (21,)
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.action_space = action_space("flat")

    def action(self, action: Any) -> dict[str, np.ndarray]:
        """Return the action with its parts."""
        numbers = np.asarray(action, dtype=np.float32)
        return {"real": numbers[:REALS], "discrete": (numbers[REALS:] > 0.5).astype(np.int8)}
