"""A user's own evaluator: any function of pictures, scenes and frames."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.core.references import load_factory
from similitude.runs.engine import one_line
from similitude.scenes.models.evaluator import Asked, Judged, UnusableEvaluatorError, pictures

TRIED = 4
"""Pictures without any answer that can be used, after which a function is taken to be wrong."""

WANTED = (
    "It is called with (batch, scenes, frames), the batch of shape (N, H, W, 3) from 0 to 1, and returns a list with a "
    "mapping for each picture, e.g. {'score': 0.5, 'success': True}; 'score' is required."
)


@dataclass(frozen=True)
class Custom:
    """Asks a function (batch, scenes, frames) for a mapping of numbers per picture.

    The batch is sRGB from 0 to 1, float32, shape (N, H, W, 3). Each mapping has "score", the higher the better, and may
    have "success" (a truth value), "loss", which searches maximise, and any other number. The function is model and judge
    in one: no other model is asked, and rows bear its name. What fails for a whole batch is asked about picture by
    picture, so that only those at fault have no answer.

    Attributes:
        function: "file.py:function".
        names: Names of classes by model: none.

    Raises:
        SceneError: No function is named, or it cannot be called with three arguments.
        FactoryError: It is not there.
    """

    function: str = ""
    names: dict[str, Sequence[str]] = field(default_factory=dict, init=False, compare=False)
    _call: Callable[..., Any] = field(init=False, repr=False, compare=False)
    _wrong: list[str] | None = field(default_factory=list, init=False, repr=False, compare=False)
    kind = "callable"

    def __post_init__(self) -> None:
        if not isinstance(self.function, str) or not self.function:
            raise SceneError(
                "evaluator callable: name its function, e.g. {kind: callable, function: mine.py:judge}."
            )
        call = load_factory(self.function, what="a function (batch, scenes, frames) that returns mappings")
        try:
            inspect.signature(call).bind((), (), ())
        except TypeError as error:
            raise SceneError(
                f"evaluator callable: '{self.function}' cannot be called with three arguments ({error}). {WANTED}"
            ) from error
        except ValueError:
            pass  # some functions in C do not say what they take
        object.__setattr__(self, "_call", call)

    @property
    def name(self) -> str:
        """The function's name, which rows bear."""
        return self.function.rpartition(":")[2]

    def judge(self, model: Any, asked: Sequence[Asked]) -> list[Judged]:
        """Ask the function; see `Evaluator.judge`.

        Raises:
            UnusableEvaluatorError: It has given nothing that can be used, for four pictures or more.
        """
        found = self._asked(asked)
        if self._wrong is None:
            return found
        self._wrong.extend(one.error for one in found if one.error)
        if any(not one.error for one in found):
            object.__setattr__(
                self, "_wrong", None
            )  # it can answer: what fails from here on is one scene's failure
        elif len(self._wrong) >= TRIED:
            raise UnusableEvaluatorError(
                f"evaluator callable: '{self.function}' gave nothing that can be used for the first {len(self._wrong)} "
                f"pictures; of the first: {self._wrong[0]}. {WANTED} Mend it and run the study again, in "
                "a new folder: one is of one file's content."
            )
        return found

    def _asked(self, asked: Sequence[Asked]) -> list[Judged]:
        try:
            found = self._call(pictures(asked), [one.scene for one in asked], [one.frame for one in asked])
            if isinstance(found, Sequence) and len(found) == len(asked):
                return [_judged(one) for one in found]
            reason = f"it gave {type(found).__name__} for {len(asked)} pictures, not a list with a mapping for each"
        except Exception as error:  # whatever a user's function raises
            reason = one_line(error)
        if len(asked) == 1:
            return [Judged(error=f"evaluator '{self.name}': {reason}")]
        return [judged for one in asked for judged in self._asked([one])]


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
