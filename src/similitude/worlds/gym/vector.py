"""The Gymnasium vector environment of a task: thousands of agents, each in a world of its own, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from similitude.core.errors import WorldError
from similitude.worlds.gym.environment import FRAMES_PER_SECOND, checked_render_mode, checked_seed
from similitude.worlds.gym.episodes import Episodes, Worlds
from similitude.worlds.gym.observing import Observation, observe, one_of
from similitude.worlds.gym.runner import HasRunner, Runner
from similitude.worlds.gym.spaces import (
    ActionKind,
    ObservationKind,
    action_array,
    action_space,
    batched,
    checked_resolution,
    observation_space,
)

Stepped = tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


class IsleVectorEnv(HasRunner, VectorEnv[Any, Any, np.ndarray]):
    """Many environments of a task at once; `gymnasium.make_vec("similitude/Isle-eat-v1", num_envs=16)` makes it.

    Environment i plays the same worlds as an `IsleEnv` that was reset with seed s + i.

    Args:
        task: Name of the task.
        num_envs: Number of environments.
        difficulty: In [0, 1], or the lowest and the highest, between which each world's is drawn.
        render_mode: "rgb_array", or None.
        observation: "full", "flat" or "state"; see `IsleEnv`.
        actions: "headset" or "flat".
        resolution: Rows and columns of the images.
        worlds: Where worlds come from; see `episodes.Episodes`. A function is called one episode ahead.
        training: Limits, rewards and worlds of training instead of evaluation.
        backend: "numba", "warp" or "plain".
        threads: Threads that step and draw.
        makers: Processes that make the next worlds while episodes run; 0 for a thread of this process.
        autoreset_mode: "NextStep" (the step after an end resets, and its action is not used), "SameStep" (the last
            observation is in `infos["final_obs"]`) or "Disabled" (reset with `options={"reset_mask": ended}`).

    Raises:
        WorldError: An argument is not valid.

    Example:
        >>> envs = IsleVectorEnv("eat", num_envs=2, observation="state", actions="flat")
        >>> observations, infos = envs.reset(seed=7)
        >>> infos["seed"].tolist()
        [7, 8]
        >>> envs.close()
    """

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        *,
        difficulty: float | tuple[float, float] = 0.0,
        render_mode: str | None = None,
        observation: ObservationKind = "full",
        actions: ActionKind = "headset",
        resolution: tuple[int, int] = (96, 96),
        worlds: Worlds | None = None,
        training: bool = False,
        backend: str = "numba",
        threads: int = 1,
        makers: int = 0,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        if isinstance(num_envs, bool) or not isinstance(num_envs, (int, np.integer)) or num_envs < 1:
            raise WorldError(f"{num_envs!r} environments cannot be made. Give num_envs=1 or more.")
        self.num_envs = int(num_envs)
        self.render_mode = checked_render_mode(render_mode)
        self._mode = _mode(autoreset_mode)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": FRAMES_PER_SECOND,
            "autoreset_mode": self._mode,
        }
        self.single_observation_space = observation_space(observation, resolution)
        self.single_action_space = action_space(actions)
        self.observation_space = batched(self.single_observation_space, self.num_envs)
        self.action_space = batched(self.single_action_space, self.num_envs)
        self._kind: ObservationKind = observation
        threads, makers = _whole(threads, 1, "threads"), _whole(makers, 0, "makers")
        self._makers: Executor = (
            ProcessPoolExecutor(makers, mp_context=get_context("spawn"))
            if makers > 0
            else ThreadPoolExecutor(1, thread_name_prefix="similitude-worlds")
        )
        self._runner = Runner(
            self.num_envs,
            Episodes(task, difficulty=difficulty, worlds=worlds),
            resolution=checked_resolution(resolution),
            training=training,
            backend=backend,
            threads=threads,
            executor=self._makers,
        )
        self._ended = np.zeros(self.num_envs, dtype=bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every environment.

        Args:
            seed: s for the seeds s, s+1, ..., or one for every environment.
            options: As of `IsleEnv.reset`, for all environments; "reset_mask", bool (num_envs,): which are reset.

        Raises:
            WorldError: A seed or an option is not valid.
        """
        if self.closed:
            raise WorldError("these environments are closed. Make them anew.")
        options = dict(options or {})
        mask = self._reset_mask(options.pop("reset_mask", None))
        seeds = self._reset_seeds(seed)
        super().reset(seed=seeds[0])
        places = np.flatnonzero(mask).tolist()
        for e in places:  # all are asked for before the first is waited for
            own = seeds[e]
            if own is None and not self._runner.seeded(e):
                own = int(self.np_random.integers(2**40))
            if own is not None:
                self._runner.seed(e, own)
        infos: dict[str, Any] = {}
        for e in places:
            infos = self._add_info(infos, self._runner.begin(e, options=options), e)
        self._ended[mask] = False
        return observe(self._runner.simulation, self._kind), infos

    def step(self, actions: Any) -> Stepped:
        """Act for one frame of 0.1 s in every environment.

        Args:
            actions: As in `action_space`; an array (num_envs, 21) is always taken too.

        Raises:
            WorldError: Actions have another form, are not finite or not within their bounds, or there was no reset.
        """
        if self.closed:
            raise WorldError("these environments are closed. Make them anew.")
        if any(world is None for world in self.simulation.worlds):
            raise WorldError("there are no episodes yet. Call reset() before step().")
        if self._mode is AutoresetMode.DISABLED and self._ended.any():
            raise WorldError(
                f"environments {np.flatnonzero(self._ended).tolist()} have ended. Begin them anew with "
                'reset(options={"reset_mask": terminations | truncations}).'
            )
        array = action_array(actions, self.num_envs)
        resting = self._ended
        if resting.any():
            array = np.where(resting[:, None], 0.0, array)  # environments that are reset use no action
        rewards, terminated, truncated = self._runner.step(array)
        for outcome in (rewards, terminated, truncated):
            outcome[resting] = 0
        ended = terminated | truncated
        infos: dict[str, Any] = {}
        for e in np.flatnonzero(resting).tolist():
            infos = self._add_info(infos, self._runner.begin(e), e)
        if self._mode is AutoresetMode.SAME_STEP and ended.any():
            last = observe(self._runner.simulation, self._kind)
            for e in np.flatnonzero(ended).tolist():
                final = {"final_obs": one_of(last, e), "final_info": self._runner.outcome(e)}
                infos = self._add_info(infos, final, e)
                infos = self._add_info(infos, self._runner.begin(e), e)
            self._ended = np.zeros_like(ended)
        else:
            for e in np.flatnonzero(ended).tolist():
                infos = self._add_info(infos, self._runner.outcome(e), e)
            self._ended = ended.copy()
        return observe(self._runner.simulation, self._kind), rewards, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return what each agent sees, red, green and blue, uint8 (rows, columns, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(image[..., :3].copy() for image in self._runner.simulation.view())

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the makers of worlds."""
        self._makers.shutdown(wait=False, cancel_futures=True)

    def _reset_mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, dtype=bool)
        array = np.asarray(mask)
        if array.shape != (self.num_envs,) or array.dtype != bool or not array.any():
            raise WorldError(
                f"'reset_mask' is {mask!r:.60}, but one truth value for each of {self.num_envs} environments is "
                "expected, at least one of them true."
            )
        return array

    def _reset_seeds(self, seed: Any) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (list, tuple, np.ndarray)):
            if len(seed) != self.num_envs:
                raise WorldError(
                    f"there are {len(seed)} seeds for {self.num_envs} environments. Give one for each, or one number."
                )
            return [checked_seed(one) for one in seed]
        first = checked_seed(seed)
        return [None if first is None else first + i for i in range(self.num_envs)]


def _whole(number: Any, least: int, name: str) -> int:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise WorldError(f"{name}={number!r} is not a whole number of {least} or more.")
    return int(number)


def _mode(given: str | AutoresetMode) -> AutoresetMode:
    for mode in AutoresetMode:
        if given is mode or str(given).lower().replace("_", "") == mode.value.lower():
            return mode
    raise WorldError(
        f"there is no autoreset mode {given!r}. There are: {', '.join(mode.value for mode in AutoresetMode)}."
    )
