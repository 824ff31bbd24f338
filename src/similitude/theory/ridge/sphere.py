"""Spectra of kernels of the inner product, for data that is uniform on a sphere (the Funk-Hecke formula)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import roots_jacobi

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import numbers

Array = np.ndarray
_NODES = 400
_ROUNDING = 2e-15  # of a quadrature, relative to the largest value of the kernel
_COMPLETE = 1e-9  # share of k(1) that may be missing
_HIGHEST_DIMENSION = 500  # beyond it the weights of the quadrature leave the range of double precision


@cites(9, "Section on dot-product kernels on the sphere")
def sphere_levels(
    kernel: Callable[[Array], Array], dimension: int, target: Sequence[float], levels: int
) -> tuple[Array, Array, Array]:
    """Return eigenvalue, target and multiplicity of every degree; see `Spectrum.sphere`.

    The eigenvalue of degree l is E k(t) P_l(t), t the inner product of two random points and P_l the Gegenbauer
    polynomial with P_l(1) = 1; its harmonics are C(d + l - 1, l) - C(d + l - 3, l - 2).

    Args:
        kernel: k(t).
        dimension: d.
        target: Squared coefficients by degree.
        levels: Highest degree.

    Raises:
        TheoryError: A number is out of range, or k is not finite or no kernel.
    """
    for name, value in (("dimension", dimension), ("levels", levels)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TheoryError(f"{name}={value!r} is no whole number. Pass one.")
    if not 2 <= dimension <= _HIGHEST_DIMENSION or levels < 0:
        raise TheoryError(
            f"dimension={dimension}, levels={levels}: pass a dimension from 2 to {_HIGHEST_DIMENSION} and levels of at "
            "least 0."
        )
    if len(target) > levels + 1:
        raise TheoryError(
            f"target has {len(target)} degrees and levels={levels}. Pass levels={len(target) - 1} or more."
        )
    found = roots_jacobi(_NODES, (dimension - 3) / 2, (dimension - 3) / 2)
    t, weights = np.asarray(found[0]), np.asarray(found[1])
    weights = weights / weights.sum()
    values, at_one = _evaluated(kernel, t)
    scale = float(np.abs(values).max())
    eigenvalues, counts = [], []
    for degree, polynomial in enumerate(_polynomials(t, dimension, levels)):
        count = float(harmonics(dimension, degree))
        mean = float(weights @ (values * polynomial))
        if mean < -1e-9 * scale / math.sqrt(count):
            raise TheoryError(
                f"k has the eigenvalue {mean:.3g} at degree {degree} on the sphere in {dimension} dimensions: it is no "
                "kernel there. Pass one that is positive semidefinite."
            )
        eigenvalues.append(mean if mean > _ROUNDING * scale / math.sqrt(count) else 0.0)
        counts.append(count)
    missing = at_one - float(np.dot(eigenvalues, counts))
    if missing > _COMPLETE * at_one:
        # Rough kernels have endlessly many degrees: the rest is one flat level.
        counts.append(float(harmonics(dimension, levels + 1)))
        eigenvalues.append(missing / counts[-1])
    squares = np.zeros(len(counts))
    if len(target):
        given = numbers(target, "target")
        squares[: len(given)] = given
    return np.array(eigenvalues), squares, np.array(counts)


def harmonics(dimension: int, degree: int) -> int:
    """Return the number of spherical harmonics of a degree.

    Example:
        >>> [harmonics(3, degree) for degree in range(4)]
        [1, 3, 5, 7]
    """
    lower = math.comb(dimension + degree - 3, degree - 2) if degree >= 2 else 0
    return math.comb(dimension + degree - 1, degree) - lower


def _polynomials(t: Array, dimension: int, levels: int) -> list[Array]:
    """Return P_0 to P_levels, by their recursion."""
    found = [np.ones_like(t), t]
    for l in range(1, levels):
        found.append(((2 * l + dimension - 2) * t * found[l] - l * found[l - 1]) / (l + dimension - 2))
    return found[: levels + 1]


def _evaluated(kernel: Callable[[Array], Array], t: Array) -> tuple[Array, float]:
    try:
        made = np.asarray(kernel(np.append(t, 1.0)), float)
    except Exception as error:
        raise TheoryError(
            f"k failed on an array of {len(t) + 1} inner products with {type(error).__name__}: {error}. Pass a function "
            "of a numpy array, such as numpy.exp."
        ) from error
    if made.shape != (len(t) + 1,) or not np.isfinite(made).all() or not made[-1] > 0:
        raise TheoryError(
            f"k of {len(t) + 1} inner products has shape {made.shape} and k(1) = {made.flat[-1] if made.size else None}. "
            "It takes an array, returns a finite number for each, and k(1) is above 0."
        )
    return made[:-1], float(made[-1])
