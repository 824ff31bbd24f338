"""The frequency learner: what was right before, or is named most often, with no model of language (paper 18)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.constant import most_frequent, require_examples
from similitude.fewshot.tasks import Task


@dataclass(frozen=True)
class Frequency:
    """Answer by counting: labels by the majority, cloze items by the entity that the passage names most often.

    Spans are remembered: of the strings that answered this question in the examples, those that stand in the text.
    Where each question is asked once, as in SQuAD, all of them count, and the most frequent that stands there is given.
    """

    @property
    def name(self) -> str:
        """Its name in tables."""
        return "frequency"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> FrequencyPredictor:
        """Count the answers of the examples."""
        require_examples(examples, task)
        seen: dict[str, Counter[str]] = {}
        for example in examples:
            question = example.query.question if task.kind == "spans" else ""
            seen.setdefault(question, Counter()).update(example.answer)
        return FrequencyPredictor(task, most_frequent(examples, task), seen)


@dataclass(frozen=True)
class FrequencyPredictor:
    """Answers by the counts of the examples and of the passage.

    Attributes:
        task: The task.
        majority: The most frequent answer of all.
        seen: By question ("" where questions do not repeat), how often each string was an answer.
    """

    task: Task
    majority: Answer
    seen: dict[str, Counter[str]]

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one answer per query, in order."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Answer:
        if self.task.kind == "cloze":
            return frozenset({most_named(query)}) if query.candidates else frozenset()
        if self.task.kind in ("sentence", "pair"):
            return self.majority
        known = self.seen.get(query.question if self.task.kind == "spans" else "", Counter())
        found = [text for text, _ in known.most_common() if stands_in(text, query.context[0])]
        return frozenset(found if self.task.kind == "spans" else found[:1])


def most_named(query: Query) -> str:
    """Return the candidate that the passage names most often, among those that the question does not name itself.

    The item lists a candidate once per mention. Of equally frequent ones the first named is taken; where the question
    names all candidates, all count.
    """
    mentions = Counter(query.candidates)
    others = [name for name in mentions if name not in query.question] or list(mentions)
    return max(others, key=lambda name: mentions[name])


def stands_in(text: str, passage: str) -> bool:
    """Tell whether a string stands in a passage as whole words.

    Example:
        >>> stands_in("Ann", "Ann met Bo"), stands_in("Ann", "Annie met Bo")
        (True, False)
    """
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", passage) is not None
