"""One self-contained HTML file of one or more studies: inline SVG, no network, no script."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from similitude.core.errors import ReportError
from similitude.report import numbers
from similitude.report.figures import figures
from similitude.report.files import write_atomically
from similitude.report.pages import render_template
from similitude.report.scale import mean_losses
from similitude.report.svg import Figure
from similitude.scaling import plan_text
from similitude.studies.records import Transfer, TransferStudy

# A longer table starts folded, so that the next study is not pages away; print unfolds it.
_UNFOLDED_ROWS = 12


@dataclass(frozen=True)
class Section:
    """What the template shows of one study: the study, an anchor unique on the page, and its figures."""

    anchor: str
    study: TransferStudy
    figures: tuple[Figure, ...]


def write_report(
    study_or_studies: TransferStudy | Iterable[TransferStudy],
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
) -> Path:
    """Write one HTML file that says what was found, shows it, and lists every number.

    The file needs no network, no script and no other file, follows the reader's light or dark theme, and can
    be read on a phone and printed. The same studies give the same bytes. Interrupted studies are welcome.

    Args:
        study_or_studies: One study, or several in the order of reading.
        path: Where to write; a missing folder is made, an existing file is replaced by the whole new one.
        title: Heading of the page; the names of the studies by default.

    Returns:
        The path.

    Raises:
        ReportError: There is no study, something is not a study, or the file cannot be written.
    """
    return write_atomically(path, render(study_or_studies, title=title))


def render(study_or_studies: TransferStudy | Iterable[TransferStudy], *, title: str | None = None) -> str:
    """Return the HTML that `write_report` writes.

    Args:
        study_or_studies: One study, or several in the order of reading.
        title: Heading of the page; the names of the studies by default.

    Raises:
        ReportError: There is no study, or something is not a study.
    """
    studies = _studies(study_or_studies)
    return render_template(
        "report.html",
        {"loss_rows": loss_rows, "plan_title": plan_text.title},
        title=title or "Learning-rate transfer: " + ", ".join(study.name for study in studies),
        sections=[
            Section(f"study-{place}", study, tuple(figures(study)))
            for place, study in enumerate(studies, start=1)
        ],
        unfolded_rows=_UNFOLDED_ROWS,
    )


def loss_rows(transfer: Transfer) -> list[tuple[float, list[str]]]:
    """List every loss of a rule.

    Returns:
        One row per learning rate, smallest first: the rate, and per size the mean over seeds with the
        smallest and largest, or how many seeds diverged, or nothing where no seed was run.
    """
    rates = sorted({lr for curve in transfer.curves for lr in curve.lrs})
    cells: list[dict[float, str]] = []
    for curve in transfer.curves:
        triples = zip(curve.lrs, curve.losses, mean_losses(curve), strict=True)
        cells.append({lr: _loss_cell(seeds, mean) for lr, seeds, mean in triples})
    return [(lr, [column.get(lr, "") for column in cells]) for lr in rates]


def _loss_cell(seeds: tuple[float, ...], mean: float | None) -> str:
    if mean is None:
        return ""
    if not math.isfinite(mean):
        lost = sum(not math.isfinite(loss) for loss in seeds)
        return f"{lost} of {len(seeds)} diverged"
    if len(seeds) == 1:
        return numbers.quantity(mean)
    return f"{numbers.quantity(mean)} [{numbers.quantity(min(seeds))}, {numbers.quantity(max(seeds))}]"


def _studies(given: Any) -> list[TransferStudy]:
    studies = [given] if isinstance(given, TransferStudy) else None
    if studies is None and isinstance(given, Iterable):
        studies = list(given)
    for study in [given] if studies is None else studies:
        if not isinstance(study, TransferStudy):
            raise ReportError(
                f"cannot report on a {type(study).__name__}: pass a TransferStudy, or a list of them."
            )
    if not studies:
        raise ReportError("there is no study to report on: the list is empty. Pass at least one study.")
    return studies
