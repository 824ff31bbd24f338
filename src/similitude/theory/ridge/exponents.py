"""Power-law exponents of a task from a pool of real data: how eigenvalues and the target decay (paper 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from torch import Tensor

from similitude.checking.slopes import Slope, fit
from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import numpy_generator
from similitude.theory.ridge.arrays import numbers, pool_kernel, pool_targets

Array = np.ndarray
_SIZES = 8
_SHARE = 0.25  # of the pool, which the largest size is
_SMALLEST = 16
_JITTER = 1e-12  # of the mean eigenvalue
_SHOWS = 0.1  # relative change of the inverse by the jitter, from which the matrix counts as singular


@dataclass(frozen=True, eq=False)
class Exponents:
    """Decay of a kernel's eigenvalues, i^-alpha, and of the target's squared coefficients, i^-beta.

    Attributes:
        alpha: Exponent of the eigenvalues, its 95 % interval over draws.
        beta: Exponent of the target, likewise.
        sizes: Numbers of samples that were drawn.
        kappa: Implicit regularization 1 / tr K_n^-1 of every draw, shape (sizes, trials): about n^-alpha.
        errors: Test error of interpolation of every draw, likewise: about n^(1 - beta).
    """

    alpha: Slope
    beta: Slope
    sizes: tuple[int, ...]
    kappa: Array
    errors: Array


@cites(6, "Section 5: measured exponents of real tasks")
def exponents(
    K: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    sizes: Sequence[int] | None = None,
    trials: int = 8,
    seed: int = 0,
) -> Exponents:
    """Measure the exponents of a task on real data.

    Fitting a line to a pool's eigenvalues is wrong: a finite pool bends its tail. What interpolation of n samples does
    is not bent for n well below the pool.

    Args:
        K: Kernel between the N samples of the pool, shape (N, N).
        y: What is regressed on, shape (N,) or (N, outputs); without noise, for beta.
        sizes: Numbers of samples to draw; by default 8 up to a quarter of the pool.
        trials: Draws of every size, two at least.
        seed: Seed of the draws.

    Raises:
        TheoryError: Shapes do not fit, sizes are out of range, or the kernel is singular on a draw.

    Cost: trials x sizes solves of n^3 / 3 operations.
    """
    gram, _ = pool_kernel(K)
    rows = pool_targets(y, len(gram))
    found = _sizes(sizes, len(gram))
    if trials < 2:
        raise TheoryError(f"trials={trials}: an interval needs two at least.")
    kappa, errors = np.empty((2, len(found), trials))
    for trial in range(trials):
        order = numpy_generator(seed, "exponents", trial).permutation(len(gram))
        for at, n in enumerate(found):
            kappa[at, trial], errors[at, trial] = _interpolated(gram, rows, order[:n], order[n:])
    alpha, beta = fit(found, kappa.tolist()), fit(found, errors.tolist())
    if alpha is None or beta is None:
        raise TheoryError(
            "an error of interpolation is zero or not finite. Pass a target that is not constant zero."
        )
    return Exponents(
        alpha=Slope(-alpha.value, -alpha.high, -alpha.low, -alpha.wide),
        beta=Slope(1 - beta.value, 1 - beta.high, 1 - beta.low, 1 - beta.wide),
        sizes=tuple(found),
        kappa=kappa,
        errors=errors,
    )


def _interpolated(gram: Array, rows: Array, train: Array, test: Array) -> tuple[float, float]:
    """Return 1 / tr K_n^-1 and the test error of the fit that goes through all labels."""
    n = len(train)
    block = gram[np.ix_(train, train)]
    jitter = _JITTER * float(np.trace(block)) / n
    try:
        inverse = cho_solve(cho_factor(block + jitter * np.eye(n), lower=True), np.eye(n))
        singular = jitter * float(np.square(inverse).sum()) > _SHOWS * float(np.trace(inverse))
    except LinAlgError:
        inverse, singular = np.empty(0), True
    if singular:
        raise TheoryError(
            f"the kernel of {n} samples is singular: some may be duplicates, or the kernel has too few modes. Pass "
            "smaller sizes=."
        )
    off = gram[np.ix_(test, train)] @ (inverse @ rows[train]) - rows[test]
    return 1 / float(np.trace(inverse)), float(np.square(off).sum(1).mean())


def _sizes(given: Sequence[int] | None, pool: int) -> list[int]:
    if given is None:
        top = int(_SHARE * pool)
        if top < 2 * _SMALLEST:
            raise TheoryError(
                f"a pool of {pool} samples is too small for exponents: its quarter is below {2 * _SMALLEST}. Measure the "
                "kernel on more, or pass sizes=."
            )
        return np.unique(np.geomspace(_SMALLEST, top, _SIZES).astype(int)).tolist()
    found = sorted({int(n) for n in numbers(given, "sizes")})
    if len(found) < 2 or found[0] < 1 or found[-1] >= pool:
        raise TheoryError(
            f"sizes={tuple(given)}: pass two different ones at least, from 1 to below the pool's {pool}."
        )
    return found
