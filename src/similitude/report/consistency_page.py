"""One self-contained HTML file of a study of Super Consistency: inline SVG, no network, no script."""

from __future__ import annotations

import os
from pathlib import Path

from similitude.report import consistency_words
from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import public_functions, render_template
from similitude.report.u_curves import u_curves
from similitude.studies.consistency_records import Consistency
from similitude.studies.records import TransferStudy


def write_consistency_page(study: Consistency, path: str | os.PathLike[str]) -> Path:
    """Write one HTML file that says under which rules the sharpness is the same at every size, and shows it.

    Args:
        study: What `similitude.consistency` returned.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.

    Returns:
        The path.

    Raises:
        ReportError: The file cannot be written.
    """
    return write_atomically(path, render_consistency_page(study))


def render_consistency_page(study: Consistency) -> str:
    """Return the HTML that `write_consistency_page` writes; the same study gives the same bytes."""
    drawn = figures(study)
    if drawn and study.transfers:
        drawn += [figure for figure in (u_curves(_swept(study)),) if figure is not None]
    return render_template(
        "consistency.html", public_functions(consistency_words), study=study, figures=drawn
    )


def _swept(study: Consistency) -> TransferStudy:
    """The learning rates of a study as the transfer study that they are; plans are not shown here."""
    return TransferStudy(
        name=study.name,
        transfers=study.transfers,
        plans={},
        settings=study.settings,
        cells_found=study.cells_found,
        cells_run=study.cells_run,
        cells_missing=0,
        seconds=study.seconds,
    )
