"""Where an agent trains: many environments whose episodes follow each other, with a state that can be kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import AFTER_FOOD
from similitude.worlds.gym.effort import effort
from similitude.worlds.gym.observing import Observation, observe
from similitude.worlds.gym.spaces import ObservationKind
from similitude.worlds.learning.curriculum import Curriculum
from similitude.worlds.learning.pools import WorldPool
from similitude.worlds.simulation import Simulation
from similitude.worlds.splits import WorldName
from similitude.worlds.tasks.limits import frame_limit

MOVING = ("meta", "things", "body", "hands")
"""Arrays of a simulation that an episode changes, or that `load` cannot know."""


class Frame(NamedTuple):
    """What one frame of all environments brought.

    Attributes:
        rewards: Energy eaten minus damage and a trace of effort, (E,).
        terminated: Whether episodes ended by what happened, (E,).
        truncated: Whether they ended by their limit, (E,).
        episodes: (task, difficulty, success) of those that ended.
    """

    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    episodes: list[tuple[str, float, bool]]


class Field:
    """Environments that begin their next episode by themselves, in a world that a curriculum draws.

    It does what a vector environment with `training=True` does, without its spaces and checks, and its whole state can be
    kept and put back. Environment i plays task i modulo their number.

    Args:
        tasks: Names of tasks.
        envs: Number of environments.
        observation: Kind of observations.
        resolution: Rows and columns of images.
        curriculum: Levels of tasks.
        pool: Where worlds come from.
        seed: Of the draws of worlds.
        backend: Backend of the simulation.
        threads: Threads that step and draw.
    """

    def __init__(
        self,
        tasks: Sequence[str],
        envs: int,
        *,
        observation: ObservationKind = "state",
        resolution: tuple[int, int] = (48, 48),
        curriculum: Curriculum,
        pool: WorldPool,
        seed: int = 0,
        backend: str = "numba",
        threads: int = 1,
    ) -> None:
        self.tasks = tuple(tasks)
        self.kind: ObservationKind = observation
        self.curriculum, self.pool = curriculum, pool
        self.simulation = Simulation(
            envs, backend=backend, resolution=resolution, threads=threads, frame_price=0.0
        )
        self._random = np.random.default_rng(seed)
        self._begun = False

    def observe(self) -> Observation:
        """Return what all environments see; the first call begins their episodes."""
        if not self._begun:
            for e in range(self.simulation.num_envs):
                self._begin(e)
            self._begun = True
        return observe(self.simulation, self.kind)

    def step(self, actions: np.ndarray) -> Frame:
        """Act for one frame; environments whose episodes end are in their next world afterwards.

        Args:
            actions: (E, 21), clipped to [-1, 1] here.
        """
        simulation = self.simulation
        before = np.square(simulation.body[:, c.BVX : c.BVZ + 1]).sum(axis=1)
        simulation.step(np.clip(actions, -1.0, 1.0))
        body = simulation.body
        rewards = body[:, c.REWARD] - effort(body, before)[0]
        terminated = (body[:, c.HP] <= 0.0) | (body[:, c.SINCE] > AFTER_FOOD)
        truncated = simulation.finished() & ~terminated
        episodes = []
        for e in np.flatnonzero(terminated | truncated).tolist():
            world = simulation.worlds[e]
            assert world is not None, "episodes have begun"
            success = bool(body[e, c.FOOD_LEFT] == 0)
            self.curriculum.update(world.task, success)
            episodes.append((world.task, world.difficulty, success))
            self._begin(e)
        return Frame(rewards, terminated, truncated, episodes)

    def state(self) -> dict[str, Any]:
        """Return everything that the next frames depend on, as tensors and plain data."""
        simulation = self.simulation
        return {
            "levels": dict(self.curriculum.levels),
            "pool": self.pool.state(),
            "random": repr(self._random.bit_generator.state),
            "worlds": [[w.task, w.difficulty, w.seed] for w in simulation.worlds if w is not None],
            "arrays": {name: torch.from_numpy(getattr(simulation, name).copy()) for name in MOVING},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        from ast import literal_eval

        self.curriculum.restore(state["levels"])
        self.pool.restore(state["pool"])
        self._random.bit_generator.state = literal_eval(state["random"])
        for e, (task, difficulty, seed) in enumerate(state["worlds"]):
            self.simulation.load(e, self.pool.world(WorldName(task, difficulty, seed)))
        for name, kept in state["arrays"].items():
            array = getattr(self.simulation, name)
            # Worlds that have gone may have needed more room for things; what lies beyond those of today is unused.
            shared = tuple(slice(0, min(pair)) for pair in zip(array.shape, kept.shape, strict=True))
            array[shared] = kept.numpy()[shared]
        self._begun = bool(state["worlds"])

    def _begin(self, e: int) -> None:
        task = self.tasks[e % len(self.tasks)]
        world = self.pool.draw(task, self.curriculum.levels[task], self._random)
        self.simulation.load(e, world, limit=frame_limit(task, world.difficulty, training=True))
