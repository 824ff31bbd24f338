"""The ridge that makes the test error smallest, from interpolation to learning nothing (paper 6, Section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from similitude.core.citation import cites
from similitude.theory.ridge.arrays import not_negative, positive
from similitude.theory.ridge.implicit import Implicit, ridgeless, state
from similitude.theory.ridge.risk import RidgeRisk, check_samples, rf_risk, risk_at
from similitude.theory.ridge.spectrum import Spectrum

_STEP = 0.25  # of log gamma; every learned share changes on the scale of 1
_BEYOND = 35.0  # how far below the smallest and above the largest scale gamma is tried
_MOST = 4096  # points; a spectrum of more nats is tried at wider steps
_CANDIDATES = 3
_SAME = 1e-12  # relative difference of errors that is rounding


@dataclass(frozen=True, eq=False)
class OptimalRidge:
    """The best ridge and its errors. Made by `optimal_ridge`.

    Attributes:
        ridge: From 0 (interpolation is best) to inf (predicting zero is best).
        risk: Errors there.
    """

    ridge: float
    risk: RidgeRisk


@cites(6, "Section 4: more is better at the optimal ridge")
def optimal_ridge(
    spectrum: Spectrum, n: float, features: float = math.inf, *, noise: float = 0.0
) -> OptimalRidge:
    """Find the ridge with the smallest predicted test error, 0 and infinity among them.

    Errors are searched in gamma, in which they are explicit; the ridge follows.

    Args:
        spectrum: Of the kernel with the target in it.
        n: Training samples.
        features: Random features; infinitely many are kernel ridge regression.
        noise: Variance of the labels' noise.

    Raises:
        TheoryError: A number is out of range.

    Example:
        A single Gaussian mode with noise: the best ridge is noise over the target's variance, whatever n (Bayes).

        >>> found = optimal_ridge(Spectrum([1.0], [1.0], multiplicity=[50]), 20, noise=0.1)
        >>> round(found.ridge, 4)
        5.0
    """
    n, features = positive(n, "n", "n=100"), positive(features, "features", "features=1000")
    noise = not_negative(noise, "noise")
    check_samples(spectrum, n)

    def at(log_gamma: float) -> Implicit:
        return state(spectrum, log_gamma, n, features)

    def error(log_gamma: float) -> float:
        test = risk_at(spectrum, at(log_gamma), n, features, noise).test
        return test if math.isfinite(test) else 1e300

    points = _points(spectrum, n, features)
    errors = np.array([error(point) for point in points])
    found: list[tuple[float, float]] = []
    for i in np.argsort(errors, kind="stable")[:_CANDIDATES]:
        low, high = points[max(i - 1, 0)], points[min(i + 1, len(points) - 1)]
        inside: Any = minimize_scalar(error, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
        found += [(float(inside.fun), float(inside.x)), (float(errors[i]), float(points[i]))]
    best, where = min(found)
    ends = {ridge: rf_risk(spectrum, n, features, ridge=ridge, noise=noise) for ridge in (0.0, math.inf)}
    ridge = min(ends, key=lambda r: ends[r].test)
    if ends[ridge].test <= best * (1 + _SAME):
        return OptimalRidge(ridge, ends[ridge])
    log_ridge = where + _log_gap(at(where), n, spectrum)
    ridge = math.exp(log_ridge) if log_ridge < 709 else math.inf
    return OptimalRidge(ridge, rf_risk(spectrum, n, features, ridge=ridge, noise=noise))


def _points(spectrum: Spectrum, n: float, features: float) -> np.ndarray:
    """Return log gammas to try: dense above the interpolating one, then evenly up to where nothing is learned."""
    present = spectrum.log_eigenvalues[spectrum.eigenvalues > 0]
    start = ridgeless(spectrum, min(n, features))
    high = spectrum.log_trace + _BEYOND
    if start == -math.inf:
        start = float(present.min()) - _BEYOND
    near = start + np.geomspace(1e-8, 1.0, 33)
    count = int(min(_MOST, max(2, math.ceil((high - start) / _STEP))))
    return np.unique(np.concatenate([near, np.linspace(start + _STEP, high, count)]))


def _log_gap(found: Implicit, n: float, spectrum: Spectrum) -> float:
    """Return log(ridge / gamma)."""
    share = 1.0 if spectrum.pool is None else 1 - found.z / spectrum.pool
    gap = found.samples_left * found.features_left / share
    return math.log(gap) if gap > 0 else -math.inf
