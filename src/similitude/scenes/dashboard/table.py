"""Rows as the plain data that a page filters: numbers by column, names once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from similitude.evaluation.rows import Row
from similitude.evaluation.tables import subject_of
from similitude.scenes.analysis.factors import factors_of, unseen
from similitude.scenes.analysis.labels_of_axes import short_names
from similitude.scenes.dashboard.thumbnails import Thumbnails

COLUMNS = (
    "model",
    "item",
    "right",
    "score",
    "loss",
    "probability",
    "margin",
    "confidence",
    "visible",
    "said",
    "image",
    "seconds",
    "error",
)
"""What a page knows of each row; "right" is 1, 0, or null where the evaluator knows no right and wrong,
or nothing of the object is seen."""

METRICS = ("loss", "probability", "margin", "confidence", "visible")

MOST_ROWS = 6_000
"""Rows that a page filters; of more it has an even choice."""


def page_table(
    rows: Sequence[Row], said_of: Callable[[Row], str | None], small: Thumbnails
) -> dict[str, Any]:
    """Return plain data for the script of the page.

    Args:
        rows: Rows of one or several models, failed ones too.
        said_of: What a row's model said, by name; None where it said nothing.
        small: Pictures.

    Returns:
        models, classes: names; factors: name, whether its values are numbers, its names, the same as labels of an axis,
        and a value per row (of names their places); columns and rows: see `COLUMNS`; fixed: what is the same in all
        scenes; images; whole: how many rows there are in all; scenes: how many scenes, whoever was asked.
    """
    kept = evenly(rows, MOST_ROWS)
    factors = factors_of(kept)
    models = list(dict.fromkeys(subject_of(row) for row in kept))
    items = {item: place for place, item in enumerate(dict.fromkeys(row.item for row in kept))}
    said = [said_of(row) for row in kept]
    classes = sorted({one for one in said if one is not None})
    place_of = {name: place for place, name in enumerate(classes)}
    lines = [
        [
            models.index(subject_of(row)),
            items[row.item],
            *_measures(row),
            None if answer is None else place_of[answer],
            small.places.get(row.item),
            rounded(row.seconds),
            (row.error or "the score is not a finite number") if row.failed else "",
        ]
        for row, answer in zip(kept, said, strict=True)
    ]
    fixed = {
        name: str(value)
        for name, value in ({"object": kept[0].task, **kept[0].params} if kept else {}).items()
        if name not in factors and value is not None
    }
    return {
        "models": models,
        "classes": classes,
        "factors": [
            {
                "name": factor.name,
                "numeric": factor.numeric,
                "names": [] if factor.numeric else list(factor.names),
                "labels": [] if factor.numeric else short_names(factor.names),
                "values": [
                    rounded(value) if factor.numeric else None if not math.isfinite(value) else int(value)
                    for value in factor.numbers.tolist()
                ],
            }
            for factor in factors.values()
        ],
        "columns": list(COLUMNS),
        "rows": lines,
        "fixed": fixed,
        "images": list(small.pictures),
        "whole": len(rows),
        "scenes": len({row.item for row in rows}),
    }


def _measures(row: Row) -> list[float | None]:
    """Return right, score and metrics; where nothing of the object is seen only that, so that it counts in no mean."""
    if unseen(row):
        return [None, None, *(0.0 if metric == "visible" else None for metric in METRICS)]
    return [
        None if row.success is None else int(row.success),
        rounded(row.score),
        *(rounded(row.metrics.get(metric, math.nan)) for metric in METRICS),
    ]


def evenly(rows: Sequence[Row], most: int) -> list[Row]:
    """Return all rows, or an even choice of so many, in their order."""
    if len(rows) <= most:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, most).round().astype(int)]


def rounded(value: float) -> float | None:
    """Return a number with five significant digits; None where it is not finite.

    Example:
        >>> rounded(0.123456789), rounded(float("inf"))
        (0.12346, None)
    """
    return float(f"{value:.5g}") if math.isfinite(value) else None
