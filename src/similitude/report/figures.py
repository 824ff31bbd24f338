"""The figures of a result: objects that travel know nothing of matplotlib, they register here."""

from __future__ import annotations

from functools import singledispatch

from similitude.core.errors import ReportError
from similitude.report.costs import costs
from similitude.report.optima import optima
from similitude.report.svg import Figure
from similitude.report.u_curves import u_curves
from similitude.studies.records import TransferStudy


@singledispatch
def figures(result: object) -> list[Figure]:
    """Return the figures of a result, in the order of reading; empty where there is nothing to draw.

    A package that defines a result of its own registers how it is drawn with `@figures.register`.

    Args:
        result: A `TransferStudy`, or any object whose type is registered.

    Raises:
        ReportError: The type of `result` is not registered.
    """
    raise ReportError(
        f"no figures are known for a {type(result).__name__}. Pass a TransferStudy, or register a function "
        "of your own with @similitude.report.figures.figures.register."
    )


@figures.register
def _transfer_study(study: TransferStudy) -> list[Figure]:
    drawn = (u_curves(study), optima(study), costs(study))
    return [figure for figure in drawn if figure is not None]
