"""The three blocks of one kernel that predictions need: between training samples, test and training, test samples."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from similitude.core.errors import KernelError

_PART = (
    2048  # rows and columns that are looked at together, so that a matrix on disk is never in memory whole
)


@dataclass(frozen=True)
class TrainTest:
    """The Gram blocks of one kernel, checked: finite, of shapes that fit, symmetric where they must be, on one device.

    Attributes:
        train: Between the n training samples, shape (n, n).
        test_train: Between m test samples (rows) and the training samples (columns), shape (m, n); None where nothing is
            predicted but on the training samples.
        test: Between the test samples, shape (m, m); None where no covariance is wanted.
        name: What messages call the kernel.

    Raises:
        KernelError: A block is not finite, of the wrong shape, not symmetric, has a negative diagonal, or is on another
            device than the others.

    Example:
        >>> TrainTest(torch.eye(3), torch.zeros(2, 3)).n
        3
    """

    train: Tensor
    test_train: Tensor | None = None
    test: Tensor | None = None
    name: str = "kernel"

    def __post_init__(self) -> None:
        n = self.train.shape[0] if self.train.ndim else 0
        m = n if self.test_train is None or self.test_train.ndim == 0 else self.test_train.shape[0]
        for block, which, shape in (
            (self.train, "train", (n, n)),
            (self.test_train, "test_train", (m, n)),
            (self.test, "test", (m, m)),
        ):
            if block is not None:
                self._check(block, which, shape)
                if block.device != self.train.device:
                    raise KernelError(
                        f"the '{which}' block of the {self.name} is on {block.device}, the 'train' block on "
                        f"{self.train.device}. Move them to one device."
                    )

    def _check(self, block: Tensor, which: str, shape: tuple[int, int]) -> None:
        said = f"the '{which}' block of the {self.name}"
        if tuple(block.shape) != shape or 0 in shape:
            raise KernelError(
                f"{said} has shape {tuple(block.shape)}, and {shape} is needed with {shape[1]} columns: train is (n, n), "
                "test_train (m, n) with a row for every test sample, test (m, m), none of them empty."
            )
        if not block.is_floating_point():
            raise KernelError(f"{said} has type {block.dtype}. Give float64 (or float32) numbers.")
        square = which != "test_train"
        scale = float(block.diagonal().abs().max()) if square else 0.0
        for rows, columns in _parts(shape):
            part = block[rows, columns]
            if not torch.isfinite(part).all():
                i, j = (~torch.isfinite(part)).nonzero()[0].tolist()
                raise KernelError(
                    f"{said} is {float(part[i, j])} at ({rows.start + i}, {columns.start + j}). A kernel is finite: look "
                    "at these samples."
                )
            if square and rows.start <= columns.start:
                off = (part - block[columns, rows].T).abs().max()
                if off > 100 * torch.finfo(block.dtype).eps * scale:
                    raise KernelError(
                        f"{said} is not symmetric: entries that should be equal differ by {float(off):.3g} (its largest "
                        f"diagonal entry is {scale:.3g}). Rows and columns must be the same samples in the same order."
                    )
        if square and (lowest := float(block.diagonal().min())) < 0:
            raise KernelError(f"{said} has {lowest:.3g} on its diagonal. A variance is at least 0.")

    @property
    def n(self) -> int:
        """Number of training samples."""
        return self.train.shape[0]

    def cross(self) -> Tensor:
        """Return the block between test and training samples in float64.

        Raises:
            KernelError: There is none.
        """
        if self.test_train is None:
            raise KernelError(
                f"nothing can be predicted on test samples without the 'test_train' block of the {self.name}. Pass "
                "TrainTest(train, test_train, ...)."
            )
        return self.test_train.double()


def _parts(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    for i in range(math.ceil(shape[0] / _PART)):
        for j in range(math.ceil(shape[1] / _PART)):
            yield slice(i * _PART, (i + 1) * _PART), slice(j * _PART, (j + 1) * _PART)
