"""Two models on the same scenes as one HTML file: the paired test, where they differ, scenes that only one has right."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from similitude.evaluation.rows import Row
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.scenes.analysis.charts import charts
from similitude.scenes.analysis.comparison import Comparison, compare
from similitude.scenes.analysis.worst import badness
from similitude.scenes.dashboard.thumbnails import shrunk
from similitude.scenes.dashboard.words import percent
from similitude.scenes.study.records import SceneRun

LEVELS = 20
"""Values of factors that the table shows, those with the smallest p first."""

SHOWN = 24
"""Pictures of scenes that one model alone has right, of each."""


@dataclass(frozen=True)
class Example:
    """A scene that one model alone has right.

    Attributes:
        picture: A `data:` address.
        said: The wrong answer of the other; empty where the evaluator does not say it.
        settings: The scene in a line.
    """

    picture: str
    said: str
    settings: str


def write_comparison(
    path: str | os.PathLike[str],
    first: tuple[SceneRun, Sequence[Row]],
    second: tuple[SceneRun, Sequence[Row]],
    *,
    found: Comparison | None = None,
) -> Path:
    """Write the page of a comparison.

    Args:
        path: Where to write; an existing file is replaced.
        first: A run, and the rows of one of its models.
        second: Another run, or the same, and the rows of another model.
        found: Their comparison, where it is known already.

    Raises:
        SceneError: They share fewer than two scenes; see `compare`.
        ReportError: The page cannot be written.
    """
    made = found or compare(first[1], second[1])
    return write_atomically(path, render_comparison(made, first, second))


def render_comparison(
    found: Comparison, first: tuple[SceneRun, Sequence[Row]], second: tuple[SceneRun, Sequence[Row]]
) -> str:
    """Return the HTML that `write_comparison` writes."""
    mine, theirs = ({row.item: row for row in rows if not row.failed} for _, rows in (first, second))
    shared = [item for item in mine if item in theirs]
    named = [
        replace(rows[item], subject=name)
        for rows, name in ((mine, found.first), (theirs, found.second))
        for item in shared
    ]
    only_first = [theirs[item] for item in shared if mine[item].success and not theirs[item].success]
    only_second = [mine[item] for item in shared if theirs[item].success and not mine[item].success]
    return render_template(
        "scenes_comparison.html",
        {"percent": percent},
        found=found,
        levels=found.levels[:LEVELS],
        figures=chart_figures(charts(named)),
        examples=[
            (found.first, found.second, len(only_first), _examples(second[0], only_first)),
            (found.second, found.first, len(only_second), _examples(first[0], only_second)),
        ],
    )


def _examples(run: SceneRun, rows: list[Row]) -> list[Example]:
    """Return the scenes that a model has most wrong, of those with a picture."""
    out = []
    for row in sorted(rows, key=badness, reverse=True)[:SHOWN]:
        path = run.picture(row)
        picture = None if path is None else shrunk(path)
        if picture is not None:
            settings = ", ".join(
                f"{name} {_short(value)}" for name, value in row.params.items() if "." in name
            )
            out.append(Example(picture, run.prediction(row) or "", f"{row.task}: {settings}"))
    return out


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
