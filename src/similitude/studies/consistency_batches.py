"""Batches of full-batch training: one batch, the same at every step of every seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from similitude.data.batches import Batches, describe_batches


@runtime_checkable
class Distinct(Protocol):
    """Batches whose examples are drawn with repetition, and that can give one batch without."""

    def distinct(self) -> Any:
        """Return a batch in which no example is there twice, the same at every call."""
        ...


@dataclass(frozen=True)
class FixedBatch:
    """One batch of some batches, at every step and for every seed.

    Args:
        batches: The batches; their `distinct()` is used where they have one, else their `batch(0, 0)`.
    """

    batches: Batches
    _kept: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def batch(self, seed: int, step: int) -> Any:
        """Return the one batch, whatever the seed and the step are."""
        if not self._kept:
            batches = self.batches
            self._kept.append(batches.distinct() if isinstance(batches, Distinct) else batches.batch(0, 0))
        return self._kept[0]

    def evaluation(self) -> None:
        """Return None: final losses are those of the training itself."""

    def describe(self) -> dict[str, Any]:
        """Return what identifies these batches."""
        drawn = "distinct examples" if isinstance(self.batches, Distinct) else True
        return {**describe_batches(self.batches), "full batch": drawn}
