"""The law of the frontier, L(C) = E + A C^-k, fitted to losses along it, and whether its floor E can be told."""

from __future__ import annotations

import numpy as np

from similitude.tuning.laws.data import unit_of
from similitude.tuning.laws.least_squares import Prior, fit


def fit_frontier(
    log_costs: np.ndarray, losses: np.ndarray, weights: np.ndarray, *, floored: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the frontier's law to b resamples.

    Args:
        log_costs: log10 costs minus their reference, shape (m,).
        losses: Losses on the frontier, shape (m,) or (b, m).
        weights: Of each, shape (b, m); a resample needs weight at three costs.
        floored: Whether E is at least 0.

    Returns:
        E, A (the loss above E at the reference) and k, each of shape (b,).

    Example:
        >>> x = np.linspace(-2, 2, 9)
        >>> floor, amplitude, power = fit_frontier(x, 1.5 + 2 * 10 ** (-0.25 * x), np.ones((1, 9)), floored=True)
        >>> [round(float(v[0]), 2) for v in (floor, amplitude, power)]
        [1.5, 2.0, 0.25]
    """
    losses = np.broadcast_to(losses, weights.shape)
    first = losses[0][weights[0] > 0]
    unit = unit_of(first, float(np.ptp(first)))
    y = losses / unit
    low = float(y[0][weights[0] > 0].min())

    def curve(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        theta = np.clip(theta, -40, 40)
        floor = np.exp(theta[:, :1]) if floored else theta[:, :1]
        power = np.exp(theta[:, 2:])
        falling = np.exp(theta[:, 1:2]) * 10.0 ** np.clip(-power * log_costs, -60, 60)
        slope = -falling * power * log_costs * np.log(10)
        ones = np.ones_like(falling)
        return floor + falling, np.stack([floor * ones if floored else ones, falling, slope], 2)

    middle = np.array([np.log(max(low / 2, 1e-3)) if floored else low - 0.5, np.log(0.5), np.log(0.3)])
    prior = Prior(middle, np.array([3.0, 3.0, 1.0]), np.zeros((0, 3)), np.zeros(0))
    found = fit(
        curve, y, counts=weights, start=np.broadcast_to(middle, (len(weights), 3)), prior=prior, rounds=12
    )
    floor = np.exp(found.parameters[:, 0]) if floored else found.parameters[:, 0]
    return floor * unit, np.exp(found.parameters[:, 1]) * unit, np.exp(found.parameters[:, 2])
