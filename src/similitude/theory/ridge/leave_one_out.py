"""The price of interpolation from a Gram matrix alone: no labels, no test samples, no spectrum (paper 9)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import not_negative, pool_kernel
from similitude.theory.ridge.spectrum import Spectrum

Array = np.ndarray
_JITTER = 1e-10  # of the mean eigenvalue
_SAME = 1e-12  # squared distance in feature space, relative, below which two samples are one
_SHOWS = 0.01  # relative change of the inverse by the jitter, from which it is told


@cites(9, "E_0, estimated by leaving one sample out")
def overfitting_coefficient(K: ArrayLike | Tensor, *, ridge: float = 0.0) -> float:
    """Estimate what interpolation does to noise, from the kernel of the training samples.

    The test error of fitting pure noise of variance 1, the noise of the test label included, averaged exactly over the
    noise and over which sample is left out: mean_i [A^2]_ii / [A]_ii^2 with A = (K + ridge)^-1. Near 1, training to zero
    loss is safe; no target costs more than this factor.

    Args:
        K: Kernel between the training samples, shape (n, n): `sim.kernel(...).ntk(x)`, or the tangent kernel of a trained
            network (`sim.ntk_gram`).
        ridge: Added to the diagonal; 0 for interpolation.

    Returns:
        E_0 at n - 1 samples, at least 1.

    Warns:
        UserWarning: The matrix is so near to singular that a part of 1e-10 of its mean eigenvalue, added against
            rounding, shows in the result.

    Raises:
        TheoryError: K is not symmetric and positive definite, or two samples are the same.

    Example:
        Independent samples learn nothing from each other, and predict 0 for each other.

        >>> overfitting_coefficient(np.eye(3))
        1.0

    Cost: one Cholesky factorization and inverse, n^3 operations.
    """
    if isinstance(K, Spectrum):
        raise TheoryError("K is a Spectrum. Pass the matrix that it is of, or call noise_risk(spectrum, n).")
    gram, _ = pool_kernel(K)
    ridge = not_negative(ridge, "ridge")
    n = len(gram)
    diagonal = np.diagonal(gram)
    if not float(diagonal.min()) > 0:
        raise TheoryError(
            f"K[{int(diagonal.argmin())}, {int(diagonal.argmin())}] is {float(diagonal.min()):.3g}: the kernel of a "
            "sample with itself is above 0. Drop samples that the kernel maps to zero."
        )
    size = float(diagonal.mean())
    gram, ridge = gram / size, ridge / size  # nothing depends on units, and squares stay numbers
    if ridge == 0:
        _refuse_equal(gram)
    shift = ridge if ridge > 0 else _JITTER
    try:
        factor = cho_factor(gram + shift * np.eye(n), lower=True, check_finite=False)
    except LinAlgError as error:
        raise TheoryError(
            f"K of {n} samples is not positive definite even with {shift:.3g} of its mean on its diagonal. Pass float64, "
            "and K(x, x) of one set of samples, or ridge=."
        ) from error
    inverse = cho_solve(factor, np.eye(n), check_finite=False)
    rows, own = np.square(inverse).sum(1), np.diagonal(inverse)
    shown = shift * float((rows / own).max())
    if ridge == 0 and shown > _SHOWS:
        warnings.warn(
            f"K of {n} samples is nearly singular: the {shift:.1e} of its mean that was added to its diagonal against "
            f"rounding changes its inverse by {100 * shown:.2g} %, and so the overfitting coefficient. Pass ridge= "
            "to say what you mean.",
            stacklevel=2,
        )
    return float(np.mean(rows / np.square(own)))


def _refuse_equal(gram: Array) -> None:
    diagonal = np.diagonal(gram)
    distances = diagonal[:, None] + diagonal[None, :] - 2 * gram
    relative = distances / (diagonal[:, None] + diagonal[None, :])
    np.fill_diagonal(relative, np.inf)
    least = float(relative.min())
    if least <= _SAME:
        i, j = map(int, np.unravel_index(int(relative.argmin()), relative.shape))
        raise TheoryError(
            f"samples {i} and {j} are the same to the kernel (relative squared distance {least:.1e}): no fit "
            "interpolates two labels of one sample. Drop duplicates, or pass ridge=."
        )
