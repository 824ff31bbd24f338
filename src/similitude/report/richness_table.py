"""A phase diagram as tables for the terminal: the map of phases, rates by gamma, exponents, the best gamma by steps."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.gamma_table import best_in_words, gamma_table
from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import quantity, rate
from similitude.studies.richness.diagram import PhaseDiagram
from similitude.studies.richness.phases import Phase

_LETTERS: dict[Phase, tuple[str, str]] = {
    Phase.DIVERGED: ("x", "red"),
    Phase.CATAPULT: ("^", "magenta"),
    Phase.NO_PROGRESS: (".", ""),
    Phase.PLATEAU: ("-", "yellow"),
    Phase.STAIRCASE: ("%", "blue"),
    Phase.LEARNED: ("o", "green"),
}
"""Mark and colour of each phase."""


def richness_table(diagram: PhaseDiagram) -> RenderableType:
    """Show what a phase diagram found.

    Args:
        diagram: What `similitude.richness.sweep` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    verdict = diagram.verdict
    parts: list[RenderableType] = [
        gamma_table(diagram.sweep),
        Text(""),
        Text("Phases, by gamma from the smallest rate to the largest", style="bold"),
        _rows(diagram),
        _legend(diagram),
    ]
    if diagram.budgets:
        parts += [Text(""), Text("The best gamma by steps", style="bold"), _budgets(diagram)]
    if diagram.collapse is not None:
        parts += [
            Text(""),
            Text.assemble(("collapse of curves  ", "bold"), coloured(diagram.collapse.verdict)),
        ]
        parts.append(hanging(diagram.collapse.verdict.summary))
    if diagram.ends:
        parts += [
            Text(""),
            Text.assemble(("grid of rates  ", "bold"), coloured(verdict)),
            hanging(verdict.summary),
        ]
        parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    return Group(*parts, *(hanging(f"note: {note}") for note in diagram.notes))


def _rows(diagram: PhaseDiagram) -> Table:
    table = plain_table()
    table.add_column("gamma", justify="right", no_wrap=True)
    table.add_column("from", justify="right", no_wrap=True)
    table.add_column("phases", overflow="fold")
    table.add_column("to", justify="right", no_wrap=True)
    for point in diagram.sweep.points:
        mine = [cell for cell in diagram.cells if cell.gamma == point.gamma]
        marks = Text.assemble(*(_LETTERS[cell.phase] for cell in mine))
        table.add_row(f"{point.gamma:g}", rate(mine[0].lr), marks, rate(mine[-1].lr))
    return table


def _legend(diagram: PhaseDiagram) -> RenderableType:
    counts = diagram.counts()
    return hanging(", ".join(f"{_LETTERS[phase][0]} {phase} ({counts[phase]})" for phase in Phase))


def _budgets(diagram: PhaseDiagram) -> Table:
    table = plain_table()
    for name in ("steps", "best gamma"):
        table.add_column(name, justify="right" if name == "steps" else "left", overflow="fold")
    for point in diagram.sweep.points:
        table.add_column(f"{point.gamma:g}", justify="right", no_wrap=True)
    for budget in diagram.budgets:
        losses = [quantity(loss) if math.isfinite(loss) else "diverged" for loss in budget.losses.values()]
        table.add_row(str(budget.steps), best_in_words(budget.best), *losses)
    return table
