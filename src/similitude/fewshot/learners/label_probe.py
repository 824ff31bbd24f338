"""Label probes: logistic regression on frozen embeddings of one text, or of a pair and of how its texts differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.logistic import Logistic, choose_strength
from similitude.fewshot.tasks import Task


def label_features(embeddings: Embeddings, queries: Sequence[Query]) -> np.ndarray:
    """Return what a label is told from: u for one text; u, v, |u - v|, u * v and the cosine for two.

    The product of two vectors of length 1 has entries smaller by the root of their number than the vectors
    themselves; it is scaled by that root, so that all parts count alike.

    Returns:
        Shape (queries, width) or (queries, 4 x width + 1).
    """
    sides = [embeddings.texts([query.context[i] for query in queries]) for i in range(texts_of(queries))]
    if len(sides) == 1:
        return sides[0]
    u, v = sides
    product = u * v
    return np.hstack([u, v, np.abs(u - v), product * np.sqrt(u.shape[1]), product.sum(1, keepdims=True)])


def texts_of(queries: Sequence[Query]) -> int:
    """Return how many texts each query is about: one or two.

    Raises:
        LearnerError: Queries differ in that, or have more.
    """
    counts = {len(query.context) for query in queries}
    if len(counts) != 1 or not counts <= {1, 2}:
        raise LearnerError(
            f"a label is told from one text or from two, the same for all items; these items have {sorted(counts)}."
        )
    return counts.pop()


def label_of(example: Example, task: Task) -> str:
    """Return an example's label.

    Raises:
        LearnerError: Its answer is not one string.
    """
    if len(example.answer) != 1:
        raise LearnerError(
            f"{task.title}, item {example.id!r}: has {len(example.answer)} answers; a task of labels needs exactly 1."
        )
    return next(iter(example.answer))


@dataclass(frozen=True)
class LabelPredictor:
    """Gives each query the label of the highest probability.

    Attributes:
        features: Features of queries, shape (queries, features).
        model: The fitted regression.
    """

    features: Callable[[Sequence[Query]], np.ndarray]
    model: Logistic

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        """Return one label per query, in order."""
        if not queries:
            return []
        best = self.model.probabilities(self.features(queries)).argmax(1)
        return [frozenset({self.model.classes[i]}) for i in best]


def fit_labels(
    features: Callable[[Sequence[Query]], np.ndarray], examples: Sequence[Example], task: Task
) -> LabelPredictor:
    """Fit a regression on features of the examples; every label weighs the same.

    Its penalty is chosen by leaving out one example at a time, for features scaled to a mean square length of 1.
    """
    rows = features([example.query for example in examples])
    labels = [label_of(example, task) for example in examples]
    scale = 1 / np.sqrt(max(float((rows**2).sum(1).mean()), 1e-12))
    model = Logistic(rows * scale, labels, strength=choose_strength(rows * scale, labels), balanced=True)
    return LabelPredictor(lambda queries: features(queries) * scale, model)
