"""Draws of attention logits of two sequences: Gaussian ones of wide heads, products of Gaussians of narrow ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

NEGLIGIBLE = 1e-12
"""Eigenvalue of a covariance, relative to the largest, below which a direction is not drawn."""


class Factors:
    """Factors of the joint covariance of one value over the positions of two sequences.

    The value is A z over the first sequence and B z + C z' over the second, for independent standard normals z, z'; at
    equal sequences B = A and C = 0 hold exactly enough that their logits are the same draws.

    Args:
        left: Covariance over the first sequence, shape (..., L, L).
        right: Covariance over the second, shape (..., R, R).
        cross: Covariance between both, shape (..., L, R).
    """

    def __init__(self, left: Tensor, right: Tensor, cross: Tensor) -> None:
        self.same = (
            left.shape == right.shape == cross.shape and torch.equal(left, cross) and torch.equal(left, right)
        )
        values, vectors = _spectrum(left)
        self.A = vectors * values.sqrt()[..., None, :]
        self.B, self.C = self.A, torch.zeros_like(self.A[..., :, :0])
        if self.same:
            return
        inverse = torch.where(values > 0, values.clamp_min(1e-300).rsqrt(), 0.0)
        self.B = cross.mT @ (vectors * inverse[..., None, :])
        rest = right - self.B @ self.B.mT
        largest = right.diagonal(dim1=-2, dim2=-1).amax(-1)
        values, vectors = _spectrum(rest, largest)
        self.C = vectors * values.sqrt()[..., None, :]

    @property
    def rank(self) -> int:
        """Normals of one draw of one component."""
        return self.A.shape[-1] + self.C.shape[-1]

    def drawn(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return independent components of the value over both sequences, (draws, ..., L, components) and (..., R, ...).

        Args:
            z: Standard normals, shape (draws, rank, components).
        """
        z = z.reshape(len(z), *(1,) * (self.A.dim() - 2), *z.shape[1:])
        size = self.A.shape[-1]
        left = self.A @ z[..., :size, :]
        return left, left if self.same else self.B @ z[..., :size, :] + self.C @ z[..., size:, :]


@dataclass(frozen=True)
class Draw:
    """Attention weights of some draws, and what the gradients through their logits read.

    Attributes:
        left: Attention weights of the first sequence, shape (draws, ..., L, keys).
        right: Of the second sequence, shape (draws, ..., R, keys').
        queries: Mean products of queries of both sequences over the neurons of a head, shape ([draws,] ..., L, R).
        keys: Mean products of keys of both, shape ([draws,] ..., keys, keys').
    """

    left: Tensor
    right: Tensor
    queries: Tensor
    keys: Tensor


class Logits:
    """Logits scale * q.k / sqrt(d) of two sequences.

    Of infinitely wide heads they are Gaussian with covariance scale^2 Q(a, a') K(c, c'), and mean products of queries or
    keys are their covariances; of heads of d neurons queries and keys are drawn themselves.

    Args:
        queries: Factors of the queries.
        keys: Factors of the keys.
        products: Q and K between both sequences.
        scale: Factor of the logits.
        masks: Added to the logits of either sequence; None for none.
        size: d; None for infinitely many neurons.
    """

    def __init__(
        self,
        queries: Factors,
        keys: Factors,
        products: tuple[Tensor, Tensor],
        *,
        scale: float,
        masks: tuple[Tensor, Tensor] | None,
        size: int | None = None,
    ) -> None:
        self.queries, self.keys, self.products, self.size = queries, keys, products, size
        self.scale, self.masks = scale, masks
        self.same = queries.same and keys.same

    @property
    def dimensions(self) -> int:
        """Normals of one draw."""
        if self.size is not None:
            return (self.queries.rank + self.keys.rank) * self.size
        return self.queries.rank * self.keys.rank

    def draw(self, normals: Tensor) -> Draw:
        """Return attention weights of both sequences.

        Args:
            normals: Standard normals, shape (draws, dimensions).
        """
        return self._wide(normals) if self.size is None else self._narrow(normals, self.size)

    def _narrow(self, normals: Tensor, size: int) -> Draw:
        cut = self.queries.rank * size
        q, q2 = self.queries.drawn(normals[:, :cut].reshape(len(normals), -1, size))
        k, k2 = self.keys.drawn(normals[:, cut:].reshape(len(normals), -1, size))
        left, right = self._softmaxes(q @ k.mT / math.sqrt(size), lambda: q2 @ k2.mT / math.sqrt(size))
        return Draw(left, right, q @ q2.mT / size, k @ k2.mT / size)

    def _wide(self, normals: Tensor) -> Draw:
        A, B, C = self.queries.A, self.queries.B, self.queries.C
        a, b, c = self.keys.A, self.keys.B, self.keys.C
        batch = (1,) * (max(A.dim(), a.dim(), B.dim(), b.dim()) - 2)
        z = normals.reshape(len(normals), *batch, self.queries.rank, self.keys.rank)
        size, width = A.shape[-1], a.shape[-1]

        def second() -> Tensor:
            # (B z11 + C z21) b' + (B z12 + C z22) c'
            rows = B @ z[..., :size, :] + C @ z[..., size:, :]
            return rows[..., :width] @ b.mT + rows[..., width:] @ c.mT

        left, right = self._softmaxes(A @ z[..., :size, :width] @ a.mT, second)
        return Draw(left, right, *self.products)

    def _softmaxes(self, first: Tensor, second: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
        left = self._softmax(first, 0)
        if not self.same:
            return left, self._softmax(second(), 1)
        if self.masks is None or self.masks[0] is self.masks[1]:
            return left, left
        return left, self._softmax(first, 1)

    def _softmax(self, logits: Tensor, sequence: int) -> Tensor:
        logits = logits * self.scale
        return torch.softmax(logits if self.masks is None else logits + self.masks[sequence], -1)


def _spectrum(matrix: Tensor, largest: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return eigenvalues, those that are rounding set to 0, and eigenvectors as columns, largest first."""
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    top = values[..., -1] if largest is None else largest
    values = torch.where(values > NEGLIGIBLE * top[..., None].clamp_min(0), values, 0.0)
    return values.flip(-1), vectors.flip(-1)
