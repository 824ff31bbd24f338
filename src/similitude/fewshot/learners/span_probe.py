"""Probe for one span or none: words are scored against the question, and cross-validation says when to answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.logistic import Logistic
from similitude.fewshot.learners.words import Range, spelling, word_ranges

INSIDE, OUTSIDE = "inside", "outside"
FOLDS = 5
PUNCTUATION = ".,;:!?()[]{}\"'“”‘’"
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


def sentences(text: str) -> list[Range]:
    """Return where the sentences stand, split after . ! ? and at ends of lines.

    Example:
        >>> sentences("It is. Is it?")
        [(0, 6), (7, 13)]
    """
    cuts = [match.span() for match in SENTENCE_END.finditer(text)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if text[start:end].strip()]


def question_features(embeddings: Embeddings, query: Query) -> np.ndarray:
    """Return what tells whether a word of the text answers the question.

    Returns:
        Shape (words, 10): how alike the word and the question are, the word and its nearest word of the question, its
        sentence and the question; whether the question has the word, and how many of the four words around it; and
        its spelling.
    """
    text, ranges = query.context[0], word_ranges(query.context[0])
    where = sentences(text)
    vectors = embeddings.texts([query.question, *(text[start:end] for start, end in where)])
    whole, asked = (unit(rows) for rows in embeddings.words([text, query.question]))
    near = vectors[1:] @ vectors[0]
    ends = [end for _, end in where]
    of_sentence = [near[min(int(np.searchsorted(ends, end)), len(near) - 1)] for _, end in ranges]
    known = {plain(word) for word in query.question.split()}
    named = np.array([plain(text[start:end]) in known for start, end in ranges], dtype=float)
    padded = np.pad(named, 2)
    around = sum(padded[k : k + len(named)] for k in (0, 1, 3, 4))
    nearest = (whole @ asked.T).max(1) if len(asked) else np.zeros(len(ranges))
    return np.column_stack([whole @ vectors[0], nearest, of_sentence, named, around, spelling(text, ranges)])


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; zero rows stay."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def plain(word: str) -> str:
    """Return a word in lower case without punctuation around it."""
    return word.strip(PUNCTUATION).lower()


def best_run(scores: np.ndarray) -> tuple[float, tuple[int, int]]:
    """Return the run of positions with the largest sum and that sum; the last position is included.

    Example:
        >>> best_run(np.array([-1.0, 2.0, -0.5, 1.0, -3.0]))
        (2.5, (1, 3))
    """
    best, place, total, start = -np.inf, (0, 0), 0.0, 0
    for k, score in enumerate(scores):
        if total <= 0:
            total, start = 0.0, k
        total += score
        if total > best:
            best, place = total, (start, k)
    return float(best), place


@dataclass(frozen=True)
class SpanPredictor:
    """Answers with the run of words that scores best against the question, or with nothing.

    Attributes:
        embeddings: Gives features of words.
        model: Tells words of answers from others.
        least: Score from which on an answer is given; infinite if it never paid on the examples.
    """

    embeddings: Embeddings
    model: Logistic
    least: float

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one span or the empty set per query, in order."""
        answers: list[Answer] = []
        for query in queries:
            score, text = -np.inf, ""
            if np.isfinite(self.least):
                score, text = propose(self.model, question_features(self.embeddings, query), query)
            answers.append(frozenset({text}) if text and score >= self.least else frozenset())
        return answers


def propose(model: Logistic, features: np.ndarray, query: Query) -> tuple[float, str]:
    """Return the best run of words of a query's text, without punctuation around it, and its score."""
    if INSIDE not in model.classes or not len(features):
        return -np.inf, ""
    inside = np.clip(model.probabilities(features)[:, model.classes.index(INSIDE)], 1e-6, 1 - 1e-6)
    score, (first, last) = best_run(np.log(inside / (1 - inside)))
    ranges = word_ranges(query.context[0])
    return score, query.context[0][ranges[first][0] : ranges[last][1]].strip(PUNCTUATION + " ")


def fit_span(embeddings: Embeddings, examples: Sequence[Example]) -> SpanPredictor:
    """Fit the scores of words; from which score on to answer is chosen by cross-validation over the examples.

    An item counts 1 if the proposed span is one of its references, or if nothing was proposed and that is one.
    """
    features = [question_features(embeddings, example.query) for example in examples]
    classes = [_classes(example) for example in examples]

    def fitted(chosen: Sequence[int]) -> Logistic:
        rows = np.concatenate([features[i] for i in chosen])
        return Logistic(rows, [name for i in chosen for name in classes[i]], balanced=True)

    proposals: list[tuple[float, bool, bool]] = []
    for fold in range(min(FOLDS, len(examples))):
        kept = [i for i in range(len(examples)) if i % FOLDS != fold]
        model = fitted(kept) if kept else None
        for i in range(fold, len(examples), FOLDS):
            score, text = propose(model, features[i], examples[i].query) if model else (-np.inf, "")
            references = examples[i].references
            proposals.append((score, frozenset({text}) in references, frozenset() in references))
    least = max(
        [np.inf, *sorted({score for score, _, _ in proposals}, reverse=True)],
        key=lambda limit: sum(right if score >= limit else empty for score, right, empty in proposals),
    )
    return SpanPredictor(embeddings, fitted(range(len(examples))), least)


def _classes(example: Example) -> list[str]:
    """Class of each word of an example's text: inside where the answer stands first."""
    text = example.query.context[0]
    answer = next(iter(example.answer), "")
    start = text.find(answer) if answer else -1
    return [
        INSIDE if start >= 0 and first < start + len(answer) and last > start else OUTSIDE
        for first, last in word_ranges(text)
    ]
