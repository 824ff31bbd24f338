"""Targets as predictions need them: a float64 matrix, one row per training sample."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from similitude.core.errors import KernelError


def target_rows(y: Tensor, n: int, *, classes: int = 1, device: torch.device | None = None) -> Tensor:
    """Return targets as a matrix; class numbers become rows with a 1 in their column.

    Args:
        y: Shape (n,) or (n, C): values if floating point, class numbers from 0 if integer.
        n: Number of training samples.
        classes: Columns of the rows of class numbers, at least.
        device: Where they are wanted; where they are if None.

    Returns:
        Shape (n, C), float64.

    Raises:
        KernelError: There are more or fewer than n, or they are not finite, or no class numbers.

    Example:
        >>> target_rows(torch.tensor([2, 0]), 2).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if not isinstance(y, Tensor):
        raise KernelError(f"targets are a {type(y).__name__}. Give a tensor, e.g. torch.as_tensor(y).")
    if y.ndim not in (1, 2) or y.shape[0] != n:
        raise KernelError(
            f"targets have shape {tuple(y.shape)}, and there are {n} training samples. Give one row for each: ({n},) or "
            f"({n}, outputs)."
        )
    if y.is_complex() or 0 in y.shape:
        raise KernelError(
            f"targets have shape {tuple(y.shape)} and type {y.dtype}. Give real numbers, at least one for each sample."
        )
    y = y.detach().to(device)
    if not y.is_floating_point():
        if y.ndim == 2 or int(y.min()) < 0:
            raise KernelError(
                f"integer targets are class numbers from 0, one per sample; these have shape {tuple(y.shape)} and go "
                f"from {y.min().item()} to {y.max().item()}. Pass values as floating point numbers (y.double())."
            )
        return one_hot(y.long(), max(classes, int(y.max()) + 1)).double()
    if not torch.isfinite(y).all():
        row = int((~torch.isfinite(y.reshape(n, -1))).any(1).nonzero()[0])
        raise KernelError(
            f"the target of training sample {row} is not finite. Drop the sample or mend its target."
        )
    return y.reshape(n, -1).double()


def like_targets(rows: Tensor, y: Tensor) -> Tensor:
    """Return predictions (..., m, C) in the form of the targets: without the last axis where the targets had none."""
    return rows.squeeze(-1) if y.ndim == 1 and y.is_floating_point() else rows
