"""A staircase of losses as tables for the terminal: plateaus, drops, and what was learned at each."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.theory.gradient_flows.plateaus import LossStaircase


def staircase_table(found: LossStaircase, *, name: str, clock: str) -> RenderableType:
    """Show what `find_staircase` found.

    Args:
        found: What it returned.
        name: What the run is called.
        clock: Name of the run's column of time.

    Returns:
        A rich renderable for `Console.print`.
    """
    verdict = found.verdict
    head = Text.assemble((f"{name}: {len(found.plateaus)} plateaus  ", "bold"), coloured(verdict))
    parts: list[RenderableType] = [head, hanging(verdict.summary)]
    if found.plateaus:
        parts += [Text(""), _steps(found, clock)]
    parts += [hanging(f"likely cause: {cause}") for cause in verdict.causes]
    parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    if found.window > 1:
        parts.append(hanging(f"note: losses are averaged over {found.window} points against noise"))
    return Group(*parts, *(hanging(f"note: {note}") for note in found.notes))


def _steps(found: LossStaircase, clock: str) -> Table:
    table = plain_table()
    for column in (f"drop at {clock}", "by", "plateau from", "to", "loss", "learned"):
        table.add_column(column, justify="left" if column == "learned" else "right", overflow="fold")
    for k, plateau in enumerate(found.plateaus):
        drop = found.drops[k - 1] if k else None
        table.add_row(
            "" if drop is None else f"{drop.time:.4g}",
            "" if drop is None else f"{drop.size:.4g}",
            f"{plateau.start:.4g}",
            f"{plateau.end:.4g}",
            f"{plateau.level:.4g}",
            "" if drop is None else ", ".join(drop.learned) or "the run does not say",
        )
    return table
