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
