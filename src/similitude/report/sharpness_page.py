"""One self-contained HTML file of a tracked run: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.landscape.sharpness_run import SharpnessRun
from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.report.sharpness_table import mean_products, portrait_lines, remark


def write_sharpness_page(run: SharpnessRun, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says where a run is: below the edge of stability, at it or beyond.

    Args:
        run: What `sharpness_run` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_sharpness_page(run))


def render_sharpness_page(run: SharpnessRun) -> str:
    """Return the HTML that `write_sharpness_page` writes; the same run gives the same bytes."""
    filters = {"remark": remark, "portrait_lines": portrait_lines, "mean_products": mean_products}
    return render_template("sharpness.html", filters, run=run, figures=figures(run))
