"""Errors of ridge regression on random features or a kernel, from its spectrum (paper 6, Section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import not_negative, positive
from similitude.theory.ridge.implicit import Implicit, implicit
from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class RidgeRisk:
    """Predicted errors of one ridge regression. Made by `rf_risk`.

    Attributes:
        test: Mean squared error on samples that were not trained on, their labels as noisy as those of training.
        train: Mean squared error on the training samples.
        bias: What the test error would be if the fit did not depend on which samples and features were drawn, noise
            included.
        coefficient: test / bias, at least 1 (E_0 in paper 6): how much the draw of samples multiplies the error by.
        learned: Share L_i of every level of the target that is learned in the mean, shape (levels,).
        gamma: Implicit regularization: L_i = lambda_i / (lambda_i + gamma).
        kappa: gamma (k - z) / k, of the samples alone.
        fitting_ratio: train / test = (1 - z / n)^2, whatever the target; 0 where training samples are interpolated.
    """

    test: float
    train: float
    bias: float
    coefficient: float
    learned: Array
    gamma: float
    kappa: float
    fitting_ratio: float


@cites(6, "Section 3: the RF eigenframework")
def rf_risk(
    spectrum: Spectrum, n: float, features: float = math.inf, *, ridge: float = 0.0, noise: float = 0.0
) -> RidgeRisk:
    """Predict the errors of ridge regression on k random features.

    The fit is f(x) = K_k(x, X) (K_k(X, X) + ridge)^-1 y with K_k = (1/k) sum_j g_j g_j' and E g g' = K. The equations
    are exact where eigenfunctions and features are Gaussian, and near for real data.

    Args:
        spectrum: Of the kernel K with the target in it.
        n: Training samples, above 0; need not be whole. Below the pool's size where the spectrum has one.
        features: k, above 0; infinitely many are kernel ridge regression.
        ridge: Added to the diagonal of the n x n matrix, not divided by n; may be infinite.
        noise: Variance of independent noise of the labels, beside what the target has itself; the test error counts it.

    Returns:
        The errors. Without a ridge and with as many features as samples, or as many samples as the kernel has modes, the
        test error is infinite unless there is nothing to amplify; the training error is then nan.

    Raises:
        TheoryError: A number is out of range.

    Example:
        One mode of eigenvalue 1 and coefficient 3, one sample, ridge 1/2: gamma (1 - 1 / (1 + gamma)) = 1/2 at gamma = 1.

        >>> risk = rf_risk(Spectrum([1.0], [9.0]), 1, ridge=0.5)
        >>> round(risk.gamma, 12), risk.learned.round(12).tolist(), round(risk.bias, 12), round(risk.coefficient, 12)
        (1.0, [0.5], 2.25, 1.333333333333)

    Cost: one root of a function that sums over levels, about 60 such sums.
    """
    n, features = positive(n, "n", "n=100"), positive(features, "features", "features=1000")
    ridge, noise = not_negative(ridge, "ridge", infinite=True), not_negative(noise, "noise")
    check_samples(spectrum, n)
    return risk_at(spectrum, implicit(spectrum, n, features, ridge), n, features, noise)


def risk_at(spectrum: Spectrum, at: Implicit, n: float, features: float, noise: float) -> RidgeRisk:
    """Return the errors where the implicit regularization is known.

    All sums are of terms that are not negative, so that nothing cancels near interpolation. With N the size of the pool
    and s = (k - z) / (k - q), the test error is n bias / ((n - z)(1 - z / N) + (1 - n / N) s (z - q)): derived here by
    the rules of free compressions, and paper 6's own for N = inf.

    Args:
        spectrum: Of the kernel.
        at: What is learned.
        n: Samples.
        features: k.
        noise: Variance of the noise.
    """
    used = n_share = 0.0
    if spectrum.pool is not None:
        used, n_share = at.z / spectrum.pool, n / spectrum.pool
    # (k - z) / (k - q): by how much the spread of modes is less for finitely many features.
    slack = math.inf if features == math.inf else features * at.features_left
    sharp = 1.0 if slack == math.inf or at.spread == 0 else slack / (slack + at.spread)
    blurred = 0.0 if slack == math.inf or at.spread == 0 else at.spread / (slack + at.spread)
    lost = at.unlearned * (at.unlearned + blurred * at.learned)
    # Noise of a pool's labels is as much a target as any other, equal in all directions.
    spread_share = 0.0 if spectrum.pool is None else sharp * at.spread / spectrum.pool
    bias = float(lost @ spectrum.coefficients_squared) + noise * max(1 - used - spread_share, 0.0)
    left = at.samples_left * (1 - used) + (1 - n_share) * sharp * at.spread
    coefficient = _ratio(n, left)
    fit = (at.samples_left / n) ** 2
    if coefficient == math.inf:
        test, train = (0.0, 0.0) if bias == 0 else (math.inf, math.nan)
    else:
        test = coefficient * bias
        train = fit * test
    gamma = math.exp(min(at.log_gamma, 709.0)) if at.log_gamma < math.inf else math.inf
    kappa = gamma * at.features_left
    return RidgeRisk(test, train, bias, coefficient, at.learned, gamma, kappa, fit)


def check_samples(spectrum: Spectrum, n: float) -> None:
    """Raise `TheoryError` unless a pool has more samples than are drawn from it, and the number is finite."""
    check_spectrum(spectrum)
    if n == math.inf:
        raise TheoryError(
            "n=inf: the error of endless samples is not predicted. Pass a large number, e.g. 1e12."
        )
    if spectrum.pool is not None and n >= spectrum.pool:
        raise TheoryError(
            f"n={n:g} samples of a pool of {spectrum.pool}: none is left to test on. Pass fewer, best up to half of it, "
            "or measure the kernel on a larger pool."
        )


def check_spectrum(spectrum: Spectrum) -> None:
    """Raise `TheoryError` unless it is a spectrum."""
    if not isinstance(spectrum, Spectrum):
        raise TheoryError(
            f"spectrum is a {type(spectrum).__name__}. Pass Spectrum.from_kernel(K, y) of a kernel and targets, or "
            "Spectrum(eigenvalues, coefficients_squared)."
        )


def _ratio(n: float, left: float) -> float:
    return n / left if left > 0 else math.inf
