"""The loss that a power law through the best losses of several sizes expects at a larger one.

The law is L(n) = E + A n^-k. A few sizes say little of k, so every k of a range counts by how well it fits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from similitude.core.seeding import numpy_generator
from similitude.studies.extrapolation import bounds
from similitude.studies.forecast_records import Estimate
from similitude.studies.noise import Array

POWERS = np.geomspace(0.1, 2.0, 25)
"""Powers k of the size that a loss is taken to fall with; in reports from 0.1 (parameters) to 2 (width, small nets)."""

MISFIT = 2e-3
"""Relative standard error that a loss has at least: seeds that agree better still lie off any power law by as much."""


def expected_loss(
    sizes: Sequence[float],
    losses: Sequence[float],
    stderrs: Sequence[float],
    target: float,
    *,
    draws: int = 2000,
) -> Estimate | None:
    """Expect the loss at a target size.

    For every draw the losses are perturbed by their errors, E >= 0 and A >= 0 are fitted by least squares at every
    power of `POWERS`, and one power is drawn by its likelihood. The interval therefore reaches from a loss that has
    all but levelled off to one that falls on, as far as the data leave it open.

    Args:
        sizes: Measured sizes, increasing, at least two.
        losses: Their smallest mean losses.
        stderrs: Standard errors of these; nan where unknown.
        target: The size to expect the loss at.
        draws: Number of draws.

    Returns:
        The median of the draws and their 95 % interval; None where a loss is not positive or sizes are too few.

    Example:
        >>> sizes = [64, 128, 256, 512]
        >>> found = expected_loss(sizes, [1 + 8 / n**0.5 for n in sizes], [0.001] * 4, 1024)
        >>> found.holds(1.25)
        True
    """
    values = np.array(losses, np.float64)
    if len(values) < 2 or not (np.isfinite(values) & (values > 0)).all():
        return None
    generator = numpy_generator(len(values), "loss law")
    errors = np.hypot(np.nan_to_num(np.array(stderrs, np.float64)), MISFIT * values)
    drawn = values + errors * generator.standard_normal((draws, len(values)))
    scaled = np.array(sizes, np.float64) / sizes[-1]
    logs = np.empty((draws, len(POWERS)))
    there = np.empty((draws, len(POWERS)))
    for i, power in enumerate(POWERS):
        offset, amplitude, squares = _fit(drawn, scaled**-power, errors)
        logs[:, i] = -squares / 2
        there[:, i] = offset + amplitude * (target / sizes[-1]) ** -power
    weights = np.exp(logs - logs.max(1, keepdims=True))
    cumulative = np.cumsum(weights / weights.sum(1, keepdims=True), axis=1)
    chosen = (cumulative < generator.random((draws, 1))).sum(1).clip(max=len(POWERS) - 1)
    picked = there[np.arange(draws), chosen]
    value = float(np.median(picked))
    return Estimate(value, *bounds(picked, value))


def _fit(values: Array, basis: Array, errors: Array) -> tuple[Array, Array, Array]:
    """Fit E + A basis with both at least 0, to every row of values; return E, A and the weighted squares."""
    w = 1 / errors**2
    mean = float(w @ basis / w.sum())
    level = values @ w / w.sum()
    centred = basis - mean
    spread = float(w @ centred**2)
    amplitude = np.maximum(values @ (w * centred) / spread, 0.0)
    offset = level - amplitude * mean
    through_zero = values @ (w * basis) / float(w @ basis**2)
    amplitude = np.where(offset < 0, through_zero, amplitude)
    offset = np.maximum(offset, 0.0)
    left = values - offset[:, None] - amplitude[:, None] * basis
    return offset, amplitude, (left**2) @ w
