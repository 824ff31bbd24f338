"""Results of a suite as tables: every subject on every task with intervals, beside the anchors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import Estimate, bootstrapped, by_task, mean_of
from similitude.evaluation.anchors import FLOORS, Anchor
from similitude.evaluation.rows import Row, Setting

Group = tuple[tuple[str, Setting], ...]
"""Parameters that are reported apart, with their values: (("shots", 30),)."""


@dataclass(frozen=True)
class Line:
    """One subject, or one anchor, in one group.

    Attributes:
        subject: Its name; of one of a family, with its size and parametrization.
        kind: "measured", or the kind of the anchor.
        tasks: Its mean by task.
        overall: Mean over tasks of the means; None where a task of the table is missing.
        failures: Rows without a score, which are in no mean.
        source: Where an anchor is from.
    """

    subject: str
    kind: str
    tasks: Mapping[str, Estimate]
    overall: Estimate | None
    failures: int = 0
    source: str = "measured"


@dataclass(frozen=True)
class GroupTable:
    """All subjects and anchors of one group, the best first.

    Attributes:
        group: What it is a table of.
        tasks: The tasks, in order.
        lines: Subjects and anchors.
    """

    group: Group
    tasks: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        """The group in words.

        Example:
            >>> GroupTable((("shots", 30),), (), ()).title
            'shots 30'
        """
        return ", ".join(f"{name} {value}" for name, value in self.group) or "all"

    @property
    def has_floor(self) -> bool:
        """Whether a constant or random subject is shown, without which no score means anything."""
        return any(line.kind in FLOORS or line.subject in FLOORS for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "group": dict(self.group),
            "tasks": list(self.tasks),
            "lines": [
                {
                    "subject": line.subject,
                    "kind": line.kind,
                    "tasks": {task: estimate.to_dict() for task, estimate in line.tasks.items()},
                    "overall": None if line.overall is None else line.overall.to_dict(),
                    "failures": line.failures,
                    "source": line.source,
                }
                for line in self.lines
            ],
        }


def group_tables(
    rows: Iterable[Row], anchors: Iterable[Anchor] = (), *, groups: Sequence[str] = ()
) -> list[GroupTable]:
    """Arrange rows of one suite and version into a table per group.

    Means of tasks have t-intervals over rows (splits, seeds, worlds); the overall mean, in which every task has the same
    weight, has a bootstrap interval stratified by task.

    Args:
        rows: The rows.
        anchors: What to show beside them: of each table those whose parameters do not contradict the group.
        groups: Parameters that are reported apart.

    Raises:
        EvaluationError: There are no rows, or they are of several suites or versions.

    Example:
        >>> rows = [Row("s", "a", "probe", 60.0 + i, {"shots": 10, "split": i}) for i in (1, 2)]
        >>> (table,) = group_tables(rows, groups=("shots",))
        >>> table.title, table.lines[0].tasks["a"].value
        ('shots 10', 61.5)
    """
    rows = list(rows)
    kinds = sorted({(row.suite, row.version) for row in rows})
    if len(kinds) != 1:
        raise EvaluationError(
            f"a table takes the rows of one suite in one version, and these are of {kinds or 'none'}. "
            "Report on them one by one."
        )
    tasks = tuple(dict.fromkeys(row.task for row in rows))
    found: dict[Group, dict[str, list[Row]]] = {}
    for row in rows:
        group = tuple((name, row.params[name]) for name in groups if name in row.params)
        found.setdefault(group, {}).setdefault(subject_of(row), []).append(row)
    anchors = list(anchors)
    return [
        GroupTable(group, tasks, _ordered([*_measured(subjects, tasks), *_known(anchors, group, tasks)]))
        for group, subjects in sorted(found.items(), key=str)
    ]


def subject_of(row: Row) -> str:
    """Return the name of a row's subject in tables: of one of a family, with its size and parametrization.

    Example:
        >>> subject_of(Row("s", "a", "encoder", 1.0, width=64, rule="mup"))
        'encoder, mup, width 64'
    """
    sizes = [f"{name} {value}" for name, value in (("width", row.width), ("depth", row.depth)) if value]
    return ", ".join([row.subject, *([row.rule] if row.rule else []), *sizes])


def _measured(subjects: Mapping[str, list[Row]], tasks: Sequence[str]) -> list[Line]:
    lines = []
    for subject, rows in subjects.items():
        scores = by_task(rows)
        means = {task: mean_of(scores[task]) for task in tasks if task in scores}
        overall = _overall(scores) if len(means) == len(tasks) else None
        lines.append(Line(subject, "measured", means, overall, sum(row.failed for row in rows)))
    return lines


def _overall(scores: Mapping[str, list[float]]) -> Estimate:
    counts = {len(values) for values in scores.values()}
    if len(counts) == 1:
        return bootstrapped(scores)
    means = {task: [sum(values) / len(values)] for task, values in scores.items()}
    return bootstrapped(means)  # of unequal counts the mean over tasks has no interval by plain resampling


def _known(anchors: Sequence[Anchor], group: Group, tasks: Sequence[str]) -> list[Line]:
    lines = []
    for anchor in anchors:
        if any(anchor.params.get(name, value) != value for name, value in group):
            continue
        known = {task: anchor.scores[task] for task in tasks if task in anchor.scores}
        if not known:
            continue
        means = {task: _published(value, anchor, task) for task, value in known.items()}
        complete = len(known) == len(tasks)
        mean = Estimate(
            sum(known.values()) / len(known), float("nan"), float("nan"), len(known), "as published"
        )
        lines.append(Line(anchor.name, anchor.kind, means, mean if complete else None, 0, anchor.source))
    return lines


def _published(value: float, anchor: Anchor, task: str) -> Estimate:
    deviation = anchor.deviations.get(task)
    method = "as published" if deviation is None else f"as published, +- {deviation:g} (standard deviation)"
    return Estimate(value, float("nan"), float("nan"), 1, method)


def _ordered(lines: list[Line]) -> tuple[Line, ...]:
    def rank(line: Line) -> tuple[float, float]:
        mean = sum(e.value for e in line.tasks.values()) / len(line.tasks) if line.tasks else 0.0
        return (0.0 if line.overall is not None else 1.0, -mean)

    return tuple(sorted(lines, key=rank))
