"""A tuning study as tables for the terminal: how it stands, and which configuration to use at which cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import hanging, plain_table
from similitude.report.numbers import interval, measured, quantity
from similitude.tuning.search.best import Best
from similitude.tuning.study.status import TrialLine, TuningStatus

_FAILURES = {
    "nan": "gave no number",
    "diverged": "diverged",
    "oom": "ran out of memory",
    "cap": "passed the cap of a trial",
}


def status_table(status: TuningStatus) -> RenderableType:
    """Show how a study stands: its trials, what is spent, what runs.

    Args:
        status: What `status_of` returned.
    """
    unit = f" {status.unit}" if status.unit else ""
    ended = [f"{status.finished} with a value"]
    ended += [f"{n} {_FAILURES.get(kind, kind)}" for kind, n in sorted(status.failures.items())]
    ended += [
        f"{n} {what}"
        for n, what in (
            (status.pruned, "pruned"),
            (status.lost, "lost to errors or crashes"),
            (len(status.running), "running"),
            (status.waiting, "waiting"),
        )
        if n
    ]
    spent = f"spent {measured(status.spent)}" + (
        f" of {measured(status.total)}" if status.total is not None else ""
    )
    cap = f"; a trial may cost {measured(status.per_trial)}{unit}" if status.per_trial is not None else ""
    parts: list[RenderableType] = [
        Text(f"Study {status.study}: {status.direction}", style="bold"),
        hanging("trials: " + ", ".join(ended)),
        hanging(spent + unit + cap),
    ]
    if status.best is not None:
        cost = "" if status.best.cost is None else f" at cost {measured(status.best.cost)}"
        parts.append(
            hanging(f"best as observed: {quantity(status.best.value)} in trial {status.best.number}{cost}")
        )
    if status.running:
        parts += [Text("Running", style="bold"), _lines(status.running)]
    return Group(*parts)


def front_table(front: Sequence[Best], *, unit: str = "") -> RenderableType:
    """Show which configuration is believed to be best at which cost.

    Args:
        front: What `best_front` returned, cheapest first.
        unit: In which costs are told.
    """
    names = list(dict.fromkeys(name for answer in front for name in answer.values))
    table = plain_table()
    for heading in (f"cost ({unit})" if unit else "cost", "value", "90 % interval", "trials", *names):
        table.add_column(heading, justify="right")
    for answer in front:
        table.add_row(
            measured(answer.cost),
            quantity(answer.value),
            interval((answer.low, answer.high)),
            str(answer.replicates),
            *(setting(answer.values[name]) if name in answer.values else "" for name in names),
        )
    return Group(
        Text("Best configurations by cost, as believed from all trials, not the luckiest ones", style="bold"),
        table,
    )


def setting(value: Any) -> str:
    """Write the value of a hyperparameter.

    Example:
        >>> setting(0.0031415926), setting(256), setting("gelu")
        ('0.003142', '256', 'gelu')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _lines(lines: Sequence[TrialLine]) -> Table:
    table = plain_table()
    for heading in ("trial", "last value", "cost so far", ""):
        table.add_column(heading)
    for line in lines:
        table.add_row(
            str(line.number), measured_or_blank(line.value), measured_or_blank(line.cost), line.note
        )
    return table


def measured_or_blank(value: float | None) -> str:
    """Write a measured value; nothing where there is none."""
    return "" if value is None else measured(value)
