"""Seeds of worlds in three ranges that nothing crosses: for training, for validation, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from similitude.core.errors import WorldError
from similitude.worlds.draws import Draws
from similitude.worlds.tasks.catalog import TASKS, checked_task
from similitude.worlds.world import checked_name

Split = Literal["train", "validation", "test"]

SEEDS: dict[Split, range] = {
    "train": range(2**40),
    "validation": range(2**40, 2**41),
    "test": range(2**41, 2**42),
}
"""Which seeds belong to which split; all others belong to none."""

PER_TASK = 50
"""Worlds of a task in a split's fixed list."""
HARDEST = 10
"""How many of them are at difficulty 1; the others are spread evenly below."""


class WorldName(NamedTuple):
    """What names a world.

    Attributes:
        task: Name of the task.
        difficulty: In [0, 1].
        seed: Whole number.
    """

    task: str
    difficulty: float
    seed: int


def checked_split(split: str) -> Split:
    """Return the name of a split.

    Raises:
        WorldError: There is none of that name.
    """
    if split not in SEEDS:
        raise WorldError(f"there is no split {split!r}. There are: {', '.join(SEEDS)}.")
    return split


def split_of(seed: int) -> Split | None:
    """Return the split that a seed belongs to.

    Example:
        >>> split_of(7), split_of(2**41), split_of(2**50)
        ('train', 'test', None)
    """
    return next((split for split, seeds in SEEDS.items() if seed in seeds), None)


def drawn_seed(split: Split, *name: object) -> int:
    """Return a seed of a split, drawn evenly by a stream of this name.

    Example:
        >>> drawn_seed("train", "run", 3) == drawn_seed("train", "run", 3)
        True
    """
    seeds = SEEDS[split]
    return Draws("seed", split, *name).integer(seeds.start, seeds.stop - 1)


def fixed_worlds(
    split: str = "test",
    *,
    tasks: Iterable[str] = TASKS,
    count: int = PER_TASK,
    difficulties: Iterable[float] | None = None,
) -> tuple[WorldName, ...]:
    """Return a split's fixed worlds: 50 of every task, 40 spread evenly over difficulties and 10 at difficulty 1.

    Args:
        split: "train", "validation" or "test"; the 1,000 of "test" are isle-eval-v1.
        tasks: Names of tasks.
        count: Worlds of every task; fewer than 50 are taken evenly from the list.
        difficulties: Take `count` worlds of every task at each of these instead, with other seeds of the split.

    Raises:
        WorldError: There is no such split, task, difficulty or number of worlds.

    Example:
        >>> worlds = fixed_worlds("test")
        >>> len(worlds), worlds[1].difficulty, sum(world.difficulty == 1.0 for world in worlds)
        (1000, 0.025, 200)
    """
    first = SEEDS[checked_split(split)].start
    tasks = [checked_task(task) for task in dict.fromkeys(tasks)]
    if count < 1 or not tasks:
        raise WorldError(
            f"{count} worlds of {len(tasks)} tasks are none. Ask for at least one world of one task."
        )
    if difficulties is not None:
        levels = list(dict.fromkeys(checked_name(level, 0)[0] for level in difficulties))
        seeds = range(first + 1000, first + 1000 + count)
        return tuple(WorldName(task, level, seed) for task in tasks for level in levels for seed in seeds)
    if count > PER_TASK:
        raise WorldError(
            f"{count} worlds of every task are asked for, and the list has {PER_TASK}. Ask for fewer, or name "
            "difficulties, at each of which there are as many as you like."
        )
    easier = PER_TASK - HARDEST
    levels = [i / easier for i in range(easier)] + [1.0] * HARDEST
    # Every part of the list holds both ends: the first world is the easiest, the last one of the hardest.
    places = [round(i * (PER_TASK - 1) / max(count - 1, 1)) for i in range(count)]
    return tuple(WorldName(task, levels[i], first + i) for task in tasks for i in places)
