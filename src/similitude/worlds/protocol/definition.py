"""The protocol: which tasks are trained on and which are tested on; its version names the fixed test worlds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from similitude.core.errors import WorldError
from similitude.worlds.tasks.catalog import BASIC, COMPOSED, TASKS

NAME = "worlds"
"""Name of the suite."""
EVALUATION = "isle-eval-v1"
"""Version of the protocol: tasks, limits, splits and scores."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "easy": ("eat", "move"),
    "basic": BASIC,
    "compositional": COMPOSED,
    "all": TASKS,
}
"""Groups of tasks that are named in commands and reported apart."""

_HELD_OUT = (
    ("eat", "jump", "throw", "stack"),
    ("move", "descend", "hunt", "open"),
    ("climb", "fight", "push", "explore"),
    ("scramble", "avoid", "bridge", "carry"),
)


@dataclass(frozen=True)
class Generalization:
    """A question of generalization.

    Attributes:
        name: Its name.
        train: Tasks whose training worlds are learned on.
        test: Tasks whose test worlds are scored.
        question: What it asks.
    """

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    question: str


GENERALIZATIONS: Mapping[str, Generalization] = {
    one.name: one
    for one in (
        *(
            Generalization(f"within-{task}", (task,), (task,), f"other worlds of {task} than were trained on")
            for task in TASKS
        ),
        Generalization("within", BASIC, BASIC, "other worlds of the sixteen basic tasks"),
        *(
            Generalization(
                f"between-{fold}",
                tuple(task for task in BASIC if task not in held_out),
                held_out,
                f"basic tasks that were not trained on: {', '.join(held_out)}",
            )
            for fold, held_out in enumerate(_HELD_OUT, start=1)
        ),
        Generalization("compositional", BASIC, COMPOSED, "several obstacles of basic tasks in one world"),
    )
}
"""By name: within tasks, between tasks (four folds, each of which holds out four basic tasks), compositional."""


def tasks_of(names: str) -> tuple[str, ...]:
    """Return tasks by names separated by commas; a name may be that of a group.

    Raises:
        WorldError: A name is neither a task nor a group.

    Example:
        >>> tasks_of("easy,jump")
        ('eat', 'move', 'jump')
    """
    from similitude.worlds.tasks.catalog import checked_task

    found: dict[str, None] = {}
    for name in filter(None, map(str.strip, names.split(","))):
        for task in GROUPS.get(name) or (checked_task(name),):
            found[task] = None
    if not found:
        raise WorldError(f"no task is named. Name some, or a group: {', '.join(GROUPS)}.")
    return tuple(found)
