"""Small operations on blocks of covariances: read positions, multiply with numbers per sample, write exact diagonals."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from similitude.kernels.contraction import along
from similitude.kernels.frames import Frame, Pair
from similitude.kernels.run import Run
from similitude.kernels.values import (
    Coefficient,
    Mix,
)


def run_matrix(frame: Frame, mix: Mix, left: bool) -> Tensor:
    """Return the matrix of a mix, (positions of the source, positions), with axes of samples where it depends on them."""
    matrix = (frame.left if left else frame.right).read(mix)
    if matrix.dim() == 2 or frame.zipped:
        return matrix
    return matrix[:, None] if left else matrix[None]


def each(pair: Pair, function: object) -> Pair:
    """Apply a function to both parts of a pair that are not zero."""
    return Pair(*(None if x is None else function(x) for x in pair))  # type: ignore[operator]


def equal_positions(x: Tensor) -> Tensor:
    """Return the entries of all pairs of positions that are of equal ones."""
    if x.shape[-1] == 1 or x.shape[-2] == 1:
        return x[..., 0] if x.shape[-1] == 1 else x[..., 0, :]
    return x.diagonal(0, -2, -1)


def read_where(x: Tensor, where: Tensor, dim: int) -> Tensor:
    """Read positions along one axis, zero where -1."""
    there = where >= 0
    found = along(x, torch.zeros_like(where) if x.shape[dim] == 1 else where.clamp_min(0), dim)
    if bool(there.all()):
        return found
    mask = there.to(x)
    return found.mul_(mask if dim == -1 else mask[:, None])


def read_pairs(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read pairs of positions, zero where either is -1."""
    there = (rows >= 0) & (columns >= 0)
    i = rows.clamp_min(0) if x.shape[-2] > 1 else torch.zeros_like(rows)
    j = columns.clamp_min(0) if x.shape[-1] > 1 else torch.zeros_like(columns)
    found = x[..., i, j]
    return found if bool(there.all()) else found.mul_(there.to(x))


def read_mean(mean: Tensor, where: Tensor) -> Tensor:
    """Read means at other positions."""
    found = mean.expand(mean.shape[0], len(where)) if mean.shape[1] == 1 else mean[:, where.clamp_min(0)]
    return found if bool((where >= 0).all()) else found * (where >= 0).to(mean)


def times_leaves(x: Tensor, coefficient: Coefficient, run: Run) -> Tensor:
    """Multiply means with a coefficient."""
    x = x * coefficient.scale
    for leaf in coefficient.leaves:
        x = x * run.read(leaf)
    return x


def times_in_place(x: Tensor, factor: Tensor, mine: bool) -> Tensor:
    """Multiply, in place where that is allowed."""
    if mine and np.broadcast_shapes(x.shape, factor.shape) == x.shape and 0 not in x.stride():
        return x.mul_(factor)
    return x * factor


def fill_diagonal(k: Tensor, q: Tensor, full: bool) -> None:
    """Write variances where a sample meets itself: their sum may round otherwise in a product of matrices."""
    if k.shape[0] != k.shape[1] or k.shape[0] != q.shape[0] or k.shape[-1] != q.shape[1]:
        return
    if 0 in k.stride():
        return
    same = k.diagonal(0, 2, 3).diagonal(0, 0, 1) if full and k.shape[2] == k.shape[3] else k.diagonal(0, 0, 1)
    same.copy_(q.T)
