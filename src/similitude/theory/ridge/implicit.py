"""The implicit regularization of ridge regression: one monotone equation for gamma, solved in logarithms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray
_NONE_LEFT = -1e4  # stands for the logarithm of what is not above 0
_SLACK = 1e-6  # how far ends of a bracket are moved out, against rounding


@dataclass(frozen=True)
class Implicit:
    """What is learned at one implicit regularization gamma.

    With L_i = lambda_i / (lambda_i + gamma), z = sum L_i and q = sum L_i^2, n samples and k features. Differences are
    kept as such: near interpolation they are tiny, and subtracting would lose them.

    Attributes:
        log_gamma: log gamma, -inf for 0.
        learned: L of every level.
        unlearned: 1 - L of every level.
        z: Number of modes that are learned.
        spread: z - q.
        samples_left: n - z.
        features_left: (k - z) / k.
    """

    log_gamma: float
    learned: Array
    unlearned: Array
    z: float
    spread: float
    samples_left: float
    features_left: float


def implicit(spectrum: Spectrum, n: float, features: float, ridge: float) -> Implicit:
    """Solve gamma (n - z)(k - z) / (k (1 - z / N)) = ridge for gamma, N being the pool (infinite without one).

    Args:
        spectrum: Of the kernel.
        n: Samples, above 0, fewer than the pool's.
        features: k, above 0, perhaps infinite.
        ridge: At least 0, perhaps infinite.

    Source: both equations of paper 6, Section 3, kappa eliminated. For a pool, the sketch of rows of an orthogonal matrix
    (LeJeune et al., arXiv:2211.03751) in place of that of independent ones.
    """
    if ridge == math.inf:
        return state(spectrum, math.inf, n, features)
    least = min(n, features)
    floor = ridgeless(spectrum, least)
    if ridge == 0:
        found = state(spectrum, floor, n, features)
        if floor == -math.inf:
            return found
        # z is min(n, k) there, and its rounding must not show in what is left.
        return _replaced(
            found,
            0.0 if n <= features else n - features,
            0.0 if features <= n else 1 - n / features,
        )
    log_ridge, pool = math.log(ridge), _size(spectrum)

    def residual(log_gamma: float) -> float:
        z = _learned_modes(spectrum, log_gamma)
        if z >= least:
            return _NONE_LEFT
        return log_gamma + math.log(n - z) + math.log1p(-z / features) - math.log1p(-z / pool) - log_ridge

    low = max(floor, log_ridge - math.log(n) - _SLACK)
    high = max(spectrum.log_trace - math.log(least / 2), log_ridge - math.log(n / 4)) + _SLACK
    root = low if residual(low) >= 0 else _root(residual, low, high)
    found = state(spectrum, root, n, features)
    # What is left over of the scarcer of samples and features comes from the equation, not from a difference.
    product = math.exp(log_ridge - root) * (1 - found.z / pool)
    if n < features:
        return _replaced(found, product / (1 - found.z / features), 1 - found.z / features)
    if n == features:
        return _replaced(found, math.sqrt(product * n), math.sqrt(product / n))
    return _replaced(found, n - found.z, product / (n - found.z))


def ridgeless(spectrum: Spectrum, modes: float) -> float:
    """Return log gamma at which as many modes are learned, -inf where the kernel has no more.

    Args:
        spectrum: Of the kernel.
        modes: The smaller of samples and features.
    """
    rank = spectrum.rank
    if rank <= modes:
        return -math.inf

    def residual(log_gamma: float) -> float:
        return math.log(max(_learned_modes(spectrum, log_gamma), 1e-300) / modes)

    lowest = float(spectrum.log_eigenvalues[spectrum.eigenvalues > 0].min())
    low = lowest + math.log((rank - modes) / rank) - 1
    high = spectrum.log_trace - math.log(modes) + _SLACK
    return low if residual(low) <= 0 else _root(residual, low, high)


def state(spectrum: Spectrum, log_gamma: float, n: float, features: float) -> Implicit:
    """Return what is learned at a given log gamma, between -inf and inf."""
    if log_gamma == -math.inf:
        learned = (spectrum.eigenvalues > 0).astype(float)
        unlearned = 1 - learned
    elif log_gamma == math.inf:
        learned, unlearned = np.zeros_like(spectrum.eigenvalues), np.ones_like(spectrum.eigenvalues)
    else:
        away = spectrum.log_eigenvalues - log_gamma
        learned, unlearned = expit(away), expit(-away)
    z = float(spectrum.multiplicity @ learned)
    spread = float(spectrum.multiplicity @ (learned * unlearned))
    return Implicit(log_gamma, learned, unlearned, z, spread, max(n - z, 0.0), max(1 - z / features, 0.0))


def _replaced(found: Implicit, samples_left: float, features_left: float) -> Implicit:
    return Implicit(
        found.log_gamma,
        found.learned,
        found.unlearned,
        found.z,
        found.spread,
        samples_left,
        features_left,
    )


def _learned_modes(spectrum: Spectrum, log_gamma: float) -> float:
    return float(spectrum.multiplicity @ expit(spectrum.log_eigenvalues - log_gamma))


def _size(spectrum: Spectrum) -> float:
    return math.inf if spectrum.pool is None else spectrum.pool


def _root(residual: Any, low: float, high: float) -> float:
    found: Any = brentq(residual, low, high, xtol=1e-13, maxiter=1000)
    return float(found)
