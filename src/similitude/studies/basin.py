"""The part of a loss curve that says where its minimum is: log losses around the best rate, walls capped.

Just right of the best learning rate losses often explode. Such a wall says "not here", and nothing about
where the minimum is: the first one on a side is kept with its height capped, what is behind it is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from similitude.studies.noise import Array, mean_losses

REACH = 2.5  # octaves on each side of the best rate within which log loss is near enough to a parabola
CEILING = 0.6  # natural log: rises above it (losses 1.8 times the best) are walls
STEEP = 3.0  # a parabola's two neighbours of its best point rise in this ratio a quarter step off the vertex
LEAST = 4  # points, where the grid has them: a parabola and one degree of freedom for its misfit
TYPICAL = 0.3  # median rise within reach given to losses without a logarithm, which have no unit of their own


@dataclass(frozen=True)
class Basin:
    """The points of a loss curve around its best one.

    Attributes:
        x: log2 of the learning rates, increasing, shape (points,).
        best: log2 of the best rate on the grid.
        seeds: Log losses per rate, arrays of shape (seeds,).
        rise: Their means above the smallest one, at most `ceiling`, shape (points,).
        ceiling: Rise above which a point is a wall.
        wall: Whether a point is one, shape (points,).
    """

    x: Array
    best: float
    seeds: list[Array]
    rise: Array
    ceiling: float
    wall: NDArray[np.bool_]

    @property
    def wall_beside(self) -> bool:
        """Whether there is a wall right beside the best rate."""
        i = int(np.searchsorted(self.x, self.best))
        return bool(self.wall[max(i - 1, 0) : i + 2].any())


def basin(x: Array, seeds: Sequence[Array]) -> Basin:
    """Cut the neighbourhood of the best rate out of a curve.

    On each side it reaches `REACH` octaves, or to the first wall: a rate at which a seed diverged, or whose
    rise is above the ceiling. The ceiling is `CEILING`, more where even the best rate's lower neighbour
    rises above a third of it: such a curve is steep for its grid, not walled in. Each side has a point and
    both together `LEAST`, as far as the grid has them in front of its walls.

    Args:
        x: log2 of the learning rates, increasing, shape (rates,).
        seeds: Losses per rate, arrays of shape (seeds,); at least one rate has no diverged seed.
    """
    heights = _logs(x, seeds)
    means = mean_losses(heights)
    best = int(np.argmin(means))
    rise = means - means[best]
    ceiling = max(CEILING, STEEP * min((v for v in rise[_beside(best)] if 0 < v < np.inf), default=0.0))
    wall = rise > ceiling
    first = last = best
    while first > 0 and not wall[first] and (first == best or x[best] - x[first - 1] <= REACH):
        first -= 1
    while last < len(x) - 1 and not wall[last] and (last == best or x[last + 1] - x[best] <= REACH):
        last += 1
    while last - first + 1 < LEAST:
        more = [i for i, end in ((first - 1, first), (last + 1, last)) if 0 <= i < len(x) and not wall[end]]
        if not more:
            break
        nearest = min(more, key=lambda i: abs(x[i] - x[best]))
        first, last = min(first, nearest), max(last, nearest)
    inside = slice(first, last + 1)
    return Basin(
        x[inside], float(x[best]), heights[inside], rise[inside].clip(max=ceiling), ceiling, wall[inside]
    )


def _beside(i: int) -> slice:
    return slice(max(i - 1, 0), i + 2)


def _logs(x: Array, seeds: Sequence[Array]) -> list[Array]:
    """Return log losses; where a loss is not positive, losses in units that make them comparable to logs."""
    if all((row[np.isfinite(row)] > 0).all() for row in seeds):
        return [np.log(row) for row in seeds]
    means = mean_losses(seeds)
    near = np.isfinite(means) & (np.abs(x - x[np.argmin(means)]) <= REACH)
    rise = means[near] - means.min()
    scale = float(np.median(rise[rise > 0])) / TYPICAL if (rise > 0).any() else 1.0
    return [row / scale for row in seeds]
