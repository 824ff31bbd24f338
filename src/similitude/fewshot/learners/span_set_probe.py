"""Probe for sets of spans: every word of a text is classified by the question that it answers, runs of words answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.logistic import Logistic
from similitude.fewshot.learners.words import Range, spelling, word_ranges

OUTSIDE = ""
"""Class of words that answer no question."""


def word_features(embeddings: Embeddings, texts: Sequence[str]) -> list[np.ndarray]:
    """Return by text what each word is told from: its state, scaled to length 1, and its spelling.

    Returns:
        Arrays of shape (words, width + 5).
    """
    found = []
    for text, states in zip(texts, embeddings.words(texts), strict=True):
        lengths = np.linalg.norm(states, axis=1, keepdims=True)
        found.append(np.hstack([states / np.maximum(lengths, 1e-12), spelling(text, word_ranges(text))]))
    return found


def spans_in(text: str, answers: Answer) -> list[tuple[int, int]]:
    """Return by place where answers stand in a text: first and last word, the last included.

    An answer that does not stand there as whole words is left out: some references of WikiANN are no part of their
    text.

    Example:
        >>> spans_in("Ann of New York met Bo", frozenset({"New York", "Bo"}))
        [(2, 3), (5, 5)]
    """
    words = text.split()
    found = []
    for answer in answers:
        wanted = answer.split()
        for k in range(len(words) - len(wanted) + 1):
            if wanted and words[k : k + len(wanted)] == wanted:
                found.append((k, k + len(wanted) - 1))
    return sorted(found)


def runs(classes: Sequence[str], wanted: str) -> list[tuple[int, int]]:
    """Return the longest runs of one class: first and last position, the last included.

    Example:
        >>> runs(["", "who", "who", "", "who"], "who")
        [(1, 2), (4, 4)]
    """
    found: list[tuple[int, int]] = []
    for k, name in enumerate(classes):
        if name != wanted:
            continue
        found[-1:] = [(found[-1][0], k)] if found and found[-1][1] == k - 1 else [*found[-1:], (k, k)]
    return found


def cut(text: str, ranges: Sequence[Range], span: tuple[int, int]) -> str:
    """Return the text from the first to the last word of a span."""
    return text[ranges[span[0]][0] : ranges[span[1]][1]]


@dataclass(frozen=True)
class SpanSetPredictor:
    """Answers a question with the runs of words that are classified as answering it.

    Attributes:
        embeddings: Gives states of words.
        model: The fitted regression.
        questions: The questions of the examples.
    """

    embeddings: Embeddings
    model: Logistic
    questions: tuple[str, ...]

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one set of spans per query, in order.

        Raises:
            LearnerError: A question is none of those in the examples.
        """
        unknown = [query for query in queries if query.question not in self.questions]
        if unknown:
            raise LearnerError(
                f"item {unknown[0].id!r} asks {unknown[0].question!r}, which no example asked; learned were "
                f"{', '.join(map(repr, self.questions))}. Give examples of that question."
            )
        texts = list(dict.fromkeys(query.context[0] for query in queries))
        classes = {}
        for text, rows in zip(texts, word_features(self.embeddings, texts), strict=True):
            best = self.model.probabilities(rows).argmax(1)
            classes[text] = [self.model.classes[i] for i in best]
        answers = []
        for query in queries:
            text = query.context[0]
            ranges = word_ranges(text)
            answers.append(frozenset(cut(text, ranges, span) for span in runs(classes[text], query.question)))
        return answers


def fit_span_sets(embeddings: Embeddings, examples: Sequence[Example]) -> SpanSetPredictor:
    """Fit the classes of words, the questions of the examples and none; a word has one class in the fit."""
    answers: dict[str, dict[str, Answer]] = {}
    for example in examples:
        answers.setdefault(example.query.context[0], {})[example.query.question] = example.answer
    classes: list[str] = []
    for text, by_question in answers.items():
        of = [OUTSIDE] * len(text.split())
        for question, answer in by_question.items():
            for first, last in spans_in(text, answer):
                of[first : last + 1] = [question] * (last - first + 1)
        classes += of
    rows = np.concatenate(word_features(embeddings, list(answers)))
    return SpanSetPredictor(
        embeddings, Logistic(rows, classes), tuple(sorted({e.query.question for e in examples}))
    )
