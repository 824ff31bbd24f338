"""Checks of what users pass to the theory of bottlenecks: points, targets and Gram matrices, in float64."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.errors import TheoryError


def real(values: ArrayLike | Tensor, name: str) -> Tensor:
    """Return numbers as a float64 tensor of their own shape on the CPU.

    Raises:
        TheoryError: They are no real numbers, or one is not finite.
    """
    try:
        found = torch.as_tensor(values).detach().cpu()
        found = found if found.dtype.is_complex else found.double()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TheoryError(f"{name} is no array of numbers: {error}. Pass real numbers.") from error
    if found.dtype.is_complex:
        raise TheoryError(f"{name} is complex. Pass real numbers.")
    bad = ~found.isfinite()
    if bool(bad.any()):
        place = bad.nonzero()[0].tolist()
        raise TheoryError(
            f"{name}{place} is {found[tuple(place)].item()}: {int(bad.sum())} of {found.numel()} numbers are not "
            "finite. Look where they come from."
        )
    return found


def rows(values: ArrayLike | Tensor, name: str, what: str) -> Tensor:
    """Return one row of numbers per example, shape (examples, numbers); a plain list has one number each.

    Args:
        values: The rows.
        name: What the user calls them.
        what: What a row is, for errors.

    Raises:
        TheoryError: They are no such rows.
    """
    found = real(values, name)
    found = found[:, None] if found.dim() == 1 else found
    if found.dim() != 2 or not found.numel():
        raise TheoryError(f"{name} has shape {tuple(found.shape)}. Pass {what}, one row per example.")
    return found


def first_gram(ntk: ArrayLike | Tensor, points: int, train: int) -> Tensor:
    """Return the tangent kernel of the first part of a net between all points and those of training, (P, N).

    Raises:
        TheoryError: It has another shape, or is no kernel between the points of training.
    """
    found = real(ntk, "ntk")
    if found.dim() != 2 or len(found) != points or found.shape[1] not in (points, train):
        raise TheoryError(
            f"ntk has shape {tuple(found.shape)}, for {points} examples of which {train} are trained on. Pass the "
            f"tangent kernel between all of them, shape ({points}, {points}) or ({points}, {train})."
        )
    own = found[:train, :train]
    size, apart = float(own.abs().max()), float((own - own.T).abs().max())
    if apart > 1e-6 * size:
        raise TheoryError(
            f"ntk is not symmetric: entries differ by up to {apart:.3g}, the largest is {size:.3g}. Pass the kernel of "
            "the same examples in the same order, those that are trained on first."
        )
    low = float(torch.linalg.eigvalsh((own + own.T) / 2)[0])
    if low < -1e-6 * size * train:
        raise TheoryError(
            f"ntk has the eigenvalue {low:.3g}, its largest entry is {size:.3g}: a tangent kernel has none below 0, and "
            "the loss would grow. Pass sums of products of gradients."
        )
    return found[:, :train]
