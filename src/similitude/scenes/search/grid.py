"""Every combination of evenly lying values, made as they are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Value
from similitude.scenes.search.cube import merged, values_over
from similitude.scenes.search.policy import Deaf
from similitude.tuning.space.space import Space

SAMPLES = 5
"""Values of a dimension where nothing else is said."""


class Grid(Deaf):
    """The grid; its last dimension changes fastest, and nothing of it is held in memory.

    Args:
        space: What varies.
        count: How many of its points, from the first; None for all.
        seed: Not used.
        samples: Values of each dimension, or of each by "instance.setting" (5 for others); a choice has all of its own.

    Raises:
        SceneError: A number of values is not possible, or no dimension is so called.
    """

    def __init__(
        self,
        space: Space,
        *,
        count: int | None = None,
        seed: int = 0,
        samples: int | Mapping[str, Any] = SAMPLES,
    ) -> None:
        wanted = dict(samples) if isinstance(samples, Mapping) else dict.fromkeys(space, samples)
        if unknown := sorted(set(wanted) - set(space)):
            raise SceneError(
                f"policy grid: samples of {', '.join(map(repr, unknown))} are asked for, which does not vary. What "
                f"varies: {', '.join(space)}."
            )
        for name, number in wanted.items():
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise SceneError(
                    f"policy grid: samples={number!r} of {name} is no whole number of at least 1."
                )
        self.space = space
        self.values = [values_over(dim, wanted.get(name, SAMPLES)) for name, dim in space.items()]
        size = math.prod(map(len, self.values))
        super().__init__(size if count is None else min(count, size))

    def draw(self, first: int, count: int) -> list[Mapping[str, Value]]:
        """Return points by their place."""
        return [self._point(place) for place in range(first, first + count)]

    def _point(self, place: int) -> dict[str, Value]:
        found = []
        for values in reversed(self.values):
            place, index = divmod(place, len(values))
            found.append(values[index])
        return merged(self.space, dict(zip(self.space, reversed(found), strict=True)))
