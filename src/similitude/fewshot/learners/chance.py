"""The chance learner: answers drawn at random, the second floor beside the constant one (paper 18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from similitude.core.seeding import numpy_generator
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.constant import require_examples
from similitude.fewshot.tasks import Task


@dataclass(frozen=True)
class Chance:
    """Give each query the answer of an example drawn at random, or one of its own candidates.

    The draw depends on the seed and the id of the query alone, not on the other queries or their order.
    """

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "chance"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> ChancePredictor:
        """Keep the answers of the examples."""
        require_examples(examples, task)
        return ChancePredictor(tuple(example.answer for example in examples), seed)


@dataclass(frozen=True)
class ChancePredictor:
    """Draws answers.

    Attributes:
        answers: What is drawn from for queries without candidates; repeated ones are as likely as they are frequent.
        seed: Seed of all draws.
    """

    answers: tuple[Answer, ...]
    seed: int

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one answer per query, in order."""
        return [self._draw(query) for query in queries]

    def _draw(self, query: Query) -> Answer:
        choices = [frozenset({name}) for name in query.candidates] or self.answers
        return choices[int(numpy_generator(self.seed, "chance", query.id).integers(len(choices)))]
