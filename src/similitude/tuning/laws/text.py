"""Scaling laws as tables for the terminal: exponents by estimator, the frontier, the split, predictions, verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from similitude.core.errors import TuningError
from similitude.core.verdict import Verdict
from similitude.tuning.laws.records import Exponent, Prediction

if TYPE_CHECKING:
    from similitude.tuning.laws.laws import ScalingLaws

AHEAD = (1, 10, 100)
"""Multiples of the dearest cost that tables predict."""


def exponent_text(exponent: Exponent | None) -> str:
    """Write an exponent with its interval.

    Example:
        >>> exponent_text(Exponent(0.4516, 0.44, 0.46)), exponent_text(Exponent(math.nan, -math.inf, math.inf))
        ('+0.452 [+0.440, +0.460]', 'not identified')
    """
    if exponent is None:
        return ""
    if not math.isfinite(exponent.value) or not math.isfinite(exponent.width):
        return "not identified"
    return f"{exponent.value:+.3f} [{exponent.low:+.3f}, {exponent.high:+.3f}]"


def value_text(prediction: Prediction, name: str) -> str:
    """Write one value of a predicted configuration with its interval."""
    value = prediction.values.get(name, "")
    shown = f"{value:.4g}" if isinstance(value, float) else f"{value}"
    ends = prediction.intervals.get(name)
    return shown if ends is None else f"{shown} [{ends[0]:.3g}, {ends[1]:.3g}]"


def predictions(laws: ScalingLaws) -> list[Prediction]:
    """Return the predictions that tables show: at the dearest cost, ten and a hundred times as much."""
    dearest = float(laws.history.costs.max())
    return [laws.predict(cost=dearest * times) for times in AHEAD]


def frontier_text(laws: ScalingLaws) -> str:
    """Write the law of the frontier, and whether its limit is known."""
    frontier = laws.frontier
    known = "" if frontier.identified else "; E is not identified: more decades of cost would tell it"
    kind = "L" if frontier.minimize else "value"
    return f"{kind}(C) = {frontier}{known}"


def split_text(laws: ScalingLaws) -> str:
    """Write how the compute is split; empty where no dimension has the role `scale`."""
    split = laws.split
    if not split.exponents:
        return ""
    parts = ", ".join(
        f"{name} ~ C^{e.value:.3f}" if e.identified else f"{name} is not identified"
        for name, e in split.exponents.items()
    )
    cost = " x ".join(f"{name}^{power:.2f}" for name, power in split.cost_powers.items())
    total = f"{split.total.value:.2f} in all (1 where all cost is accounted for)"
    return f"{parts}; the cost goes as {cost}, which makes {total}"


@dataclass(frozen=True)
class Backtested:
    """The outcome of a backtest in words.

    Attributes:
        verdict: Its verdict; None where there is none.
        words: What was found, or why there is none.
    """

    verdict: Verdict | None
    words: str


def backtested(laws: ScalingLaws) -> Backtested:
    """Run the backtest, and write its outcome, or why there is none."""
    try:
        verdict = laws.backtest().verdict
    except TuningError as error:
        return Backtested(None, f"none: {str(error).rstrip('.')}")
    return Backtested(verdict, verdict.summary)


def transfer_line(name: str, verdict: Verdict) -> str:
    """Write a verdict of transfer in one line."""
    return f"{name} {_word(verdict)}: {verdict.summary}"


def _word(verdict: Verdict) -> str:
    return str(verdict.outcome).replace("_", " ")


def laws_table(laws: ScalingLaws) -> RenderableType:
    """Show the laws as tables.

    Args:
        laws: The laws.

    Returns:
        A rich renderable for `Console.print`.
    """

    def plain() -> Table:
        return Table(box=None, padding=(0, 1, 0, 0))

    def line(text: str) -> RenderableType:
        return Padding(Text(text), (0, 0, 0, 2), expand=False)

    costs = laws.history.costs
    found = predictions(laws)
    parts: list[RenderableType] = [
        Text(
            f"Scaling laws of {len(costs)} trials, costs {costs.min():.3g} to {costs.max():.3g}", style="bold"
        ),
        line(f"Believe the {laws.estimator} estimator: {laws.reason}."),
        Text(""),
        Text("Slopes against the cost along the frontier, with 90 % intervals", style="bold"),
    ]
    by = laws.by_estimator
    table = plain()
    table.add_column("dimension")
    table.add_column("role")
    for which in by:
        table.add_column(which + ("*" if which == laws.estimator else ""), justify="right", overflow="fold")
    table.add_column("unit", overflow="fold")
    for name, exponent in laws.exponents.items():
        table.add_row(
            name, exponent.role, *(Text(exponent_text(e.get(name))) for e in by.values()), exponent.unit
        )
    parts += [table, Text(""), Text("Frontier", style="bold"), line(frontier_text(laws))]
    if text := split_text(laws):
        parts += [Text(""), Text("Compute-optimal split", style="bold"), line(text)]
    parts += [Text(""), Text("Best configuration", style="bold"), _predicted(laws, found, plain())]
    if verdicts := laws.transfer():
        parts += [Text(""), Text("Transfer", style="bold")]
        for name, verdict in verdicts.items():
            style = "green" if verdict.ok else "yellow" if verdict.undecided else "red"
            badge = (_word(verdict), f"bold {style}")
            parts.append(
                Padding(Text.assemble(f"{name}: ", badge, f"  {verdict.summary}"), (0, 0, 0, 2), expand=False)
            )
            parts += [line(f"next: {verdict.next}")] if verdict.next else []
    test = backtested(laws)
    told = test.words if test.verdict is None else f"{_word(test.verdict)}: {test.words}"
    parts += [Text(""), Text("Backtest", style="bold"), line(told)]
    notes = [*laws.notes, *(f"At cost {p.cost:.3g}: {'; '.join(p.notes)}." for p in found if p.notes)]
    if notes:
        parts += [Text(""), Text("Keep in mind", style="bold"), *map(line, notes)]
    return Group(*parts)


def _predicted(laws: ScalingLaws, found: list[Prediction], table: Table) -> Table:
    table.add_column("")
    for prediction, times in zip(found, AHEAD, strict=True):
        table.add_column(
            f"cost {prediction.cost:.3g}" + ("" if times == 1 else f" ({times}x)"), overflow="fold"
        )
    for name in laws.history.space.names:
        table.add_row(name, *(Text(value_text(p, name)) for p in found))
    table.add_row("value", *(Text(str(p.value)) for p in found))
    return table
