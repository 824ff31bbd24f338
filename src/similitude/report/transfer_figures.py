"""How a learning rate transfers, drawn for pages of which it is one part: losses against rates, optima against sizes."""

from __future__ import annotations

from similitude.report.optima import optima
from similitude.report.svg import Figure
from similitude.report.u_curves import u_curves
from similitude.studies.records import TransferStudy


def rate_figures(study: TransferStudy) -> list[Figure]:
    """Draw the losses of every rate and the best rate of every size, where there is something to draw.

    Args:
        study: A finished or interrupted study.
    """
    return [figure for figure in (u_curves(study), optima(study)) if figure is not None]
