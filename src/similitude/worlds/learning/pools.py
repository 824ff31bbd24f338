"""Worlds that training draws from: each is played several times, since making one costs as much as a whole episode."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np

from similitude.worlds.making import ImpossibleWorldError, make_world
from similitude.worlds.splits import WorldName, drawn_seed
from similitude.worlds.world import World

NEAR = 4
"""Places by which the world that is drawn may stand beside the difficulty that was drawn."""


class WorldPool:
    """Worlds of the training split by task, sorted by difficulty; the oldest make room for new ones.

    Args:
        tasks: Names of tasks.
        size: Worlds kept of each.
        fresh: Share of draws that make a new world once there are `size`.
        seed: Of the worlds.

    Example:
        >>> pool = WorldPool(["eat"], size=2)
        >>> random = np.random.default_rng(0)
        >>> worlds = [pool.draw("eat", 0.3, random) for _ in range(5)]
        >>> len({world.seed for world in worlds}) <= 5 and max(world.difficulty for world in worlds) <= 0.3
        True
    """

    def __init__(self, tasks: Sequence[str], *, size: int = 400, fresh: float = 0.1, seed: int = 0) -> None:
        self.size, self.fresh, self.seed = size, fresh, seed
        self._named: dict[str, list[WorldName]] = {task: [] for task in tasks}  # from old to new
        self._sorted: dict[str, list[WorldName]] = {task: [] for task in tasks}
        self._counts = dict.fromkeys(tasks, 0)
        self._made: dict[WorldName, World] = {}

    def draw(self, task: str, level: float, random: np.random.Generator) -> World:
        """Return a world whose difficulty is even from 0 to a level, nearly so where it is an old one."""
        difficulty = round(float(random.uniform(0.0, level)), 4)
        kept = self._sorted[task]
        if len(kept) < self.size or random.random() < self.fresh:
            return self._new(task, difficulty)
        place = bisect_left([name.difficulty for name in kept], difficulty) + int(
            random.integers(-NEAR, NEAR + 1)
        )
        name = kept[min(max(place, 0), len(kept) - 1)]
        return self.world(name) if name.difficulty <= level else self._new(task, difficulty)

    def world(self, name: WorldName) -> World:
        """Return a world by its name; it is made where it is not at hand."""
        if name not in self._made:
            self._made[name] = make_world(*name)
        return self._made[name]

    def state(self) -> dict[str, Any]:
        """Return plain data to keep: the names of the worlds."""
        return {
            "counts": dict(self._counts),
            "names": {task: [list(name) for name in names] for task, names in self._named.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what `state` gave; worlds are made again when they are drawn."""
        self._counts = dict(state["counts"])
        self._named = {task: [WorldName(*name) for name in names] for task, names in state["names"].items()}
        self._sorted = {task: sorted(names, key=_rank) for task, names in self._named.items()}
        self._made = {}

    def _new(self, task: str, difficulty: float) -> World:
        while True:
            name = WorldName(
                task, difficulty, drawn_seed("train", "pool", self.seed, task, self._counts[task])
            )
            self._counts[task] += 1
            try:
                world = self.world(name)
                break
            except ImpossibleWorldError:
                continue
        self._named[task].append(name)
        if len(self._named[task]) > self.size:
            self._made.pop(self._named[task].pop(0), None)
        self._sorted[task] = sorted(self._named[task], key=_rank)
        return world


def _rank(name: WorldName) -> tuple[float, int]:
    return name.difficulty, name.seed
