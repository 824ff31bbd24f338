"""Independent uniform values."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from similitude.scenes.controls.control import Value
from similitude.scenes.search.cube import settings_at
from similitude.scenes.search.policy import COUNT, Deaf
from similitude.tuning.space.space import Space


class Uniform(Deaf):
    """Uniform points; more of them begin with the same ones.

    Args:
        space: What varies.
        count: How many.
        seed: Seed of the random numbers.
    """

    def __init__(self, space: Space, *, count: int | None = None, seed: int = 0) -> None:
        super().__init__(COUNT if count is None else count)
        self.space = space
        self.rng = np.random.default_rng(seed)

    def draw(self, first: int, count: int) -> list[Mapping[str, Value]]:
        """Return the next points."""
        return [settings_at(self.space, self.rng.random(len(self.space))) for _ in range(count)]
