"""Environments and their episodes over a simulation: loading worlds, stepping, ends and scores."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import AFTER_FOOD, FRAME_COST
from similitude.worlds.gym.effort import effort
from similitude.worlds.gym.episodes import Episodes, asked_for
from similitude.worlds.making import ImpossibleWorldError
from similitude.worlds.simulation import Simulation
from similitude.worlds.splits import WorldName, split_of
from similitude.worlds.tasks.limits import frame_limit
from similitude.worlds.world import World, checked_name

REDRAWS = 5
"""Impossible worlds in a row that a series of episodes passes over."""
OPTIONS = ("world", "difficulty")
"""Options of a reset."""


class Runner:
    """What single and vector environments have in common.

    Args:
        count: Number of environments.
        episodes: Which worlds are played.
        resolution: Rows and columns of images.
        training: Take the limits of training, no price of frames, a tiny cost of effort, and refuse worlds that are kept
            for validation and tests.
        backend: Backend of the simulation.
        threads: Threads of the simulation.
        executor: Where the next worlds are made while episodes run; None to make them when they are needed.

    Attributes:
        simulation: The simulation.
    """

    def __init__(
        self,
        count: int,
        episodes: Episodes,
        *,
        resolution: tuple[int, int],
        training: bool,
        backend: str,
        threads: int = 1,
        executor: Executor | None = None,
    ) -> None:
        self.episodes, self.training = episodes, training
        self.simulation = Simulation(
            count,
            backend=backend,
            resolution=resolution,
            threads=threads,
            frame_price=0.0 if training else FRAME_COST,
        )
        self._executor = executor
        self._seeds: list[int | None] = [None] * count
        self._numbers = [0] * count
        self._waiting: list[Future[World] | None] = [None] * count
        self._speed = np.zeros(count)

    def seeded(self, environment: int) -> bool:
        """Whether the environment has had a seed."""
        return self._seeds[environment] is not None

    def seed(self, environment: int, seed: int) -> None:
        """Begin a new series of episodes, whose first world is made ahead where there is an executor.

        Args:
            environment: Number of the environment.
            seed: Whole number of 0 or more.
        """
        e = environment
        self._seeds[e], self._numbers[e] = checked_name(0.0, seed)[1], -1
        self._waiting[e] = self._ahead(e)

    def begin(self, environment: int, *, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Begin the next episode of the present series.

        Args:
            environment: Number of the environment.
            options: "world": a world, its name or its seed; "difficulty": that of this episode's world.

        Returns:
            What `reset` tells: task, difficulty and seed of the world.

        Raises:
            WorldError: There was no seed, or an option or a world is not valid.
        """
        e = environment
        world = self._asked(e, options or {})  # what is refused leaves the series where it was
        self._numbers[e] += 1
        world = world or self._next(e)
        if self.training and split_of(world.seed) in ("validation", "test"):
            raise WorldError(
                f"the world {world.name} belongs to the split {split_of(world.seed)!r}, which training must not see. "
                "Take a seed below 2**40, or make the environment with training=False."
            )
        limit = frame_limit(world.task, world.difficulty, training=self.training)
        self.simulation.load(e, world, limit=limit)
        self._speed[e] = 0.0
        self._waiting[e] = self._ahead(e)
        return self.about(e)

    def about(self, environment: int) -> dict[str, Any]:
        """Return task, difficulty and seed of the world that an environment is in."""
        world = self.simulation.worlds[environment]
        assert world is not None, "`about` is called after `begin`"
        return {"task": world.task, "difficulty": world.difficulty, "seed": world.seed}

    def outcome(self, environment: int) -> dict[str, Any]:
        """Return what there is to say of an episode that has ended."""
        body = self.simulation.body[environment]
        return {
            **self.about(environment),
            "score": float(body[c.SCORE]),
            "success": bool(body[c.FOOD_LEFT] == 0),
            "frames": int(body[c.FRAME]),
        }

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Act for one frame.

        Args:
            actions: (environments, 21), in [-1, 1].

        Returns:
            Rewards, whether episodes ended by what happened, and whether by the limit of frames; each (environments,).

        Raises:
            WorldError: An action is not finite or not in [-1, 1].
        """
        self.simulation.step(actions)
        body = self.simulation.body
        rewards = body[:, c.REWARD].copy()
        if self.training:
            cost, self._speed = effort(body, self._speed)
            rewards -= cost
        terminated = (body[:, c.HP] <= 0.0) | (body[:, c.SINCE] > AFTER_FOOD)
        truncated = self.simulation.finished() & ~terminated
        return rewards, terminated, truncated

    def _asked(self, e: int, options: Mapping[str, Any]) -> World | None:
        """Return the world that the options of a reset ask for."""
        unknown = [name for name in options if name not in OPTIONS]
        if unknown:
            raise WorldError(
                f"reset has no option {unknown[0]!r}. Its options are {', '.join(OPTIONS)}, e.g. "
                'options={"difficulty": 0.5}.'
            )
        if not options:
            return None
        episodes = self.episodes
        if "difficulty" in options:
            episodes = Episodes(episodes.task, difficulty=options["difficulty"], worlds=episodes.worlds)
        seed, number = self._seed(e), self._numbers[e] + 1
        if "world" in options:
            return asked_for(episodes.named(options["world"], seed, number), None).result()
        places = len(self._seeds)
        return asked_for(episodes.at(seed, number, place=e, places=places), None).result()

    def _next(self, e: int) -> World:
        waiting, self._waiting[e] = self._waiting[e], None
        for _ in range(REDRAWS):
            try:
                return (waiting or asked_for(self._named(e, self._numbers[e]), None)).result()
            except ImpossibleWorldError:
                if not self.episodes.draws(self._numbers[e]):
                    raise
                self._numbers[e] += 1  # nobody asked for that very world: the series goes on with the next
                waiting = None
        return asked_for(self._named(e, self._numbers[e]), None).result()

    def _ahead(self, e: int) -> Future[World] | None:
        if self._executor is None:
            return None
        return asked_for(self._named(e, self._numbers[e] + 1), self._executor)

    def _named(self, e: int, number: int) -> World | WorldName:
        return self.episodes.at(self._seed(e), number, place=e, places=len(self._seeds))

    def _seed(self, e: int) -> int:
        seed = self._seeds[e]
        if seed is None:
            raise WorldError(f"environment {e} is in no world yet. Call reset() first.")
        return seed


class HasRunner:
    """What an environment and a vector of environments show of their runner."""

    _runner: Runner

    @property
    def simulation(self) -> Simulation:
        """The simulation."""
        return self._runner.simulation

    @property
    def difficulty(self) -> float | tuple[float, float]:
        """Difficulty of worlds to come; may be set. Worlds that are made already are still played."""
        return self._runner.episodes.difficulty

    @difficulty.setter
    def difficulty(self, value: float | tuple[float, float]) -> None:
        self._runner.episodes.difficulty = value
