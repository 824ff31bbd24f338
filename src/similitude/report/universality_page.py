"""One self-contained HTML file of a study of universality: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.report.universality_table import column, mean_cell, power, quantities
from similitude.studies.universality_records import Universality


def write_universality_page(study: Universality, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says how fast nets of every architecture near kernel gradient descent, and shows it.

    Args:
        study: What `similitude.universality` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_universality_page(study))


def render_universality_page(study: Universality) -> str:
    """Return the HTML that `write_universality_page` writes; the same study gives the same bytes."""
    return render_template(
        "universality.html",
        {"mean_cell": mean_cell, "power": power},
        study=study,
        figures=figures(study),
        columns={name: column(name, study.contrast) for name in quantities(study.contrast)},
    )
