"""A run on CLUES as a table for the terminal, beside what published systems score."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from similitude.fewshot.protocol import FewshotRun
from similitude.fewshot.publications import published
from similitude.fewshot.summary import aggregate_of


def cells_table(run: FewshotRun, floor: FewshotRun) -> Group:
    """Return a table of the scores by task and number of shots: mean and deviation over splits, intervals over splits and
    over texts of the test; beside them the constant learner, the best published one and people.

    Args:
        run: What `protocol.run` returned.
        floor: What it returned of the constant learner.
    """
    constants = {(cell.task, cell.shots): f"{cell.fair.mean:.1f}" for cell in floor.cells}
    table = Table(box=None, padding=(0, 1, 0, 0), title=run.learner, title_justify="left")
    table.add_column("task", no_wrap=True)
    for column in ("shots", "fair", "95 % splits", "95 % texts", "strict", "constant", "published", "people"):
        table.add_column(column, justify="right", no_wrap=True)
    for cell in run.cells:
        fair = cell.fair
        table.add_row(
            cell.task,
            str(cell.shots),
            f"{fair.mean:.1f} ± {fair.deviation:.1f}",
            _interval(fair.over_splits.interval),
            _interval(fair.over_items.interval),
            f"{cell.strict.mean:.1f}",
            constants.get((cell.task, cell.shots), "–"),
            *_known(cell.task, cell.shots),
        )
    lines = []
    for shots in dict.fromkeys(cell.shots for cell in run.cells):
        found = aggregate_of(run.cells, shots)
        if found is not None:
            strict = aggregate_of(run.cells, shots, "strict")
            lines.append(Text(f"mean of the six tasks at {shots} shots: {found} fair, {strict} strict"))
    if run.failures:
        lines.append(Text(f"without a score: {len(run.failures)} of {len(run.rows)} splits"))
    return Group(table, *lines)


def _interval(interval: tuple[float, float] | None) -> str:
    return "–" if interval is None else f"[{interval[0]:.1f}, {interval[1]:.1f}]"


def _known(task: str, shots: int) -> tuple[str, str]:
    rows = [row for row in published() if row.params["shots"] == shots and task in row.scores]
    best = max((row.scores[task] for row in rows if row.kind == "published"), default=None)
    people = max((row.scores[task] for row in rows if row.kind == "human"), default=None)
    return _score(best), _score(people)


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.1f}"
