"""Numbers of tensors that are spread over processes (DTensors, as FSDP2 makes them), from the parts that each holds."""

from __future__ import annotations

from typing import Any

import torch

from similitude.core.errors import PlanError

Layout = tuple[Any, tuple[Any, ...]]
"""The mesh of processes, and how the tensor lies on each of its dimensions."""


def layout_of(tensor: torch.Tensor) -> Layout | None:
    """Return how a tensor lies on the processes; None for a plain one.

    Raises:
        PlanError: Every process holds a summand of it, so that no number of it is known yet.
    """
    if not hasattr(tensor, "placements"):
        return None
    mesh, placements = tensor.device_mesh, tuple(tensor.placements)  # pyright: ignore[reportAttributeAccessIssue]
    if any(placement.is_partial() for placement in placements):
        raise PlanError(
            f"a tensor of shape {tuple(tensor.shape)} is a sum over processes that was not taken yet {placements}. Use "
            "it after its parts are reduced, as fully_shard does."
        )
    return mesh, placements


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """Return the part of a tensor that this process holds, sharing its memory; it may be empty."""
    return tensor if layout_of(tensor) is None else tensor.to_local()  # pyright: ignore[reportAttributeAccessIssue]


def over_processes(number: torch.Tensor, layout: Layout | None, *, how: str) -> torch.Tensor:
    """Combine a number of each process's part into that of the whole tensor.

    Args:
        number: The number of the local part.
        layout: What `layout_of` returns.
        how: "sum" or "max".
    """
    if layout is None:
        return number
    from torch.distributed.tensor import DTensor, Partial, Replicate

    mesh, placements = layout
    parts = [Replicate() if placement.is_replicate() else Partial(how) for placement in placements]
    return DTensor.from_local(number, mesh, parts, run_check=False).full_tensor()


def largest(values: torch.Tensor) -> torch.Tensor:
    """Return the largest entry of a tensor of nonnegative numbers, 0 for an empty one.

    A tensor of fewer rows than processes leaves some of them with nothing, and the maximum of nothing is an error.

    Example:
        >>> float(largest(torch.tensor([0.5, 2.0]))), float(largest(torch.zeros(0, 3)))
        (2.0, 0.0)
    """
    part = local_part(values.detach())
    number = part.max() if part.numel() else part.new_zeros(())
    return over_processes(number, layout_of(values), how="max")
