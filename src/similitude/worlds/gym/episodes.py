"""Which world is played in which episode: by seed, from a split, from a list, or as a function says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from functools import lru_cache
from typing import Any

import numpy as np

from similitude.core.errors import WorldError
from similitude.worlds.draws import Draws
from similitude.worlds.making import make_world
from similitude.worlds.splits import WorldName, checked_split, drawn_seed
from similitude.worlds.tasks.catalog import checked_task
from similitude.worlds.world import World, checked_name

Named = World | WorldName | int
"""A world, its name, or the seed of one of the environment's task and difficulty."""
Worlds = str | Sequence[Named] | Callable[[int, int], Named]
"""Where worlds come from; see `Episodes`."""


class Episodes:
    """Names the world of every episode; the same seeds always name the same.

    Args:
        task: Task of the worlds whose name does not say another.
        difficulty: Their difficulty, or the lowest and the highest, between which it is drawn evenly.
        worlds: None: the first episode after `reset(seed=s)` is the world of seed s, the next ones are drawn from the
            training split. A split's name: all are drawn from it. A sequence: environment i of E plays the items i, i+E,
            ..., over and over. A function of the number of the environment and of its episode: what it returns.

    Attributes:
        difficulty: May be set while environments run; worlds that are made already keep theirs.
    """

    def __init__(
        self,
        task: str,
        *,
        difficulty: float | tuple[float, float] = 0.0,
        worlds: Worlds | None = None,
    ) -> None:
        self.task = checked_task(task)
        self.difficulty = difficulty
        if isinstance(worlds, str):
            checked_split(worlds)
        elif worlds is not None and not callable(worlds):
            if not isinstance(worlds, (Sequence, np.ndarray)):
                raise WorldError(
                    f"`worlds` is a {type(worlds).__name__}. Give a split's name, a list of worlds or seeds, a function "
                    "of environment and episode, or None for fresh worlds."
                )
            if len(worlds) == 0:
                raise WorldError(
                    "`worlds` is empty. Give at least one world or seed, or None for fresh ones."
                )
        self.worlds = worlds

    @property
    def difficulty(self) -> float | tuple[float, float]:
        """Difficulty of worlds to come, or the lowest and the highest."""
        return self._difficulty

    @difficulty.setter
    def difficulty(self, value: float | tuple[float, float]) -> None:
        if isinstance(value, (tuple, list)):
            if len(value) != 2:
                raise WorldError(
                    f"a range of difficulties is its lowest and its highest, and here are {len(value)}: {value!r}."
                )
            low, high = (checked_name(end, 0)[0] for end in value)
            if low > high:
                raise WorldError(
                    f"a range of difficulties goes upward, and {value!r} does not. Swap its ends."
                )
            self._difficulty: float | tuple[float, float] = (low, high)
        else:
            self._difficulty = checked_name(value, 0)[0]

    def at(self, seed: int, number: int, *, place: int = 0, places: int = 1) -> World | WorldName:
        """Return the world of an episode, or its name.

        Args:
            seed: What the environment was last reset with.
            number: How many episodes came since.
            place: Number of the environment.
            places: Number of environments.

        Raises:
            WorldError: What a list or function gives is no world, name or seed.
        """
        if isinstance(self.worlds, str):
            split = checked_split(self.worlds)
            named: Any = drawn_seed(split, "episode", seed, number)
        elif self.worlds is None:
            named = seed if number == 0 else drawn_seed("train", "episode", seed, number)
        elif callable(self.worlds):
            named = self.worlds(place, number)
        else:
            named = self.worlds[(place + number * places) % len(self.worlds)]
        return self.named(named, seed, number)

    def draws(self, number: int) -> bool:
        """Whether the seed of an episode's world is drawn, so that another would do as well."""
        return isinstance(self.worlds, str) or (self.worlds is None and number > 0)

    def named(self, world: Any, seed: int, number: int) -> World | WorldName:
        """Return what a user gave as a world or as a name.

        Raises:
            WorldError: It is neither, nor a seed.
        """
        if isinstance(world, World):
            return world
        if isinstance(world, tuple):
            if len(world) != 3:
                raise WorldError(f"a world's name is task, difficulty and seed, and this is {world!r}.")
            task, difficulty, own = world
            return WorldName(checked_task(task), *checked_name(difficulty, own))
        level = self.difficulty
        if isinstance(level, tuple):
            level = Draws("difficulty", seed, number).uniform(*level)
            level = round(level, 4)  # readable in tables
        return WorldName(self.task, *checked_name(level, world))


def made(world: World | WorldName) -> World:
    """Return the world that is named."""
    return world if isinstance(world, World) else _made(world)


@lru_cache(maxsize=64)
def _made(name: WorldName) -> World:
    """Make a world, of those that are played over and over only once."""
    return make_world(*name)


def asked_for(world: World | WorldName, executor: Executor | None) -> Future[World]:
    """Begin making a world; without an executor it is there at once."""
    if executor is not None and not isinstance(world, World):
        return executor.submit(made, world)
    future: Future[World] = Future()
    future.set_result(made(world))
    return future
