"""The part of a loss curve that says where its minimum is: points around the best rate, cliffs made harmless.

Just right of the best learning rate losses often explode. Such a wall says "not here", and nothing about
where the minimum is: its height is replaced by several modest ones, which together stand for not knowing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from similitude.studies.minimum import Array

STEPS = 3  # points kept on each side of the best one, and more while they are not clearly worse
STEEP = 1.25  # a parabola's rise at distance d is at most the other side's at d + one step; more is a wall
NOISE = 4.0  # standard errors of a difference that noise alone is allowed
WALL_BESIDE = (-0.3, 0.5, 2.0)  # heights given to a wall beside the best rate, in that other side's rise:
# below zero, the loss would still fall at the wall's rate were it not for the wall
WALL_FARTHER = (0.25, 0.75, 1.5)  # heights given to a wall farther away


@dataclass(frozen=True)
class Basin:
    """The points of a loss curve around its best one.

    Attributes:
        x: log2 of the learning rates, shape (points,).
        seeds: Losses per rate, arrays of shape (seeds,).
        means: Variants of the mean losses, shape (variants, points); they differ in the heights of walls.
        measured: Whether a mean is the measured one, shape (points,).
        wall_beside: Whether there is a wall right beside the best rate.
    """

    x: Array
    seeds: list[Array]
    means: Array
    measured: NDArray[np.bool_]
    wall_beside: bool


@dataclass(frozen=True)
class Noise:
    """Noise near the minimum: standard error of the difference of two means, and its degrees of freedom."""

    stderr: float
    df: int


def mean_losses(seeds: Sequence[Array]) -> Array:
    """Return the mean loss per rate, shape (rates,); inf where any seed diverged."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array([row.mean() if np.isfinite(row).all() else np.inf for row in seeds])


def noise_near(seeds: Sequence[Array], means: Array) -> Noise:
    """Pool the noise over the rates near the best one, after removing what a seed adds to every rate alike.

    Args:
        seeds: Losses per rate, arrays of shape (seeds,); the best rate is finite.
        means: Their means, shape (rates,).

    Returns:
        The noise; 0 with 0 degrees of freedom where there is one seed.
    """
    best = int(np.argmin(means))
    near = [
        i for i in range(max(0, best - STEPS), min(len(means), best + STEPS + 1)) if np.isfinite(means[i])
    ]
    rows = [seeds[i] - means[i] for i in sorted(near, key=lambda i: means[i])[: STEPS + 1]]
    counts = [len(row) for row in rows]
    if len(set(counts)) == 1:
        residuals = np.array(rows)
        residuals = residuals - residuals.mean(0)
        df = (len(rows) - 1) * (counts[0] - 1)
        squares = float((residuals**2).sum())
    else:
        df = sum(counts) - len(counts)
        squares = float(sum((row**2).sum() for row in rows))
    return Noise(float(np.sqrt(squares / df * 2 / np.mean(counts))) if df else 0.0, df)


def basin(x: Array, seeds: Sequence[Array], *, means: Array, noise: Noise) -> Basin:
    """Cut the neighbourhood of the best rate out of a curve.

    Args:
        x: log2 of the learning rates, increasing, shape (rates,).
        seeds: Losses per rate.
        means: Mean losses, inf where a rate diverged, at least one finite, shape (rates,).
        noise: What `noise_near` says.
    """
    best = int(np.argmin(means))
    distance, rise = x - x[best], means - means[best]
    beside = [abs(distance[i]) for i in (best - 1, best + 1) if 0 <= i < len(x)]
    step = max(beside, default=0.0)
    slack = NOISE * noise.stderr

    def is_wall(i: int) -> bool:
        usual = _mirrored_rise(distance, rise, i, step)
        return not np.isfinite(rise[i]) or (usual is not None and rise[i] > STEEP * usual + slack)

    def reach(direction: int) -> int:
        i = best
        while 0 <= i + direction < len(x) and (abs(i - best) < STEPS or rise[i] < slack):
            i += direction
            if is_wall(i):
                break
        return i

    first, last = reach(-1), reach(+1)
    inside = slice(first, last + 1)
    walls = {i for i in (first, last) if i != best and is_wall(i)}
    heights = means[inside]
    variants = np.tile(heights, (len(WALL_BESIDE) if walls else 1, 1))
    tallest = max((float(rise[i]) for i in range(first, last + 1) if i not in walls), default=0.0)
    for i in walls:
        usual = _mirrored_rise(distance, rise, i, step)
        unit = max(tallest if usual is None else usual, slack / 2)
        levels = WALL_BESIDE if abs(i - best) == 1 else WALL_FARTHER
        variants[:, i - first] = means[best] + np.array(levels) * unit
    measured = np.array([i not in walls for i in range(first, last + 1)])
    return Basin(
        x[inside],
        [seeds[i] for i in range(first, last + 1)],
        variants,
        measured,
        any(abs(i - best) == 1 for i in walls),
    )


def _mirrored_rise(distance: Array, rise: Array, i: int, step: float) -> float | None:
    """Return the rise on the best rate's other side, one step farther away than point `i`; None if unknown.

    A parabola's minimum is within half a step of the best point, hence the step.
    """
    other = np.flatnonzero((distance * distance[i] < 0) & np.isfinite(rise))
    if len(other) == 0:
        return None
    order = other[np.argsort(np.abs(distance[other]))]
    far, height = np.abs(distance[order]), rise[order]
    wanted = abs(distance[i]) + step
    if wanted <= far[-1]:
        return float(np.interp(wanted, [0.0, *far], [0.0, *height]))
    return float(height[-1] * (wanted / far[-1]) ** 2) if len(far) > 1 else None
