"""Where to begin the search for a largest eigenvalue that was found a moment ago: one vector, mixed of what is known."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from similitude.landscape.operators import Operator

RIVALS = 3
"""Directions beside the top one that are remembered."""

NEAR = 0.75
"""Part of the top eigenvalue from which on the next rival is a starting vector of its own, at one product more: it may
pass the top one before the next measurement, and in a mixture two close eigenvalues are told apart late."""

LARGEST, SMALLEST = 0.7, 0.1
"""A rival at a smaller part q of the top eigenvalue gets the weight 0.7 q^4 in the mixture, at least 0.1. Where it has
passed the other by a part d meanwhile, a weight a leaves a residual that cannot be missed while a^2 d is above the
tolerance. Chosen on nine trainings, see experiments/LOG.md."""

FORGET = 0.8
"""Factor per measurement by which the eigenvalue of a rival that was not met again counts less."""

HINT = 0.3
"""Weight of the gradient in the mixture. What is new on top is mostly what the loss has begun to suffer from, and that is
what the gradient is made of: random directions of a million dimensions have next to no part in it."""

NOISE, COLD_NOISE = 0.02, 0.5
"""Length of the random part of a mixture, relative to the top direction: usually, and in a search that begins anew. The
top direction must be the larger part of the whole: else its residual can look too small for it to be on top."""


@dataclass
class Recorder:
    """An operator that remembers the orthonormal directions it is asked for and its projection on them.

    Attributes:
        operator: The operator.
        directions: Unit vectors of shape (dim,), orthogonal to one another.
    """

    operator: Operator
    directions: list[Tensor] = field(default_factory=list)
    _columns: list[Tensor] = field(default_factory=list)

    def recorded(self) -> Operator:
        """Return the operator that is to be searched."""
        return Operator(self._product, self.operator.dim, self.operator.dtype, self.operator.device)

    def ritz(self, k: int) -> tuple[Tensor, Tensor]:
        """Return the k largest Ritz values, descending, float64 (k,), and their unit vectors as rows (k, dim).

        Example:
            >>> recorder = Recorder(Operator(lambda v: torch.tensor([3.0, 2.0, 1.0]) * v, 3))
            >>> for direction in torch.eye(3)[:2]:
            ...     _ = recorder.recorded().matvec(direction)
            >>> recorder.ritz(2)[0].tolist()
            [3.0, 2.0]
        """
        count = len(self.directions)
        projected = torch.zeros(count, count, dtype=torch.float64)
        for j, column in enumerate(self._columns):
            projected[: j + 1, j] = projected[j, : j + 1] = column
        values, weights = torch.linalg.eigh(projected)
        best = weights.flip(1)[:, :k].T.to(self.directions[0])
        return values.flip(0)[:k], best @ torch.stack(self.directions)

    def _product(self, vector: Tensor) -> Tensor:
        image = self.operator.matvec(vector)
        self.directions.append(vector.clone())
        self._columns.append(torch.stack([d @ image for d in self.directions]).double().cpu())
        return image


@dataclass(frozen=True)
class WarmStart:
    """The top direction at a measurement and its rivals.

    Attributes:
        ratios: Eigenvalue of each direction over the top one's, the first 1; shape (m,), float64.
        vectors: Unit vectors as rows, orthogonal to one another, the top one first; shape (m, dim).
    """

    ratios: Tensor
    vectors: Tensor

    @classmethod
    def after(cls, recorder: Recorder, before: WarmStart | None, *, least: int = 1) -> WarmStart:
        """Take the best directions of a search, and rivals of the search before that it did not meet.

        Args:
            recorder: Was searched.
            before: The start of the search.
            least: Eigenvalues that were searched for.
        """
        most = least + RIVALS
        values, vectors = recorder.ritz(most)
        ratios = values / values[0] if float(values[0]) > 0 else torch.zeros_like(values)
        rivals = list(zip(ratios[1:].tolist(), vectors[1:], strict=True))
        if before is not None:
            rivals += zip((FORGET * before.ratios[1:]).tolist(), before.vectors[1:], strict=True)
        kept, shares = vectors[:1], [1.0]
        for ratio, vector in sorted(rivals, key=lambda rival: -rival[0]):
            rest = vector - kept.T @ (kept @ vector)
            size = float(rest.norm())
            if size > 0.3 and len(shares) < most:  # else it is known already
                kept, shares = torch.cat([kept, rest[None] / size]), [*shares, ratio]
        return cls(torch.tensor(shares, dtype=torch.float64), kept)

    def vectors_to_start(
        self, hint: Tensor, generator: torch.Generator, *, k: int = 1, noise: float = NOISE
    ) -> Tensor:
        """Return starting vectors, the most promising first; shape (vectors, dim).

        The first is a mixture of the top direction, rivals, the gradient and a random direction: a Krylov space begun
        with one vector finds all of its parts, at the price of as few products as the curvature has changed. The next
        rival follows for itself where it is near, and so do all that are searched for.

        Args:
            hint: The gradient in the coordinates of the directions, shape (dim,).
            generator: Draws the random part.
            k: Eigenvalues that are searched for.
            noise: Length of the random part, relative to the top direction's.
        """
        near = len(self.ratios) > 1 and float(self.ratios[1]) >= NEAR
        own = max(k, 2 if near else 1)
        weights = (LARGEST * self.ratios.clamp(0, 1) ** 4).clamp(min=SMALLEST)
        weights[0], weights[1:own] = 1.0, 0.0
        mixed = weights.to(self.vectors) @ self.vectors
        mixed += HINT * unit(hint) + noise * random_unit(hint, generator)
        return torch.cat([mixed[None], self.vectors[1:own]])


def random_unit(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return a random unit vector of the shape, type and device of another."""
    return unit(torch.randn(like.shape, generator=generator).to(like))


def unit(vector: Tensor) -> Tensor:
    """Return a vector over its length; a zero one as it is.

    Example:
        >>> unit(torch.tensor([3.0, 4.0])), unit(torch.zeros(2))
        (tensor([0.6000, 0.8000]), tensor([0., 0.]))
    """
    length = float(vector.norm())
    return vector / length if length > 0 else vector
