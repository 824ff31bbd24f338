"""A study of widths on rendered scenes as tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.evaluation.aggregate import Estimate
from similitude.report.layout import hanging, plain_table
from similitude.report.numbers import duration
from similitude.report.terminal import shift_lines
from similitude.report.words import rule_label
from similitude.scenes.families.factors import FACTORS
from similitude.scenes.families.forecasts import Forecast
from similitude.scenes.families.records import BEST, TRANSFERRED, FamilyStudy

_SHORT = {TRANSFERRED: "transferred", BEST: "own best"}


def family_table(study: FamilyStudy) -> RenderableType:
    """Show what a study of widths on rendered scenes found.

    Args:
        study: What `family_study` returned.
    """
    parts: list[RenderableType] = [
        Text(f"{study.ran} tested runs, {study.found} found before, {duration(study.seconds)}"),
        Text(""),
        Text("Does the learning rate transfer?", style="bold"),
        *shift_lines(study.transfer.transfers),
    ]
    parts += [Text(""), Text(_heading(study), style="bold")]
    parts += [_shifts(study), Text(""), Text("Step at which half of a factor is read off", style="bold")]
    parts += [_factors(study), Text(""), Text("What the smallest width tells of the largest", style="bold")]
    parts += [hanging(in_words(one)) for one in study.forecasts]
    if study.failures:
        parts += [Text(f"Diverged: {len(study.failures)} of {len(study.rows)} tested runs")]
    return Group(*parts)


def in_words(forecast: Forecast) -> str:
    """Say what a forecast found: the rank correlation, and every change whose interval leaves 0 out."""
    ranks = "none" if math.isnan(forecast.rank_correlation) else f"{forecast.rank_correlation:.2f}"
    by_seed = "" if forecast.by_seed is None else f" (by seed {forecast.by_seed})"
    moved = [
        f"{name} {change.value:+.3g} [{ends[0]:.3g}, {ends[1]:.3g}]"
        for name, change in forecast.changes.items()
        if (ends := change.interval) is not None and (ends[0] > 0 or ends[1] < 0)
    ]
    return (
        f"{rule_label(forecast.rule)}, {forecast.subject}, {forecast.what}: rank correlation {ranks}{by_seed}; "
        f"changes beyond noise: {', '.join(moved) or 'none'}"
    )


def _heading(study: FamilyStudy) -> str:
    guessing = 1 / len(study.settings.objects)
    return f"Accuracy in distribution (guessing: {guessing:.3g}); as a share of it under each shift"


def _shifts(study: FamilyStudy) -> Table:
    table = _headed("accuracy", *study.settings.shifts)
    groups: dict[tuple[str, str, int], dict[str, Estimate]] = {}
    for one in study.robustness:
        cells = groups.setdefault((one.subject, one.rule, one.width), {"accuracy": one.accuracy})
        cells[one.shift] = one.ratio
    return _filled(table, groups.items(), ("accuracy", *study.settings.shifts))


def _factors(study: FamilyStudy) -> Table:
    groups: dict[tuple[str, str, int], dict[str, Estimate]] = {}
    for one in study.learned:
        cells = groups.setdefault((one.subject, one.rule, one.width), {})
        if one.half is not None:
            cells[one.factor] = one.half
    return _filled(_headed(*FACTORS), groups.items(), FACTORS)


def _headed(*columns: str) -> Table:
    table = plain_table()
    for column in ("trained", "rule"):
        table.add_column(column, no_wrap=True)
    for column in ("width", *columns):
        table.add_column(column, justify="right")
    return table


def _filled(
    table: Table,
    groups: Iterable[tuple[tuple[str, str, int], dict[str, Estimate]]],
    columns: Iterable[str],
) -> Table:
    for (subject, rule, width), cells in groups:
        shown = [f"{cells[name].value:.3g}" if name in cells else "-" for name in columns]
        table.add_row(_SHORT[subject], rule, str(width), *shown)
    return table
