"""Tiles of a Gram matrix: which there are, how large they should be, and the values of one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.samples import count, moved, rows

TILE_BYTES = 2**22
"""Bytes of one tensor of a tile: elementwise work goes over it in pieces that fit a core's cache, and the work that every
tile has once, some milliseconds, is small beside it. Measured: 1 MB is up to 1.2 times slower, 8 to 10 MB 1.3 times."""

_LARGEST_SIDE = 512
_WORTH_HALVES = 2**17
"""Numbers of a tensor from which a quarter of the work is more than two more tiles cost by themselves."""


class Pair(Protocol):
    """The kernel between two small sets of samples."""

    def __call__(self, x1: Any, x2: Any, /) -> Mapping[str, Tensor]:
        """Return matrices of shape (samples of x1, samples of x2) by name; x2 None means x1, with an exact diagonal."""
        ...


class Tile(NamedTuple):
    """Rows `row` up to `row_stop` and columns `column` up to `column_stop` of a Gram matrix."""

    row: int
    row_stop: int
    column: int
    column_stop: int

    @property
    def on_diagonal(self) -> bool:
        """Whether rows and columns are the same samples, in a symmetric matrix."""
        return self.row == self.column

    def __str__(self) -> str:
        return f"rows {self.row} to {self.row_stop}, columns {self.column} to {self.column_stop}"


def side_for(numbers_per_pair: int, itemsize: int) -> int:
    """Return how many samples a tile has on a side, so that one of its tensors has about `TILE_BYTES`.

    Args:
        numbers_per_pair: Numbers that the widest tensor holds per pair of samples: 1 for an MLP, the number of
            positions for a convolutional net that is flattened, its square for one with pooling.
        itemsize: Bytes per number.

    Example:
        >>> side_for(1, 8), side_for(64, 8), side_for(64 * 64, 4), side_for(10**9, 4)
        (512, 90, 16, 1)
    """
    return min(_LARGEST_SIDE, max(1, math.isqrt(TILE_BYTES // (numbers_per_pair * itemsize))))


def symmetric_side(n: int, side: int, numbers_per_pair: int) -> int:
    """Return the side of tiles of a symmetric matrix: at most half of it where the work of a quarter is worth two tiles.

    Args:
        n: Rows.
        side: Samples on a side that a tile may have.
        numbers_per_pair: See `side_for`.

    Example:
        >>> symmetric_side(500, 512, 1), symmetric_side(100, 512, 1), symmetric_side(2000, 512, 1)
        (250, 100, 512)
    """
    whole = min(n, side)
    return -(-n // 2) if whole == n and n * n * numbers_per_pair >= _WORTH_HALVES else whole


def tiles(n1: int, n2: int, side: int, *, symmetric: bool) -> list[Tile]:
    """Cut a matrix into tiles of nearly equal sides; a symmetric one into those on and above its diagonal.

    Args:
        n1: Rows.
        n2: Columns; the same as `n1` where `symmetric`.
        side: Most rows and columns of a tile.
        symmetric: Whether the matrix is symmetric.

    Example:
        >>> [tuple(tile) for tile in tiles(3, 3, 2, symmetric=True)]
        [(0, 1, 0, 1), (0, 1, 1, 3), (1, 3, 1, 3)]
    """
    found = [Tile(*r, *c) for r in pairwise(_bounds(n1, side)) for c in pairwise(_bounds(n2, side))]
    return [tile for tile in found if tile.row <= tile.column] if symmetric else found


@dataclass(frozen=True)
class TileFunction:
    """Compute the tiles of one Gram matrix; plain data but for the pair function, so that it can go to other processes.

    Attributes:
        pair: The kernel between small sets of samples.
        x1: All samples of the rows.
        x2: All samples of the columns; None for those of the rows.
        names: The matrices wanted of those that `pair` gives.
        dtype: Type that they are kept in.
        device: Where they are computed; None for where the samples are.
    """

    pair: Pair
    x1: Any
    x2: Any
    names: Sequence[str]
    dtype: torch.dtype
    device: torch.device | str | None = None

    def __call__(self, tile: Tile) -> dict[str, np.ndarray]:
        """Return the values of a tile as arrays, which other processes send back as they are; see `tensors`."""
        return {name: block.cpu().numpy() for name, block in self.tensors(tile).items()}

    def tensors(self, tile: Tile) -> dict[str, Tensor]:
        """Return the values of a tile by name.

        Raises:
            KernelError: The kernel is not finite, or of another shape.
        """
        symmetric = self.x2 is None
        x1 = self._rows(self.x1, tile.row, tile.row_stop)
        same = symmetric and tile.on_diagonal
        columns = self.x1 if symmetric else self.x2
        x2 = None if same else self._rows(columns, tile.column, tile.column_stop)
        with torch.no_grad():
            found = self.pair(x1, x2)
            return {name: self._kept(found, name, tile, same=same) for name in self.names}

    def _rows(self, samples: Any, start: int, stop: int) -> Any:
        part = rows(samples, start, stop)
        return part if self.device is None else moved(part, self.device)

    def _kept(self, found: Mapping[str, Tensor], name: str, tile: Tile, *, same: bool) -> Tensor:
        if name not in found:
            raise KernelError(
                f"there is no kernel '{name}' here. Name some of {', '.join(map(repr, found))}."
            )
        block = found[name]
        shape = (tile.row_stop - tile.row, tile.column_stop - tile.column)
        if tuple(block.shape) != shape:
            raise KernelError(
                f"the kernel '{name}' of {shape[0]} and {shape[1]} samples has shape {tuple(block.shape)}. Its pair "
                f"function must give {shape}: one number for every pair of samples."
            )
        if not torch.isfinite(block).all():
            i, j = (~torch.isfinite(block)).nonzero()[0].tolist()
            raise KernelError(
                f"the kernel '{name}' of samples {tile.row + i} and {tile.column + j} is {float(block[i, j])}. Look for "
                "values in these samples that are not finite, or for an activation that overflows; dtype=torch.float64 "
                "reaches further."
            )
        if same:  # rounding differs between the halves where sums run in another order
            block = (block + block.T) / 2
        return block.to(self.dtype)


def shape_of(x1: Any, x2: Any) -> tuple[int, int]:
    """Return rows and columns of the Gram matrix of two sets of samples; None for `x2` means `x1`.

    Raises:
        KernelError: One of them is empty, or is no set of samples.
    """
    n1 = count(x1, "x1")
    return n1, n1 if x2 is None else count(x2, "x2")


def numpy_dtype(dtype: torch.dtype) -> np.dtype[Any]:
    """Return NumPy's name for a type that Gram matrices are kept in.

    Raises:
        KernelError: It is neither float32 nor float64.
    """
    if dtype not in (torch.float32, torch.float64):
        raise KernelError(
            f"dtype={dtype}: Gram matrices are kept in torch.float32 or torch.float64. Pass one of them."
        )
    return torch.empty(0, dtype=dtype).numpy().dtype


def _bounds(n: int, side: int) -> list[int]:
    parts = -(-n // side)
    return [n * part // parts for part in range(parts + 1)]
