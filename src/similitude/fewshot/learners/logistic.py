"""Logistic regression of scikit-learn with the settings that all probes share, also where only one class was seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STRENGTH = 10.0
"""Inverse strength C of the ridge penalty for features of length about 1, where it is not chosen on the examples."""

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Values among which `choose_strength` chooses."""

UNSEEN = 1e-3
"""Least probability that counts in the choice, so that one odd example cannot decide it."""

STEPS = 2000
"""Most iterations of the solver."""


class Logistic:
    """Class probabilities by multinomial logistic regression.

    Args:
        features: Shape (examples, features).
        classes: Class of each example.
        strength: Inverse strength C of the ridge penalty.
        balanced: Whether every class weighs the same, however many examples it has.

    Attributes:
        classes: The classes seen, in order.

    Example:
        >>> model = Logistic(np.array([[-1.0], [1.0]]), ["low", "high"])
        >>> model.classes, model.probabilities(np.array([[5.0]])).argmax()
        (['high', 'low'], np.int64(0))
    """

    def __init__(
        self,
        features: np.ndarray,
        classes: Sequence[str],
        *,
        strength: float = STRENGTH,
        balanced: bool = False,
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        self.classes = sorted(set(classes))
        self._model = None
        if len(self.classes) > 1:
            self._model = LogisticRegression(
                C=strength, max_iter=STEPS, class_weight="balanced" if balanced else None
            ).fit(np.asarray(features, dtype=np.float64), list(classes))

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return probabilities, shape (rows, classes) in the order of `classes`; all 1 where one class was seen."""
        if self._model is None or not len(features):
            return np.ones((len(features), len(self.classes)))
        return self._model.predict_proba(np.asarray(features, dtype=np.float64))


def choose_strength(features: np.ndarray, classes: Sequence[str]) -> float:
    """Choose the penalty under which each example is predicted best from the others (least log loss, balanced).

    The ridge penalty does not see rotations, so wide features are first written in the coordinates of the examples.

    Args:
        features: Shape (examples, features).
        classes: Class of each example.

    Returns:
        One of `STRENGTHS`; of equally good ones the strongest penalty.
    """
    rows = np.asarray(features, dtype=np.float64)
    if rows.shape[1] > len(rows):
        u, s, _ = np.linalg.svd(rows, full_matrices=False)
        rows = u * s
    losses = [
        sum(_loss_without(rows, classes, k, strength) for k in range(len(rows))) for strength in STRENGTHS
    ]
    return STRENGTHS[int(np.argmin(losses))]


def _loss_without(rows: np.ndarray, classes: Sequence[str], k: int, strength: float) -> float:
    """Log loss of one example under the fit of all others, at most that of probability `UNSEEN`."""
    others = [i for i in range(len(rows)) if i != k]
    if not others:
        return 0.0
    model = Logistic(rows[others], [classes[i] for i in others], strength=strength, balanced=True)
    if classes[k] not in model.classes:
        return float(-np.log(UNSEEN))
    return float(
        -np.log(max(UNSEEN, model.probabilities(rows[k : k + 1])[0, model.classes.index(classes[k])]))
    )
