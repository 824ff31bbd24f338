"""Predictions: what theory says of a network before any training.

Public names are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from similitude.theory.ridge.curve import LearningCurve
    from similitude.theory.ridge.effective_rank import coefficient_bound, effective_ranks
    from similitude.theory.ridge.exponents import Exponents, exponents
    from similitude.theory.ridge.leave_one_out import overfitting_coefficient
    from similitude.theory.ridge.optimal import OptimalRidge, optimal_ridge
    from similitude.theory.ridge.overfitting import (
        CostOfOverfitting,
        cost_of_overfitting,
        noise_risk,
        taxonomy,
    )
    from similitude.theory.ridge.power_law import (
        interpolation_penalty,
        optimal_fitting_ratio,
        power_law_error,
    )
    from similitude.theory.ridge.risk import RidgeRisk, rf_risk
    from similitude.theory.ridge.spectrum import Spectrum
    from similitude.theory.ridge.taxonomy import Taxonomy

_HOMES = {
    "CostOfOverfitting": "ridge.overfitting",
    "Exponents": "ridge.exponents",
    "LearningCurve": "ridge.curve",
    "OptimalRidge": "ridge.optimal",
    "RidgeRisk": "ridge.risk",
    "Spectrum": "ridge.spectrum",
    "Taxonomy": "ridge.taxonomy",
    "coefficient_bound": "ridge.effective_rank",
    "cost_of_overfitting": "ridge.overfitting",
    "effective_ranks": "ridge.effective_rank",
    "exponents": "ridge.exponents",
    "interpolation_penalty": "ridge.power_law",
    "noise_risk": "ridge.overfitting",
    "optimal_fitting_ratio": "ridge.power_law",
    "optimal_ridge": "ridge.optimal",
    "overfitting_coefficient": "ridge.leave_one_out",
    "power_law_error": "ridge.power_law",
    "rf_risk": "ridge.risk",
    "taxonomy": "ridge.overfitting",
}

__all__ = [
    "CostOfOverfitting",
    "Exponents",
    "LearningCurve",
    "OptimalRidge",
    "RidgeRisk",
    "Spectrum",
    "Taxonomy",
    "coefficient_bound",
    "cost_of_overfitting",
    "effective_ranks",
    "exponents",
    "interpolation_penalty",
    "noise_risk",
    "optimal_fitting_ratio",
    "optimal_ridge",
    "overfitting_coefficient",
    "power_law_error",
    "rf_risk",
    "taxonomy",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f"similitude.theory.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
