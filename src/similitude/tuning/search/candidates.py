"""Candidates: configurations around the front, near and far, that the space has.

Source: paper 10, Section 3 (local search: normal draws around members of the front).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from similitude.tuning.space.space import Space

_TRIES = 4  # draws per wanted candidate, of which some lie outside the bounds


@dataclass(frozen=True)
class Neighbourhood:
    """Draws configurations of a space around origins.

    Attributes:
        space: The space.
        radius: Standard deviation of a step, in units.
    """

    space: Space
    radius: float

    def draw(
        self, origins: np.ndarray, count: int, rng: np.random.Generator, *, stride: float = 1.0
    ) -> np.ndarray:
        """Draw configurations around origins chosen at random, shape (at most count, d).

        Whole numbers and ordered choices step at least to their neighbours; choices without order change with a
        probability of one step in as many dimensions.

        Args:
            origins: Points, shape (m, d), m at least 1.
            count: Configurations.
            rng: Draws.
            stride: Factor of the radius.
        """
        d = len(self.space)
        low, high = self.space.bounds.T
        start = origins[rng.integers(0, len(origins), _TRIES * count)]
        steps = stride * self.radius * rng.standard_normal(start.shape)
        changed = rng.random(start.shape) < min(0.5, 1 / d)
        anew = rng.random(start.shape)
        drawn = start + steps
        for j, (dim, categorical) in enumerate(zip(self.space.values(), self.space.categorical, strict=True)):
            if categorical:
                levels = low[j] + np.floor(anew[:, j] * (high[j] - low[j] + 1))
                drawn[:, j] = np.where(changed[:, j], levels, start[:, j])
            elif low[j] == high[j]:
                drawn[:, j] = start[:, j]
            else:
                longer = np.maximum(1.0, dim.reach(start[:, j]) / (stride * self.radius))
                drawn[:, j] = start[:, j] + longer * steps[:, j]
        inside = ((drawn >= low - 1e-9) & (drawn <= high + 1e-9)).all(1)
        return self.snapped(drawn[inside][:count])

    def snapped(self, points: np.ndarray) -> np.ndarray:
        """Return the nearest configurations that the space has, each once."""
        if not len(points):
            return points
        exact = self.space.snapped(points)
        _, first = np.unique(np.round(exact, 9), axis=0, return_index=True)
        return exact[np.sort(first)]
