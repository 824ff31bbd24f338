"""Prompting: a causal language model that is not trained continues a question with its answer.

Labels and candidates are scored by how much likelier the text makes them than a text without content does (Zhao et al.,
2021; Holtzman et al., 2021); spans are written out and kept if they stand in the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.errors import EvaluationError, LearnerError
from similitude.core.seeding import numpy_generator
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.cloze_probe import HIGHLIGHT
from similitude.fewshot.learners.constant import require_examples
from similitude.fewshot.learners.frequency import stands_in
from similitude.fewshot.learners.label_probe import label_of
from similitude.fewshot.learners.language_model import LanguageModel
from similitude.fewshot.tasks import Task

NO_CONTENT = "N/A"
"""What stands for the texts where they are to say nothing."""

NOTHING = "none"
"""How the empty set is written in a prompt."""

SEPARATOR = "; "
WRITTEN = 32
"""Most tokens that are written for an answer."""


@dataclass(frozen=True)
class Prompt:
    """Ask a frozen language model, with some of the examples in front of the question.

    Attributes:
        model: The language model.
        demonstrations: Examples shown, at most as many as there are: drawn by the seed, in turn from each answer where
            answers are labels. Those whose tokens would leave less than half of the model's length are left out.
        calibrate: Whether the score of an answer is measured against that without content; for labels and candidates.
    """

    model: LanguageModel
    demonstrations: int = 4
    calibrate: bool = True

    def __post_init__(self) -> None:
        if self.demonstrations < 0:
            raise EvaluationError(f"prompt: demonstrations={self.demonstrations} is below 0.")

    @property
    def name(self) -> str:
        """Its name in tables."""
        plain = "" if self.calibrate else ", not calibrated"
        return f"prompt({self.model.label}, demonstrations={self.demonstrations}{plain})"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> PromptPredictor:
        """Choose the examples that are shown, and read them once."""
        require_examples(examples, task)
        labels = ()
        if task.kind in ("sentence", "pair"):
            labels = tuple(sorted({label_of(example, task) for example in examples}))
        ids: list[int] = []
        for example in chosen(examples, task, count=self.demonstrations, seed=seed):
            more = self.model.ids(f"{asked(example.query)} {written(example.answer)}\n\n")
            if len(ids) + len(more) <= self.model.max_length // 2:
                ids += more
        shown = self.model.read(ids)[1] if ids else None
        return PromptPredictor(self.model, task, labels, shown, len(ids), self.calibrate)


@dataclass(frozen=True)
class PromptPredictor:
    """Answers by the likeliest label or candidate, or by what the model writes.

    Attributes:
        model: The language model.
        task: The task.
        labels: Labels of the examples; empty for other tasks.
        shown: What the model has read of the examples.
        length: Tokens of that.
        calibrate: Whether scores are measured against those without content.
    """

    model: LanguageModel
    task: Task
    labels: tuple[str, ...]
    shown: Any
    length: int
    calibrate: bool

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one answer per query, in order."""
        floors: dict[tuple[str, int], list[float]] = {}
        answers: list[Answer] = []
        for query in queries:
            if self.task.kind in ("spans", "span"):
                answers.append(self._write(query))
                continue
            choices = self.labels or tuple(dict.fromkeys(query.candidates))
            if not choices:
                raise LearnerError(f"item {query.id!r}: has no candidates to choose from.")
            scores = self._scores(query, choices)
            if self.calibrate:
                empty = Query(query.id, (NO_CONTENT,) * len(query.context), query.question)
                key = (query.question, len(query.context))
                if not self.labels:
                    floor = self._scores(empty, choices)
                else:
                    floor = floors[key] = floors.get(key) or self._scores(empty, choices)
                scores = [score - base for score, base in zip(scores, floor, strict=True)]
            best = max(range(len(choices)), key=scores.__getitem__)
            answers.append(frozenset({choices[best]}))
        return answers

    def _read(self, query: Query) -> tuple[Any, Any]:
        ids = self.model.ids(asked(query))
        room = max(1, self.model.max_length - self.length - WRITTEN)
        return self.model.read(ids[-room:], self.shown)

    def _scores(self, query: Query, choices: Sequence[str]) -> list[float]:
        return self.model.log_likelihoods(*self._read(query), [f" {choice}" for choice in choices])

    def _write(self, query: Query) -> Answer:
        text = self.model.write(*self._read(query), most=WRITTEN)
        parts = [part.strip() for part in text.split(SEPARATOR.strip())]
        if self.task.kind == "span":
            parts = parts[:1]
        return frozenset(part for part in parts if part and stands_in(part, query.context[0]))


def asked(query: Query) -> str:
    """Return the prompt of a query, up to where its answer begins.

    Example:
        >>> print(asked(Query("1", ("A fine film .",), "positive or negative?")))
        Text: A fine film .
        Question: positive or negative?
        Answer:
    """
    texts = [f"Text: {text.replace(HIGHLIGHT, '').strip()}" for text in query.context]
    return "\n".join((*texts, f"Question: {query.question.strip()}", "Answer:"))


def written(answer: Answer) -> str:
    """Return an answer as a prompt shows it.

    Example:
        >>> written(frozenset({"Bo", "Ann"})), written(frozenset())
        ('Ann; Bo', 'none')
    """
    return SEPARATOR.join(sorted(answer)) or NOTHING


def chosen(examples: Sequence[Example], task: Task, *, count: int, seed: int) -> list[Example]:
    """Choose examples to show: in an order drawn by the seed, in turn from each label where there are labels."""
    order = [examples[i] for i in numpy_generator(seed, "demonstrations").permutation(len(examples))]
    if task.kind in ("sentence", "pair"):
        turn: dict[Answer, int] = {}
        keys = []
        for example in order:
            turn[example.answer] = turn.get(example.answer, -1) + 1
            keys.append(turn[example.answer])
        order = [order[i] for i in sorted(range(len(order)), key=keys.__getitem__)]
    return order[:count]
