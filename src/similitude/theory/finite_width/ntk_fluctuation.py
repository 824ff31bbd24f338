"""How much the tangent kernel of a deep ReLU network differs from draw to draw, in closed form (paper 8, derived)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from similitude.core.citation import cites
from similitude.theory.finite_width.given import hidden_widths, number
from similitude.theory.finite_width.log_normal import RELU_SPREAD

_SHARED = 1.0  # n (E - 1) of the product of a forward and a backward factor of one layer
_SERIES = 1e-2  # below this the closed form loses digits to cancellation


@cites(8, "fluctuations of the tangent kernel at finite width")
def ntk_relative_second_moment(widths: Sequence[int]) -> float:
    """Return E[Theta^2] / E[Theta]^2 of the tangent kernel at one input: ReLU, He's initialization, no biases.

    Theta is a sum over the L + 1 weight layers of a forward and a backward factor. For layers i and j, a hidden layer
    outside of them multiplies the second moment by 1 + 5/n, one between them by 1 + 1/n; the mean over i and j is the
    result. All parameters are in the NTK parametrization. Of relative order 1/n^2 per layer, the weights that both
    factors share are left out.

    Args:
        widths: Width n of every hidden layer, in order.

    Returns:
        1 plus the relative variance; inf where it leaves the range of numbers.

    Raises:
        TheoryError: A width is not a whole number of at least 1.

    Example:
        >>> round(ntk_relative_second_moment([32] * 4), 3)
        1.502

    Source: paper 8 (arXiv 2309.01592) for the setting; Hanin, Nica, arXiv 1909.05989, for its rate e^(5 L/n).

    Cost: L^2 numbers.
    """
    n = hidden_widths(widths)
    outside = np.concatenate([[0.0], np.cumsum(np.log1p(RELU_SPREAD / n))])
    between = np.concatenate([[0.0], np.cumsum(np.log1p(_SHARED / n))])
    logs = (
        outside[-1]
        - np.abs(np.subtract.outer(outside, outside))
        + np.abs(np.subtract.outer(between, between))
    )
    top = float(logs.max())
    log = top + math.log(float(np.exp(logs - top).mean()))
    return math.exp(log) if log < math.log(np.finfo(float).max) else math.inf


def ntk_relative_variance(widths: Sequence[int]) -> float:
    """Return Var(Theta) / E[Theta]^2; see `ntk_relative_second_moment`.

    Example:
        >>> round(ntk_relative_variance([64] * 8), 3)
        0.542
    """
    return ntk_relative_second_moment(widths) - 1


@cites(8, "fluctuations of the tangent kernel at finite width")
def ntk_relative_second_moment_limit(depth_over_width: float) -> float:
    """Return the limit of `ntk_relative_second_moment` for large depth and width at a given ratio b = L/n.

    It is 2 e^(5b) (1/(4b) - (1 - e^(-4b)) / (16 b^2)): it grows as e^(5b) / (2b), of which e^(5b) is the rate alone.

    Args:
        depth_over_width: b, of hidden layers over their width.

    Raises:
        TheoryError: It is negative or not finite.

    Example:
        >>> ntk_relative_second_moment_limit(0.0), round(ntk_relative_second_moment_limit(0.25), 2)
        (1.0, 2.57)
    """
    b = number("depth_over_width", depth_over_width)
    x = (RELU_SPREAD - _SHARED) * b
    mean = 1 - x / 3 + x**2 / 12 - x**3 / 60 if x < _SERIES else 2 * (x + math.expm1(-x)) / x**2
    log = RELU_SPREAD * b + math.log(mean)
    return math.exp(log) if log < math.log(np.finfo(float).max) else math.inf
