"""A staircase of losses: plateaus, the times of the drops between them, and what is learned at each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Staircase:
    """Predicted plateaus of a loss. Made by `AlternatingGradientFlow.run`.

    Attributes:
        times: When each plateau begins in units of gradient-flow time (steps times learning rate), the first at 0,
            shape (K + 1,).
        levels: Loss of each plateau, shape (K + 1,).
        features: How much of each feature is learned on each plateau, shape (K + 1, features).
        order: Index of the feature that each drop learns, K of them.
        names: Names of the features.
        clock: Unit of time in the limit of a vanishing initialization: `times / clock` stays as alpha vanishes. It is
            log(1 / alpha) for neurons of degree 2, and 1 otherwise.
        notes: What there is to know of this prediction.
        alternative: A second prediction where theory does not decide between two.
    """

    times: Array
    levels: Array
    features: Array
    order: tuple[int, ...]
    names: tuple[str, ...]
    clock: float = 1.0
    notes: tuple[str, ...] = ()
    alternative: Staircase | None = None

    @property
    def learned(self) -> tuple[str, ...]:
        """Name of the feature that each drop learns."""
        return tuple(self.names[feature] for feature in self.order)

    @property
    def sizes(self) -> Array:
        """By how much the loss falls at each drop, shape (K,)."""
        return self.levels[:-1] - self.levels[1:]

    def loss_at(self, times: ArrayLike) -> Array:
        """Return the predicted loss at some times.

        Example:
            >>> stairs = Staircase(np.array([0.0, 2.0]), np.array([1.0, 0.25]), np.eye(2), (0,), ("slope",))
            >>> stairs.loss_at([1.0, 2.0, 9.0]).tolist()
            [1.0, 0.25, 0.25]
        """
        return self.levels[np.searchsorted(self.times, np.asarray(times), side="right") - 1]

    def merged(self, *, least: float = 0.01) -> Staircase:
        """Join drops that learn the same feature one after the other, and those too small to be seen.

        A feature that takes many neurons takes many drops; the time of the joined drop is that of the one at which the
        loss has fallen half way.

        Args:
            least: Size of the smallest drop that is kept, relative to the initial loss.
        """
        order = np.array(self.order, dtype=int)
        ends = [k for k in range(len(order)) if k == len(order) - 1 or order[k + 1] != order[k]]
        kept, first = [], 0
        for end in ends:
            if abs(self.levels[first] - self.levels[end + 1]) >= least * self.levels[0]:
                kept.append((first, end))
                first = end + 1
        times, at, learned = [self.times[0]], [0], []
        for low, high in kept:
            middle = (self.levels[low] + self.levels[high + 1]) / 2
            crossed = low + int(np.argmax(self.levels[low + 1 : high + 2] <= middle))
            largest = low + int(np.argmax(self.sizes[low : high + 1]))
            times.append(self.times[crossed + 1])
            at.append(high + 1)
            learned.append(self.order[largest])
        return replace(
            self,
            times=np.array(times),
            levels=self.levels[at],
            features=self.features[at],
            order=tuple(learned),
            alternative=None if self.alternative is None else self.alternative.merged(least=least),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "times": self.times.tolist(),
            "levels": self.levels.tolist(),
            "features": self.features.tolist(),
            "order": list(self.order),
            "names": list(self.names),
            "learned": list(self.learned),
            "clock": self.clock,
            "notes": list(self.notes),
            "alternative": None if self.alternative is None else self.alternative.to_dict(),
        }
