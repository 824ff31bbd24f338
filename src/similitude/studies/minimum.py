"""Where a noisy curve has its minimum: a parabola plus a smooth misfit, and draws of what data leave open.

The curve is f(x) = b0 + b1 x + b2 x^2 + g(x): a Gaussian process g stands for what a parabola misses, b is
free (Rasmussen & Williams, Gaussian Processes for Machine Learning, sections 2.7 and 4.2). Noise variance,
size and length of g, and correlation of a seed's noise along x are integrated out: few seeds, wide interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Array = NDArray[np.float64]

MISFITS = (0.0, *np.geomspace(0.3, 1e4, 14))  # sd of g, in standard errors of a mean
MISFIT_SCALE = (
    1.0  # of the half-Cauchy prior of that sd: a parabola is believed until the means speak against it
)
LENGTHS = (1.5, 3.0, 6.0)  # length scale of g in steps of the grid; prior: uniform
CORRELATIONS = (0.0, 0.5, 0.8)  # of one seed's noise at neighbouring points; prior: uniform
NODES = 161  # points of the grid on which a drawn curve is minimised, before its last parabolic step
ROUNDING = 1e-13  # in units of the range of the means: misfits below it are arithmetic, not noise
NUGGET = 1e-12  # added to a covariance of unit size so that its Cholesky factor exists


@dataclass(frozen=True)
class Minimum:
    """The minimum of a noisy curve.

    Attributes:
        at: Minimum of the expected curve.
        draws: Minima of curves drawn from what the data leave open, shape (draws,), in random order.
    """

    at: float
    draws: Array


@dataclass(frozen=True)
class _Noise:
    """One hypothesis about the noise: its correlation along x, and the seeds' residuals in its light."""

    covariance: Array  # of the means, in units of the variance of one loss, shape (points, points)
    squares: float  # whitened sum of squared residuals of the seeds
    log_det: float


@dataclass(frozen=True)
class _Fit:
    """The expected curve under one hypothesis, linear in the means y; t is x in steps of the grid."""

    noise: Array  # Cholesky factor of the covariance of the means, shape (points, points)
    misfit: float  # sd of g in units of the sd of one loss
    length: float
    trend: Array  # y -> b, shape (3, points)
    weights: Array  # y -> weights of the kernel functions of g, shape (points, points)
    squares: Array  # whitened sum of squares per variant, shape (variants,)
    log_evidence: Array  # shape (variants,)

    def operator(self, at: Array, t: Array) -> Array:
        """Return the matrix that takes the means to the expected curve at `at`."""
        return _powers(at) @ self.trend + matern(at, t, self.length) @ self.weights


def minimum(
    x: Array,
    seeds: Sequence[Array],
    *,
    means: Array,
    measured: NDArray[np.bool_],
    generator: np.random.Generator,
    draws: int = 2000,
) -> Minimum | None:
    """Find the minimum of a curve from noisy values at a few points, between the first and the last of them.

    Args:
        x: Positions, increasing, shape (points,), at least 3.
        seeds: Values per point, one array of shape (seeds,) each. Where all have the same length, column s is
            one seed, whose offset common to all points is not noise: it moves no minimum.
        means: Variants of the mean value per point, shape (variants, points); each gets an equal share of
            the draws. One variant where every mean was measured; several where some stand for a cliff.
        measured: Whether a point's seeds may be used to measure the noise, shape (points,).
        generator: Source of the draws.
        draws: How many.

    Returns:
        The minimum, or None where there are too few points and seeds to tell noise from shape.

    Example:
        >>> x = np.arange(5.0)
        >>> y = (x - 1.7) ** 2
        >>> m = minimum(x, [y[i:i+1] for i in range(5)], means=y[None], measured=np.ones(5, bool),
        ...             generator=np.random.default_rng(0))
        >>> round(m.at, 9)
        1.7
    """
    step = float(np.median(np.diff(x)))
    t = (x - x.mean()) / step
    scale = float(np.ptp(means)) or 1.0
    y = (means - means.min()) / scale
    noises, df_seeds = _noises(t, [row / scale for row in seeds], measured)
    df = len(x) - 3 + df_seeds
    if df < 1:
        return None
    count = float(np.mean([len(row) for row in seeds]))
    fits = [
        _fit(t, y, noise, misfit / np.sqrt(count), length, df)
        for noise in noises
        for misfit in MISFITS
        for length in (LENGTHS if misfit else LENGTHS[:1])
    ]
    evidence = np.array([fit.log_evidence for fit in fits])
    belief = np.exp(evidence - evidence.max(0))
    belief /= belief.sum(0)
    fine = np.linspace(t[0], t[-1], NODES)
    at = [_lowest(fits, belief[:, v], t, y[v], fine) for v in range(len(y))]
    drawn = _draw(fits, belief, t, y, fine, df, draws, generator)
    return Minimum(float(x.mean() + step * np.mean(at)), x.mean() + step * generator.permutation(drawn))


def _noises(t: Array, seeds: list[Array], measured: NDArray[np.bool_]) -> tuple[list[_Noise], int]:
    """Return the hypotheses about the noise, and the degrees of freedom that the seeds give its variance."""
    counts = np.array([len(row) for row in seeds], float)
    rows = [row - row.mean() for row, used in zip(seeds, measured, strict=True) if used]
    if len(set(counts)) > 1:  # which value belongs to which seed is unknown
        squares = float(sum((row**2).sum() for row in rows))
        return [_Noise(np.diag(1 / counts), squares, 0.0)], sum(len(row) - 1 for row in rows)
    per_point, points = int(counts[0]), len(rows)
    df = max(points - 1, 0) * (per_point - 1)
    if df == 0:
        return [_Noise(np.eye(len(t)) / per_point, 0.0, 0.0)], 0
    # rows of `contrasts` span the complement of the constants: they remove each seed's common offset
    contrasts = np.linalg.svd(np.ones((1, points)))[2][1:]
    residuals = contrasts @ np.array(rows)
    hypotheses = []
    for correlation in CORRELATIONS:
        full = correlation ** np.abs(t[:, None] - t[None, :])
        covariance = contrasts @ full[np.ix_(measured, measured)] @ contrasts.T
        squares = float(np.sum(residuals * np.linalg.solve(covariance, residuals)))
        log_det = (per_point - 1) * float(np.linalg.slogdet(covariance)[1])
        hypotheses.append(_Noise(full / per_point, squares, log_det))
    return hypotheses, df


def _fit(t: Array, y: Array, noise: _Noise, misfit: float, length: float, df: int) -> _Fit:
    covariance = noise.covariance + NUGGET * np.eye(len(t))
    kernel = misfit**2 * matern(t, t, length)
    inverse = np.linalg.inv(covariance + kernel)
    powers = _powers(t)
    information = powers.T @ inverse @ powers
    trend: Array = np.linalg.inv(information) @ powers.T @ inverse
    residual = inverse - inverse @ powers @ trend
    squares = np.einsum("vi,ij,vj->v", y, residual, y).clip(min=0) + noise.squares + ROUNDING**2
    ratio = misfit / np.sqrt(np.mean(np.diag(noise.covariance))) / MISFIT_SCALE
    smallest = MISFITS[1] / MISFIT_SCALE
    # half-Cauchy on a logarithmic grid; no misfit at all counts as the smallest one, for all lengths
    prior = np.log(max(ratio, smallest) / (1 + ratio**2)) + (np.log(len(LENGTHS)) if misfit == 0 else 0.0)
    log_det = np.linalg.slogdet(covariance + kernel)[1] + np.linalg.slogdet(information)[1] + noise.log_det
    return _Fit(
        noise=np.asarray(np.linalg.cholesky(covariance), np.float64),
        misfit=misfit,
        length=length,
        trend=trend,
        weights=misfit**2 * residual,
        squares=squares,
        log_evidence=prior - 0.5 * log_det - 0.5 * df * np.log(squares),
    )


def _lowest(fits: list[_Fit], belief: Array, t: Array, y: Array, fine: Array) -> float:
    """Return the minimum of the expected curve, to rounding where it is inside the range."""
    trend = sum((b * (fit.trend @ y) for b, fit in zip(belief, fits, strict=True)), np.zeros(3))
    weights = {length: np.zeros(len(t)) for length in LENGTHS}
    for b, fit in zip(belief, fits, strict=True):
        weights[fit.length] += b * (fit.weights @ y)
    curve = _powers(fine) @ trend + sum(matern(fine, t, length) @ w for length, w in weights.items())

    def slope(s: float) -> float:
        bend = sum(float(matern_slope(s, t, length) @ w) for length, w in weights.items())
        return float(trend[1] + 2 * trend[2] * s + bend)

    i = int(np.argmin(curve))
    low, high = fine[max(i - 1, 0)], fine[min(i + 1, NODES - 1)]
    if not slope(low) < 0 < slope(high):
        return float(fine[i])
    root: Any = brentq(slope, low, high, xtol=1e-14)
    return float(root)


def _draw(
    fits: list[_Fit],
    belief: Array,
    t: Array,
    y: Array,
    fine: Array,
    df: int,
    draws: int,
    generator: np.random.Generator,
) -> Array:
    """Draw curves by Matheron's rule (a draw of the prior, corrected by the data) and return their minima."""
    both = np.concatenate([fine, t])
    factors = {
        length: np.linalg.cholesky(matern(both, both, length) + 1e-9 * np.eye(len(both)))
        for length in LENGTHS
    }
    minima = []
    shares = [len(part) for part in np.array_split(np.arange(draws), len(y))]
    for v, share in enumerate(shares):
        for fit, k in zip(fits, generator.multinomial(share, belief[:, v]), strict=True):
            if k == 0:
                continue
            operator = fit.operator(fine, t)
            error = -(generator.standard_normal((k, len(t))) @ fit.noise.T) @ operator.T
            if fit.misfit:
                g = fit.misfit * generator.standard_normal((k, len(both))) @ factors[fit.length].T
                error += g[:, :NODES] - g[:, NODES:] @ operator.T
            sd = np.sqrt(fit.squares[v] / generator.chisquare(df, size=k))
            minima.append(_lowest_of_each(operator @ y[v] + sd[:, None] * error, fine))
    return np.concatenate(minima)


def _lowest_of_each(curves: Array, fine: Array) -> Array:
    """Return the minimum of each row, by the parabola through its lowest node and the two beside it."""
    i = np.clip(curves.argmin(1), 1, NODES - 2)
    rows = np.arange(len(curves))
    left, middle, right = curves[rows, i - 1], curves[rows, i], curves[rows, i + 1]
    bend = left - 2 * middle + right
    shift = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1), np.sign(left - right))
    return fine[i] + np.clip(shift, -1, 1) * (fine[1] - fine[0])


def _powers(t: Array) -> Array:
    return np.stack([np.ones_like(t), t, t**2], axis=-1)


def matern(a: Array, b: Array, length: float) -> Array:
    """Return the Matern-5/2 kernel of unit variance between `a` (n,) and `b` (m,), shape (n, m)."""
    r = np.sqrt(5) * np.abs(a[:, None] - b[None, :]) / length
    return (1 + r + r**2 / 3) * np.exp(-r)


def matern_slope(at: float, b: Array, length: float) -> Array:
    """Return the derivative of the Matern-5/2 kernel by its first argument at `at`, shape (m,)."""
    r = np.sqrt(5) * np.abs(at - b) / length
    return -5 / (3 * length**2) * (at - b) * (1 + r) * np.exp(-r)
