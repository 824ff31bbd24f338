"""What limits and networks give: outputs over training, and how far the features' kernel moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import array

Chi = Callable[[Tensor, Tensor], Tensor]
"""dLoss / df of outputs and targets, shape (M,) of (M,); of stacked outputs shape (..., M)."""


@dataclass(frozen=True, eq=False)
class Update:
    """One step of the limit: f falls by lr times this.

    Attributes:
        value: Shape (M,).
        error: Standard error of the sampling, shape (M,); 0 where it is exact.
    """

    value: Tensor
    error: Tensor


@dataclass(frozen=True, eq=False)
class LimitRun:
    """Training of the infinitely wide network.

    Attributes:
        outputs: Before every step and after the last, shape (steps + 1, M).
        error: About one standard error of the outputs by sampling: errors of all steps added up, as those of frozen
            draws agree.
        kernel_change: Change of the last layer's kernel <x, x'> from start to end over its size; 0 in the neural tangent
            limit.
    """

    outputs: Tensor
    error: float
    kernel_change: float


@dataclass(frozen=True, eq=False)
class NetworkRuns:
    """Training of networks of one width that differ in their start.

    Attributes:
        width: What the factory was given.
        units: Units n of the hidden layers.
        outputs: Before every step and after the last, shape (seeds, steps + 1, M).
        kernel_change: Change of the last hidden layer's kernel over its size, shape (seeds,).
    """

    width: int
    units: int
    outputs: Tensor
    kernel_change: Tensor


def residual(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return f - y: chi of half the squared distance, summed over inputs."""
    return outputs - targets


def given_inputs(inputs: ArrayLike | Tensor, features: int) -> Tensor:
    """Return inputs in float64, shape (M, features).

    Raises:
        TheoryError: They do not fit the network, or are not finite.
    """
    made = torch.from_numpy(array(inputs, "inputs"))
    if made.ndim != 2 or not made.shape[0] or made.shape[1] != features:
        raise TheoryError(
            f"inputs have shape {tuple(made.shape)}: pass shape (inputs, {features}), as the first layer reads them."
        )
    return made


def given_task(
    inputs: ArrayLike | Tensor, targets: ArrayLike | Tensor, features: int
) -> tuple[Tensor, Tensor]:
    """Return inputs, shape (M, features), and their targets, shape (M,), in float64.

    Raises:
        TheoryError: They do not fit.
    """
    x = given_inputs(inputs, features)
    return x, given_numbers(targets, "targets", len(x))


def given_numbers(values: ArrayLike | Tensor, name: str, count: int) -> Tensor:
    """Return one number per input in float64, shape (M,).

    Raises:
        TheoryError: There are others than M, or one is not finite.
    """
    made = torch.from_numpy(array(values, name))
    if made.shape != (count,):
        raise TheoryError(
            f"{name} have shape {tuple(made.shape)}: pass one number for each of the {count} inputs."
        )
    return made


def errors_of(chi: Chi, outputs: Tensor, targets: Tensor) -> Tensor:
    """Return chi of outputs and targets, shape as outputs.

    Raises:
        TheoryError: The user's function gives another shape.
    """
    found = chi(outputs, targets)
    if not isinstance(found, Tensor) or found.shape != outputs.shape:
        given = f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise TheoryError(
            f"chi gives {given} for outputs of shape {tuple(outputs.shape)}: it is dLoss / df, one number per output, "
            "and no loss, e.g. lambda f, y: f - y."
        )
    return found


def check_finite(outputs: Tensor, step: int, lr: float) -> None:
    """Raise unless outputs are finite.

    Raises:
        TheoryError: They are not: the limit diverges at this rate.
    """
    if not torch.isfinite(outputs).all():
        raise TheoryError(f"the limit diverges in step {step} at lr={lr:g}. Pass a smaller rate.")


def kernel_change(first: Tensor, last: Tensor) -> Tensor:
    """Return |K' - K| / |K| of kernels of features, shape (...) from features of shape (..., M, units).

    Example:
        >>> x = torch.eye(2)
        >>> float(kernel_change(x, 2 * x))
        3.0
    """
    return relative_change(first @ first.mT, last @ last.mT)


def relative_change(before: Tensor, after: Tensor) -> Tensor:
    """Return |after - before| / |before| of matrices, shape (...) from (..., M, M); 0 of those that stay zero.

    Example:
        >>> zero = torch.zeros(2, 2)
        >>> float(relative_change(zero, zero)), float(relative_change(torch.eye(2), 3 * torch.eye(2)))
        (0.0, 2.0)
    """
    moved, size = (matrix.flatten(-2).norm(dim=-1) for matrix in (after - before, before))
    return torch.where(moved == 0, 0.0, moved / size)
