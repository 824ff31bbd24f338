"""Averages over draws of normalized batches: batch norm before activations that no integral is known for."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from similitude.kernels.duals.base import Dual
from similitude.kernels.point_sets import averages

MOST_POINTS = 512
"""Points of a set that are drawn at a time."""

ENTRIES = 2**22
"""Entries of draws that are held at a time: 32 MB."""


def sampled(
    phi: Dual,
    joint: Tensor,
    sizes: tuple[int, int | None],
    tangent: Tensor | None,
    *,
    eps: float,
    rates: tuple[float, float],
    tolerance: float,
    most_draws: int,
    seed: int,
) -> tuple[list[Tensor], list[Tensor]]:
    """Average phi(z) phi(z') and, with a tangent kernel, products of gradients, over scrambled Sobol points.

    Args:
        phi: What follows the norm.
        joint: Covariance of all samples, centred over each batch.
        sizes: Samples of the first and of the second batch; None for the second where it is the first.
        tangent: Centred tangent kernel before the norm; None where that after it is not wanted.
        eps: The norm's own, added to the variances.
        rates: What training gains and biases adds.
        tolerance: Standard error, relative to the largest entry, at which drawing ends.
        most_draws: Draws after which it ends in any case.
        seed: Of the draws.

    Returns:
        Covariance and, with a tangent kernel, tangent kernel; and their standard errors.
    """
    values, vectors = torch.linalg.eigh(joint.double())
    kept = values > 1e-13 * values[-1]
    root = (vectors[:, kept] * values[kept].sqrt()).flip(-1)
    chunk = min(MOST_POINTS, 2 ** max(0, int(math.log2(ENTRIES / len(joint)))))

    def sums_of(points: Tensor) -> list[Tensor]:
        x = points @ root.T
        left = _Rows(phi, x[:, : sizes[0]], eps, gradients=tangent is not None)
        right = left if sizes[1] is None else _Rows(phi, x[:, sizes[0] :], eps, gradients=tangent is not None)
        products = [left.values.T @ right.values]
        if tangent is not None:
            products.append(_sampled_tangent(left, right, tangent.double(), rates))
        return products

    found = averages(
        sums_of,
        dimensions=root.shape[1],
        chunk=chunk,
        tolerance=tolerance,
        most_draws=most_draws,
        seed=seed,
        device=joint.device,
    )
    return [mean.to(joint) for mean in found.means], [error.to(joint) for error in found.errors]


class _Rows:
    """Draws of one batch: z = sqrt(n) x / r, phi(z), and what gradients of it are made of. Shapes (draws, n)."""

    def __init__(self, phi: Dual, x: Tensor, eps: float, *, gradients: bool) -> None:
        n = x.shape[1]
        radius = (x.square().sum(1, keepdim=True) + n * eps).sqrt()
        self.unit = x / radius
        z = math.sqrt(n) * self.unit
        self.values = phi(z)
        if not gradients:
            return
        with torch.enable_grad():
            at = z.detach().requires_grad_()
            value = phi(at)
            (slope,) = (
                torch.autograd.grad(value.sum(), at) if value.requires_grad else (torch.zeros_like(at),)
            )
        self.slope = slope
        self.moved = slope * (math.sqrt(n) / radius)  # d phi(z_a) / dx_a while r stays


def _sampled_tangent(left: _Rows, right: _Rows, T: Tensor, rates: tuple[float, float]) -> Tensor:
    """Sum over draws g_a.T g_b with the gradients g_a = phi'_a sqrt(n) / r (e_a - u_a u), u = x / r."""
    ahead, behind = left.moved * left.unit, right.moved * right.unit
    through_left = right.moved * (left.unit @ T)  # phi'_b (u.T)_b
    through_right = left.moved * (right.unit @ T.T)
    both = ((left.unit @ T) * right.unit).sum(1, keepdim=True)
    total = T * (left.moved.T @ right.moved)
    total = total - ahead.T @ through_left - through_right.T @ behind + ahead.T @ (both * behind)
    if rates[0]:
        n, m = left.unit.shape[1], right.unit.shape[1]
        first, second = left.slope * left.unit, right.slope * right.unit
        total = total + rates[0] * math.sqrt(n * m) * first.T @ second
    return total + rates[1] * left.slope.T @ right.slope if rates[1] else total
