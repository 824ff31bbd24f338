"""What a candidate promises: expected improvement in logarithms, and the expected gain of area under the front.

Source: paper 10, Section 3 (expected improvement over the front at a candidate's predicted cost); logarithms keep it from
underflowing far from any improvement.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import log_ndtr, logsumexp, ndtr

from similitude.tuning.search.pareto import Staircase

_FAR = -5.0  # standard deviations from which on the asymptotic series is used
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


def log_expected_improvement(mean: np.ndarray, variance: np.ndarray, best: np.ndarray | float) -> np.ndarray:
    """Return log E[max(y - best, 0)] of normal y, accurate however small it is.

    Args:
        mean: Means, shape (m,).
        variance: Variances, shape (m,).
        best: What is to be improved on, a number or shape (m,).

    Example:
        >>> [round(float(log_expected_improvement(np.zeros(1), np.ones(1), b)[0]), 2) for b in (0.0, 20.0, 1000.0)]
        [-0.92, -206.92, -500014.73]
    """
    deviation = np.sqrt(variance)
    z = (mean - best) / deviation
    density = -0.5 * z**2 - _LOG_ROOT_2PI
    near = z > _FAR
    with np.errstate(all="ignore"):
        exact = np.log(np.exp(density) + z * ndtr(z))
        far = density - 2 * np.log(-z) + np.log1p(-3 / z**2 + 15 / z**4)
    return np.where(near, exact, far) + np.log(deviation)


def log_expected_gain(
    mean: np.ndarray,
    variance: np.ndarray,
    log_costs: np.ndarray,
    staircase: Staircase,
    *,
    worst: float,
    end: float,
    steepness: Callable[[float], float] = lambda value: 1.0,
) -> np.ndarray:
    """Return the logarithm of the area that a candidate is expected to add below the front, over log cost.

    It is the sum, over the levels of the front from the candidate's cost on, of the level's width times the expected
    improvement over its value: expected improvement of the hypervolume, the cost taken for known.

    Args:
        mean: Means of the candidates' values, shape (m,).
        variance: Variances, shape (m,).
        log_costs: Logarithms (base 10) of their predicted costs, shape (m,).
        staircase: The front.
        worst: Value that counts where there is none as cheap.
        end: Logarithm of the largest cost that matters.
        steepness: Weight of improvements on a value, where values are drawn together (`Scaling.steepness`): the area
            is then that of the user's own values.

    Example:
        >>> front = Staircase(np.array([0.0]), np.array([1.0]))
        >>> gain = log_expected_gain(np.array([3.0]), np.array([1e-18]), np.array([0.5]), front, worst=0.0, end=2.0)
        >>> round(float(np.exp(gain)[0]), 6)  # 1.5 wide, 2 high
        3.0
    """
    terms = []
    for low, high, value in staircase.levels(worst, end):
        width = np.maximum(high - np.maximum(log_costs, low), 0.0)
        with np.errstate(divide="ignore"):
            improvement = log_expected_improvement(mean, variance, value)
            terms.append(np.log(width) + improvement + math.log(steepness(value)))
    return np.asarray(logsumexp(np.array(terms), axis=0))


def log_probability_below(mean: np.ndarray, variance: np.ndarray, limit: float) -> np.ndarray:
    """Return log P(y < limit) of normal y, shape (m,)."""
    return log_ndtr((limit - mean) / np.sqrt(variance))
