"""One row of results: what a subject scored on one item of work of a suite, and what that cost."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.core.errors import EvaluationError
from similitude.core.plain import finite, number

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Row:
    """What a subject scored on one item of work; every suite writes its results in this form.

    Attributes:
        suite: Name of the suite, e.g. "fewshot".
        task: Name of the task within it.
        subject: What was evaluated: a learner, a policy, a model.
        score: Its score, the higher the better, in the unit of the suite; nan where it failed.
        params: What tells this row from others of the task: shots and split, difficulty and world, a scene.
        metrics: Further numbers by name.
        success: Whether it succeeded, where that is asked.
        seed: Seed of the subject's own randomness.
        seconds: What it cost, in seconds of this machine.
        width: Width of the subject, if it is one of a family.
        depth: Its depth.
        rule: Its parametrization, e.g. "mup".
        version: Version of the suite; rows of different versions are not comparable.
        error: Why there is no score; empty where there is one.

    Example:
        >>> row = Row("fewshot", "sst-2", "constant", 53.8, {"shots": 30, "split": 1})
        >>> Row.from_dict(row.to_dict()) == row
        True
    """

    suite: str
    task: str
    subject: str
    score: float
    params: Mapping[str, Setting] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    success: bool | None = None
    seed: int | None = None
    seconds: float = 0.0
    width: int | None = None
    depth: int | None = None
    rule: str | None = None
    version: str = ""
    error: str = ""

    @property
    def item(self) -> str:
        """What was asked, whoever answered: suite, version, task and parameters, as text that can be compared."""
        return json.dumps([self.suite, self.version, self.task, dict(self.params)], sort_keys=True)

    @property
    def key(self) -> str:
        """What tells it from every other row: the item and who answered it."""
        who = [self.subject, self.seed, self.width, self.depth, self.rule]
        return self.item + json.dumps(who)

    @property
    def failed(self) -> bool:
        """Whether there is no score."""
        return bool(self.error) or not math.isfinite(self.score)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; numbers that JSON lacks become None."""
        return finite({name: getattr(self, name) for name in _FIELDS})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Row:
        """Return the row that `to_dict` wrote.

        Raises:
            EvaluationError: It is something else.
        """
        missing = [name for name in ("suite", "task", "subject", "score") if name not in data]
        unknown = sorted(set(data) - set(_FIELDS))
        if missing or unknown:
            wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)} too"
            raise EvaluationError(
                f"this is no row of results: it {wrong}. Its fields are {', '.join(_FIELDS)}."
            )
        values = dict(data)
        try:
            values["score"] = number(values["score"])
            values["metrics"] = {name: number(v) for name, v in values.get("metrics", {}).items()}
            row = cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise EvaluationError(f"this is no row of results: {error}.") from error
        for name, kinds in _KINDS.items():
            value = getattr(row, name)
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                wanted = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
                raise EvaluationError(
                    f"this is no row of results: '{name}' is {value!r}, but {wanted} is expected."
                )
        wrong = next((key for key, value in row.params.items() if not isinstance(value, Setting)), None)
        if wrong is not None:
            raise EvaluationError(
                f"this is no row of results: the parameter '{wrong}' is {row.params[wrong]!r}, but a text, a number, a "
                "truth value or null is expected."
            )
        return row


_FIELDS = tuple(Row.__dataclass_fields__)
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("suite", "task", "subject", "version", "error"), (str,)),
    **dict.fromkeys(("seed", "width", "depth"), (int, type(None))),
    "params": (dict,),
    "success": (bool, type(None)),
    "seconds": (int, float),
    "rule": (str, type(None)),
}
"""Types of the fields in JSON; numbers of score and metrics are read by `number`."""
