"""Checks of what users pass to the theory of finite width: numbers, widths and covariances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.errors import TheoryError

_PSD = 1e-8  # how far below zero rounding may put an eigenvalue of a covariance, relative to the largest


def number(name: str, value: float, *, least: float = 0.0, above: bool = False) -> float:
    """Return a finite number that is at least `least`, or above it.

    Raises:
        TheoryError: It is not.
    """
    if not isinstance(value, int | float | np.floating | np.integer) or isinstance(value, bool):
        raise TheoryError(f"{name}={value!r} is no number. Pass one.")
    if not math.isfinite(value) or value < least or (above and value == least):
        law = "" if least == -math.inf else f" above {least:g}" if above else f" of at least {least:g}"
        raise TheoryError(f"{name}={value:g}: pass a finite number{law}.")
    return float(value)


def whole(name: str, value: int, *, least: int = 1) -> int:
    """Return a whole number that is at least `least`.

    Raises:
        TheoryError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise TheoryError(f"{name}={value!r}: pass a whole number of at least {least}.")
    return int(value)


def hidden_widths(widths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return the widths of hidden layers as floats, shape (layers,).

    Raises:
        TheoryError: There is none, or one is not a whole number of at least 1.
    """
    given: list[Any] = list(widths) if np.ndim(widths) or isinstance(widths, str) else [widths]
    if not given:
        raise TheoryError("widths is empty: pass the width of every hidden layer in order, e.g. [128] * 8.")
    return np.array([whole(f"widths[{i}]", w) for i, w in enumerate(given)], dtype=float)


def covariance(q0: ArrayLike | Tensor, name: str = "q0") -> np.ndarray:
    """Return a covariance of N inputs in float64, shape (N, N); a single variance becomes (1, 1).

    Raises:
        TheoryError: It is not square, finite, symmetric and positive semidefinite.
    """
    try:
        array = np.asarray(q0.detach().cpu().double() if isinstance(q0, Tensor) else q0, dtype=float)
    except (TypeError, ValueError) as error:
        raise TheoryError(f"{name} is no array of real numbers: {error}. Pass X @ X.T / features.") from error
    array = array.reshape(1, 1) if array.ndim == 0 else array
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size:
        raise TheoryError(
            f"{name} has shape {array.shape}: pass the covariance of N inputs, shape (N, N): X @ X.T / features."
        )
    if not np.isfinite(array).all():
        raise TheoryError(f"{name} has entries that are not finite. Look for nan or inf in the inputs.")
    scale = float(np.abs(array).max())
    if not np.allclose(array, array.T, rtol=0, atol=_PSD * scale):
        raise TheoryError(f"{name} is not symmetric: it is off by {np.abs(array - array.T).max():.2g}.")
    if (low := float(np.linalg.eigvalsh(array)[0])) < -_PSD * scale * len(array):
        raise TheoryError(
            f"{name} has the eigenvalue {low:.2g}, and no inputs have such a covariance. Pass X @ X.T / features."
        )
    return (array + array.T) / 2
