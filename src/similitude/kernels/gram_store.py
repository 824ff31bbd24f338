"""Gram matrices on disk: memory-mapped .npy files with a ledger of finished tiles that survives a killed process."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.gram_tiles import Tile, numpy_dtype

_DESCRIPTION, _LEDGER, _LOCK = "gram.json", "tiles.txt", "lock"
_FORMAT = 1
_SYNC_SECONDS = 5.0  # between writes to the disk: so much work is done again after a crash of the machine


@dataclass
class GramStore:
    """The folder of some Gram matrices while they are computed.

    A tile is written to the ledger after its values have reached the disk, so that every tile of the ledger is whole,
    whenever the process dies. One process at a time writes; another one waits until it ends.

    Attributes:
        folder: The folder; it is made where it does not exist.
        names: Names of the matrices, and of their files.
        shape: Rows and columns.
        dtype: float32 or float64.
        side: Samples on a side of a tile.
        identity: What tells these matrices from others: plain values by name.
        arrays: The mapped matrices by name, while opened.
        finished: Tiles of the ledger, while opened.
    """

    folder: Path
    names: tuple[str, ...]
    shape: tuple[int, int]
    dtype: torch.dtype
    side: int
    identity: Mapping[str, Any]
    arrays: dict[str, np.memmap[Any, Any]] = field(default_factory=dict)
    finished: set[Tile] = field(default_factory=set)
    _unwritten: list[Tile] = field(default_factory=list)
    _written_at: float = 0.0

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open the matrices for writing, and leave all that was recorded on disk at the end, also after an error.

        Raises:
            KernelError: The folder holds other matrices, is damaged, or the disk has no room.
            StudyError: The folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise KernelError(
                f"{self.folder} cannot be made: {error.strerror}. Give another folder."
            ) from error
        from similitude.runs.lock import FileLock  # here: it imports Optuna

        with FileLock(self.folder / _LOCK).held():
            self._describe()
            ready = all(self._file(name).exists() for name in self.names)
            self.finished = _finished(self.folder) if ready else set()
            if not ready:
                self._reserve()
            # Without what a crash cut off, so that the next line does not go on where it broke.
            _replace(self.folder / _LEDGER, "".join(map(_line, sorted(self.finished))).encode())
            self.arrays = {
                name: _mapped(self._file(name), self.shape, self.dtype, mode="r+") for name in self.names
            }
            self._written_at = time.monotonic()
            try:
                yield
            finally:
                self._write()

    def record(self, tile: Tile) -> None:
        """Note that a tile's values have been put into the matrices."""
        self._unwritten.append(tile)
        if time.monotonic() - self._written_at > _SYNC_SECONDS:
            self._write()

    def _write(self) -> None:
        if self._unwritten:
            for array in self.arrays.values():
                array.flush()
            with (self.folder / _LEDGER).open("a") as ledger:
                ledger.writelines(map(_line, self._unwritten))
                ledger.flush()
                os.fsync(ledger.fileno())
            self.finished |= set(self._unwritten)
            self._unwritten.clear()
        self._written_at = time.monotonic()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _describe(self) -> None:
        """Write what the folder holds, or compare it with what is there."""
        mine = {
            "format": _FORMAT,
            "matrices": list(self.names),
            "shape": list(self.shape),
            "dtype": str(self.dtype).removeprefix("torch."),
            "side": self.side,
            **json.loads(json.dumps(self.identity)),
        }
        path = self.folder / _DESCRIPTION
        if path.exists():
            stored = _read_description(self.folder)
            before, now = dict(_leaves(stored)), dict(_leaves(mine))
            changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            if changed:
                said = "; ".join(f"{name} was {before.get(name)}, is now {now.get(name)}" for name in changed)
                raise KernelError(
                    f"{self.folder} holds Gram matrices of something else: {len(changed)} of {len({**before, **now})} "
                    f"entries differ ({said}). Give another folder, or go back to the old kernel and data to continue it."
                )
            return
        foreign = [name for name in self.names if self._file(name).exists()]
        if foreign:
            raise KernelError(
                f"{self.folder} has {foreign[0]}.npy but no {_DESCRIPTION}: it is not of similitude and would be "
                "overwritten. Give another folder."
            )
        _replace(path, json.dumps(mine, indent=2).encode())

    def _reserve(self) -> None:
        """Make the files with all their blocks: a mapped file that finds no room later kills the process."""
        number = numpy_dtype(self.dtype).itemsize
        needed = len(self.names) * self.shape[0] * self.shape[1] * number
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise KernelError(
                f"{len(self.names)} Gram matrices of {self.shape} take {needed / 2**30:.3g} GiB, and the "
                f"disk of {self.folder} has {free / 2**30:.3g} GiB left. Take fewer samples, dtype=torch.float32, or "
                "another disk."
            )
        for name in self.names:
            part = self.folder / f"{name}.npy.part"
            open_memmap(part, mode="w+", dtype=numpy_dtype(self.dtype), shape=self.shape)
            if hasattr(os, "posix_fallocate"):
                with part.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
            part.replace(self._file(name))


def read_grams(folder: str | Path) -> dict[str, Tensor]:
    """Return the Gram matrices of a folder by name, mapped from disk and read-only in effect.

    Args:
        folder: A folder that `gram_matrices(..., folder=)` filled.

    Raises:
        KernelError: There are none, they are not finished, or they are damaged.
    """
    folder = Path(folder)
    if not (folder / _DESCRIPTION).exists():
        raise KernelError(f"{folder} holds no Gram matrices: it has no {_DESCRIPTION}. Check the path.")
    stored = _read_description(folder)
    try:
        shape, dtype = tuple(stored["shape"]), getattr(torch, stored["dtype"])
        names, symmetric = stored["matrices"], stored["data"]["x2"] is None
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder / _DESCRIPTION, f"it lacks {error}") from error
    area = sum(
        (t.row_stop - t.row) * (t.column_stop - t.column) * (2 if symmetric and not t.on_diagonal else 1)
        for t in _finished(folder)
    )
    if area != shape[0] * shape[1]:
        raise KernelError(
            f"the Gram matrices in {folder} are {100 * area / (shape[0] * shape[1]):.0f} % done. Run what computed them "
            "again: it computes only what is missing."
        )
    return {name: torch.from_numpy(_mapped(folder / f"{name}.npy", shape, dtype, mode="c")) for name in names}


def _finished(folder: Path) -> set[Tile]:
    """Read the ledger; a last line that was cut off by a crash counts for nothing."""
    path = folder / _LEDGER
    if not path.exists():
        return set()
    whole, _, _ = path.read_text().rpartition("\n")
    try:
        return {Tile(*(int(number) for number in line.split())) for line in whole.splitlines()}
    except (TypeError, ValueError) as error:
        raise _damaged(path, str(error)) from error


def _line(tile: Tile) -> str:
    return " ".join(map(repr, tile)) + "\n"


def _mapped(path: Path, shape: tuple[int, ...], dtype: torch.dtype, *, mode: Any) -> np.memmap[Any, Any]:
    try:
        array = open_memmap(path, mode=mode)
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if array.shape != shape or array.dtype != numpy_dtype(dtype):
        raise _damaged(
            path, f"it is {array.shape} of {array.dtype} in place of {shape} of {numpy_dtype(dtype)}"
        )
    return array


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / _DESCRIPTION
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> KernelError:
    return KernelError(f"{path} is damaged: {why}. Delete the folder and compute the Gram matrices again.")


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
