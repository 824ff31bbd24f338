"""Modes of a joint-embedding model: eigenvectors of the cross-correlation between two views, linear or in a kernel's
feature space (paper 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError

Array = np.ndarray
_CUT = 1e-10  # eigenvalues of a kernel below this share of the largest are rounding


@dataclass(frozen=True, eq=False)
class ViewModes:
    """Modes of pairs of views, the most correlated first. Made by `view_modes`.

    Attributes:
        gammas: Correlation of the two views along each mode, falling; negative where views disagree, shape (r,).
        functions: Column j gives mode j: of inputs as `x @ functions` (linear), of kernel values as
            `K(x, S) @ functions`; shape (m, r) or (2n, r).
        values: The modes on all views, first those of A, then those of B, shape (2n, r).
        kind: "linear" or "kernel".
        mean: What centring takes from each column of inputs or kernel values; None without it.
    """

    gammas: Array
    functions: Array
    values: Array
    kind: Literal["linear", "kernel"]
    mean: Array | None

    def at(self, given: ArrayLike | Tensor) -> Array:
        """Return the modes at new points, shape (points, r).

        Args:
            given: Inputs, shape (points, m), or of a kernel K(points, S), shape (points, 2n).

        Raises:
            TheoryError: The shape does not fit, or an entry is not finite.
        """
        rows = matrix("given", given)
        if rows.shape[1] != len(self.functions):
            what = "features" if self.kind == "linear" else "views, first all of A, then all of B"
            raise TheoryError(
                f"given has {rows.shape[1]} columns and the modes have {len(self.functions)} {what}: pass as many."
            )
        if self.mean is not None:
            rows = rows - self.mean
            if self.kind == "kernel":
                rows = rows - rows.mean(1, keepdims=True)
        return rows @ self.functions


@cites(11, "Section 3: linear models; Section 4: kernels")
def view_modes(data: ArrayLike | Tensor | tuple[Any, Any], *, center: bool = False) -> ViewModes:
    """Return the modes of pairs of views.

    Args:
        data: A tuple (A, B) of the two views of the same samples, shape (n, m) each, for a model linear in them; or the
            kernel over all views, first those of A, then those of B, shape (2n, 2n).
        center: Take the mean over all views from the inputs, or from the kernel's features. Without, the first mode of
            data that are not centred is their mean.

    Returns:
        `ViewModes`, as many as there are features or as the rank of the kernel.

    Raises:
        TheoryError: The data are of another shape, not finite, or no kernel.

    Example:
        >>> A = np.array([[2.0, 0.0], [0.0, 1.0]])
        >>> view_modes((A, A)).gammas.tolist()
        [2.0, 0.5]
        >>> np.round(view_modes(np.tile(A @ A.T, (2, 2))).gammas, 9).tolist()
        [2.0, 0.5]

    Source: paper 11 (arXiv 2303.15438), Sections 3 and 4.

    Cost: One eigendecomposition of an m x m matrix, two of a 2n x 2n one.
    """
    rows: list[Any] = (
        data if isinstance(data, list) else []
    )  # two matrices are a pair too, rows of numbers a kernel
    pair = isinstance(data, tuple) or [np.ndim(row) for row in rows] == [2, 2]
    return _linear(*cast("Any", data), center=center) if pair else _kernel(data, center=center)


def matrix(name: str, given: ArrayLike | Tensor) -> Array:
    """Return a matrix in float64.

    Raises:
        TheoryError: It is none, empty, or has entries that are not finite.
    """
    try:
        array = np.asarray(given.detach().cpu().double() if isinstance(given, Tensor) else given, dtype=float)
    except (TypeError, ValueError) as error:
        raise TheoryError(f"{name} is no array of real numbers: {error}. Pass one row per sample.") from error
    if array.ndim != 2 or not array.size:
        raise TheoryError(f"{name} has shape {array.shape}: pass a matrix with one row per sample.")
    if not np.isfinite(array).all():
        raise TheoryError(f"{name} has entries that are not finite. Look for nan or inf in the data.")
    return array


def _linear(*views: ArrayLike | Tensor, center: bool) -> ViewModes:
    if len(views) != 2:
        raise TheoryError(f"pairs are a tuple of {len(views)} arrays: pass the two views, (A, B).")
    A, B = (matrix(name, view) for name, view in zip("AB", views, strict=True))
    if A.shape != B.shape:
        raise TheoryError(f"the views have shapes {A.shape} and {B.shape}: row i of both is the same sample.")
    rows = np.concatenate([A, B])
    mean = rows.mean(0) if center else None
    if mean is not None:
        rows = rows - mean
        A, B = A - mean, B - mean
    gamma = (A.T @ B + B.T @ A) / (2 * len(A))
    gammas, V = np.linalg.eigh(gamma)
    gammas, V = gammas[::-1].copy(), V[:, ::-1].copy()
    return ViewModes(gammas, V, rows @ V, "linear", mean)


def _kernel(given: ArrayLike | Tensor, *, center: bool) -> ViewModes:
    K = matrix("kernel", given)
    size = len(K)
    if K.shape != (size, size) or size % 2:
        raise TheoryError(
            f"kernel has shape {K.shape}: pass it over all views, first the n of A, then the n of B, shape (2n, 2n); "
            "or the views themselves as a tuple (A, B)."
        )
    scale = float(np.abs(K).max())
    if not np.allclose(K, K.T, rtol=0, atol=1e-6 * scale):
        raise TheoryError(f"kernel is not symmetric: it is off by {np.abs(K - K.T).max():.2g}.")
    K = (K + K.T) / 2
    mean = K.mean(0) if center else None
    if mean is not None:
        K = K - mean - mean[:, None] + mean.mean()
    w, E = np.linalg.eigh(K)
    if w[0] < -1e-6 * scale * size:
        raise TheoryError(f"kernel has the eigenvalue {w[0]:.2g}: no kernel has a negative one.")
    kept = w > max(_CUT * w[-1], np.finfo(float).tiny)
    if not kept.any() or w[-1] <= 1e-12 * scale:
        raise TheoryError(
            "kernel is zero on these views: no mode can be learned. Pass other views or center=False."
        )
    w, E = w[kept], E[:, kept]
    features = E * np.sqrt(w)  # of all views, one row each
    swapped = np.roll(features, size // 2, axis=0)
    G = features.T @ swapped / size
    gammas, b = np.linalg.eigh((G + G.T) / 2)
    gammas, b = gammas[::-1].copy(), b[:, ::-1]
    return ViewModes(gammas, (E / np.sqrt(w)) @ b, features @ b, "kernel", mean)
