"""A study of universality as tables for the terminal: deviations and kernels by width, their powers, and the verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.checking.slopes import Slope
from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration, measured
from similitude.report.words import rule_label
from similitude.studies.universality_records import Architecture, Universality

COLUMNS = {
    "deviations": "deviation",
    "train_deviations": "on train",
    "kernel_errors": "kernel error",
    "kernel_changes": "kernel change",
    "contrast_changes": "change under",
}


def universality_table(study: Universality) -> RenderableType:
    """Show what a study of universality found.

    Args:
        study: What `similitude.universality` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    runs = sum(len(width.deviations) for found in study.architectures.values() for width in found.widths)
    parts: list[RenderableType] = [
        Text(f"universality: {runs} nets beside their kernels; {duration(study.seconds)}", style="bold")
    ]
    for found in study.architectures.values():
        parts += [Text(""), Text.assemble((f"{found.name}  ", "bold"), coloured(found.verdict))]
        parts += [_table(found, study.contrast), hanging(found.verdict.summary)]
        parts += [hanging(f"likely cause: {cause}") for cause in found.verdict.causes]
        parts += [hanging(f"next: {found.verdict.next}", "bold")] if found.verdict.next else []
    return Group(*parts)


def power(slope: Slope | None) -> str:
    """Write a power of the width with its interval; "none" where it could not be fitted.

    Example:
        >>> power(Slope(-0.5, -0.6, -0.4, wide=-0.5)), power(None)
        ('-0.50 [-0.60, -0.40]', 'none')
    """
    if slope is None:
        return "none"
    interval = f" [{slope.low:+.2f}, {slope.high:+.2f}]" if math.isfinite(slope.low) else ""
    return f"{slope.value:+.2f}{interval}"


def mean_cell(values: Sequence[float]) -> str:
    """Write the mean over seeds; "none" where nothing was measured."""
    return measured(sum(values) / len(values) if values else None)


def column(quantity: str, contrast: str | None) -> str:
    """Return the heading of a quantity of `UniversalityWidth`."""
    return COLUMNS[quantity] + (
        f" {rule_label(contrast)}" if contrast and quantity == "contrast_changes" else ""
    )


def quantities(study_contrast: str | None) -> list[str]:
    """Return the quantities that a study has, in the order in which they are shown."""
    return [name for name in COLUMNS if study_contrast or name != "contrast_changes"]


def _table(found: Architecture, contrast: str | None) -> Table:
    table = plain_table()
    names = quantities(contrast)
    table.add_column("width", no_wrap=True)
    for name in names:
        table.add_column(column(name, contrast), justify="right")
    for width in found.widths:
        table.add_row(str(width.width), *(mean_cell(getattr(width, name)) for name in names))
    table.add_row("power", *(Text(power(found.exponents.get(name))) for name in names))
    return table
