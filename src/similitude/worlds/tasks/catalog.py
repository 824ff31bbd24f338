"""The twenty tasks by name, with their builders and the size of their maps."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from similitude.core.errors import WorldError

if TYPE_CHECKING:
    from similitude.worlds.budget import Budget
    from similitude.worlds.tasks.site import Site

BASIC = (
    *("eat", "move", "jump", "climb", "descend", "scramble", "stack", "bridge"),
    *("push", "throw", "hunt", "fight", "avoid", "explore", "open", "carry"),
)
COMPOSED = ("navigate", "find", "gather", "survive")
TASKS = (*BASIC, *COMPOSED)
"""Names of the tasks; each is built by `tasks/<name>.py`."""


def checked_task(task: str) -> str:
    """Return the name of a task.

    Raises:
        WorldError: There is no such task.
    """
    if task not in TASKS:
        from difflib import get_close_matches

        near = get_close_matches(str(task).lower(), TASKS, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise WorldError(f"there is no task {task!r}. {hint}The {len(TASKS)} tasks are {', '.join(TASKS)}.")
    return task


def builder(task: str) -> Callable[[Site, Budget], None]:
    """Return the function that builds worlds of a task."""
    return importlib.import_module(f"similitude.worlds.tasks.{checked_task(task)}").build
