"""How hard the next world is: difficulty rises with every success and falls with every failure, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from similitude.core.errors import WorldError


class Curriculum:
    """Levels of tasks; worlds are drawn evenly from difficulty 0 to a task's level.

    Args:
        tasks: Names of tasks.
        start: Where levels begin.
        highest: Where they end.
        step: What a success adds to a task's level and a failure takes from it; 0 leaves levels where they are.

    Raises:
        WorldError: Levels are not in order within [0, 1], or the step is negative.

    Example:
        >>> curriculum = Curriculum(["eat"], step=0.1, highest=0.25)
        >>> for solved in (True, True, True, False):
        ...     curriculum.update("eat", solved)
        >>> curriculum.levels
        {'eat': 0.15}
    """

    def __init__(
        self, tasks: Sequence[str], *, start: float = 0.0, highest: float = 1.0, step: float = 3e-3
    ) -> None:
        if not (0.0 <= start <= highest <= 1.0 and step >= 0.0):
            raise WorldError(
                f"a curriculum from {start:g} to {highest:g} in steps of {step:g} cannot be: give 0 <= start <= highest "
                "<= 1, and a step of 0 or more."
            )
        self.start, self.highest, self.step = start, highest, step
        self.levels = dict.fromkeys(tasks, start)

    def update(self, task: str, success: bool) -> None:
        """Take note of an episode that ended; `success` is whether all food was eaten."""
        moved = self.levels[task] + (self.step if success else -self.step)
        self.levels[task] = round(min(max(moved, 0.0), self.highest), 9)

    def restore(self, levels: Mapping[str, float]) -> None:
        """Put levels back that were kept."""
        self.levels = {task: float(levels[task]) for task in self.levels}
