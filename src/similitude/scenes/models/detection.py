"""Whether a detector finds the object where it is: boxes against the segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.frame import OBJECT, Frame
from similitude.scenes.models.classifier import accepted_classes, as_array
from similitude.scenes.models.evaluator import Asked, Judged, pictures


@dataclass(frozen=True)
class Detection:
    """Right where a box of an accepted class covers the object's box well enough.

    Metrics of a row: "iou", the largest intersection over union of a box of an accepted class; "precision" and "recall"
    of the boxes above the least score, the object being the only thing to find; "located", 1 where a box of any class
    covers it; "boxes", their number; "loss", 1 - iou; "prediction", the class of the box with the highest score.

    Attributes:
        iou: Least intersection over union of a find.
        score: Least score of boxes that are counted.
        names: Names of classes by model.

    Raises:
        SceneError: A threshold is not between 0 and 1.
    """

    iou: float = 0.5
    score: float = 0.5
    names: dict[str, Sequence[str]] = field(default_factory=dict, init=False, compare=False)
    kind = "detection"

    def __post_init__(self) -> None:
        for name in ("iou", "score"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise SceneError(f"evaluator detection: {name}={value!r} is no number from 0 to 1.")

    def judge(self, model: Any, asked: Sequence[Asked]) -> list[Judged]:
        """Show pictures to a detector; see `Evaluator.judge`.

        Raises:
            SceneError: Its answers are no list of boxes, labels and scores with an entry per picture.
        """
        answers = model(pictures(asked))
        if not isinstance(answers, Sequence) or len(answers) != len(asked):
            raise SceneError(
                f"model '{model.name}' gave {type(answers).__name__} for {len(asked)} pictures; a list with a mapping of "
                "boxes, labels and scores for each is wanted."
            )
        self.names[model.name] = tuple(getattr(model, "names", ()))
        return [
            self._judged(found, one, self.names[model.name])
            for found, one in zip(answers, asked, strict=True)
        ]

    def _judged(self, found: Any, asked: Asked, names: Sequence[str]) -> Judged:
        try:
            boxes, labels, scores = _read(found)
            right = accepted_classes(asked.labels, names)
        except SceneError as error:
            return Judged(error=str(error))
        if not right:
            return Judged(error=f"no class is right for '{asked.scene.object}': say labels in the study")
        kept = scores >= self.score
        boxes, labels, scores = boxes[kept], labels[kept], scores[kept]
        target = box_of(asked.frame)
        if target is None:  # nothing to find: neither right nor wrong
            return Judged(0.0, None, {"boxes": float(len(boxes))})
        overlaps = box_overlaps(boxes, target)
        mine = np.isin(labels, right)
        best = float(overlaps[mine].max(initial=0.0))
        hit = best >= self.iou and bool(mine.any())
        metrics = {
            "iou": best,
            "precision": float(hit) / len(boxes) if len(boxes) else 0.0,
            "recall": float(hit),
            "located": float(bool((overlaps >= self.iou).any())),
            "boxes": float(len(boxes)),
            "loss": 1.0 - best,
            **({"prediction": float(labels[np.argmax(scores)])} if len(boxes) else {}),
        }
        return Judged(float(hit), hit, metrics)


def box_of(frame: Frame) -> tuple[float, float, float, float] | None:
    """Return the box of the visible object, (x0, y0, x1, y1) in pixels from the upper left; None where it is hidden."""
    rows, columns = np.nonzero(frame.segmentation == OBJECT)
    if not rows.size:
        return None
    return float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)


def box_overlaps(boxes: np.ndarray, target: Sequence[float]) -> np.ndarray:
    """Return the intersection over union of boxes with one.

    As torchmetrics' `intersection_over_union`, which needs torchvision.

    Args:
        boxes: (x0, y0, x1, y1), shape (K, 4).
        target: The one.

    Returns:
        Shape (K,), from 0 to 1.

    Example:
        >>> box_overlaps(np.array([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]]), (1, 0, 3, 2)).round(4)
        array([0.3333, 0.    ])
    """
    one = np.asarray(target, np.float64)
    shared = np.minimum(boxes[:, 2:], one[2:]) - np.maximum(boxes[:, :2], one[:2])
    common = shared.clip(0).prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1) + (one[2:] - one[:2]).prod() - common
    return common / union


def _read(found: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not isinstance(found, Mapping) or not {"boxes", "labels", "scores"} <= set(found):
        raise SceneError(
            f"the model gave {type(found).__name__}; a mapping of boxes, labels and scores is wanted"
        )
    boxes = np.asarray(as_array(found["boxes"]), np.float64).reshape(-1, 4)
    labels = np.asarray(as_array(found["labels"])).reshape(-1)
    scores = np.asarray(as_array(found["scores"]), np.float64).reshape(-1)
    if not len(boxes) == len(labels) == len(scores):
        raise SceneError(f"the model gave {len(boxes)} boxes, {len(labels)} labels and {len(scores)} scores")
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise SceneError("the model gave boxes or scores that are not finite (nan or infinite)")
    return boxes, labels, scores
