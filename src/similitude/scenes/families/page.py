"""One self-contained HTML file of a study of widths on rendered scenes: rates, robustness, factors over steps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from similitude.core.chart import Chart, Series
from similitude.evaluation.rows import Row
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.report.transfer_figures import rate_figures
from similitude.report.words import rule_label
from similitude.scenes.families.factors import FACTORS
from similitude.scenes.families.records import TRANSFERRED, FamilyStudy
from similitude.scenes.families.table import in_words


def write_family_page(study: FamilyStudy, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file of a study of widths on rendered scenes.

    Args:
        study: What `family_study` returned.
        path: Where to write; an existing file is replaced.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_family_page(study))


def render_family_page(study: FamilyStudy) -> str:
    """Return the HTML that `write_family_page` writes; the same study gives the same bytes."""
    charts = [_shares(study, rule) for rule in study.settings.rules]
    charts += [
        _curves(study, rule, width)
        for rule in study.settings.rules
        for width in dict.fromkeys((study.settings.base, study.settings.widths[-1]))
    ]
    figures = [*rate_figures(study.transfer), *chart_figures(charts, "scenes-")]
    settings = {**study.settings.to_dict(), "pictures": study.digest[:16]}
    return render_template(
        "scenes_widths.html", {"in_words": in_words}, study=study, settings=settings, figures=figures
    )


def _shares(study: FamilyStudy, rule: str) -> Chart:
    series = []
    for shift in study.settings.shifts:
        points = [
            one
            for one in study.robustness
            if (one.subject, one.rule, one.shift) == (TRANSFERRED, rule, shift)
        ]
        series.append(
            Series(
                shift,
                [one.width for one in points],
                [one.ratio.value for one in points],
                [one.ratio.interval for one in points],
                kind="joined",
            )
        )
    return Chart(
        f"{rule_label(rule)}: robustness against width",
        "width",
        "accuracy under a shift / in distribution",
        tuple(series),
        "Flat lines in one order are what a small width can forecast. Bars are 95 % intervals over seeds.",
        x_scale="log2",
    )


def _curves(study: FamilyStudy, rule: str, width: int) -> Chart:
    rows = [row for row in study.group(TRANSFERRED, rule, width) if not row.failed]
    steps = (0, *study.settings.checkpoint_steps())
    series = [
        Series(
            factor, [1 + step for step in steps] if rows else [], _means(rows, factor, steps), kind="joined"
        )
        for factor in FACTORS
    ]
    return Chart(
        f"{rule_label(rule)}, width {width}: what the features tell",
        "1 + step",
        "variance of a factor that a linear probe explains",
        tuple(series),
        "Means over seeds. Random features tell some factors before the first step; what falls is forgotten.",
        x_scale="log2",
    )


def _means(rows: Sequence[Row], factor: str, steps: Sequence[int]) -> list[float]:
    if not rows:
        return []
    return [sum(row.metrics[f"{factor} at {step}"] for row in rows) / len(rows) for step in steps]
