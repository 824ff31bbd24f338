"""The three estimators side by side, and which of them to believe: the law where it predicts as well as the surrogate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from similitude.core.seeding import numpy_generator
from similitude.tuning.laws.cost import cost_model
from similitude.tuning.laws.data import LawData, resamples
from similitude.tuning.laws.naive import naive_paths
from similitude.tuning.laws.parametric import parametric_paths
from similitude.tuning.laws.paths import Paths
from similitude.tuning.laws.surrogate import surrogate_paths

ESTIMATORS = ("parametric", "surrogate", "naive")
"""What exponents are found by, the one to prefer first."""

FOLDS = 5

TELLING = 0.01
"""Probability below which it is no chance that held-out trials are predicted better than by a median (signed ranks). From
15 trials on all of 30 studies with a law were below it, and at most one of 30 with nothing but noise."""

AS_GOOD = 1.25
"""The law is preferred up to errors this many times those of the surrogate: where it holds, it is several times more
certain about exponents, and extrapolates (measured, experiments/LOG.md)."""


@dataclass(frozen=True)
class Estimates:
    """The lines of every estimator.

    Attributes:
        paths: By estimator; those that could not be had are left out.
        form: What optima drift with in the law of losses, in words; empty where there is none.
        errors: Median error of held-out trials of the better half, by estimator that predicts any.
        preferred: The estimator to believe.
        reason: Why.
        cost_powers: Which power of each axis the cost is, shape (d,).
        notes: What is to be said about them.
    """

    paths: Mapping[str, Paths]
    form: str
    errors: Mapping[str, float]
    preferred: str
    reason: str
    cost_powers: np.ndarray
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "paths": {name: paths.to_dict() for name, paths in self.paths.items()},
            "form": self.form,
            "errors": dict(self.errors),
            "preferred": self.preferred,
            "reason": self.reason,
            "cost_powers": self.cost_powers.tolist(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Estimates:
        """Read what `to_dict` wrote."""
        return cls(
            paths={name: Paths.from_dict(paths) for name, paths in data["paths"].items()},
            form=data["form"],
            errors=data["errors"],
            preferred=data["preferred"],
            reason=data["reason"],
            cost_powers=np.array(data["cost_powers"], float),
            notes=tuple(data["notes"]),
        )


def estimate(data: LawData, *, count: int, seed: int) -> Estimates:
    """Find the laws by every estimator.

    Args:
        data: The trials.
        count: Number of bootstrap resamples.
        seed: Of everything that is drawn.

    Cost:
        About 1.5 CPU-seconds for 60 trials in three dimensions with 200 resamples.
    """
    folds = _folds(data, seed)
    # Resamples and the trials without each fold are fitted at once.
    counts = np.concatenate([resamples(data, count, seed=seed), folds])
    cost = cost_model(data, counts)
    paths: dict[str, Paths] = {}
    errors: dict[str, float] = {}
    predicted: dict[str, np.ndarray] = {}
    notes, form = list(cost.notes), ""
    try:
        found, predictions, form = parametric_paths(data, counts, cost, seed=seed)
    except ValueError as few:
        notes.append(f"The law of losses was not fitted: {few}.")
    else:
        paths["parametric"] = found.first(count + 1)
        predicted["parametric"] = _held_out(folds, predictions[count + 1 :])
        errors["parametric"] = _error(data, predicted["parametric"])
    if cost.slopes[0].any():
        found, predictions = surrogate_paths(data, counts, cost, seed=seed)
        paths["surrogate"] = found.first(count + 1)
        predicted["surrogate"] = _held_out(folds, predictions[count + 1 :])
        errors["surrogate"] = _error(data, predicted["surrogate"])
    paths["naive"] = naive_paths(data, counts[: count + 1])
    usable = {name: p for name, p in paths.items() if np.isfinite(p.slopes[0]).all()}
    preferred, reason = _prefer(errors, usable)
    if preferred in predicted and (nothing := _tells_nothing(data, folds, predicted[preferred])):
        notes.append(f"{nothing}: no exponent is identified. Run more trials, over more decades of cost.")
        paths = {name: replace(p, widening=np.inf) for name, p in paths.items()}
    return Estimates(paths, form, errors, preferred, reason, cost.slopes[0], tuple(notes))


def _prefer(errors: Mapping[str, float], usable: Mapping[str, Paths]) -> tuple[str, str]:
    """Return the estimator to believe and why."""
    if "parametric" in usable and "surrogate" in usable:
        law, surrogate = errors["parametric"], errors["surrogate"]
        text = (
            f"on held-out trials near the front the law is off by {law:.3g}, the surrogate by {surrogate:.3g}"
        )
        if law <= AS_GOOD * surrogate:
            return "parametric", text
        return "surrogate", text + ": the losses do not have the law's form"
    for name in ESTIMATORS:
        if name in usable:
            return name, "no other estimator could be had"
    return "naive", "no estimator could be had: too few trials are on the front"


def _folds(data: LawData, seed: int) -> np.ndarray:
    """Return which trials are kept without each fold in turn, shape (folds, n).

    Folds are spread over the cost, and all trials of one configuration are in one: a copy would tell what is held out.
    """
    configurations = np.concatenate([data.coordinates, data.levels], 1)
    _, first, group = np.unique(np.round(configurations, 9), axis=0, return_index=True, return_inverse=True)
    fold = np.empty(len(first), int)
    generator = numpy_generator(seed, "folds")
    by_cost = np.argsort(data.log_costs[first], kind="stable")
    for block in np.array_split(by_cost, -(-len(first) // FOLDS)):
        fold[block] = generator.permutation(FOLDS)[: len(block)]
    return (fold[group.ravel()] != np.arange(FOLDS)[:, None]).astype(float)


def _held_out(folds: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the prediction of every trial by the fit that has not seen it, shape (n,)."""
    return predictions[(folds == 0).argmax(0), np.arange(folds.shape[1])]


def _tells_nothing(data: LawData, folds: np.ndarray, predictions: np.ndarray) -> str:
    """Say so where held-out trials are predicted no better than by the median of the others; else nothing.

    Priors give exponents to losses that are noise, and resamples agree on them: their spread would not show it.
    """
    medians = np.array([np.median(data.values[row > 0]) for row in folds])
    off = np.abs(predictions - data.values)
    plain = np.abs(medians[(folds == 0).argmax(0)] - data.values)
    if (plain > off).any():
        _, chance = np.array(stats.wilcoxon(plain - off, alternative="greater"), float)
        if chance < TELLING:
            return ""
    return (
        f"Held-out trials are predicted no better (off by {np.median(off):.3g}) than by the median of the others "
        f"({np.median(plain):.3g}): losses depend on nothing that varied, or by less than their noise"
    )


def _error(data: LawData, predictions: np.ndarray) -> float:
    """Return the median error of held-out trials among the half that is nearest to the front."""
    order = np.argsort(data.log_costs, kind="stable")
    excess = np.empty(len(data))
    excess[order] = data.values[order] - np.minimum.accumulate(data.values[order])
    near = excess <= np.median(excess)
    return float(np.median(np.abs(predictions - data.values)[near]))
