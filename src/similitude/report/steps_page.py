"""One self-contained HTML file of a self-supervised run: when each embedding dimension switched on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from similitude.core.chart import Chart, Series
from similitude.report.claim_figures import chart_figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.theory.joint_embedding.history import EmbeddingHistory
from similitude.theory.joint_embedding.steps import EmbeddingSteps

_DIMENSIONS = 8  # drawn, the first: more lines cannot be told apart
_MARKS, _POINTS = 50, 400  # of a series that are drawn, as marks and along a line


def write_steps_page(
    run: EmbeddingHistory,
    path: str | os.PathLike[str],
    *,
    name: str,
    settings: Mapping[str, Any],
    predicted: EmbeddingSteps | None = None,
) -> Path:
    """Write one HTML file that says whether the dimensions of an embedding switched on one by one, and shows it.

    Args:
        run: The spectrum along training.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.
        name: What the encoder is called.
        settings: What was run, by name.
        predicted: What its kernel at the start predicts.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_steps_page(run, name=name, settings=settings, predicted=predicted))


def render_steps_page(
    run: EmbeddingHistory,
    *,
    name: str,
    settings: Mapping[str, Any],
    predicted: EmbeddingSteps | None = None,
) -> str:
    """Return the HTML that `write_steps_page` writes; the same run gives the same bytes."""
    return render_template(
        "steps.html",
        {},
        name=name,
        steps=run.steps(),
        verdict=run.verdict(),
        settings=settings,
        records=len(run.times),
        rank=float(run.ranks[-1]),
        predicted=predicted,
        figures=chart_figures(steps_charts(run, predicted)),
    )


def steps_charts(run: EmbeddingHistory, predicted: EmbeddingSteps | None = None) -> list[Chart]:
    """Return the charts of a run: eigenvalues, with those of the prediction, effective rank, and loss where it is known.

    Args:
        run: The spectrum along training.
        predicted: What its kernel at the start predicts.
    """
    if len(run.times) < 2:
        return []
    shown = min(run.eigenvalues.shape[1], _DIMENSIONS)
    marks, points = _thinned(len(run.times), _MARKS), _thinned(len(run.times), _POINTS)
    lines = []
    for j in range(shown):
        label = f"dimension {j + 1}"
        if predicted is None:
            lines.append(Series(label, run.times[marks], run.eigenvalues[marks, j], kind="joined"))
        else:
            lines.append(Series(label, run.times[marks], run.eigenvalues[marks, j]))
    if predicted is not None:
        theory = -np.sort(-predicted.eigenvalues(run.times[points]), axis=1)
        lines += [
            Series(f"dimension {j + 1}", run.times[points], theory[:, j], kind="line")
            for j in range(min(shown, theory.shape[1]))
        ]
    look_for = "One dimension after the other should leave zero, each when the one before it has grown."
    first = Chart(
        "Eigenvalues of the embedding",
        "time",
        "eigenvalue",
        tuple(lines),
        look_for
        if predicted is None
        else f"{look_for} Marks are training, lines what the kernel at the start predicts.",
        ordered=True,
    )
    rank = Chart(
        "Effective rank",
        "time",
        "effective rank",
        (Series("effective rank", run.times[marks], run.ranks[marks], kind="joined"),),
        "Stairs of height one: each is a dimension. It is (sum of eigenvalues)² over the sum of their squares.",
    )
    loss = replace(
        rank,
        title="Loss",
        y="loss",
        series=(Series("loss", run.times[marks], run.losses[marks], kind="joined"),),
        look_for="Plateaus between the times at which dimensions switch on.",
    )
    return [first, rank, *([loss] if np.isfinite(run.losses).any() else [])]


def _thinned(count: int, most: int) -> np.ndarray:
    return np.unique(np.round(np.linspace(0, count - 1, min(count, most))).astype(int))
