"""The constant learner: one answer for every query, the floor below which a learner has learned nothing (paper 18)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.tasks import Task


@dataclass(frozen=True)
class Constant:
    """Give every query the answer that is most frequent among the examples.

    For labels that is the majority of the split, for spans it is nearly always "nothing". A cloze item is answered by
    its first candidate, since no string answers two passages. Every table should show its row: on three tasks of
    CLUES it beats models of hundreds of millions of parameters that were trained for three steps.

    Example:
        >>> from similitude.fewshot.tasks import TASKS
        >>> items = [Example(Query(str(i), ("text",), "?"), (frozenset({a}),)) for i, a in enumerate(("b", "a", "a"))]
        >>> Constant().fit(items, TASKS["sst-2"], seed=0).predict([Query("9", ("another",), "?")])
        [frozenset({'a'})]
    """

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "constant"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> ConstantPredictor:
        """Return the most frequent answer; of equally frequent ones "nothing", then the first in the task's order."""
        return ConstantPredictor(most_frequent(examples, task))


@dataclass(frozen=True)
class ConstantPredictor:
    """Answers every query alike.

    Attributes:
        answer: The answer to queries without candidates.
    """

    answer: Answer

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return the answer, or the first candidate of a query that lists some."""
        return [frozenset(query.candidates[:1]) if query.candidates else self.answer for query in queries]


def most_frequent(examples: Sequence[Example], task: Task) -> Answer:
    """Return the answer that most examples have; among equals "nothing", then labels in order, then by the alphabet.

    Raises:
        LearnerError: There is no example.
    """
    require_examples(examples, task)
    counts = Counter(example.answer for example in examples)
    order = {frozenset({label}): i for i, label in enumerate(task.labels)}
    return min(counts, key=lambda a: (-counts[a], bool(a), order.get(a, len(order)), sorted(a)))


def require_examples(examples: Sequence[Example], task: Task) -> None:
    """Raise `LearnerError` unless there is something to learn from."""
    if not examples:
        raise LearnerError(f"{task.title}: 0 examples to learn from; a learner needs at least 1.")
