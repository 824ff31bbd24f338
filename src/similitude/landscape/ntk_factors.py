"""Per-example gradients of one tensor, dense or as sums of outer products, and the Gram matrices of such rows.

A matrix W that meets T positions of example i has the gradient sum_t l_t r_t' of output c. Its kernel is either the
Gram matrix of these gradients, or sum_tt' (l_t . l'_t') (r_t . r'_t') without ever forming them; the cheaper is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

BLOCK = 2**21
"""Elements of temporary tensors that are worked on at once: more leave the caches, fewer make small products."""

Part = Callable[[int, int], Tensor]
"""Gives one side of the outer products of the examples lo to hi: shape (hi - lo, C or 1, T, groups, size)."""


@dataclass(frozen=True)
class Factors:
    """Per-example gradients of a tensor of shape (groups, a, b) as sums of T outer products.

    Attributes:
        left: Vectors of size a.
        right: Vectors of size b.
        shape: (n, C, T, groups, a, b).
        index: Where `left` is one-hot: the rows that are one, shape (n, T); -1 for none.
    """

    left: Part
    right: Part
    shape: tuple[int, int, int, int, int, int]
    index: Tensor | None = None

    def transposed(self) -> Factors:
        """Return the same gradients of the transposed matrix."""
        n, c, t, groups, a, b = self.shape
        return Factors(self.right, self.left, (n, c, t, groups, b, a))

    def dense(self, lo: int, hi: int, group: int, rows: slice) -> Tensor:
        """Form the gradients of examples lo to hi in some rows of one group: shape (hi - lo, C, rows, b)."""
        left, right = self.left(lo, hi)[..., group, rows], self.right(lo, hi)[..., group, :]
        m, a, b, c = hi - lo, left.shape[-1], right.shape[-1], self.shape[1]
        if right.shape[1] == 1:
            flat = left.transpose(-1, -2).reshape(m, -1, left.shape[2]) @ right[:, 0]
            return flat.view(m, -1, a, b).expand(m, c, a, b)
        if left.shape[1] == 1:
            flat = left[:, 0].transpose(-1, -2) @ right.permute(0, 2, 1, 3).reshape(m, right.shape[2], c * b)
            return flat.view(m, a, c, b).transpose(1, 2)
        return left.transpose(-1, -2) @ right

    def rows(self) -> Tensor:
        """Form all gradients: shape (n, C, groups a b)."""
        n, _, _, groups, _, _ = self.shape
        parts = [self.dense(0, n, group, slice(None)) for group in range(groups)]
        return torch.stack(parts, 2).flatten(2)

    def row(self, example: int, output: int) -> Tensor:
        """Form the gradient of one output: shape (groups a b,)."""
        left, right = (part(example, example + 1)[0] for part in (self.left, self.right))
        left, right = (side[output if len(side) > 1 else 0] for side in (left, right))
        return torch.einsum("tga,tgb->gab", left, right).flatten()

    def total(self, weights: Tensor) -> Tensor:
        """Sum the gradients with weights of shape (n,) where C is 1: shape (groups a b,)."""
        n = self.shape[0]
        left = self.left(0, n)[:, 0] * weights.view(n, 1, 1, 1)
        right = self.right(0, n)[:, 0]
        return torch.einsum("ntga,ntgb->gab", left, right).flatten()


@dataclass(frozen=True)
class Rows:
    """Per-example gradients written out.

    Attributes:
        values: Shape (n, C, entries).
    """

    values: Tensor

    def rows(self) -> Tensor:
        """Return all gradients: shape (n, C, entries)."""
        return self.values

    def row(self, example: int, output: int) -> Tensor:
        """Return the gradient of one output: shape (entries,)."""
        return self.values[example, output]

    def total(self, weights: Tensor) -> Tensor:
        """Sum the gradients with weights of shape (n,) where C is 1: shape (entries,)."""
        return weights @ self.values[:, 0]


Form = Factors | Rows


def dense_part(tensor: Tensor) -> Part:
    """Return one side of outer products that is held whole."""
    return lambda lo, hi: tensor[lo:hi]


def one_hot(index: Tensor, size: int, dtype: torch.dtype) -> Part:
    """Return a one-hot side: `index` of shape (n, T) names the ones, -1 none."""

    def part(lo: int, hi: int) -> Tensor:
        ones = F.one_hot(index[lo:hi] + 1, size + 1)[..., 1:]
        return ones.to(dtype)[:, None, :, None, :]

    return part


def joined(uses: Sequence[Factors]) -> Factors:
    """Sum the gradients of several uses of one matrix by putting their positions side by side."""
    if len(uses) == 1:
        return uses[0]
    n, c, _, groups, a, b = uses[0].shape
    tokens = sum(use.shape[2] for use in uses)
    index = None
    if all(use.index is not None for use in uses):
        index = torch.cat([use.index for use in uses if use.index is not None], 1)
    left, right = (_side([getattr(use, side) for use in uses]) for side in ("left", "right"))
    return Factors(left, right, (n, c, tokens, groups, a, b), index)


def _side(parts: Sequence[Part]) -> Part:
    def part(lo: int, hi: int) -> Tensor:
        pieces = [piece(lo, hi) for piece in parts]
        outputs = max(piece.shape[1] for piece in pieces)
        return torch.cat([piece.expand(-1, outputs, -1, -1, -1) for piece in pieces], 2)

    return part


def gram(first: Form, second: Form, *, scratch: int) -> Tensor:
    """Return the kernel of two sets of rows.

    Args:
        first: Rows of n examples.
        second: Rows of m examples for the same tensor; the same object for a symmetric kernel.
        scratch: Elements that temporary tensors may have, about.

    Returns:
        Shape (n C, m C).
    """
    if isinstance(first, Rows) or isinstance(second, Rows):
        return first.rows().flatten(0, 1) @ second.rows().flatten(0, 1).T
    first, second = _few_rows(first, second)
    (_, c, t, groups, *_), (_, d, s, *_) = first.shape, second.shape
    fits = groups * c * t * d * s <= 2 * scratch
    if fits and _token_cost(first, second) <= _dense_cost(first, second):
        return _by_positions(first, second, scratch)
    return _by_gradients(first, second, scratch)


def _few_rows(first: Factors, second: Factors) -> tuple[Factors, Factors]:
    """Leave out rows of a one-hot side that no example uses."""
    if first.index is None or second.index is None:
        return first, second
    used, places = torch.unique(
        torch.cat([first.index.flatten(), second.index.flatten()]), return_inverse=True
    )
    places = places - int(used[0] == -1)
    both = []
    for use, place in zip(
        (first, second), places.split([first.index.numel(), second.index.numel()]), strict=True
    ):
        n, c, t, groups, _, b = use.shape
        index = place.view(n, t)
        size = max(int(places.max()) + 1, 1)
        dtype = use.right(0, 1).dtype
        both.append(Factors(one_hot(index, size, dtype), use.right, (n, c, t, groups, size, b), index))
    return (both[0], both[0]) if first is second else (both[0], both[1])


def _token_cost(first: Factors, second: Factors) -> float:
    (n, c, t, g, a, b), (m, d, s, *_) = first.shape, second.shape
    left, right = (_outputs(first, side) * _outputs(second, side) for side in ("left", "right"))
    return float(n * m) * t * s * g * (left * a + right * b + c * d)


def _dense_cost(first: Factors, second: Factors) -> float:
    (n, c, t, g, a, b), (m, d, s, *_) = first.shape, second.shape
    formed = n * c * t + (0 if first is second else m * d * s)
    return float(g * a * b) * (formed + n * c * m * d)


def _outputs(use: Factors, side: str) -> int:
    return getattr(use, side)(0, 1).shape[1]


def _blocks(total: int, size: int) -> Iterator[tuple[int, int]]:
    return ((lo, min(lo + size, total)) for lo in range(0, total, max(size, 1)))


def _by_positions(first: Factors, second: Factors, scratch: int) -> Tensor:
    (n, c, t, g, _, _), (m, d, s, *_) = first.shape, second.shape
    size = max(1, int((min(scratch, BLOCK) / (g * c * t * d * s)) ** 0.5))
    like = first.right(0, 1)
    blocks = torch.empty(n, c, m, d, dtype=like.dtype, device=like.device)
    for lo, hi in _blocks(n, size):
        sides = first.left(lo, hi), first.right(lo, hi)
        for start, stop in _blocks(m, size):
            if first is second and stop <= lo:
                continue  # the mirror image of a block above
            block = _products(sides[0], second.left(start, stop), sides[1], second.right(start, stop))
            blocks[lo:hi, :, start:stop] = block
            if first is second and start >= hi:
                blocks[start:stop, :, lo:hi] = block.permute(2, 3, 0, 1)
    return blocks.view(n * c, m * d)


def _products(left: Tensor, left2: Tensor, right: Tensor, right2: Tensor) -> Tensor:
    """Return sum_tt' (l_t . l'_t') (r_t . r'_t') of two blocks of examples: shape (n, C, m, C)."""
    one, two = _dots(left, left2), _dots(right, right2)
    big, small = (one, two) if one.numel() >= two.numel() else (two, one)
    product = big.mul_(small) if big.shape == torch.broadcast_shapes(big.shape, small.shape) else big * small
    return product.sum((0, 3, 6)) if product.shape[::3] != (1, 1, 1) else product[0, :, :, 0, :, :, 0]


def _dots(one: Tensor, two: Tensor) -> Tensor:
    """Return dot products of all positions: shape (groups, n, C, T, m, C, T)."""
    groups = one.shape[3]
    flat = one.permute(3, 0, 1, 2, 4).flatten(1, 3) @ two.permute(3, 4, 0, 1, 2).flatten(2)
    return flat.view(groups, *one.shape[:3], *two.shape[:3])


def _by_gradients(first: Factors, second: Factors, scratch: int) -> Tensor:
    (n, c, _, groups, a, b), (m, d, *_) = first.shape, second.shape
    formed = n * c + (0 if first is second else m * d)
    size = max(1, scratch // (formed * b))
    like = first.right(0, 1)
    total = torch.zeros(n * c, m * d, dtype=like.dtype, device=like.device)
    for group in range(groups):
        for lo, hi in _blocks(a, size):
            mine = _formed(first, group, slice(lo, hi))
            if first is second:
                _add_upper(mine, total)
            else:
                total.addmm_(mine, _formed(second, group, slice(lo, hi)).T)
    return total.triu() + total.triu(1).T if first is second else total


def _add_upper(rows: Tensor, total: Tensor) -> None:
    """Add the upper half of rows @ rows.T, in a few blocks of rows."""
    for lo, hi in _blocks(len(rows), max(64, len(rows) // 6)):
        total[lo:hi, lo:].addmm_(rows[lo:hi], rows[lo:].T)


def _formed(use: Factors, group: int, rows: slice) -> Tensor:
    """Form gradients a few examples at a time, so that their factors need not be in memory all at once."""
    n, c, t, groups, a, b = use.shape
    size = max(1, BLOCK // (t * groups * (c * a + b)))
    parts = [use.dense(lo, hi, group, rows).flatten(2) for lo, hi in _blocks(n, size)]
    return torch.cat(parts).flatten(0, 1)
