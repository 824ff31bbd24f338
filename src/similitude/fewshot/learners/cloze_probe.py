"""Probe for cloze items: each candidate, put into the question, is compared with the sentences of the passage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.logistic import Logistic
from similitude.fewshot.learners.span_probe import sentences

PLACEHOLDER = "@placeholder"
"""What stands for the missing entity in the questions of ReCoRD."""

ASKED = f"What is {PLACEHOLDER}?"
"""What follows the statement in them."""

HIGHLIGHT = "@highlight"
"""What stands before the summaries in their passages."""

RIGHT, WRONG = "right", "wrong"


def statement(query: Query, candidate: str = PLACEHOLDER) -> str:
    """Return the statement of a cloze question with a candidate in the gap.

    Example:
        >>> statement(Query("1", ("",), "Ann met @placeholder. What is @placeholder?"), "Bo")
        'Ann met Bo.'
    """
    return query.question.replace(ASKED, "").strip().replace(PLACEHOLDER, candidate)


def candidate_features(embeddings: Embeddings, query: Query) -> tuple[list[str], np.ndarray]:
    """Return the candidates, each once, and what tells how likely they are.

    Returns:
        The candidates and an array of shape (candidates, 6): how alike the statement with the candidate and the nearest
        sentence are, and sentences on average; the statement with its gap and the nearest sentence that names the
        candidate; the logarithm of its mentions; whether the question names it; where it first stands.

    Raises:
        LearnerError: The query has no candidates.
    """
    if not query.candidates:
        raise LearnerError(
            f"item {query.id!r}: has no candidates; a cloze item lists those it can be answered with."
        )
    passage = query.context[0].replace(HIGHLIGHT, "")
    mentions = Counter(query.candidates)
    names = list(mentions)
    parts = [passage[start:end] for start, end in sentences(passage)] or [passage]
    vectors = embeddings.texts([*parts, statement(query), *(statement(query, name) for name in names)])
    texts, gap, filled = vectors[: len(parts)], vectors[len(parts)], vectors[len(parts) + 1 :]
    near, near_gap = filled @ texts.T, texts @ gap
    named = [
        max((near_gap[k] for k, part in enumerate(parts) if name in part), default=0.0) for name in names
    ]
    return names, np.column_stack(
        [
            near.max(1),
            near.mean(1),
            named,
            [np.log1p(mentions[name]) for name in names],
            [float(name in query.question) for name in names],
            [max(passage.find(name), 0) / max(len(passage), 1) for name in names],
        ]
    )


@dataclass(frozen=True)
class ClozePredictor:
    """Answers with the candidate that is most likely right.

    Attributes:
        embeddings: Gives features of candidates.
        model: Tells right candidates from wrong ones.
    """

    embeddings: Embeddings
    model: Logistic

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one candidate per query, in order."""
        answers: list[Answer] = []
        for query in queries:
            names, rows = candidate_features(self.embeddings, query)
            if RIGHT in self.model.classes:
                best = int(self.model.probabilities(rows)[:, self.model.classes.index(RIGHT)].argmax())
            else:
                best = 0
            answers.append(frozenset({names[best]}))
        return answers


def fit_cloze(embeddings: Embeddings, examples: Sequence[Example]) -> ClozePredictor:
    """Fit a regression that tells right candidates from wrong ones over all examples together."""
    rows, classes = [], []
    for example in examples:
        names, features = candidate_features(embeddings, example.query)
        right = frozenset().union(*example.references)
        rows.append(features)
        classes += [RIGHT if name in right else WRONG for name in names]
    return ClozePredictor(embeddings, Logistic(np.concatenate(rows), classes, balanced=True))
