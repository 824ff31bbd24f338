"""Batches of full-batch training: one batch, the same at every step of every seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from similitude.data.batches import Batches, describe_batches


@dataclass(frozen=True)
class FixedBatch:
    """The first batch of some batches, at every step and for every seed.

    Args:
        batches: The batches whose `batch(0, 0)` is used.
    """

    batches: Batches
    _kept: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def batch(self, seed: int, step: int) -> Any:
        """Return the one batch, whatever the seed and the step are."""
        if not self._kept:
            self._kept.append(self.batches.batch(0, 0))
        return self._kept[0]

    def evaluation(self) -> None:
        """Return None: final losses are those of the training itself."""

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        return {**describe_batches(self.batches), "full batch": True}
