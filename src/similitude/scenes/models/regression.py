"""How near a model comes to a number of the scene, e.g. the angle of the object."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.references import load_factory
from similitude.scenes.models.evaluator import Asked, Judged, pictures
from similitude.scenes.scene import Scene


@dataclass(frozen=True)
class Regression:
    """The score is minus the absolute error; right where that is within a tolerance.

    Metrics of a row: "prediction", "target", "error" (absolute) and "loss", its square.

    Attributes:
        target: A setting, "instance.setting", or "file.py:function" from a scene to a number.
        tolerance: Largest error of a right answer; None where none is called right.
        period: For angles: answers that differ by it are the same; None for plain numbers.
        names: None: predictions are no classes.

    Raises:
        SceneError: No target is named, or a number is not above 0.
        FactoryError: The function is not there.
    """

    target: str = ""
    tolerance: float | None = None
    period: float | None = None
    names: dict[str, Sequence[str]] = field(default_factory=dict, init=False, compare=False)
    _target: Callable[[Scene], Any] = field(init=False, repr=False, compare=False)
    kind = "regression"

    def __post_init__(self) -> None:
        if not isinstance(self.target, str) or not self.target:
            raise SceneError(
                "evaluator regression: name its target, e.g. {kind: regression, target: scale.factor}."
            )
        for name in ("tolerance", "period"):
            value = getattr(self, name)
            if value is not None and not (
                isinstance(value, int | float) and math.isfinite(value) and value > 0
            ):
                raise SceneError(f"evaluator regression: {name}={value!r} is no number above 0.")
        if ":" in self.target:
            target = load_factory(self.target, what="a function from a scene to a number")
        else:
            target = self._setting
        object.__setattr__(self, "_target", target)

    def judge(self, model: Any, asked: Sequence[Asked]) -> list[Judged]:
        """Show pictures to a model; see `Evaluator.judge`.

        Raises:
            SceneError: Its answers are not a number per picture.
        """
        answers = np.asarray(model(pictures(asked)))
        if answers.size != len(asked) or answers.dtype.kind not in "iuf":
            raise SceneError(
                f"model '{model.name}' gave {answers.dtype} of shape {answers.shape} for {len(asked)} pictures; a number "
                "for each is wanted."
            )
        return [self._judged(float(a), one.scene) for a, one in zip(answers.ravel(), asked, strict=True)]

    def _judged(self, answer: float, scene: Scene) -> Judged:
        if not math.isfinite(answer):
            return Judged(error=f"the model gave {answer}, which is no number")
        try:
            target = float(self._target(scene))
        except Exception as error:
            return Judged(error=f"the target of the scene: {type(error).__name__}: {error}")
        if not math.isfinite(target):
            return Judged(error=f"the target of the scene is {target}, which is no number")
        apart = answer - target
        if self.period is not None:
            apart = math.remainder(apart, self.period)
        success = None if self.tolerance is None else abs(apart) <= self.tolerance
        metrics = {"prediction": answer, "target": target, "error": abs(apart), "loss": apart**2}
        return Judged(-abs(apart), success, metrics)

    def _setting(self, scene: Scene) -> Any:
        if self.target not in scene.settings:
            raise SceneError(
                f"it has no setting '{self.target}'; it has {', '.join(scene.settings) or 'none'}."
            )
        return scene.settings[self.target]
