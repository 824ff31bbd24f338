"""Arrays of the user's as float64, with the checks that all functions of ridge regression share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.errors import TheoryError

Array = np.ndarray


def array(values: ArrayLike | Tensor, name: str) -> Array:
    """Return numbers as a float64 array of their own shape.

    Raises:
        TheoryError: They are no real numbers, or one is not finite.
    """
    try:
        if isinstance(values, Tensor):
            found = values.detach().cpu()
            values = (found.double() if found.is_floating_point() else found).numpy()  # numpy has no bfloat16
        made = np.array(values)
        if made.dtype.kind == "c":
            raise TypeError("complex numbers")
        made = made.astype(np.float64) if made.dtype.kind in "fiub" else np.array(values, dtype=np.float64)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TheoryError(f"{name} is no array of numbers: {error}. Pass real numbers.") from error
    bad = ~np.isfinite(made)
    if bad.any():
        place = np.argwhere(bad)[0].tolist()
        raise TheoryError(
            f"{name}{place} is {made[tuple(place)]}: {int(bad.sum())} of {made.size} numbers are not finite. Look where "
            "they come from."
        )
    return made


def numbers(values: ArrayLike | Tensor, name: str) -> Array:
    """Return a list of numbers, at least one.

    Raises:
        TheoryError: It is none.
    """
    made = array(values, name)
    if made.ndim != 1 or not made.size:
        raise TheoryError(f"{name} has shape {made.shape}. Pass a list of numbers, one at least.")
    return made


def pool_kernel(K: ArrayLike | Tensor) -> tuple[Array, float]:
    """Return a symmetric kernel matrix, and the size relative to its largest eigenvalue that is rounding.

    Raises:
        TheoryError: It is not square, not symmetric, zero, of 16 bits, or has fewer than two samples.
    """
    kind = str(getattr(K, "dtype", "float64"))
    if "16" in kind:
        raise TheoryError(
            f"K is {kind.removeprefix('torch.')}, whose rounding hides all but the largest eigenvalues. Compute the "
            "kernel in float32 or float64."
        )
    made = array(K, "K")
    if made.ndim != 2 or made.shape[0] != made.shape[1] or len(made) < 2:
        raise TheoryError(
            f"K has shape {made.shape}. Pass the kernel between all pairs of two or more samples."
        )
    size = float(np.abs(made).max())
    resolution = len(made) * (2.0**-23 if "32" in kind else 2.0**-52)
    apart = float(np.abs(made - made.T).max())
    if apart > max(1e-9, resolution) * size:
        raise TheoryError(
            f"K is not symmetric: entries differ by up to {apart:.3g}, the largest is {size:.3g}. Pass K(x, x) of the "
            "same samples in the same order."
        )
    if not size > 0:
        raise TheoryError("K is zero. Pass a kernel that tells samples apart.")
    return (made + made.T) / 2, resolution


def pool_targets(y: ArrayLike | Tensor, samples: int) -> Array:
    """Return targets as rows, shape (samples, outputs).

    Raises:
        TheoryError: There is not one row per sample.
    """
    rows = array(y, "y")
    if rows.ndim not in (1, 2) or len(rows) != samples or not rows.size:
        raise TheoryError(
            f"y has shape {rows.shape} and K has {samples} samples. Pass one number, or one row of numbers, per sample."
        )
    return rows.reshape(samples, -1)


def real(value: float, name: str) -> float:
    """Return a number as a float, infinity and nan included.

    Raises:
        TheoryError: It is none.
    """
    try:
        if isinstance(value, str) or np.ndim(value) > 0:
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise TheoryError(f"{name}={value!r:.60} is no number that fits a float. Pass one.") from None


def positive(value: float, name: str, example: str) -> float:
    """Return a number above 0, infinity included.

    Raises:
        TheoryError: It is not above 0.
    """
    found = real(value, name)
    if not found > 0:
        raise TheoryError(f"{name}={value} is not above 0. Pass e.g. {example}.")
    return found


def not_negative(value: float, name: str, *, infinite: bool = False) -> float:
    """Return a number of at least 0.

    Args:
        value: It.
        name: What the user calls it.
        infinite: Whether it may be infinite.

    Raises:
        TheoryError: It is below 0 or not a number.
    """
    found = real(value, name)
    if not found >= 0 or (found == math.inf and not infinite):
        raise TheoryError(f"{name}={value}: pass a {'' if infinite else 'finite '}number of at least 0.")
    return found
