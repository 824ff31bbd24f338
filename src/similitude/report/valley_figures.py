"""The valley of learning rate and branch multiplier as a chart: the best multiplier at every rate, by depth."""

from __future__ import annotations

from collections.abc import Mapping

from similitude.core.chart import Chart, Series
from similitude.report.claim_figures import chart_figures
from similitude.report.svg import Figure
from similitude.studies.valley_records import Valley, ValleyStudy


def valley_chart(valleys: Mapping[str, Valley], *, look_for: str = "") -> Chart:
    """Draw the best multiplier at every learning rate at which it is bracketed, beside slopes of -1 and -2.

    Args:
        valleys: By the label of their line.
        look_for: How to read it; by default what a slope that depends on the depth means.
    """
    series = []
    for label, valley in valleys.items():
        known = [(p.lr, p.multiplier, p.interval) for p in valley.points if p.multiplier and p.bracketed]
        if known:
            lrs, multipliers, intervals = zip(*known, strict=True)
            series.append(Series(label, lrs, multipliers, intervals, "joined"))
    guides = []
    if series:
        longest = max(series, key=lambda one: len(one.x))
        top = max(max(one.y) for one in series)
        guides = [
            Series(
                f"rate^{power}",
                longest.x,
                [top * (lr / longest.x[0]) ** power for lr in longest.x],
                kind="guide",
            )
            for power in (-1, -2)
        ]
    return Chart(
        "The valley of learning rate and multiplier",
        "learning rate",
        "best multiplier of the branches",
        (*series, *guides),
        look_for
        or "Lines should be equally steep at every depth: where they are not, no pair of exponents keeps both.",
        x_scale="log2",
        y_scale="log",
    )


def valley_figures(study: ValleyStudy) -> list[Figure]:
    """Draw a study of valleys; nothing where no best multiplier is bracketed."""
    named = {", ".join(f"{dial} {size}" for dial, size in v.size.items()): v for v in study.valleys}
    return chart_figures([valley_chart(named)])
