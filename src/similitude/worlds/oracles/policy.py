"""Policies that need no learning: the oracle, which knows the world and its solution, and chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.engine import columns as c
from similitude.worlds.oracles.avatar import Avatar
from similitude.worlds.oracles.deeds import carry_out
from similitude.worlds.oracles.fighting import on_guard

if TYPE_CHECKING:
    from collections.abc import Generator

    from similitude.worlds.simulation import Simulation
    from similitude.worlds.world import World


class _Play:
    """An episode that an oracle plays."""

    def __init__(self, simulation: Simulation, e: int) -> None:
        self.avatar = Avatar(simulation, e)
        self.world: World | None = simulation.worlds[e]
        self.frame = self.avatar.frame
        self.plan: Generator[list[float], None, bool] = on_guard(self.avatar, carry_out(self.avatar))


class OraclePolicy:
    """A policy that carries out the solution of every world, closed-loop, through the 21 numbers of an action.

    It reads the true state of the simulation that an observation comes from, so it is no baseline for learning: it shows
    that worlds can be solved, gives demonstrations, and marks the upper end of the normalised score.

    Args:
        task: Name of the task, for its own sake: oracles of all tasks are the same.

    Example:
        >>> from similitude.worlds import Simulation, make_world, oracle
        >>> simulation = Simulation(1, backend="plain")
        >>> simulation.load(0, make_world("eat", 0.0, 0))
        >>> oracle("eat").act_on(simulation, 0).shape
        (21,)
    """

    def __init__(self, task: str | None = None) -> None:
        self.task = task
        self._plays: dict[tuple[int, int], _Play] = {}

    def reset(self) -> None:
        """Forget what was begun; new episodes are noticed without it too."""
        self._plays.clear()

    def __call__(self, observation: Any, info: Any = None) -> np.ndarray:
        """Return the action for an observation of Isle's environments: 21 numbers, or (environments, 21) for many.

        Raises:
            WorldError: The observation does not say where it is from.
        """
        truth = getattr(observation, "truth", None)
        if truth is None:
            raise WorldError(
                "an oracle needs the true state, and this observation does not say where it is from: wrappers that copy "
                "observations lose `.truth`. Give the observation of the environment itself."
            )
        if truth.environment is not None:
            return self.act_on(truth.simulation, truth.environment)
        return np.stack([self.act_on(truth.simulation, e) for e in range(truth.simulation.num_envs)])

    def act_on(self, simulation: Simulation, e: int) -> np.ndarray:
        """Return the action of environment `e` of a simulation, 21 numbers in [-1, 1]."""
        key = (id(simulation), e)
        play = self._plays.get(key)
        frame = int(simulation.body[e, c.FRAME])
        if (
            play is None
            or play.avatar.simulation is not simulation
            or play.world is not simulation.worlds[e]
            or frame < play.frame
        ):
            if simulation.worlds[e] is None:
                raise WorldError(f"environment {e} has no world yet. Load one, or reset the environment.")
            play = self._plays[key] = _Play(simulation, e)
        play.frame = frame
        play.avatar.look()
        action = next(play.plan)
        return np.clip(np.array(action), -1.0, 1.0)


class RandomPolicy:
    """A policy of chance: translations and rotations are uniform, hands grasp and legs jump now and then.

    Args:
        seed: Of its random numbers.
        grasp: Probability that a hand is closed in a frame.
        jump: Probability of a jump in a frame.
    """

    def __init__(self, seed: int = 0, *, grasp: float = 0.5, jump: float = 0.1) -> None:
        self.seed, self.grasp, self.jump = seed, grasp, jump
        self.reset()

    def reset(self) -> None:
        """Begin with the first random number again."""
        self._random = np.random.default_rng(self.seed)

    def __call__(self, observation: Any = None, info: Any = None) -> np.ndarray:
        """Return an action; for an observation of many environments one for each."""
        truth = getattr(observation, "truth", None)
        if truth is not None and truth.environment is None:
            return np.stack([self.draw() for _ in range(truth.simulation.num_envs)])
        return self.draw()

    def act_on(self, simulation: Simulation, e: int) -> np.ndarray:
        """Return an action, whatever the state."""
        return self.draw()

    def draw(self) -> np.ndarray:
        """Return an action, 21 numbers in [-1, 1]."""
        action = self._random.uniform(-1.0, 1.0, 21)
        action[18:20] = self._random.random(2) < self.grasp
        action[20] = self._random.random() < self.jump
        return action


def oracle(task: str | None = None) -> OraclePolicy:
    """Return the oracle of a task; see `OraclePolicy`.

    Args:
        task: Name of the task; None: of any.

    Raises:
        WorldError: There is no such task.
    """
    from similitude.worlds.tasks.catalog import checked_task

    return OraclePolicy(None if task is None else checked_task(task))


def random_policy(seed: int = 0) -> RandomPolicy:
    """Return a policy of chance; see `RandomPolicy`."""
    return RandomPolicy(seed)
