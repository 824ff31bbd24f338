"""Robust nonlinear least squares of many resamples at once: Levenberg-Marquardt within reweighting by Huber's loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HUBER = 1.345
"""Residuals beyond this many standard deviations count linearly: 95 % efficient where the noise is Gaussian."""

BAD_LUCK = 3.0
"""Residuals above this many standard deviations count ever less: a run far too bad says nothing about the best."""

_MAD = 1.4826  # median absolute deviation of a Gaussian to its standard deviation
_STEPS = 8

Curve = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Parameters (b, p) to predictions (b, n) and their derivatives (b, n, p)."""


@dataclass(frozen=True)
class Prior:
    """A Gaussian prior of the parameters, worth as much as one observation of that width, and linear constraints.

    Attributes:
        mean: Shape (p,).
        width: Standard deviations, shape (p,).
        rows: Linear combinations that must vanish, shape (m, p), in units in which 1e-3 is small.
        offsets: What is added to them, shape (m,).
    """

    mean: np.ndarray
    width: np.ndarray
    rows: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Fit:
    """Fitted parameters of b resamples.

    Attributes:
        parameters: Shape (b, p).
        sigma: Standard deviation of the noise on the front, shape (b,).
        bic: Bayesian information criterion, shape (b,); smaller is better.
        predictions: Shape (b, n).
    """

    parameters: np.ndarray
    sigma: np.ndarray
    bic: np.ndarray
    predictions: np.ndarray


def fit(
    curve: Curve,
    values: np.ndarray,
    *,
    counts: np.ndarray,
    start: np.ndarray,
    prior: Prior,
    order: np.ndarray | None = None,
    slack: float = 0.0,
    rounds: int = 6,
) -> Fit:
    """Fit one curve to b resamples of n values.

    Args:
        curve: The curve.
        values: Shape (n,) or, where every resample has its own, (b, n).
        counts: How often each value is in each resample, shape (b, n).
        start: Parameters to start from, shape (b, p).
        prior: Of the parameters.
        order: Trials by increasing cost, shape (n,): with it a value that lies above the smallest prediction of cheaper
            trials is trusted less, because no law is exact far from the front.
        slack: By how much: standard deviation of the law's own error as a share of that excess.
        rounds: How often residuals are weighted anew, with 8 steps each.

    Returns:
        The fit, after a fixed number of steps, so that equal input gives equal output.
    """
    theta = np.array(start, float)
    p = theta.shape[1]
    total = counts.sum(1)
    precision = 1 / prior.width**2
    damping = np.full(len(theta), 1e-2)
    predictions, jacobian = curve(theta)
    sigma = _scale(values - predictions, counts, total, 0)
    for _ in range(rounds):
        spread = 1 + (slack * _excess(predictions, order) / sigma[:, None]) ** 2
        residual = (values - predictions) / np.sqrt(spread)
        sigma = _scale(residual, counts, total, p)
        weights = counts * _trust(residual / sigma[:, None]) / spread
        tie = sigma[:, None] ** 2 * precision
        # Constraints hold to about a hundredth of what the noise could move.
        stiff = 1e4 * sigma**2 + 1e-12

        def objective(
            at: np.ndarray, predicted: np.ndarray, weights=weights, tie=tie, stiff=stiff
        ) -> np.ndarray:
            broken = at @ prior.rows.T + prior.offsets
            return (
                (weights * (values - predicted) ** 2).sum(1)
                + (tie * (at - prior.mean) ** 2).sum(1)
                + stiff * (broken**2).sum(1)
            )

        best = objective(theta, predictions)
        for _ in range(_STEPS):
            weighted = weights[:, :, None] * jacobian
            normal = np.matmul(weighted.transpose(0, 2, 1), jacobian)
            normal += tie[:, :, None] * np.eye(p) + stiff[:, None, None] * (prior.rows.T @ prior.rows)
            gradient = np.matmul(weighted.transpose(0, 2, 1), (values - predictions)[:, :, None])[:, :, 0]
            gradient -= tie * (theta - prior.mean)
            gradient -= stiff[:, None] * ((theta @ prior.rows.T + prior.offsets) @ prior.rows)
            diagonal = np.einsum("bii->bi", normal)
            damped = normal + (damping[:, None] * diagonal + 1e-12)[:, :, None] * np.eye(p)
            step = np.linalg.solve(damped, gradient[:, :, None])[:, :, 0]
            trial = theta + np.clip(step, -2, 2)
            trial_predictions, trial_jacobian = curve(trial)
            reached = objective(trial, trial_predictions)
            better = np.isfinite(reached) & (reached <= best)
            theta = np.where(better[:, None], trial, theta)
            predictions = np.where(better[:, None], trial_predictions, predictions)
            jacobian = np.where(better[:, None, None], trial_jacobian, jacobian)
            best = np.where(better, reached, best)
            damping = np.clip(np.where(better, damping / 4, damping * 6), 1e-9, 1e6)
    spread = 1 + (slack * _excess(predictions, order) / sigma[:, None]) ** 2
    residual = (values - predictions) / np.sqrt(spread)
    bic = (counts * (_loss(residual / sigma[:, None]) + np.log(sigma[:, None] ** 2 * spread))).sum(1)
    bic += p * np.log(total)
    return Fit(theta, sigma, bic, predictions)


def _trust(z: np.ndarray) -> np.ndarray:
    """Return the weights of standardized residuals: value minus prediction."""
    size = np.maximum(np.abs(z), 1e-12)
    return np.minimum(1, HUBER / size) * np.where(z > BAD_LUCK, BAD_LUCK / size, 1)


def _loss(z: np.ndarray) -> np.ndarray:
    """Return what standardized residuals cost: the integral of twice the weight times the residual."""
    size = np.abs(z)
    bounded = np.minimum(size, np.where(z > 0, BAD_LUCK, np.inf))
    huber = np.where(size < HUBER, size**2, 2 * HUBER * bounded - HUBER**2)
    return huber + 2 * HUBER * BAD_LUCK * np.log(np.where(z > BAD_LUCK, size / BAD_LUCK, 1))


def _excess(predictions: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Return by how much each prediction is above the smallest of trials that cost no more; shape (b, n)."""
    if order is None:
        return np.zeros_like(predictions)
    excess = np.empty_like(predictions)
    front = np.minimum.accumulate(predictions[:, order], axis=1)
    excess[:, order] = predictions[:, order] - front
    return excess


def _scale(residual: np.ndarray, counts: np.ndarray, total: np.ndarray, p: int) -> np.ndarray:
    """Return a robust standard deviation of the residuals of every resample; shape (b,)."""
    size = np.abs(residual)
    ordered = np.argsort(size, axis=1)
    mass = np.cumsum(np.take_along_axis(counts, ordered, 1), axis=1)
    middle = (mass >= total[:, None] / 2).argmax(1)
    median = size[np.arange(len(size)), ordered[np.arange(len(size)), middle]]
    freedom = np.maximum(total - p, total / 4)
    return np.maximum(_MAD * median * np.sqrt(total / freedom), 1e-9)
