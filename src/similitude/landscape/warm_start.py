"""The largest eigenvalue of an operator that has changed little since the last time: where to begin, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.landscape.lanczos import gap_errors
from similitude.landscape.operators import Operator

RIVALS = 3
"""Directions beside the top one that are remembered."""

NEAR = 0.85
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

NOISE, COLD_NOISE = 0.1, 0.5
"""Length of the random part of a mixture, relative to the top direction, beyond SMALL parameters and in a search that
begins anew. The top direction must be the larger part of the whole: else its residual can look too small for it to be on
top."""

_MOST = 300  # products
_ROOM = 16  # vectors of a basis before it takes more memory


@dataclass(frozen=True)
class Doubts:
    """What a search may overlook.

    Attributes:
        chance: That an eigenvector with a larger eigenvalue, of which the starting vectors have no part, is overlooked,
            at most: sqrt(2 / pi) times the root of the squared part, in units of 1 / dim, that a random direction must
            have in it. At 1 it is one of average part that must show.
        clear: How much larger the eigenvalue is, relative to the top one: a smaller excess may be overlooked more often.
        most: Products at most along the random direction.
    """

    chance: float
    clear: float
    most: int = 12


COLD, WARM, COLD_LARGE = Doubts(0.005, 0.0), Doubts(0.02, 0.03), Doubts(1.0, 0.1, most=2)
"""Of a search that begins anew and of others up to SMALL parameters, and of one that begins anew beyond."""

SMALL = 1_000
"""Parameters up to which every search looks along a random direction at its end, at two to five products more per
measurement. Beyond, where products are dear and a random direction has next to no part in any one eigenvector, only
those do that begin anew."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        values: Ritz values, descending, float64; the first is the largest eigenvalue. Shape (m,).
        vectors: Their unit vectors as rows, shape (m, dim).
        bound: Estimated error of the first value.
        products: Products with the operator that were used.
    """

    values: Tensor
    vectors: Tensor
    bound: float
    products: int


def search(
    operator: Operator,
    start: Tensor,
    *,
    tol: float,
    trust_gaps: bool = True,
    probe: Tensor | None = None,
    doubts: Doubts = COLD,
) -> Found:
    """Find the largest eigenvalue, from starting vectors that are nearly right.

    The subspace grows by the residual of its best vector, which from one starting vector is Lanczos's method. It ends
    when every starting vector was met, the value is known to `tol` and no other can pass it. Neighbours that are too
    close to be told apart are then one group: what the group leaves out, over the gap behind it, bounds the error of its
    largest value.

    A subspace cannot show what it does not touch, so a random direction is looked along at the end, with as many products
    as it takes until a larger eigenvalue, if there were one, would have shown but for bad luck; see `_hidden`.

    Args:
        operator: Symmetric.
        start: Starting vectors as rows, the most promising first, shape (vectors, dim).
        tol: Error to reach, relative to the value.
        trust_gaps: Whether squared residuals over gaps, as far as they are seen, count as error bounds. Without, the
            residual alone does, which is certain and takes a third more products.
        probe: A random direction, shape (dim,), normally distributed; None looks along none.
        doubts: What may be overlooked.

    Raises:
        CurvatureError: A product is not finite.

    Example:
        >>> spectrum = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
        >>> operator = Operator(lambda v: spectrum * v, 3, torch.float64)
        >>> found = search(operator, torch.ones(1, 3, dtype=torch.float64), tol=1e-9)
        >>> round(float(found.values[0]), 9), found.products
        (3.0, 3)
        >>> top, other = torch.eye(3, dtype=torch.float64)[:2]
        >>> float(search(operator, other[None], tol=1e-9).values[0])
        2.0
        >>> float(search(operator, other[None], tol=1e-9, probe=top + other).values[0])
        3.0
    """
    room = torch.empty((2, _ROOM, operator.dim), dtype=operator.dtype, device=operator.device)
    gram, projected = torch.zeros(0, 0, dtype=torch.float64), torch.zeros(0, 0, dtype=torch.float64)
    rows = 0
    queue, given = list(start), len(start)
    probed: int | None = None  # row of the random direction in the basis
    while True:
        direction = _new(queue.pop(0), room[0, :rows])
        given -= 1
        if direction is not None:
            image = operator.product(direction)
            if rows == room.shape[1]:
                room = torch.cat([room, torch.empty_like(room)], 1)
            room[0, rows], room[1, rows] = direction, image
            rows += 1
            projected, gram = (
                _bordered(projected, room[0, :rows] @ image),
                _bordered(gram, room[1, :rows] @ image),
            )
        if queue:
            continue
        basis, images = room[:, :rows]
        values, columns = torch.linalg.eigh(projected)
        values, shares = values.flip(0), columns.flip(1).T
        weights = shares.to(basis)

        # |A v - x v|^2 = |A v|^2 - x^2, to half the digits; the top one is needed to more.
        residuals = ((shares @ gram * shares).sum(1) - values**2).clamp(min=0).sqrt()
        rest = _left_out(values[0], weights[0], basis, images)
        residuals[0] = float(rest.norm())
        floor = 20 * torch.finfo(operator.dtype).eps * float(gram.diagonal().max().sqrt())
        bound, group = _bound(values, residuals) if trust_gaps else (float(residuals[0]), 1)
        allowed = max(tol * abs(float(values[0])), floor)
        exhausted = direction is None and given < 0  # what the best vector leaves out is rounding
        if rows >= min(_MOST, operator.dim):
            return Found(values, weights @ basis, bound, rows)
        if bound > allowed and not exhausted:
            queue = [rest]
            continue
        reach, aside = _rival(values, residuals, group, weights, basis, images)
        if aside is not None and reach > float(values[0]) + allowed and not exhausted:
            queue = [aside]
            continue
        if probe is not None and probed is None:
            probed, queue = rows, [probe]
            continue
        if probed is not None and not exhausted and rows < probed + doubts.most:
            level = float(values[0]) + doubts.clear * abs(float(values[0])) + 2 * allowed
            everything = _left_out(values[:, None], weights, basis, images)
            hidden, onward = _hidden(values, everything, weights[:, probed], level)
            if hidden > math.pi / 2 * doubts.chance**2 / operator.dim:
                queue = [onward]
                continue
        return Found(values, weights @ basis, bound, rows)


def _rival(
    values: Tensor, residuals: Tensor, group: int, weights: Tensor, basis: Tensor, images: Tensor
) -> tuple[float, Tensor | None]:
    """Return up to where the eigenvalue of any Ritz vector behind a group may lie, and what that vector leaves out.

    Residuals come from differences of squares, which rounding makes too large by the root of the precision: that of the
    farthest is computed in full, until the farthest is one that was.

    Args:
        values: Ritz values, descending, shape (m,).
        residuals: Their estimated residual norms, shape (m,).
        group: Values at the top that are not rivals.
        weights: Their vectors in the basis, one per row, shape (m, m).
        basis: Orthonormal rows, shape (m, dim).
        images: Products with the rows, shape (m, dim).
    """
    known: dict[int, Tensor] = {}
    residuals = residuals.clone()
    while len(values) > group:
        reach = values + torch.from_numpy(gap_errors(values.numpy(), residuals.numpy()))
        rival = group + int(reach[group:].argmax())
        if rival in known:
            return float(reach[rival]), known[rival]
        known[rival] = _left_out(values[rival], weights[rival], basis, images)
        residuals[rival] = float(known[rival].norm())
    return -math.inf, None


def _left_out(values: Tensor, weights: Tensor, basis: Tensor, images: Tensor) -> Tensor:
    """Residual vectors A v - x v of Ritz vectors with some weights."""
    return weights @ images - values.to(basis) * (weights @ basis)


def _bordered(matrix: Tensor, column: Tensor) -> Tensor:
    """Add a row and the same column to a symmetric matrix."""
    column = column.double().cpu()
    grown = torch.zeros(len(column), len(column), dtype=torch.float64)
    grown[:-1, :-1] = matrix
    grown[-1], grown[:, -1] = column, column
    return grown


def _hidden(values: Tensor, rest: Tensor, along: Tensor, level: float) -> tuple[float, Tensor]:
    """Return how much of a direction of the subspace an eigenvector at or above a level can be at most, and where to look
    next.

    With A Q = Q T + R, an eigenvector v of eigenvalue x has parts s in the subspace with (x - T) s = R^T v, where v is
    of length 1. So (a's)^2 is at most a' K (1 + K)^-1 a with K = (x - T)^-1 R'R (x - T)^-1. A normal direction a has
    squared parts of 1 / dim on the average in every v, and next to nothing with a probability of sqrt(2 / pi) times the
    root of that share.

    Args:
        values: Ritz values, shape (m,).
        rest: Their residual vectors, shape (m, dim).
        along: The direction's coordinates in Ritz vectors, shape (m,).
        level: x, above all Ritz values.
    """
    inverse = 1 / (level - values).to(rest)
    left = (rest * inverse[:, None]).double()
    gram = (left @ left.T).cpu()
    a = along.double().cpu()
    share = a @ torch.linalg.solve(torch.eye(len(a), dtype=torch.float64) + gram, gram @ a)
    return float(share), (along * inverse) @ rest


def _bound(values: Tensor, residuals: Tensor) -> tuple[float, int]:
    """Estimate the error of the largest Ritz value: its residual, or the squared residuals of the first few values over
    the gap behind them, where that is smaller; and return how many values these are."""
    bound, group, squares = float(residuals[0]), 1, residuals.square().cumsum(0)
    for count in range(1, len(values)):
        gap = float(values[0] - values[count] - residuals[0])
        if gap > 0 and float(squares[count - 1]) / gap < bound:
            bound, group = float(squares[count - 1]) / gap, count
    return bound, group


def _new(vector: Tensor, basis: Tensor) -> Tensor | None:
    """Return what of a vector is orthogonal to a basis, as a unit vector; None where nothing is."""
    length = float(vector.norm())
    if not 0 < length < float("inf"):
        return None
    rest = vector / length
    for _ in range(2):
        rest = rest - basis.T @ (basis @ rest)
        left = float(rest.norm())
        if left < 100 * torch.finfo(vector.dtype).eps:
            return None
        rest = rest / left
    return rest


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
    def after(cls, found: Found, before: WarmStart | None, *, least: int = 1) -> WarmStart:
        """Take the best directions of a search, and rivals of the search before that it did not meet.

        Args:
            found: What the search found.
            before: The start of the search.
            least: Eigenvalues that were searched for.
        """
        most = least + RIVALS
        values, vectors = found.values[:most], found.vectors[:most]
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
        self, hint: Tensor, generator: torch.Generator, *, k: int = 1, noise: float = 0.0
    ) -> Tensor:
        """Return starting vectors, the most promising first; shape (vectors, dim).

        The first is a mixture of the top direction, rivals, the gradient and, where it is asked for, a random direction:
        a Krylov space begun with one vector finds all of its parts, at the price of as few products as the curvature has
        changed. The next rival follows for itself where it is near, and so do all that are searched for.

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
        mixed += HINT * unit(hint)
        if noise:
            mixed += noise * random_unit(hint, generator)
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
