"""The bounds of paper 3 as numbers: on the isometry gap behind some layers, and on gradients whatever the depth."""

from __future__ import annotations

import math

from similitude.core.citation import cites
from similitude.theory.batch_norm.gaps import isometry_rate
from similitude.theory.finite_width.given import number, whole


def least_constant(width: int) -> float:
    """Return the least constant C with which Theorem 1 can hold at a width: 1 / (d^2 log((d + 2) / d)).

    The theorem says E gap_l <= gap_0 exp(-l / (C d^2 (1 + d gap_0))) and leaves C open. Near isometry the gap falls by
    exactly d / (d + 2) a layer (`isometry_rate`), no faster. The 0.015 of the authors' notebooks is below this for widths
    up to 34.

    Args:
        width: Features d.

    Raises:
        TheoryError: The width is no whole number of at least 1.

    Example:
        >>> round(least_constant(8), 4), least_constant(34) > 0.015 > least_constant(35)
        (0.07, True)
    """
    return -1 / (whole("width", width) ** 2 * math.log(isometry_rate(width)))


@cites(3, "Theorem 1: its bound")
def isometry_bound(gap: float, width: int, *, layers: int, constant: float | None = None) -> float:
    """Return the bound of Theorem 1 on the mean isometry gap behind some layers, for as many samples as features.

    Args:
        gap: Isometry gap of the inputs, finite.
        width: Features d.
        layers: Haar-orthogonal layers with batch norm.
        constant: C; the least that is possible by default (`least_constant`), which all gaps that were measured keep to.
            The bound then is gap (d / (d + 2))^(layers / (1 + d gap)).

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> round(isometry_bound(1.0, 8, layers=9), 6), round(isometry_bound(1e-9, 8, layers=1) / 1e-9, 6)
        (0.8, 0.8)
    """
    start, d = number("gap", gap), whole("width", width)
    C = least_constant(d) if constant is None else number("constant", constant, above=True)
    return start * math.exp(-whole("layers", layers, least=0) / (C * d**2 * (1 + d * start)))


@cites(3, "Theorem 2: its bound")
def gradient_bound(gap: float, width: int, *, constant: float = 1.0) -> float:
    """Return the bound of Theorem 2 on the mean log |gradient| of a layer at any depth: C d^5 (1 + gap^3).

    It holds for as many independent samples as features. C is not known. The bound says that there is one, not how large
    gradients are: measured logs are of order 1 where this is of order 10^8.

    Args:
        gap: Isometry gap of the inputs, finite.
        width: Features d.
        constant: C.

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> gradient_bound(1.0, 50)
        625000000.0
    """
    return (
        number("constant", constant, above=True) * whole("width", width) ** 5 * (1 + number("gap", gap) ** 3)
    )
