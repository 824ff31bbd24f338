"""Losses by their pull on the outputs, which is all that kernel training needs of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from similitude.core.errors import KernelError
from similitude.kernels.targets import target_rows

Loss = Literal["mse", "cross_entropy"] | Callable[[Tensor, Tensor], Tensor]
"""Half the sum of squared errors, the sum of cross-entropies, or `loss(outputs, targets) -> number`."""

Pull = Callable[[Tensor, Tensor], Tensor]

BEND = {"mse": 1.0, "cross_entropy": 0.5}
"""Largest second derivative along any direction of the outputs; source: Boehning, Ann. Inst. Stat. Math. 44 (1992)."""


def pull_of(loss: Loss) -> Pull:
    """Return the gradient of a loss with respect to the outputs, as a function of outputs and targets.

    Args:
        loss: See `Loss`; a function of the user's is differentiated.

    Raises:
        KernelError: There is no loss of this name.
    """
    if callable(loss):
        return lambda outputs, targets: _differentiated(loss, outputs, targets)
    if loss == "mse":
        return torch.sub
    if loss == "cross_entropy":
        return lambda outputs, targets: torch.softmax(outputs, -1) - targets
    raise KernelError(
        f"loss={loss!r} is not known. Pass 'mse', 'cross_entropy', or a function loss(outputs, targets) that returns one "
        "number."
    )


def targets_for(
    loss: Loss, y: Tensor, n: int, *, outputs: int | None, device: torch.device | None = None
) -> Tensor:
    """Return targets as a loss takes them, a row per training sample.

    Args:
        loss: See `Loss`.
        y: Targets.
        n: Number of training samples.
        outputs: Columns of the nets' outputs; None where nothing but the targets says it.
        device: Where they are wanted; where they are if None.

    Returns:
        Shape (n, C); for a loss of the user's as they are.

    Raises:
        KernelError: They do not fit the samples, the outputs or the loss.
    """
    if callable(loss):
        if not isinstance(y, Tensor) or y.ndim == 0 or y.shape[0] != n:
            raise KernelError(
                f"targets have shape {tuple(getattr(y, 'shape', ()))}, and there are {n} training samples. Give one row "
                "for each."
            )
        return y.to(device)
    rows = target_rows(y, n, classes=outputs or 1, device=device)
    if outputs is not None and rows.shape[1] != outputs:
        raise KernelError(
            f"targets have {rows.shape[1]} columns, and the outputs at the start {outputs}. Give as many of both."
        )
    if loss == "cross_entropy":
        sums = rows.sum(1)
        if rows.shape[1] < 2 or float(rows.min()) < 0 or float((sums - 1).abs().max()) > 1e-6:
            raise KernelError(
                f"loss='cross_entropy' takes class numbers (integers) or rows of probabilities; these targets have "
                f"{rows.shape[1]} columns, a smallest entry of {float(rows.min()):.3g} and rows that sum to "
                f"{float(sums.min()):.3g} to {float(sums.max()):.3g}. Pass y.long(), or loss='mse'."
            )
    return rows


def outputs_of(loss: Loss, targets: Tensor) -> int:
    """Return the number of outputs that targets ask for where no start says it."""
    if targets.ndim > 1:
        return targets.shape[1]
    return int(targets.max()) + 1 if callable(loss) and not targets.is_floating_point() else 1


def _differentiated(loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    with torch.enable_grad():
        at = outputs.detach().requires_grad_()
        value = loss(at, targets)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            raise KernelError(
                f"loss(outputs, targets) returned {value if not isinstance(value, Tensor) else tuple(value.shape)}. It "
                "must return one number, computed from the outputs by torch."
            )
        (pull,) = torch.autograd.grad(value.sum(), at)
    return pull
