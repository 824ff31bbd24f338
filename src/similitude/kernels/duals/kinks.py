"""Where a function of one number jumps, or one of its first two derivatives does: found by bisection."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from similitude.core.errors import KernelError

REACH = 32.0
"""Kinks are sought in [-REACH, REACH]: an activation that bends elsewhere is not known."""

CELL = 1 / 32
"""Width of the cells of the search: two kinks in one cell are found as one, which the bound of a series then shows."""

JUMP = 1e-6
"""Change over a width of 1e-9, relative to the largest value on the range, that is a jump: no smooth function of the
sizes that activations have changes as much."""

MOST = 64
"""Cells that are looked into."""

SNAP = 1e-9
"""Distance from a multiple of 1/32 below which a kink is there: bisection knows it no better."""


def find_kinks(function: Callable[[Tensor], Tensor]) -> tuple[float, ...]:
    """Return the points in [-32, 32] at which a function or one of its first two derivatives jumps, in ascending order.

    Args:
        function: Elementwise, of float64 tensors.

    Example:
        >>> import torch
        >>> find_kinks(lambda x: torch.clamp(x, -1.0, 2.0)), find_kinks(torch.tanh)
        ((-1.0, 2.0), ())
    """
    found: list[float] = []
    # Cells do not begin at the points where kinks are.
    edges = torch.arange(-REACH, REACH, CELL, dtype=torch.float64) + CELL / 3
    for order in range(3):
        derivative = _derivative(function, order)
        if derivative is None:
            break
        found += _jumps(derivative, edges)
    kinks: list[float] = []
    for point in sorted(found):
        if not kinks or point - kinks[-1] > 1e-7:
            kinks.append(point)
    return tuple(kinks)


def _jumps(derivative: Callable[[Tensor], Tensor], edges: Tensor) -> list[float]:
    values = derivative(edges)
    if not bool(torch.isfinite(values).all()):
        return []
    change = values.diff().abs()
    # What a cell changes beyond its neighbours: a slope is shared, a jump is not.
    usual = torch.minimum(change[:-2], change[2:])
    beyond = change.clone()
    beyond[1:-1] -= usual
    scale = float(values.abs().max())
    # The size near a point counts too: exp(x) has values at 32 beside which nothing at 0 is seen.
    local = torch.nn.functional.max_pool1d(values.abs()[None], 65, 1, 32)[0][1:]
    cells = torch.nonzero(beyond > JUMP * local.clamp_min(1e-3 * min(scale, 1.0))).flatten()
    cells = cells[beyond[cells].argsort(descending=True)[:MOST]]
    low, high = edges[cells], edges[cells + 1]
    at_low, at_high = values[cells], values[cells + 1]
    for _ in range(26):  # 2^-26 / 32 is below 1e-9
        middle = (low + high) / 2
        at_middle = derivative(middle)
        left = (at_middle - at_low).abs() >= (at_high - at_middle).abs()
        high, at_high = torch.where(left, middle, high), torch.where(left, at_middle, at_high)
        low, at_low = torch.where(left, low, middle), torch.where(left, at_low, at_middle)
    jumps = (at_high - at_low).abs() > JUMP * local[cells].clamp_min(1e-3 * min(scale, 1.0))
    points = ((low + high) / 2)[jumps]
    near = (points / CELL).round() * CELL
    decimal = (points * 1e6).round() / 1e6
    points = torch.where((points - decimal).abs() < SNAP, decimal, points)
    points = torch.where((points - near).abs() < SNAP, near, points)
    return (points + 0.0).tolist()  # no -0.0


def _derivative(function: Callable[[Tensor], Tensor], order: int) -> Callable[[Tensor], Tensor] | None:
    def derivative(x: Tensor) -> Tensor:
        with torch.enable_grad():
            at = x.detach().clone().requires_grad_(order > 0)
            value = function(at)
            for step in range(order):
                if not value.requires_grad:
                    return torch.zeros_like(x)
                last = step + 1 == order
                (slope,) = torch.autograd.grad(value.sum(), at, create_graph=not last, allow_unused=True)
                if slope is None:
                    return torch.zeros_like(x)
                value = slope
        return value.detach()

    try:
        derivative(torch.tensor([0.3], dtype=torch.float64))
    except RuntimeError as error:
        if order == 0:
            raise KernelError(f"A function cannot be applied to one number: {error}") from error
        return None  # no second derivative in autograd: jumps of lower ones are known, and the bound sees the rest
    return derivative
