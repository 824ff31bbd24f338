"""One self-contained HTML file of a phase diagram: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.gamma_table import best_in_words, stable_in_words
from similitude.report.pages import render_template
from similitude.studies.richness.diagram import PhaseDiagram


def write_richness_page(diagram: PhaseDiagram, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file with the map of gamma and the learning rate, and what follows from it.

    Args:
        diagram: What `similitude.richness.sweep` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_richness_page(diagram))


def render_richness_page(diagram: PhaseDiagram) -> str:
    """Return the HTML that `write_richness_page` writes; the same diagram gives the same bytes."""
    return render_template(
        "richness.html",
        {"stable": stable_in_words, "best_in_words": best_in_words},
        diagram=diagram,
        sweep=diagram.sweep,
        figures=figures(diagram),
    )
