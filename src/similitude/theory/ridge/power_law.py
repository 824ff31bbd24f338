"""Power-law tasks in closed form: errors, the best fitting ratio, and when overfitting is obligatory (paper 6)."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import not_negative, positive, real

Array = np.ndarray
_SINGLE = 1024  # modes with a level of their own
_WIDTH = 1 / 64  # relative, of the levels that follow


def power_law_levels(alpha: float, beta: float, modes: float) -> tuple[Array, Array, Array]:
    """Return levels of eigenvalues i^-alpha and squared coefficients i^-beta; see `Spectrum.power_law`.

    Raises:
        TheoryError: An exponent is not above 1, or there is no mode.
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 1 < real(value, name) < math.inf:
            raise TheoryError(
                f"{name}={value}: the sum of i^-{name} is finite for exponents above 1 alone. Pass e.g. 1.5."
            )
    if not 1 <= real(modes, "modes") < math.inf:
        raise TheoryError(f"modes={modes}. Pass a number of at least 1.")
    single = np.arange(1.0, min(int(min(modes, _SINGLE)), _SINGLE) + 1)
    edges = np.array([len(single) + 0.5])
    if modes > _SINGLE:
        steps = max(1, math.ceil(math.log((modes + 0.5) / edges[0]) / _WIDTH))
        edges = np.geomspace(edges[0], modes + 0.5, steps + 1)
    count = np.diff(edges)
    # The sum over a level's modes is the integral between half-integers, to 1e-7 of it from the thousandth mode on.
    sums = {p: -np.diff(edges ** (1 - p)) / (p - 1) for p in (alpha, beta)}
    eigenvalues = np.concatenate([single**-alpha, sums[alpha] / count])
    target = np.concatenate([single**-beta, sums[beta]])
    kept = eigenvalues > 0  # a steep law underflows far out
    return eigenvalues[kept], target[kept], np.concatenate([np.ones_like(single), count])[kept]


@cites(6, "Theorem on power-law eigenstructure")
def power_law_error(
    n: float, *, alpha: float, beta: float, fitting_ratio: float = 0.0, noise: float = 0.0
) -> float:
    """Return the test error of kernel ridge regression on a power-law task, for many samples.

    Args:
        n: Training samples.
        alpha: Eigenvalues are i^-alpha, alpha above 1.
        beta: Squared coefficients are i^-beta, 1 < beta < 2 alpha + 1.
        fitting_ratio: Training over test error, in [0, 1), which the ridge sets; 0 for interpolation.
        noise: Variance of the noise over the error of interpolating without noise.

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> error = power_law_error(1e6, alpha=1.5, beta=2.5)  # B = 1/alpha: the singularity is removed
        >>> round(error / (math.pi / (1.5 * math.sin(math.pi / 1.5)) / 1e6) ** 1.5, 9)
        1.0
    """
    positive(n, "n", "n=1000")
    _check(alpha, beta, noise)
    if not 0 <= real(fitting_ratio, "fitting_ratio") < 1:
        raise TheoryError(
            f"fitting_ratio={fitting_ratio} is training over test error. Pass a number in [0, 1)."
        )
    r = math.sqrt(fitting_ratio)
    # gamma^((beta - 1) / alpha) at r, and at interpolation
    scale = math.pi / (alpha * math.sin(math.pi / alpha)) / n
    at_r, at_0 = ((scale / (1 - x)) ** (beta - 1) for x in (r, 0.0))
    constant = _constant(alpha, beta)
    return alpha / (1 + (alpha - 1) * r) * constant * (at_r + noise * alpha * at_0)


@cites(6, "Section 5: overfitting is obligatory")
def optimal_fitting_ratio(*, alpha: float, beta: float, noise: float = 0.0) -> float:
    """Return training over test error at the best ridge, on a power-law task with many samples.

    Args:
        alpha: Eigenvalues are i^-alpha, alpha above 1.
        beta: Squared coefficients are i^-beta, 1 < beta < 2 alpha + 1.
        noise: Variance of the noise over the error of interpolating without noise.

    Returns:
        A number in [0, 1); 0 where interpolation is best: where noise is at most (beta - alpha) / (alpha (alpha - 1)).

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> [optimal_fitting_ratio(alpha=1.5, beta=1.8, noise=noise) > 0 for noise in (0.39, 0.41)]
        [False, True]
    """
    _check(alpha, beta, noise)

    def balance(r: float) -> float:
        return alpha - beta - (alpha - 1) * beta * r + alpha * (alpha - 1) * (1 - r) ** beta * noise

    if balance(0.0) <= 0:
        return 0.0
    root: float = brentq(balance, 0.0, 1.0, xtol=1e-15)  # type: ignore[assignment]
    return root**2


@cites(6, "Section 5: overfitting is obligatory")
def interpolation_penalty(*, alpha: float, beta: float, noise: float = 0.0) -> float:
    """Return the test error of interpolation over that of the best ridge, on a power-law task with many samples.

    Args:
        alpha: Eigenvalues are i^-alpha, alpha above 1.
        beta: Squared coefficients are i^-beta, 1 < beta < 2 alpha + 1.
        noise: Variance of the noise over the error of interpolating without noise.

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> interpolation_penalty(alpha=1.5, beta=1.8, noise=0.4)
        1.0
    """
    ratio = optimal_fitting_ratio(alpha=alpha, beta=beta, noise=noise)
    law = {"alpha": alpha, "beta": beta, "noise": noise}
    return power_law_error(1.0, **law) / power_law_error(1.0, fitting_ratio=ratio, **law)


def _constant(alpha: float, beta: float) -> float:
    """Return (alpha - beta + 1) / alpha^2 pi / sin(pi (beta - 1) / alpha), finite at beta = alpha + 1 too."""
    away = (alpha - beta + 1) / alpha  # sin(pi (1 - away)) = sin(pi away)
    return 1 / (alpha * float(np.sinc(away)))


def _check(alpha: float, beta: float, noise: float) -> None:
    if not 1 < real(alpha, "alpha") < math.inf or not 1 < real(beta, "beta") < 2 * alpha + 1:
        raise TheoryError(
            f"alpha={alpha}, beta={beta}: the closed form holds for alpha above 1 and beta between 1 and 2 alpha + 1. "
            "Use Spectrum.power_law and rf_risk elsewhere."
        )
    not_negative(noise, "noise")
