"""Averages over draws of standard normals: scrambled Sobol points, until their standard error is small."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SOBOL_DIMENSIONS = 21201
"""Dimensions that torch's Sobol sequence has; points of more normals than this are drawn plainly."""

REPLICATES = 16
"""Point sets that are scrambled independently of one another: their spread is the standard error."""


@dataclass(frozen=True)
class Averages:
    """Averages of some tensors over draws.

    Attributes:
        means: One for each tensor.
        errors: Their standard errors, of the same shapes.
        draws: How many points there were in all.
    """

    means: list[Tensor]
    errors: list[Tensor]
    draws: int


def averages(
    sums_of: Callable[[Tensor], Sequence[Tensor]],
    *,
    dimensions: int,
    chunk: int,
    tolerance: float,
    most_draws: int,
    seed: int,
    device: torch.device,
) -> Averages:
    """Average over points of standard normals, as many as it takes.

    Args:
        sums_of: Gives the sums of some tensors over points, which come as shape (chunk, dimensions).
        dimensions: Normals of a point.
        chunk: Points of one set at a time, a power of two.
        tolerance: Standard error, relative to the largest entry of each tensor, at which drawing ends.
        most_draws: Draws after which it ends in any case.
        seed: Of the draws.
        device: Where points come. They are drawn on the CPU, so that they are the same everywhere.
    """
    sources = [point_set(dimensions, seed * REPLICATES + index) for index in range(REPLICATES)]
    sums: list[Tensor] = []
    points = 0
    while True:
        parts = [sums_of(source(chunk).to(device)) for source in sources]
        stacked = [torch.stack(part) for part in zip(*parts, strict=True)]
        sums = stacked if not sums else [a + b for a, b in zip(sums, stacked, strict=True)]
        points += chunk
        if points & (points - 1):
            continue  # Sobol points are balanced at powers of two
        means = [part.mean(0) / points for part in sums]
        errors = [part.std(0) / (points * math.sqrt(REPLICATES)) for part in sums]
        sharp = all(
            float(e.max()) <= tolerance * float(m.abs().max()) for e, m in zip(errors, means, strict=True)
        )
        if sharp or 2 * points * REPLICATES > most_draws:
            return Averages(means, errors, points * REPLICATES)


def point_set(dimensions: int, seed: int) -> Callable[[int], Tensor]:
    """Return a function that gives the next n points of standard normals, shape (n, dimensions), float64.

    Args:
        dimensions: Normals of a point. Up to 21201 of them come from a scrambled Sobol sequence.
        seed: Of the scrambling.
    """
    if dimensions > SOBOL_DIMENSIONS:
        generator = torch.Generator().manual_seed(seed)
        return lambda count: torch.randn(count, dimensions, generator=generator, dtype=torch.float64)
    engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=seed)
    edge = 2.0**-31

    def points(count: int) -> Tensor:
        uniform = engine.draw(count, dtype=torch.float64).clamp_(edge, 1 - edge)
        return torch.erfinv(uniform.mul_(2).sub_(1)).mul_(math.sqrt(2))

    return points
