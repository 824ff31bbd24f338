"""One self-contained HTML file of learning curves: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.learning_curve_table import (
    KERNELS,
    change_cell,
    findings,
    measured_cell,
    predicted_cell,
    ridge_words,
)
from similitude.report.pages import render_template
from similitude.studies.learning_curve_records import LearningCurveStudy


def write_learning_curve_page(study: LearningCurveStudy, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says what more data, more width and the right ridge buy, and shows it.

    Args:
        study: What `learning_curve_study` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_learning_curve_page(study))


def render_learning_curve_page(study: LearningCurveStudy) -> str:
    """Return the HTML that `write_learning_curve_page` writes; the same study gives the same bytes."""
    return render_template(
        "learning_curve.html",
        {
            "change_cell": change_cell,
            "ridge_words": ridge_words,
            "measured_cell": lambda point: measured_cell(study, point),
            "predicted_cell": lambda point: predicted_cell(study, point),
        },
        study=study,
        figures=figures(study),
        findings=findings(study),
        kernel=KERNELS.get(study.kernel, study.kernel),
        settings={"model": study.name, "data": study.data, "kernel": study.kernel, "pool": study.pool},
    )
