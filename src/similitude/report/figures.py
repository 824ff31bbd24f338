"""The figures of a result: objects that travel know nothing of matplotlib, they register here."""

from __future__ import annotations

import os
from functools import singledispatch
from pathlib import Path

from similitude.core.claim import Claim
from similitude.core.errors import ReportError
from similitude.landscape.sharpness_run import SharpnessRun
from similitude.report.abc_map import abc_map
from similitude.report.claim_figures import claim_figures
from similitude.report.consistency_figures import consistency_figures
from similitude.report.costs import costs
from similitude.report.depth_map import depth_map
from similitude.report.files import write_atomically
from similitude.report.forecast_figures import forecast_figures
from similitude.report.gamma_figures import gamma_figures
from similitude.report.laws_figures import laws_figures
from similitude.report.learning_curve_figures import learning_curve_figures
from similitude.report.richness_figures import richness_figures
from similitude.report.sharpness_figures import sharpness_figures
from similitude.report.svg import Figure
from similitude.report.transfer_figures import rate_figures
from similitude.report.universality_figures import universality_figures
from similitude.report.valley_figures import valley_figures
from similitude.report.vector_field import vector_field
from similitude.scaling.regime import Regime
from similitude.studies.consistency_records import Consistency
from similitude.studies.forecast_records import Forecast
from similitude.studies.gamma_records import GammaSweep
from similitude.studies.learning_curve_records import LearningCurveStudy
from similitude.studies.records import TransferStudy
from similitude.studies.richness.diagram import PhaseDiagram
from similitude.studies.universality_records import Universality
from similitude.studies.valley_records import ValleyStudy
from similitude.theory.depth import DepthRegime
from similitude.theory.two_layer_field import TwoLayerField
from similitude.tuning.laws.laws import ScalingLaws


@singledispatch
def figures(result: object) -> list[Figure]:
    """Return the figures of a result, in the order of reading; empty where there is nothing to draw.

    A package that defines a result of its own registers how it is drawn with `@figures.register`.

    Args:
        result: A `TransferStudy`, a `Regime`, or any object whose type is registered.

    Raises:
        ReportError: The type of `result` is not registered.
    """
    raise ReportError(
        f"no figures are known for a {type(result).__name__}. Pass a TransferStudy, or register a function "
        "of your own with @similitude.report.figures.figures.register."
    )


@figures.register
def _transfer_study(study: TransferStudy) -> list[Figure]:
    drawn = costs(study)
    return [*rate_figures(study), *([] if drawn is None else [drawn])]


@figures.register
def _regime(regime: Regime) -> list[Figure]:
    drawn = abc_map(regime)
    return [] if drawn is None else [drawn]


@figures.register
def _gamma_sweep(sweep: GammaSweep) -> list[Figure]:
    return gamma_figures(sweep)


@figures.register
def _phase_diagram(diagram: PhaseDiagram) -> list[Figure]:
    return richness_figures(diagram)


@figures.register
def _forecast(forecast: Forecast) -> list[Figure]:
    return forecast_figures(forecast)


@figures.register
def _consistency(study: Consistency) -> list[Figure]:
    return consistency_figures(study)


@figures.register
def _depth_regime(regime: DepthRegime) -> list[Figure]:
    return [depth_map(regime)]


@figures.register
def _two_layer_field(field: TwoLayerField) -> list[Figure]:
    return [vector_field(field)]


@figures.register
def _sharpness_run(run: SharpnessRun) -> list[Figure]:
    return sharpness_figures(run)


@figures.register
def _scaling_laws(laws: ScalingLaws) -> list[Figure]:
    return laws_figures(laws)


@figures.register
def _learning_curve_study(study: LearningCurveStudy) -> list[Figure]:
    return learning_curve_figures(study)


@figures.register
def _claim(claim: Claim) -> list[Figure]:
    return claim_figures(claim)


@figures.register
def _universality(study: Universality) -> list[Figure]:
    return universality_figures(study)


@figures.register
def _valley_study(study: ValleyStudy) -> list[Figure]:
    return valley_figures(study)


def save_figures(result: object, folder: str | os.PathLike[str]) -> list[Path]:
    """Write every panel of a result's figures as an SVG file of its own, for papers and pages.

    Args:
        result: What `figures` takes.
        folder: Where to write; it is made if it is not there.

    Returns:
        The files, named by study, figure and panel, e.g. `mlp-optima.svg` and `mlp-curves-1.svg`.

    Raises:
        ReportError: The type of `result` is not registered, or a file cannot be written.
    """
    study = str(getattr(result, "name", type(result).__name__))
    paths = []
    for figure in figures(result):
        for number, panel in enumerate(figure.panels):
            parts = [study, figure.key, *([str(number + 1)] if len(figure.panels) > 1 else [])]
            name = "".join(c if c.isalnum() or c in "-_" else "-" for c in "-".join(parts))
            paths.append(write_atomically(Path(folder) / f"{name}.svg", panel.standalone()))
    return paths
