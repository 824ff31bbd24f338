"""How far two embeddings span the same functions, and plain kernel PCA to compare with (paper 11)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import whole
from similitude.theory.joint_embedding.modes import matrix

Array = np.ndarray
_RANK = 1e-7  # directions below this share of the largest singular value are rounding


@cites(11, "Section 5: alignment of subspaces")
def subspace_overlap(first: ArrayLike | Tensor, second: ArrayLike | Tensor) -> float:
    """Return the mean squared cosine of the principal angles between what two embeddings span.

    Args:
        first: Embedding of some points, shape (points, dims).
        second: Another of the same points, shape (points, other dims).

    Returns:
        1 where the smaller of the two spans lies within the other, 0 where they are orthogonal.

    Raises:
        TheoryError: The shapes do not fit, or an embedding is zero.

    Example:
        >>> subspace_overlap(np.eye(3)[:, :2], np.eye(3)[:, 1:])
        0.5
    """
    one, two = (_basis(name, given) for name, given in (("first", first), ("second", second)))
    if len(one) != len(two):
        raise TheoryError(
            f"the embeddings are of {len(one)} and {len(two)} points: pass those of the same points."
        )
    return float(((one.T @ two) ** 2).sum() / min(one.shape[1], two.shape[1]))


def kernel_pca(kernel: ArrayLike | Tensor, dim: int) -> Array:
    """Return the first components of a kernel on its own points, without centring: what an embedding of one view spans.

    Args:
        kernel: Shape (points, points).
        dim: Components.

    Returns:
        Shape (points, dim), orthonormal columns.

    Raises:
        TheoryError: The kernel is not square, or has fewer points than `dim`.
    """
    K = matrix("kernel", kernel)
    if K.shape[0] != K.shape[1] or whole("dim", dim) > len(K):
        raise TheoryError(
            f"kernel has shape {K.shape} with dim={dim}: pass (points, points) and at most as many dims."
        )
    return np.linalg.eigh((K + K.T) / 2)[1][:, ::-1][:, :dim].copy()


def _basis(name: str, given: ArrayLike | Tensor) -> Array:
    U, s, _ = np.linalg.svd(matrix(name, given), full_matrices=False)
    if not s[0] > 0:
        raise TheoryError(f"{name} is zero: it spans nothing. Pass the embedding of a trained model.")
    return U[:, s > _RANK * s[0]]
