"""Kernel gradient descent: the steps of a wide net under gradient descent or SGD, in function space, for any loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import KernelError
from similitude.kernels.losses import BEND, Loss, outputs_of, pull_of, targets_for
from similitude.kernels.train_test import TrainTest

_DIGITS: Any = 1e-6
_DENSE = 500  # samples up to which all eigenvalues are cheaper than the largest one by products


@dataclass(frozen=True)
class Trajectory:
    """Outputs along training.

    Attributes:
        steps: Steps, or times, at which outputs were kept.
        train: Outputs on the training samples, shape (kept, n, C).
        test: Outputs on the test samples, shape (kept, m, C); None without a `test_train` block.
    """

    steps: tuple[float, ...]
    train: Tensor
    test: Tensor | None


@cites(21, "the update of kernel gradient descent that every wide net follows")
def gradient_descent(
    ntk: TrainTest,
    y: Tensor,
    *,
    lr: float,
    steps: int,
    loss: Loss = "mse",
    batches: Sequence[Sequence[int] | Tensor] | None = None,
    start: Tensor | None = None,
    start_test: Tensor | None = None,
    ridge: float = 0.0,
    every: int | None = None,
) -> Trajectory:
    """Train in function space: f <- f - lr Theta(., batch) loss'(f(batch), y(batch)), as a wide net does.

    Args:
        ntk: Blocks of the tangent kernel Theta; outputs on test samples need its `test_train`.
        y: Targets, one row per training sample.
        lr: Learning rate, for a loss that is summed over the samples of a batch; a mean over B of them takes lr / B.
        steps: Number of steps.
        loss: "mse" (half the sum of squared errors), "cross_entropy" (summed), or `loss(outputs, targets) -> number`.
        batches: Training samples of every step, by their numbers; all of them at every step where None.
        start: Outputs f_0 on the training samples, shape (n,) or (n, C); 0 where None.
        start_test: Outputs f_0 on the test samples, shape (m,) or (m, C).
        ridge: Pull of the parameters to where they began (ridge / 2 times their squared distance is added to the loss).
        every: Keep outputs every so many steps, and those of the start; the last ones alone where None.

    Returns:
        The outputs.

    Raises:
        KernelError: The learning rate is above what the kernel bears (2 / largest eigenvalue for the squared error, 4 /
            largest eigenvalue for cross-entropy; a loss of yours is not checked), the outputs leave all bounds, or
            shapes do not fit.

    Example:
        >>> kernel = TrainTest(torch.tensor([[2.0]]))
        >>> gradient_descent(kernel, torch.tensor([1.0]), lr=0.25, steps=2).train.flatten().tolist()
        [0.75]

    Cost: n C numbers times the size of the batch per step, n m C for outputs on test samples.
    """
    if steps < 0 or (every is not None and every < 1):
        raise KernelError(
            f"steps={steps}, every={every}: give at least 0 steps, and keep every first or later one."
        )
    if not 0 < lr < float("inf"):
        raise KernelError(f"lr={lr}: a learning rate is a finite number above 0.")
    train = ntk.train.double()
    f, f_test = starts(ntk, y, loss, start, start_test)
    targets = targets_for(loss, y, ntk.n, outputs=f.shape[1], device=f.device)
    samples = _checked_batches(batches, steps, ntk.n)
    if not callable(loss):
        _check_rate(train, samples, lr=lr, ridge=ridge, bend=BEND[loss], loss=loss)
    pull, first, dual = pull_of(loss), f, torch.zeros_like(f)
    kept: list[tuple[int, Tensor, Tensor]] = []
    for step in range(steps + 1):
        if step == steps or (every is not None and step % every == 0):
            kept.append((step, f, dual.clone()))
        if step == steps:
            break
        batch = slice(None) if samples is None else samples[step]
        change = lr * pull(f[batch], targets[batch])
        f = f - (train[:, batch] @ change + lr * ridge * (f - first))
        dual.mul_(1 - lr * ridge)
        dual[batch] -= change  # no sample is twice in a batch
        if not torch.isfinite(f).all():
            raise KernelError(
                f"kernel gradient descent left all bounds at step {step + 1} of {steps}: lr={lr:.4g} is too large for "
                f"this loss. The kernel's largest eigenvalue is {largest_eigenvalue(train):.4g}; begin below 2 over it."
            )
    test = None
    if f_test is not None:
        cross = ntk.cross()
        test = torch.stack([f_test + cross @ weights for _, _, weights in kept])
    return Trajectory(tuple(step for step, _, _ in kept), torch.stack([f for _, f, _ in kept]), test)


def largest_eigenvalue(gram: Tensor) -> float:
    """Return the largest eigenvalue of a Gram matrix: by Lanczos to six digits where it is large.

    Example:
        >>> round(largest_eigenvalue(torch.ones(4, 4)), 9)
        4.0
    """
    if gram.shape[0] <= _DENSE:
        return float(torch.linalg.eigvalsh(gram.double())[-1])
    from scipy.sparse.linalg import eigsh  # here: scipy takes a second to import

    gram = gram.double().cpu()
    start = gram.sum(1).numpy()  # near the top eigenvector of a kernel, and the same at every call
    found: Any = eigsh(gram.numpy(), k=1, which="LA", v0=start, tol=_DIGITS, return_eigenvectors=False)
    return float(found[0])


def starts(
    ntk: TrainTest, y: Tensor, loss: Loss, start: Tensor | None, start_test: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the outputs at the start on training and test samples, as float64 matrices; 0 where none are given.

    Raises:
        KernelError: Their shapes do not fit the kernel or one another.
    """
    if start is None and start_test is not None:
        raise KernelError(
            "start_test= is given and start= is not. Pass the outputs at the start on both sets of samples."
        )
    device = ntk.train.device
    if start is None:
        f = torch.zeros(
            ntk.n,
            outputs_of(loss, targets_for(loss, y, ntk.n, outputs=None)),
            dtype=torch.float64,
            device=device,
        )
    else:
        f = _start_rows(start, ntk.n, "start").to(device)
    if ntk.test_train is None:
        if start_test is not None:
            ntk.cross()  # says what is missing
        return f, None
    m = ntk.test_train.shape[0]
    if start_test is None:
        if start is not None and bool(start.any()):
            raise KernelError(
                "start= is given and start_test= is not. Pass the outputs at the start on both sets of samples."
            )
        return f, f.new_zeros(m, f.shape[1])
    f_test = _start_rows(start_test, m, "start_test").to(device)
    if f_test.shape[1] != f.shape[1]:
        raise KernelError(
            f"start has {f.shape[1]} outputs and start_test {f_test.shape[1]}. Give as many of both."
        )
    return f, f_test


def _start_rows(start: Tensor, rows: int, name: str) -> Tensor:
    if start.ndim not in (1, 2) or start.shape[0] != rows:
        raise KernelError(
            f"{name} has shape {tuple(start.shape)}, and ({rows}, outputs) is needed: a row per sample."
        )
    return start.detach().reshape(rows, -1).double()


def _checked_batches(
    batches: Sequence[Sequence[int] | Tensor] | None, steps: int, n: int
) -> list[Tensor] | None:
    if batches is None:
        return None
    if len(batches) < steps:
        raise KernelError(f"{len(batches)} batches are given for {steps} steps. Give one for each.")
    found = [torch.as_tensor(batch, dtype=torch.long).cpu() for batch in batches[:steps]]
    for step, batch in enumerate(found):
        low, high = (int(batch.min()), int(batch.max())) if batch.numel() else (0, -1)
        if (
            batch.ndim != 1
            or low < 0
            or high >= n
            or batch.unique().numel() != batch.numel()
            or not batch.numel()
        ):
            raise KernelError(
                f"batches[{step}] has {batch.numel()} numbers from {low} to {high}. A batch names different training "
                f"samples by numbers from 0 to {n - 1}, at least one."
            )
    return found


def _check_rate(
    train: Tensor, batches: list[Tensor] | None, *, lr: float, ridge: float, bend: float, loss: str
) -> None:
    """Raise where a step makes the loss of its own batch larger: at 2 / (bend * largest eigenvalue + ridge)."""
    limit = partial(_limit, bend=bend, ridge=ridge)
    whole = largest_eigenvalue(train)
    if lr < limit(whole):  # the kernel of a batch has no larger eigenvalue
        return
    top, where = whole, f"{train.shape[0]} training samples"
    if batches is not None:
        unique = {tuple(sorted(batch.tolist())): step for step, batch in reversed(list(enumerate(batches)))}
        tops = {
            step: largest_eigenvalue(train[list(batch)][:, list(batch)]) for batch, step in unique.items()
        }
        if not tops:
            return
        worst = max(tops, key=tops.__getitem__)
        top, where = tops[worst], f"batch {worst}"
    if lr >= limit(top):
        law = f"{2 / bend:g} / {top:.6g}" if not ridge else f"2 / ({bend:g} * {top:.6g} + {ridge:.4g})"
        other = "" if loss == "mse" else ", or pass the loss as a function, which is not checked"
        raise KernelError(
            f"lr={lr:.6g} is not below {limit(top):.6g} = {law}, where {top:.6g} is the largest eigenvalue of the "
            f"tangent kernel on {where}: such steps overshoot by more than they "
            f"correct. Pass a smaller learning rate{other}."
        )


def _limit(top: float, *, bend: float, ridge: float) -> float:
    return 2 / (bend * top + ridge) if bend * top + ridge > 0 else float("inf")
