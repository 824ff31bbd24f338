"""One self-contained HTML file of scaling laws: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.tuning.laws.laws import ScalingLaws
from similitude.tuning.laws.text import (
    AHEAD,
    backtested,
    exponent_text,
    frontier_text,
    predictions,
    split_text,
    value_text,
)


def write_laws_page(laws: ScalingLaws, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says how every hyperparameter and the loss go with the cost, and how far to trust it.

    Args:
        laws: What `similitude.ScalingLaws.from_study` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_laws_page(laws))


def render_laws_page(laws: ScalingLaws) -> str:
    """Return the HTML that `write_laws_page` writes; the same laws give the same bytes."""
    costs = laws.history.costs
    return render_template(
        "laws.html",
        {"exponent_text": exponent_text, "value_text": value_text},
        laws=laws,
        verdicts=laws.transfer(),
        by=laws.by_estimator,
        frontier_words=frontier_text(laws),
        split_words=split_text(laws),
        predicted=list(zip(AHEAD, predictions(laws), strict=True)),
        test=backtested(laws),
        settings={
            "trials": len(costs),
            "cheapest cost": float(costs.min()),
            "dearest cost": float(costs.max()),
            "estimator": laws.asked_for or f"{laws.estimator}, chosen by held-out trials",
            "resamples": laws.resamples,
            "seed": laws.seed,
        },
        figures=figures(laws),
    )
