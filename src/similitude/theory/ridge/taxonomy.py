"""Benign, tempered or catastrophic: how the price of interpolating noise goes on as samples are added (paper 9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError

Kind = Literal["benign", "tempered", "catastrophic", "undetermined"]
_FLAT, _STEEP = 0.05, 0.3  # slopes of log(E_0 - 1) over log n
_NOTHING = 1e-9  # an excess that is rounding


@dataclass(frozen=True)
class Taxonomy:
    """How E_0, the test error of interpolating pure noise, goes on with the number of samples.

    Attributes:
        kind: "benign" (goes to 1), "tempered" (to a constant), "catastrophic" (to infinity), or "undetermined": by the
            slope alone, below -0.05, up to 0.05, above 0.3, and in between. A kernel of finite rank has a peak at as many
            samples: sizes behind it alone count then.
        slope: d log(E_0 - 1) / d log n over the sizes; nan where E_0 is infinite at the last, or 1.
        sizes: Numbers of samples.
        coefficients: E_0 at each. A finite range says no more than where it is heading: judge these numbers too.
    """

    kind: Kind
    slope: float
    sizes: tuple[float, ...]
    coefficients: tuple[float, ...]


@cites(9, "Section on benign, tempered and catastrophic overfitting")
def taxonomy_of(sizes: Sequence[float], coefficients: Sequence[float]) -> Taxonomy:
    """Read the kind of overfitting off measured or predicted E_0.

    Args:
        sizes: Numbers of samples, two different ones at least.
        coefficients: E_0 at each, at least 1.

    Raises:
        TheoryError: There are too few, or lengths differ, or a coefficient is below 1.

    Example:
        >>> taxonomy_of((100, 200, 400), (1.49, 1.495, 1.498)).kind
        'tempered'
    """
    if len(sizes) != len(coefficients) or len(set(sizes)) < 2 or min(sizes) <= 0:
        raise TheoryError(
            f"{len(sizes)} sizes and {len(coefficients)} coefficients: a trend needs two different sizes at least, one "
            "coefficient each."
        )
    excess = np.array(coefficients, float) - 1
    if not (excess >= -_NOTHING).all():
        raise TheoryError(f"coefficients={tuple(coefficients)}: E_0 is at least 1.")
    numbers = tuple(map(float, sizes)), tuple(map(float, coefficients))
    order = np.argsort(np.array(sizes, float), kind="stable")
    n, excess = np.array(sizes, float)[order], excess[order]
    if np.isinf(excess[-1]):
        return Taxonomy("catastrophic", math.nan, *numbers)
    behind = int(np.flatnonzero(np.isinf(excess)).max(initial=-1)) + 1
    n, excess = n[behind:], excess[behind:]
    if len(set(n)) < 2:
        return Taxonomy("undetermined", math.nan, *numbers)
    if float(excess.max()) <= _NOTHING:
        return Taxonomy("benign", math.nan, *numbers)
    logs = np.log(np.maximum(excess, _NOTHING))
    slope = float(np.polyfit(np.log(n), logs, 1)[0])
    kind: Kind = "undetermined"
    if slope < -_FLAT:
        kind = "benign"
    elif slope <= _FLAT:
        kind = "tempered"
    elif slope > _STEEP:
        kind = "catastrophic"
    return Taxonomy(kind, slope, *numbers)
