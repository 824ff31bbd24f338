"""Figures of scenes for pages of results: accuracy by factor, sensitivity, what is hidden, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from similitude.core.chart import Chart, Series
from similitude.core.errors import SceneError
from similitude.evaluation.aggregate import Estimate
from similitude.evaluation.rows import Row
from similitude.evaluation.tables import subject_of
from similitude.scenes.analysis.everything import RATIOS
from similitude.scenes.analysis.factors import counted, factors_of
from similitude.scenes.analysis.first_order import Sensitivity, sensitivity
from similitude.scenes.analysis.isotonic import decline_line
from similitude.scenes.analysis.labels_of_axes import short_names
from similitude.scenes.analysis.levels import by_factor
from similitude.scenes.analysis.reliability import calibration

SHOWN = 6
"""Factors that have a figure of their own, those that matter most first."""

FACTOR_LETTERS = 26
"""Letters of a factor's name that a figure has room for: "instance.setting" is longer than a value."""

LEVELS = 16
"""Values of a factor with names that a figure has room for, the worst first."""


def charts(rows: Sequence[Row], known: Mapping[str, Sensitivity] | None = None) -> list[Chart]:
    """Return the figures of some rows, a series per model; what rows cannot say has none.

    Args:
        rows: Rows of one or several models.
        known: Sensitivity by model, of models for which it was found already.
    """
    named = [replace(row, subject=subject_of(row)) for row in counted(rows)]
    models = {
        name: [row for row in named if row.subject == name]
        for name in dict.fromkeys(r.subject for r in named)
    }
    found = _sensitivities(models, known or {})
    order = _order(models, found)
    hidden = [name for name in order if name.rpartition(".")[2] in RATIOS]
    made = [
        _sensitivity_chart(models, found, order),
        *(_decline_chart(models, name) for name in hidden),
        *(_factor_chart(models, name) for name in order[:SHOWN]),
        _calibration_chart(models),
    ]
    return [chart for chart in made if chart is not None]


def _sensitivities(
    models: dict[str, list[Row]], known: Mapping[str, Sensitivity]
) -> dict[str, dict[str, Estimate]]:
    """Return the indices of the models that have enough scenes."""
    found = {}
    for name, rows in models.items():
        try:
            found[name] = (known[name] if name in known else sensitivity(rows)).indices
        except SceneError:
            continue
    return found


def _order(models: dict[str, list[Row]], found: dict[str, dict[str, Estimate]]) -> list[str]:
    """Return factors, those first that explain most of the loss, summed over models."""
    sums: dict[str, float] = {}
    for model, rows in models.items():
        for name in factors_of(rows):
            index = found[model][name].value if name in found.get(model, {}) else 0.0
            sums[name] = sums.get(name, 0.0) + (index if math.isfinite(index) else 0.0)
    return sorted(sums, key=lambda name: -sums[name])


def _each(models: dict[str, list[Row]], ask: Callable[[list[Row]], Series | None]) -> tuple[Series, ...]:
    out = []
    for rows in models.values():
        try:
            series = ask(rows)
        except SceneError:
            continue
        if series is not None:
            out.append(series)
    return tuple(out)


def _sensitivity_chart(
    models: dict[str, list[Row]], found: dict[str, dict[str, Estimate]], order: list[str]
) -> Chart | None:
    shown = order[:LEVELS]
    series = []
    for model, indices in found.items():
        known = [(place, indices[name]) for place, name in enumerate(shown) if name in indices]
        series.append(
            Series(
                model,
                [place + _aside(models, model) for place, _ in known],
                [one.value for _, one in known],
                [one.interval for _, one in known],
            )
        )
    if not series:
        return None
    return Chart(
        "What the loss depends on",
        "",
        "share of its variance",
        tuple(series),
        "First-order sensitivity indices with 95 % intervals: what each factor explains alone. A factor without effect "
        "scatters about 0; what all of them leave to 1 are interactions and noise.",
        x_names=tuple(short_names(shown, FACTOR_LETTERS)),
        levels={"nothing": 0.0},
    )


def _factor_chart(models: dict[str, list[Row]], name: str) -> Chart | None:
    tables = {}
    for model, rows in models.items():
        try:
            tables[model] = by_factor(rows, name)
        except SceneError:
            continue
    if not tables:
        return None
    first = next(iter(tables.values()))
    look_for = (
        "Marks are shares of right answers, bars Wilson's 95 % intervals; bins hold equally many scenes."
    )
    if first.numeric:
        series = tuple(
            Series(
                model,
                [level.middle for level in table.levels],
                [level.standing.accuracy.value for level in table.levels],
                [level.standing.accuracy.interval for level in table.levels],
                "joined",
            )
            for model, table in tables.items()
        )
        return Chart(f"Accuracy by {name}", name, "accuracy", series, look_for, y_range=(-0.03, 1.03))
    worst = sorted(first.levels, key=lambda level: level.standing.accuracy.value)[:LEVELS]
    places = {level.name: float(place) for place, level in enumerate(worst)}
    series = tuple(
        Series(
            model,
            [places[level.name] + _aside(models, model) for level in table.levels if level.name in places],
            [level.standing.accuracy.value for level in table.levels if level.name in places],
            [level.standing.accuracy.interval for level in table.levels if level.name in places],
        )
        for model, table in tables.items()
    )
    if len(first.levels) > LEVELS:
        look_for += f" Shown are the {LEVELS} values of {len(first.levels)} with the lowest accuracy."
    return Chart(
        f"Accuracy by {name}",
        name,
        "accuracy",
        series,
        look_for,
        x_names=tuple(short_names([*places])),
        y_range=(-0.03, 1.03),
    )


def _decline_chart(models: dict[str, list[Row]], name: str) -> Chart | None:
    def ask(rows: list[Row]) -> Series:
        places, fitted = decline_line(rows, name)
        return Series(rows[0].subject, places, fitted, kind="line")

    series = _each(models, ask)
    if not series:
        return None
    return Chart(
        f"Accuracy falls with {name}",
        name,
        "accuracy, monotone fit",
        series,
        "The falling step function that fits best (isotonic regression): it can only go down.",
        y_range=(-0.03, 1.03),
    )


def _calibration_chart(models: dict[str, list[Row]]) -> Chart | None:
    def ask(rows: list[Row]) -> Series:
        bins = calibration(rows).bins
        return Series(
            rows[0].subject,
            [one.confidence for one in bins],
            [one.accuracy.value for one in bins],
            [one.accuracy.interval for one in bins],
            "joined",
        )

    series = _each(models, ask)
    if not series:
        return None
    return Chart(
        "Sure and right",
        "confidence in the class put first",
        "top-1 accuracy",
        (*series, Series("as sure as right", [0.0, 1.0], [0.0, 1.0], kind="guide")),
        "Below the diagonal a model is surer than it is right.",
        y_range=(-0.03, 1.03),
    )


def _aside(models: dict[str, list[Row]], model: str) -> float:
    """Return by how much marks of a model stand beside the middle of their place."""
    return 0.6 * (([*models].index(model) + 0.5) / len(models) - 0.5)
