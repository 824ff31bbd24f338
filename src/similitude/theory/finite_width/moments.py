"""Gaussian moments of an activation at one variance, relative to that variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from similitude.theory.finite_width.activation import Activation
from similitude.theory.finite_width.quadrature import normal_nodes


@dataclass(frozen=True)
class Moments:
    """Expectations over z ~ N(0, K), made free of units by powers of K, so that no K is too small.

    Attributes:
        square: <phi^2> / K.
        spread: (<phi^4> - <phi^2>^2) / K^2.
        slope: d<phi^2> / dK.
        curvature: K d^2<phi^2> / dK^2.
        gain: <phi'^2>.
    """

    square: float
    spread: float
    slope: float
    curvature: float
    gain: float


def mean_square(activation: Activation, variance: float) -> float:
    """Return <phi^2> / K at variance K > 0 alone, for searches."""
    if activation.slopes is not None:
        return (activation.slopes[0] ** 2 + activation.slopes[1] ** 2) / 2
    u, w = normal_nodes()
    root = np.sqrt(variance)
    return float(w @ (activation.values(root * u) / root) ** 2)


def moments(activation: Activation, variance: float) -> Moments:
    """Return the moments of an activation at variance K > 0; derivatives of the variance by Stein's lemma.

    Example:
        >>> import torch
        >>> from similitude.theory.finite_width.activation import read_activation
        >>> moments(read_activation(torch.relu), 3.0)
        Moments(square=0.5, spread=1.25, slope=0.5, curvature=0.0, gain=0.5)
    """
    if activation.slopes is not None:
        right, left = activation.slopes
        square = (right**2 + left**2) / 2
        return Moments(square, 1.5 * (right**4 + left**4) - square**2, square, 0.0, square)
    u, w = normal_nodes()
    root = np.sqrt(variance)
    relative = (activation.values(root * u) / root) ** 2
    weighted = w * relative
    square = float(weighted.sum())
    return Moments(
        square=square,
        spread=float(w @ (relative - square) ** 2),
        slope=float(weighted @ (u**2 - 1)) / 2,
        curvature=float(weighted @ (u**4 - 6 * u**2 + 3)) / 4,
        gain=float(w @ activation.derivative(root * u) ** 2),
    )
