"""What an evaluator is: it shows pictures to a model and says of each answer how right it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.frame import Frame
from similitude.scenes.scene import Scene


@dataclass(frozen=True, eq=False)
class Asked:
    """A picture that a model is asked about.

    Attributes:
        scene: What it shows.
        frame: The picture, with depth and segmentation.
        labels: Names of the classes that are right.
    """

    scene: Scene
    frame: Frame
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """What an answer is worth.

    Attributes:
        score: The higher the better; nan where there is none.
        success: Whether it is right, where that is asked.
        metrics: Further numbers by name.
        error: Why there is no score; empty where there is one.
    """

    score: float = float("nan")
    success: bool | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


class UnusableEvaluatorError(SceneError):
    """A function of the user that gave nothing of use for the first pictures: a study stops, as all would fail."""


class Evaluator(Protocol):
    """Judges the answers of models to pictures."""

    @property
    def kind(self) -> str:
        """Its name in studies."""
        ...

    @property
    def names(self) -> Mapping[str, Sequence[str]]:
        """Names of the classes that "prediction" numbers, by the name of a model that was judged."""
        ...

    def judge(self, model: Any, asked: Sequence[Asked]) -> list[Judged]:
        """Show pictures to a model as one batch.

        Args:
            model: A callable on pictures of shape (N, H, W, 3), with `name` and `names`.
            asked: The pictures.

        Returns:
            What each answer is worth; an answer that cannot be used has an error.

        Raises:
            UnusableEvaluatorError: The evaluator itself is at fault, so that no picture will have a score.
        """
        ...


_HOMES = {
    "classification": "similitude.scenes.models.classification:Classification",
    "detection": "similitude.scenes.models.detection:Detection",
    "regression": "similitude.scenes.models.regression:Regression",
    "callable": "similitude.scenes.models.custom:Custom",
}

EVALUATORS = tuple(_HOMES)
"""Kinds of evaluators."""


def evaluator_of(settings: Mapping[str, Any]) -> Evaluator:
    """Return the evaluator of a study.

    Args:
        settings: Its "kind", and its own settings.

    Raises:
        SceneError: There is no such kind, or it has no such setting; the close one is said.
    """
    given = dict(settings)
    kind = str(given.pop("kind", "classification"))
    if kind not in _HOMES:
        raise SceneError(
            f"there is no evaluator {kind!r}. "
            + did_you_mean(kind, _HOMES)
            + f"There are: {', '.join(_HOMES)}."
        )
    module, _, name = _HOMES[kind].partition(":")
    cls = getattr(import_module(module), name)
    known = [key for key, one in cls.__dataclass_fields__.items() if one.init]
    for key in given:
        if key not in known:
            raise SceneError(
                f"evaluator {kind}: it has no setting {key!r}. "
                + (f"Its settings are {', '.join(known)}." if known else "It has none.")
            )
    return cls(**given)


def pictures(asked: Sequence[Asked]) -> np.ndarray:
    """Return the pictures as one array, float32, shape (N, H, W, 3)."""
    return np.stack([one.frame.rgb for one in asked]).astype(np.float32)
