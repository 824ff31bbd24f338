"""One self-contained HTML file of a sweep of gamma: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.gamma_table import best_in_words, stable_in_words
from similitude.report.pages import render_template
from similitude.studies.gamma_records import GammaSweep


def write_gamma_page(sweep: GammaSweep, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says which gamma is best and whether the law of learning rates holds.

    Args:
        sweep: What `similitude.gamma_sweep` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_gamma_page(sweep))


def render_gamma_page(sweep: GammaSweep) -> str:
    """Return the HTML that `write_gamma_page` writes; the same sweep gives the same bytes."""
    return render_template(
        "gamma.html",
        {"stable": stable_in_words, "best_in_words": best_in_words},
        sweep=sweep,
        figures=figures(sweep),
    )
