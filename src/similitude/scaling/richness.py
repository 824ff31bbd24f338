"""Learning rates that follow the richness gamma of paper 1: outputs are divided by gamma, and the best and the largest
stable learning rate go as gamma^2 below 1 and as gamma^(2/L) above it for SGD, with half the exponents for Adam."""

from __future__ import annotations

import math
from numbers import Real

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.scaling.rules import FAMILIES

_LAZY_POWER = {"sgd": 2.0, "entrywise": 1.0, "orthogonalized": 1.0}
"""Exponent of gamma below 1. A gradient is as small as the output is, which is one more power than that of an update
whose size does not depend on the gradient's."""


def known_gamma(gamma: float) -> float:
    """Return a richness as a float.

    Args:
        gamma: What outputs are divided by: 1 is the model as it is, below 1 it is lazier, above 1 richer.

    Raises:
        PlanError: It is not a positive finite number.

    Example:
        >>> known_gamma(4)
        4.0
    """
    if not isinstance(gamma, Real) or isinstance(gamma, bool) or not 0 < float(gamma) < math.inf:
        raise PlanError(
            f"gamma={gamma!r} is no richness: outputs are divided by it, so it must be a positive finite number. "
            "gamma=1 is the model as it is, 0.01 is nearly the kernel limit, 100 very rich."
        )
    return float(gamma)


@cites(1, "abstract: gamma^2 below 1, gamma^(2/L) above")
def power_of(gamma: float, layers: int, family: str) -> float:
    """Return the exponent of gamma that learning rates follow on its side of 1.

    On the lazy side weights hardly move, and what a step does to the output f / gamma is what counts. On the rich side
    the product of L layers has to grow by gamma, so each grows by gamma^(1/L), and rates follow the size of the weights
    that a run ends with. The law is one of feed-forward networks without norms.

    Args:
        gamma: Richness.
        layers: Number of weight layers on the longest path from input to output, both ends included.
        family: One of `similitude.scaling.rules.FAMILIES`.

    Returns:
        2 below 1 and 2 / layers above for "sgd"; 1 and 1 / layers for updates whose size does not depend on that of the
        gradient ("entrywise", "orthogonalized").

    Raises:
        PlanError: gamma is not positive and finite, there are no layers, or the family does not exist.

    Example:
        >>> power_of(0.1, 3, "sgd"), power_of(100, 4, "sgd"), power_of(100, 4, "entrywise")
        (2.0, 0.5, 0.25)
    """
    gamma = known_gamma(gamma)
    if isinstance(layers, bool) or not isinstance(layers, int) or layers < 1:
        raise PlanError(
            f"layers={layers!r}: learning rates above gamma = 1 follow gamma^(2/L) with L weight layers on the longest "
            "path, and a model has at least 1. Pass the number of its weight layers, or keep gamma=1."
        )
    if family not in FAMILIES:
        raise PlanError(
            f"optimizer family {family!r} is unknown. Choose one of {', '.join(map(repr, FAMILIES))}."
        )
    return _LAZY_POWER[family] / (1 if gamma < 1 else layers)


@cites(1, "abstract: the best learning rate follows gamma^2 below 1 and gamma^(2/L) above")
def lr_scale(gamma: float, layers: int, family: str) -> float:
    """Return what learning rates tuned at gamma = 1 are multiplied by at another richness.

    Args:
        gamma: Richness.
        layers: Number of weight layers on the longest path from input to output, both ends included.
        family: One of `similitude.scaling.rules.FAMILIES`.

    Returns:
        gamma to the power of `power_of`; 1 at gamma = 1, where both sides meet.

    Raises:
        PlanError: gamma is not positive and finite, there are no layers, or the family does not exist.

    Example:
        >>> lr_scale(0.25, 2, "sgd"), lr_scale(16, 2, "sgd"), lr_scale(16, 2, "entrywise")
        (0.0625, 16.0, 4.0)
    """
    return known_gamma(gamma) ** power_of(gamma, layers, family)


@cites(1, "abstract: curvature follows the inverse of the stable learning rate")
def sharpness_power(gamma: float, layers: int, *, trained: bool) -> float:
    """Return the exponent of gamma that the largest eigenvalue of the Hessian of a squared error follows.

    Below 1 the Gauss-Newton part rules, of outputs that are divided by gamma. Above it that has shrunk before training,
    and what is left of the Hessian is the error times second derivatives of one output over gamma; after training each
    layer has grown by gamma^(1/L), and the Gauss-Newton part is gamma^(-2/L).

    Args:
        gamma: Richness.
        layers: Number of weight layers.
        trained: Whether the data is fitted, or the network as it was drawn, its initial output taken off.

    Returns:
        -2 below 1; above it -1 before training and -2 / layers after it.

    Raises:
        PlanError: gamma is not positive and finite, or there are no layers.

    Example:
        >>> sharpness_power(0.1, 4, trained=True), sharpness_power(10, 4, trained=True)
        (-2.0, -0.5)
        >>> sharpness_power(10, 4, trained=False)
        -1.0
    """
    power = -power_of(gamma, layers, "sgd")
    return power if trained or gamma < 1 else -1.0


def plateau_scale(gamma: float, layers: int) -> float:
    """Return how the first plateau of a rich network grows with gamma, in steps at rates that follow `lr_scale`.

    In units of gamma^(1/L) weights start at gamma^(-1/L), and grow as exp(t) with two layers, as 1 / (T - t)^(1/(L-2))
    with more: the time to order 1 is log(gamma), and gamma^(1 - 2/L).

    Args:
        gamma: Richness, above 1.
        layers: Number of weight layers, at least 2.

    Raises:
        PlanError: gamma is not above 1, or there are fewer than two layers, which have no plateau.

    Example:
        >>> plateau_scale(1e4, 4), round(plateau_scale(1e4, 2), 2)
        (100.0, 9.21)
    """
    if not known_gamma(gamma) > 1 or layers < 2:
        raise PlanError(
            f"gamma={gamma:g} with layers={layers}: a first plateau is what two layers or more have above gamma = 1."
        )
    return math.log(gamma) if layers == 2 else gamma ** (1 - 2 / layers)
