"""Log-normal statistics of deep ReLU networks: one number beta, 5 L/n, says how much they fluctuate (paper 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from similitude.core.citation import cites
from similitude.theory.finite_width.given import hidden_widths

RELU_SPREAD = 5.0
"""n Var of the mean over n units of 2 relu(g)^2, g ~ N(0, 1): <(2 relu^2)^2> - 1 = 6 - 1."""


@dataclass(frozen=True)
class LogSize:
    """The log of |z^L|^2 / |z^0|^2 relative to its mean square, over random ReLU networks. Made by `relu_log_size`.

    Attributes:
        mean: Of networks that are not dead; -beta/2 for large widths.
        variance: Likewise; beta for large widths.
        dead: Probability that all units of some layer are off, so that the output is 0.
    """

    mean: float
    variance: float
    dead: float


@cites(8, "log-normality of deep ReLU networks")
def relu_log_normal(widths: Sequence[int]) -> float:
    """Return beta = 5 (1/n_1 + ... + 1/n_L) of a ReLU network with He's initialization and no biases.

    The log of |z^L|^2 / |z^0|^2, relative to its mean square, is N(-beta/2, beta) as widths and depth grow together. So
    networks drawn alike have outputs that differ in size by e^(sqrt(beta)/2): beta well below 1 is a wide network.

    Args:
        widths: Width of every hidden layer, in order.

    Raises:
        TheoryError: A width is not a whole number of at least 1.

    Example:
        >>> relu_log_normal([100] * 40)
        2.0

    Source: paper 8 (arXiv 2309.01592); Hanin, Nica, arXiv 1812.05994.
    """
    return float(np.sum(RELU_SPREAD / hidden_widths(widths)))


@cites(8, "log-normality of deep ReLU networks, at finite width")
def relu_log_size(widths: Sequence[int]) -> LogSize:
    """Return mean and variance of the log of a random ReLU network's size at any width, exactly.

    A layer multiplies the square of the size by 2/n times a chi-squared number with as many degrees of freedom as units
    are on, which are n coins; layers are independent.

    Args:
        widths: Width of every hidden layer, in order.

    Raises:
        TheoryError: A width is not a whole number of at least 1.

    Example:
        >>> size = relu_log_size([1000] * 10)
        >>> round(size.mean, 3), round(size.variance, 3)  # beta is 0.05
        (-0.025, 0.05)

    Cost: the sum of the different widths.
    """
    mean = variance = alive = 0.0
    different, times = np.unique(hidden_widths(widths), return_counts=True)
    for n, count in zip(different, times, strict=True):
        on = np.arange(1, int(n) + 1)
        p = stats.binom.pmf(on, int(n), 0.5)
        p /= p.sum()
        logs = special.digamma(on / 2) + np.log(4 / n)
        first = float(p @ logs)
        mean += count * first
        variance += count * float(p @ (special.polygamma(1, on / 2) + (logs - first) ** 2))
        alive += count * float(np.log1p(-(0.5**n)))
    return LogSize(float(mean), float(variance), float(-np.expm1(alive)))
