"""The protocol of few-shot learners: fit one split, then answer queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.tasks import Task


@runtime_checkable
class Predictor(Protocol):
    """What a learner gives after it was fitted."""

    def predict(self, queries: Sequence[Query]) -> Sequence[Answer]:
        """Return one answer per query, in order."""
        ...


@runtime_checkable
class Learner(Protocol):
    """What learns a task from a few examples.

    A learner sees the examples of one split and, later, queries without answers; it never sees labels of a test.
    """

    @property
    def name(self) -> str:
        """Its name in tables, with the settings that tell it from its kin."""
        ...

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> Predictor:
        """Learn from one split.

        Args:
            examples: The labelled examples.
            task: What kind of answers they have.
            seed: Seed of all randomness.
        """
        ...
