"""What a trained agent is worth: its file plays test worlds beside chance, as any policy of the suite does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import Estimate, Paired, paired
from similitude.evaluation.rows import Row
from similitude.worlds.learning.watching import unseen_worlds
from similitude.worlds.protocol.playing import play
from similitude.worlds.protocol.saved_policies import scripted
from similitude.worlds.protocol.subjects import Subject, random_subject
from similitude.worlds.protocol.summary import success_share


@dataclass(frozen=True)
class TaskTest:
    """One task.

    Attributes:
        task: Its name.
        agent: Share of test worlds that the agent solved.
        chance: Share that the random policy solved, of the same worlds.
        gain: Scores of the agent less those of chance, world by world; None of fewer than two worlds.
    """

    task: str
    agent: Estimate
    chance: Estimate
    gain: Paired | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "task": self.task,
            "agent": self.agent.to_dict(),
            "chance": self.chance.to_dict(),
            "gain": None if self.gain is None else self.gain.to_dict(),
        }


def judge(
    policy: str | Path,
    tasks: Sequence[str],
    count: int,
    *,
    highest: float,
    name: str = "agent",
    seed: int = 0,
    out: str | Path | None = None,
    backend: str = "numba",
    on_done: Callable[[Row], None] = lambda row: None,
) -> tuple[tuple[TaskTest, ...], tuple[Row, ...]]:
    """Play test worlds with a saved policy and with chance.

    Args:
        policy: A TorchScript file.
        tasks: Names of tasks.
        count: Worlds of each, difficulties spread evenly.
        highest: Largest difficulty.
        name: Name of the agent in rows.
        seed: Of both policies.
        out: A folder for rows.
        backend: Backend of the simulation.
        on_done: Called with every row.

    Returns:
        Task by task, and all rows.

    Raises:
        EvaluationError: The folder holds rows of another policy under this name.
    """
    worlds = unseen_worlds(tasks, count, highest=highest, split="test")
    subjects = Subject(name, partial(scripted, path=str(policy)), Path(policy)), random_subject()
    rows = tuple(
        row
        for subject in subjects
        for row in play(
            subject,
            worlds,
            seed=seed,
            out=None if out is None else Path(out) / subject.name,
            backend=backend,
            on_done=on_done,
        ).rows
    )
    return tuple(_task(task, rows, name) for task in tasks), rows


def _task(task: str, rows: Sequence[Row], name: str) -> TaskTest:
    own = [row for row in rows if row.task == task]
    shares = [
        success_share([bool(row.success) for row in own if row.subject == who]) for who in (name, "random")
    ]
    try:
        gain = paired(own, name, "random")
    except EvaluationError:
        gain = None
    return TaskTest(task, shares[0], shares[1], gain)
