"""What interpolation costs: the test error without a ridge over that of the best ridge (paper 9)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.theory.ridge.arrays import numbers
from similitude.theory.ridge.effective_rank import coefficient_bound
from similitude.theory.ridge.optimal import optimal_ridge
from similitude.theory.ridge.risk import check_spectrum, rf_risk
from similitude.theory.ridge.spectrum import Spectrum
from similitude.theory.ridge.taxonomy import Taxonomy, taxonomy_of

_DOWN = (0.25, 0.5, 1.0)  # sizes, relative to n, that say how overfitting goes on


@dataclass(frozen=True, eq=False)
class CostOfOverfitting:
    """What interpolation costs one task. Made by `cost_of_overfitting`.

    Attributes:
        n: Training samples.
        noise: Variance of the labels' noise.
        cost: Test error without a ridge over that of the best ridge, at least 1.
        coefficient: E_0, the test error of interpolating pure noise over its variance. It depends on kernel and n alone,
            and no task costs more. (Of a pool, the error on samples that were not drawn; a target may then cost up to
            N / (N - n) more.)
        bound: Upper bound of the coefficient by effective ranks, perhaps infinite.
        bound_rank: The number k of leading modes that gives the bound.
        interpolating: Test error without a ridge.
        best: Test error at the best ridge.
        ridge: The best ridge.
        taxonomy: Whether the coefficient goes to 1, to a constant or to infinity, by its values up to n.
    """

    n: float
    noise: float
    cost: float
    coefficient: float
    bound: float
    bound_rank: float
    interpolating: float
    best: float
    ridge: float
    taxonomy: Taxonomy

    def __str__(self) -> str:
        return (
            f"interpolating {self.n:g} samples costs a factor {self.cost:.4g} of test error, and no target or noise "
            f"costs more than {self.coefficient:.4g} ({self.taxonomy.kind}); the best ridge is {self.ridge:.3g}"
        )


@cites(9, "Theorem 1: the agnostic bound of the cost of overfitting")
def cost_of_overfitting(spectrum: Spectrum, n: float, *, noise: float = 0.0) -> CostOfOverfitting:
    """Predict what kernel ridge regression loses by interpolating.

    Args:
        spectrum: Of the kernel with the target in it.
        n: Training samples.
        noise: Variance of the labels' noise.

    Raises:
        TheoryError: A number is out of range.

    Example:
        Power laws cost at most alpha, in the limit of many samples.

        >>> found = cost_of_overfitting(Spectrum.power_law(1.5, 1.5), 10_000, noise=1e6)
        >>> round(found.cost, 2), round(found.coefficient, 2), found.taxonomy.kind
        (1.5, 1.5, 'tempered')

    Cost: that of `optimal_ridge`.
    """
    interpolating = rf_risk(spectrum, n, noise=noise).test
    best = optimal_ridge(spectrum, n, noise=noise)
    bound = coefficient_bound(spectrum, n)
    return CostOfOverfitting(
        n=float(n),
        noise=float(noise),
        cost=_over(interpolating, best.risk.test),
        coefficient=noise_risk(spectrum, n),
        bound=bound.value,
        bound_rank=bound.rank,
        interpolating=interpolating,
        best=best.risk.test,
        ridge=best.ridge,
        taxonomy=taxonomy(spectrum, [share * n for share in _DOWN]),
    )


@cites(9, "Definition of E_0")
def noise_risk(spectrum: Spectrum, n: float) -> float:
    """Return E_0: the test error of interpolating pure noise of variance 1, the noise of test labels included.

    Args:
        spectrum: Of the kernel; its target plays no part.
        n: Training samples.

    Returns:
        n / (n - sum L_i^2), or n / (n - rank) for kernels of fewer modes than samples; perhaps infinite.

    Raises:
        TheoryError: n is out of range.

    Example:
        Least squares in 5 dimensions with 20 samples.

        >>> round(noise_risk(Spectrum([1.0], [0.0], multiplicity=[5]), 20), 9) == round(20 / 15, 9)
        True
    """
    check_spectrum(spectrum)
    return rf_risk(_without_target(spectrum), n, noise=1.0).test


@cites(9, "Section on benign, tempered and catastrophic overfitting")
def taxonomy(spectrum: Spectrum, sizes: Sequence[float]) -> Taxonomy:
    """Say whether overfitting is benign, tempered or catastrophic, by E_0 at several sizes.

    Args:
        spectrum: Of the kernel.
        sizes: Numbers of samples, two at least.

    Raises:
        TheoryError: A size is out of range, or there are fewer than two different ones.

    Example:
        >>> sizes, fast = (100, 200, 400), np.exp(-np.arange(1, 4000) / 20)
        >>> [taxonomy(s, sizes).kind for s in (Spectrum(fast, 0 * fast), Spectrum.power_law(2.0, 2.0))]
        ['catastrophic', 'tempered']
    """
    given = numbers(sizes, "sizes").tolist()
    return taxonomy_of(given, [noise_risk(spectrum, n) for n in given])


def _without_target(spectrum: Spectrum) -> Spectrum:
    nothing = np.zeros_like(spectrum.eigenvalues)
    return Spectrum(spectrum.eigenvalues, nothing, spectrum.multiplicity, pool=spectrum.pool)


def _over(interpolating: float, best: float) -> float:
    if best > 0:
        return max(interpolating / best, 1.0)
    return 1.0 if interpolating == 0 else math.inf
