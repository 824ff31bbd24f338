"""A user's own evaluator: any function of pictures, scenes and frames."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.references import load_factory
from similitude.scenes.models.evaluator import Asked, Judged, pictures


@dataclass(frozen=True)
class Custom:
    """Asks a function (batch, scenes, frames) for a mapping of numbers per picture.

    The batch is sRGB from 0 to 1, float32, shape (N, H, W, 3). Each mapping has "score", the higher the better, and may
    have "success" (a truth value), "loss", which searches maximise, and any other number. The function is model and judge
    in one: no other model is asked, and rows bear its name.

    Attributes:
        function: "file.py:function".
        names: Names of classes by model: none.

    Raises:
        SceneError: No function is named.
        FactoryError: It is not there.
    """

    function: str = ""
    names: dict[str, Sequence[str]] = field(default_factory=dict, init=False, compare=False)
    _call: Callable[..., Any] = field(init=False, repr=False, compare=False)
    kind = "callable"

    def __post_init__(self) -> None:
        if not isinstance(self.function, str) or not self.function:
            raise SceneError(
                "evaluator callable: name its function, e.g. {kind: callable, function: mine.py:judge}."
            )
        call = load_factory(self.function, what="a function (batch, scenes, frames) that returns mappings")
        object.__setattr__(self, "_call", call)

    @property
    def name(self) -> str:
        """The function's name, which rows bear."""
        return self.function.rpartition(":")[2]

    def judge(self, model: Any, asked: Sequence[Asked]) -> list[Judged]:
        """Ask the function; see `Evaluator.judge`.

        Raises:
            SceneError: It does not return a mapping per picture.
        """
        found = self._call(pictures(asked), [one.scene for one in asked], [one.frame for one in asked])
        if not isinstance(found, Sequence) or len(found) != len(asked):
            raise SceneError(
                f"'{self.function}' gave {type(found).__name__} for {len(asked)} pictures; a list with a mapping for "
                "each is wanted."
            )
        return [_judged(one) for one in found]


def _judged(found: Any) -> Judged:
    if not isinstance(found, Mapping) or "score" not in found:
        return Judged(error="the evaluator gave no mapping with a 'score'")
    try:
        numbers = {str(name): float(value) for name, value in found.items() if name != "success"}
    except (TypeError, ValueError) as error:
        return Judged(error=f"the evaluator gave what is no number: {error}")
    if wrong := [name for name, value in numbers.items() if not math.isfinite(value)]:
        return Judged(error=f"the evaluator gave a '{wrong[0]}' that is not finite (nan or infinite)")
    success = found.get("success")
    if success is not None and not isinstance(success, bool | np.bool_) and success not in (0, 1):
        return Judged(error=f"the evaluator gave success={success!r:.40}, which is no truth value")
    return Judged(numbers.pop("score"), None if success is None else bool(success), numbers)
