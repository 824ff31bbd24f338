"""The Gymnasium environment of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.gym.episodes import Episodes, Worlds
from similitude.worlds.gym.observing import Observation, observe, one_of
from similitude.worlds.gym.runner import HasRunner, Runner
from similitude.worlds.gym.spaces import (
    ActionKind,
    ObservationKind,
    action_array,
    action_space,
    checked_resolution,
    observation_space,
)
from similitude.worlds.world import checked_name

FRAMES_PER_SECOND = 10


class IsleEnv(HasRunner, gymnasium.Env[Any, Any]):
    """One agent in worlds of a task; `gymnasium.make("similitude/Isle-eat-v1")` makes it.

    `reset(seed=s)` puts it into the world of seed s; the worlds of later resets without a seed follow from s too. When an
    episode ends, `info` holds score, success, frames, task, difficulty and seed.

    Args:
        task: Name of the task.
        difficulty: In [0, 1], or the lowest and the highest, between which each world's is drawn.
        render_mode: "rgb_array", or None.
        observation: "full" (image and named vectors), "flat" (image and one vector) or "state" (no image; one vector and
            what only a simulator knows).
        actions: "headset" (a dictionary of 18 real numbers and 3 switches) or "flat" (21 numbers).
        resolution: Rows and columns of the image.
        worlds: Where worlds come from: None, a split's name, a sequence of worlds or seeds, or a function; see
            `episodes.Episodes`.
        training: Limits, rewards and worlds of training instead of evaluation.
        backend: "numba", "warp" or "plain".

    Raises:
        WorldError: An argument is not valid.

    Example:
        >>> env = IsleEnv("eat", observation="state")
        >>> observation, info = env.reset(seed=7)
        >>> info
        {'task': 'eat', 'difficulty': 0.0, 'seed': 7}
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": FRAMES_PER_SECOND}  # noqa: RUF012  # as Gymnasium has it

    def __init__(
        self,
        task: str,
        *,
        difficulty: float | tuple[float, float] = 0.0,
        render_mode: str | None = None,
        observation: ObservationKind = "full",
        actions: ActionKind = "headset",
        resolution: tuple[int, int] = (96, 96),
        worlds: Worlds | None = None,
        training: bool = False,
        backend: str = "numba",
    ) -> None:
        self.render_mode = checked_render_mode(render_mode)
        self.observation_space = observation_space(observation, resolution)
        self.action_space = action_space(actions)
        self._kind: ObservationKind = observation
        self._runner = Runner(
            1,
            Episodes(task, difficulty=difficulty, worlds=worlds),
            resolution=checked_resolution(resolution),
            training=training,
            backend=backend,
        )
        self._image: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Whole number: the world of this seed, and of the series of worlds that follow.
            options: "world": a world, (task, difficulty, seed), or a seed; "difficulty": that of this episode's world.

        Raises:
            WorldError: The seed or an option is not valid.
        """
        seed = checked_seed(seed)
        super().reset(seed=seed)
        if seed is None and not self._runner.seeded(0):
            seed = int(self.np_random.integers(2**40))
        if seed is not None:
            self._runner.seed(0, seed)
        info = self._runner.begin(0, options=options)
        return self._observed(), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act for one frame of 0.1 s.

        Args:
            action: As in `action_space`; 21 numbers are always taken too.

        Raises:
            WorldError: The action has another form, is not finite or not within its bounds, or there was no reset.
        """
        if self.simulation.worlds[0] is None:
            raise WorldError("there is no episode yet. Call reset() before step().")
        rewards, terminated, truncated = self._runner.step(action_array(action, 1))
        ended = bool(terminated[0] or truncated[0])
        info = self._runner.outcome(0) if ended else {}
        return self._observed(), float(rewards[0]), bool(terminated[0]), bool(truncated[0]), info

    def render(self) -> np.ndarray | None:
        """Return what the agent sees, red, green and blue, uint8 (rows, columns, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        image = self._runner.simulation.view()[0] if self._image is None else self._image
        return image[..., :3].copy()

    def _observed(self) -> Observation:
        found = one_of(observe(self._runner.simulation, self._kind), 0)
        self._image = found.get("rgbd")
        return found


def checked_render_mode(mode: str | None) -> str | None:
    """Return a render mode.

    Raises:
        WorldError: There is none of that name.
    """
    if mode not in (None, "rgb_array"):
        raise WorldError(
            f"there is no render mode {mode!r} here: worlds give pictures, render_mode='rgb_array', and open no window. "
            "gymnasium.make(..., render_mode='human') shows them in one, where pygame is installed."
        )
    return mode


def checked_seed(seed: Any) -> int | None:
    """Return the seed of a reset.

    Raises:
        WorldError: It is no whole number of 0 or more.
    """
    return None if seed is None else checked_name(0.0, seed)[1]
