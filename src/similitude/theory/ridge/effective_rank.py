"""Effective ranks of a kernel's tail, and the bound of the price of overfitting that they give (paper 9)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import not_negative, positive
from similitude.theory.ridge.risk import check_spectrum
from similitude.theory.ridge.spectrum import Spectrum

_ROUNDING = 1e-12  # relative, of an effective rank


@dataclass(frozen=True)
class EffectiveRanks:
    """How many directions the tail of a spectrum is worth.

    Attributes:
        r: Sum of the eigenvalues beyond the first k over the largest of them.
        R: Their squared sum over the sum of their squares.
    """

    r: float
    R: float


@dataclass(frozen=True)
class CoefficientBound:
    """An upper bound of E_0.

    Attributes:
        value: The bound; infinite where no k has k < n < R_k.
        rank: The k that gives it; nan where none does.
    """

    value: float
    rank: float


@cites(9, "Definition of the effective ranks r_k and R_k")
def effective_ranks(spectrum: Spectrum, k: int) -> EffectiveRanks:
    """Return the effective ranks of what a spectrum has beyond its k largest eigenvalues.

    Args:
        spectrum: Of the kernel.
        k: Number of leading modes, at least 0 and below the rank.

    Raises:
        TheoryError: k is out of range.

    Example:
        >>> effective_ranks(Spectrum([4.0, 1.0], [0.0, 0.0], multiplicity=[1, 6]), 1)
        EffectiveRanks(r=6.0, R=6.0)
    """
    check_spectrum(spectrum)
    if not not_negative(k, "k") < spectrum.rank:
        raise TheoryError(f"k={k}: a kernel of rank {spectrum.rank:g} has a tail for k from 0 to below it.")
    values, counts, before = _sorted(spectrum)
    left = np.clip(counts - np.clip(k - before, 0.0, None), 0.0, None)
    # Relative to the largest of the tail, so that no square is too small.
    tail = values[left > 0] / values[left > 0][0]
    first, second = float(left[left > 0] @ tail), float(left[left > 0] @ tail**2)
    return EffectiveRanks(first, first**2 / second)


@cites(9, "Theorem: finite-sample bound by effective ranks")
def coefficient_bound(spectrum: Spectrum, n: float) -> CoefficientBound:
    """Bound E_0 by the best of 1 / ((1 - k / n)(1 - n / R_k)) over k < n < R_k.

    Tails are taken at the ends of levels, where eigenvalues share them.

    Args:
        spectrum: Of the kernel.
        n: Training samples.

    Raises:
        TheoryError: n is out of range.

    Example:
        >>> coefficient_bound(Spectrum([1.0], [0.0], multiplicity=[400]), 100).value  # k = 0, R_0 = 400
        1.3333333333333333
    """
    check_spectrum(spectrum)
    n = positive(n, "n", "n=100")
    values, counts, k = _sorted(spectrum)
    first, second = counts.copy(), counts.copy()
    for i in range(len(values) - 2, -1, -1):  # each relative to its own largest eigenvalue
        ratio = values[i + 1] / values[i]
        first[i] += ratio * first[i + 1]
        second[i] += ratio * ratio * second[i + 1]
    ranks = first**2 / second
    able = np.flatnonzero((k < n) & (n < ranks * (1 - _ROUNDING)))
    if not able.size:
        return CoefficientBound(math.inf, math.nan)
    bounds = 1 / ((1 - k[able] / n) * (1 - n / ranks[able]))
    best = int(bounds.argmin())
    return CoefficientBound(float(bounds[best]), float(k[able[best]]))


def _sorted(spectrum: Spectrum) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvalues above 0, their multiplicities, and the number of modes before each, the largest first."""
    present = spectrum.eigenvalues > 0
    values, counts = spectrum.eigenvalues[present], spectrum.multiplicity[present]
    order = np.argsort(-values, kind="stable")
    counts = counts[order]
    # Summed, not subtracted from a sum: levels of 10^60 modes follow on levels of a few.
    return values[order], counts, np.concatenate([[0.0], np.cumsum(counts)[:-1]])
