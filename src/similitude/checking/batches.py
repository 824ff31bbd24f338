"""The batches that a check trains on, in whatever form the user gives them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from similitude.core.errors import DataError, PlanError
from similitude.scaling.sizes import takes_width

_FORMS = (
    "one batch (a tensor, a tuple of arguments or a dict of keyword arguments), a list or other iterable of "
    "batches, an object with batch(seed, step), or a function of nothing or of the width that gives one of these"
)
_MOST = 64  # batches taken from an iterable; more steps go round


@dataclass
class Supply:
    """Batches by width, seed and step, always the same ones.

    Attributes:
        sample: What the user gave: one batch; a list or iterable of batches; an object with
            `batch(seed, step)`; or a function of nothing or of the width that gives one of these. A tuple is one
            batch, a list is several.
    """

    sample: Any
    _kept: dict[int | None, Any] = field(default_factory=dict, repr=False)

    def batch(self, width: int, seed: int, step: int) -> Any:
        """Return the batch of one step.

        Args:
            width: Width of the model.
            seed: Seed of the run; only an object with `batch(seed, step)` looks at it.
            step: Number of the step, from 0.

        Raises:
            DataError: What was given is none of the forms, or has no batches.
        """
        given = self._at(width)
        if callable(getattr(given, "batch", None)):
            return given.batch(seed, step)
        return given[step % len(given)] if isinstance(given, list) else given

    @property
    def by_width(self) -> bool:
        """Whether the batches depend on the width."""
        return _is_function(self.sample) and takes_width(self.sample)

    def first(self, width: int) -> Any:
        """Return the batch that the forward pass is traced with."""
        return self.batch(width, 0, 0)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say beside a failure of the model that a list is several batches, where it holds bare tensors.

        Raises:
            PlanError: The model failed, and the sample is such a list.
        """
        try:
            yield
        except (PlanError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            ours = isinstance(error, PlanError) and error.__cause__ is None  # no failure of the model's
            lists = [kept for kept in self._kept.values() if isinstance(kept, list) and len(kept) > 1]
            if ours or not lists or not all(isinstance(b, torch.Tensor) for kept in lists for b in kept):
                raise
            text = str(error) if isinstance(error, PlanError) else f"{type(error).__name__}: {error}"
            raise PlanError(
                f"{text.removesuffix('.')}. The sample is a list of {len(lists[0])} tensors, and a list is several "
                "batches: each step gets one tensor. Pass a tuple if they are one batch together, as (inputs, labels)."
            ) from error

    def _at(self, width: int) -> Any:
        key = width if self.by_width else None
        if key not in self._kept:
            given = self.sample
            if _is_function(given):
                given = given(width) if self.by_width else given()
            self._kept[key] = _read(given)
        return self._kept[key]


def _is_function(sample: Any) -> bool:
    known = isinstance(sample, torch.Tensor | tuple | list | Mapping)
    return callable(sample) and not known and not hasattr(sample, "batch")


def _read(sample: Any) -> Any:
    if isinstance(sample, torch.Tensor | tuple | Mapping) or (
        callable(getattr(sample, "batch", None)) and not isinstance(sample, type)
    ):
        return sample
    if isinstance(sample, str | bytes) or not isinstance(sample, Iterable):
        raise DataError(f"sample is a {type(sample).__name__}. Pass {_FORMS}.")
    batches = list(itertools.islice(sample, _MOST))
    if not batches:
        raise DataError(f"sample is a {type(sample).__name__} without batches. Pass {_FORMS}.")
    return batches
