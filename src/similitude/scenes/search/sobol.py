"""A scrambled Sobol sequence (Owen 1998): random points that fill the space more evenly than chance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Value
from similitude.scenes.search.cube import settings_at
from similitude.scenes.search.policy import COUNT, Deaf
from similitude.tuning.space.space import Space

BLOCK = 64
"""Points that are drawn at once; a power of two, as the sequence wants."""

MOST = 2**30
"""Points of a sequence of 30 bits, as scipy makes it."""


class Sobol(Deaf):
    """Points of a scrambled Sobol sequence; more of them begin with the same ones.

    Args:
        space: What varies.
        count: How many; a power of two is most even.
        seed: Seed of the scrambling.

    Raises:
        SceneError: There are more points or dimensions than a sequence has.
    """

    def __init__(self, space: Space, *, count: int | None = None, seed: int = 0) -> None:
        from scipy.stats import qmc

        wanted = COUNT if count is None else count
        if wanted > MOST or len(space) > qmc.Sobol.MAXDIM:
            raise SceneError(
                f"policy sobol: {wanted} points of {len(space)} dimensions are more than the sequence has, {MOST} of "
                f"{qmc.Sobol.MAXDIM}. Use random."
            )
        super().__init__(wanted)
        self.space = space
        # Called rng from scipy 1.15 on, and seed by all versions.
        self.sequence = qmc.Sobol(len(space), scramble=True, seed=seed)  # pyright: ignore[reportCallIssue]
        self.drawn = np.empty((0, len(space)))

    def draw(self, first: int, count: int) -> list[Mapping[str, Value]]:
        """Return the next points."""
        while len(self.drawn) < count:
            self.drawn = np.concatenate([self.drawn, self.sequence.random(BLOCK)])
        points, self.drawn = self.drawn[:count], self.drawn[count:]
        return [settings_at(self.space, point) for point in points]
