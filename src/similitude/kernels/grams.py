"""Gram matrices of a kernel, tile by tile: symmetric halves only, in parallel, on disk, resumed where they stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.arguments import whole
from similitude.kernels.devices import CPU, home_of, usable
from similitude.kernels.gram_store import GramStore
from similitude.kernels.gram_tiles import (
    Pair,
    Tile,
    TileFunction,
    numpy_dtype,
    shape_of,
    side_for,
    symmetric_side,
    tiles,
)
from similitude.kernels.samples import digest, moved
from similitude.runs.engine import Engine

NAMES = ("nngp", "ntk")
"""The kernels of a network: of its outputs at initialization, and the tangent kernel that moves them in training."""


@dataclass(frozen=True)
class GramProgress:
    """How far Gram matrices are.

    Attributes:
        done: Tiles finished, those found on disk included.
        total: All tiles.
        found: Tiles that were on disk before.
        seconds: Wall-clock time so far.
    """

    done: int
    total: int
    found: int
    seconds: float

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time that is left; None before a tile of this run is done."""
        computed = self.done - self.found
        return self.seconds * (self.total - self.done) / computed if computed else None


class GramOptions(TypedDict, total=False):
    """How Gram matrices are computed; see `gram_matrices`."""

    side: int | None
    device: torch.device | str | None
    engine: Engine | None
    folder: str | Path | None
    progress: Callable[[GramProgress], None] | None


def gram_matrices(
    pair: Pair,
    x1: Any,
    x2: Any = None,
    *,
    names: Sequence[str] = NAMES,
    dtype: torch.dtype = torch.float64,
    numbers_per_pair: int = 1,
    side: int | None = None,
    device: torch.device | str | None = None,
    engine: Engine | None = None,
    folder: str | Path | None = None,
    identity: Mapping[str, Any] | None = None,
    progress: Callable[[GramProgress], None] | None = None,
) -> dict[str, Tensor]:
    """Compute Gram matrices in tiles.

    Without a folder the matrices are in memory and nothing else of their size is. With one they are `.npy` files that
    are mapped into memory, with a ledger of finished tiles: a process that was killed goes on where it was, and a folder
    of another kernel or of other data is refused.

    Args:
        pair: The kernel between two small sets of samples; see `Pair`.
        x1: Samples: a tensor of shape (n1, ...), or a tuple or dict of tensors with the same first axis.
        x2: Samples of the columns; `x1` where None, and then only half of the tiles are computed.
        names: Which of the matrices that `pair` gives.
        dtype: Type of the matrices: float32 halves memory and disk; what the tiles are computed in is for `pair`.
        numbers_per_pair: Numbers that the widest tensor inside `pair` holds per pair of samples, for the size of tiles.
        side: Samples on a side of a tile; by default so that one tensor of a tile has about four megabytes.
        device: Where tiles are computed, e.g. "cuda"; by default where the samples are.
        engine: What computes the tiles: by default this process, with the threads that torch has here;
            `sim.ProcessPool` or `sim.RayEngine` where `pair` can be pickled.
        folder: Folder to keep the matrices in.
        identity: What tells this kernel from others, as plain values by name; asked for with `folder`.
        progress: Called after every tile.

    Returns:
        The matrices by name, each of shape (n1, n2): on the device of x1, or mapped from files on the CPU.

    Raises:
        KernelError: There are no samples, the kernel is not finite, or the folder holds other matrices or is damaged.
        StudyError: `pair` cannot be sent to other processes.
        JobsFailedError: Tiles failed in other processes.

    Example:
        >>> def linear(x1, x2):
        ...     return {"nngp": x1 @ (x1 if x2 is None else x2).T}
        >>> gram_matrices(linear, torch.tensor([[1.0], [2.0]]), names=["nngp"])["nngp"].tolist()
        [[1.0, 2.0], [2.0, 4.0]]

    Cost: n1 n2 times the cost of a pair, half of it where x2 is None; memory n1 n2 numbers per matrix and some tiles, or
    tiles alone with a folder.
    """
    n1, n2 = shape_of(x1, x2)
    symmetric = x2 is None
    names = (names,) if isinstance(names, str) else tuple(names)
    if side is not None:
        whole(
            "side",
            side,
            least=1,
            remedy="Pass the samples on a side of a tile, or leave it out for the cache's size.",
        )
    _check(names, device, engine, folder, progress)
    kept = numpy_dtype(dtype)
    if side is None:
        side = side_for(numbers_per_pair, kept.itemsize)
        side = symmetric_side(n1, side, numbers_per_pair) if symmetric else side
    todo = tiles(n1, n2, side, symmetric=symmetric)
    home = home_of(x1) if folder is None else CPU
    if engine is None:
        compute = TileFunction(pair, x1, x2, names, dtype, device)
    else:  # what goes to other processes is on the CPU
        near = (moved(x1, CPU), None if x2 is None else moved(x2, CPU))
        compute = TileFunction(pair, *near, names, dtype, device or home_of(x1))
    store = None
    if folder is not None:
        if identity is None:
            raise KernelError(
                f"folder={str(folder)!r} keeps matrices that a later call may continue, and nothing says of which kernel "
                "they are. Pass identity={'kernel': 'a name or number that changes with the kernel'}."
            )
        data = {"x1": digest(x1), "x2": None if x2 is None else digest(x2)}
        store = GramStore(
            Path(folder), names=names, shape=(n1, n2), dtype=dtype, side=side,
            identity={"kernel": dict(identity), "data": data},
        )  # fmt: skip
    with nullcontext() if store is None else store.opened():
        if store is None:
            matrices = {name: torch.empty(n1, n2, dtype=dtype, device=home) for name in names}
            left = todo
        else:
            matrices = {name: torch.from_numpy(array) for name, array in store.arrays.items()}
            left = [tile for tile in todo if tile not in store.finished]
        started, found, done = time.monotonic(), len(todo) - len(left), len(todo) - len(left)

        def keep(tile: Tile, blocks: Mapping[str, Tensor]) -> None:
            nonlocal done
            for name, block in blocks.items():
                matrices[name][tile.row : tile.row_stop, tile.column : tile.column_stop] = block
                if symmetric and not tile.on_diagonal:
                    matrices[name][tile.column : tile.column_stop, tile.row : tile.row_stop] = block.T
            if store is not None:
                store.record(tile)
            done += 1
            if progress is not None:
                progress(GramProgress(done, len(todo), found, time.monotonic() - started))

        if engine is None:  # an error in one tile is the error of all: no other tile is tried
            for tile in left:
                keep(tile, compute.tensors(tile))
        else:

            def arrived(tile: Tile, arrays: Mapping[str, np.ndarray]) -> None:
                keep(tile, {name: torch.tensor(array) for name, array in arrays.items()})

            engine.map(compute, left, on_done=arrived, name=lambda tile: f"tile of {tile}")
    return matrices


def _check(names: tuple[str, ...], device: Any, engine: Any, folder: Any, progress: Any) -> None:
    """Raise where an option is not of its kind."""
    if not names:
        raise KernelError(f"names={names}: no kernel is asked for. Name at least one, e.g. {NAMES}.")
    if device is not None:
        usable(device)
    for name, value, right in (
        ("engine", engine, engine is None or hasattr(engine, "map")),
        ("folder", folder, folder is None or isinstance(folder, str | Path)),
        ("progress", progress, progress is None or callable(progress)),
    ):
        if not right:
            raise KernelError(
                f"{name}={value!r} is a {type(value).__name__}. Pass an engine such as sim.ProcessPool(), a path as "
                "folder and a function as progress, or leave it out."
            )
