"""Whether a classifier names the object: top-k, loss, margin, probability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import logsumexp

from similitude.core.errors import SceneError
from similitude.scenes.models.classes import too_many
from similitude.scenes.models.classifier import accepted_classes
from similitude.scenes.models.evaluator import Asked, Judged, pictures


@dataclass(frozen=True)
class Classification:
    """Right where an accepted class is among the first k.

    Metrics of a row, with z the logits and A the accepted classes: "prediction", the class with the largest z;
    "confidence", its softmax; "probability", the softmax summed over A; "loss", minus its logarithm; "margin", the
    largest z in A minus the largest outside.

    Attributes:
        top: k, fewer than there are classes.
        names: Names of classes by model.

    Raises:
        SceneError: k is no whole number of at least 1.
    """

    top: int = 1
    names: dict[str, Sequence[str]] = field(default_factory=dict, init=False, compare=False)
    kind = "classification"

    def __post_init__(self) -> None:
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise SceneError(f"evaluator classification: top={self.top!r} is no whole number of at least 1.")

    def judge(self, model: Any, asked: Sequence[Asked]) -> list[Judged]:
        """Show pictures to a classifier; see `Evaluator.judge`.

        Where all its classes are among the first k, no answer has a worth.

        Raises:
            SceneError: Its answers are no logits with a row per picture.
        """
        logits = np.asarray(model(pictures(asked)))
        if logits.ndim != 2 or len(logits) != len(asked) or logits.dtype.kind not in "iuf":
            raise SceneError(
                f"model '{model.name}' gave {logits.dtype} of shape {logits.shape} for {len(asked)} pictures; logits of "
                f"shape ({len(asked)}, classes) are wanted."
            )
        if told := too_many(self.top, logits.shape[1]):
            return [Judged(error=f"model '{model.name}': {told}") for _ in asked]
        self.names[model.name] = names = classes_of(model, logits.shape[1])
        return [self._judged(row, one, names) for row, one in zip(logits.astype(float), asked, strict=True)]

    def _judged(self, logits: np.ndarray, asked: Asked, names: Sequence[str]) -> Judged:
        if not np.isfinite(logits).all():
            wrong = int((~np.isfinite(logits)).sum())
            return Judged(
                error=f"the model gave {wrong} of {len(logits)} logits that are not finite (nan or infinite)"
            )
        if not asked.labels:
            return Judged(
                error=f"no class is right for '{asked.scene.object}': say labels: {{{asked.scene.object}: [...]}}"
            )
        try:
            right = np.array(accepted_classes(asked.labels, names or [""] * len(logits)))
        except SceneError as error:
            return Judged(error=str(error))
        metrics = class_metrics(logits, right)
        first = np.argsort(-logits, kind="stable")[: self.top]
        success = bool(np.isin(right, first).any())
        return Judged(float(success), success, metrics)


def class_metrics(logits: np.ndarray, right: np.ndarray) -> Mapping[str, float]:
    """Return what logits say about the accepted classes.

    Args:
        logits: Shape (C,).
        right: Numbers of accepted classes.

    Example:
        >>> found = class_metrics(np.log([0.5, 0.3, 0.2]), np.array([1, 2]))
        >>> {name: round(value, 6) for name, value in found.items()}
        {'prediction': 0.0, 'confidence': 0.5, 'probability': 0.5, 'loss': 0.693147, 'margin': -0.510826}
    """
    others = np.delete(logits, right)
    loss = float(logsumexp(logits) - logsumexp(logits[right]))
    return {
        "prediction": float(np.argmax(logits)),
        "confidence": float(np.exp(logits.max() - logsumexp(logits))),
        "probability": float(np.exp(-loss)),
        "loss": max(loss, 0.0),
        **({"margin": float(logits[right].max() - others.max())} if others.size else {}),
    }


def classes_of(model: Any, count: int) -> Sequence[str]:
    """Return the names of a model's classes; ImageNet's for 1,000 without names, none where their number differs."""
    names = tuple(getattr(model, "names", ()))
    if not names and count == 1000:
        from similitude.scenes.assets.imagenet import class_names

        return class_names()
    return names if len(names) == count else ()
