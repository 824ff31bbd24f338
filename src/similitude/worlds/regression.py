"""Which parameters of worlds go with failure: a logistic regression of success on what the generator chose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import EvaluationError
from similitude.evaluation.rows import Row
from similitude.worlds.playing import PARAMETER

LEAST = 20
"""Fewest worlds for a regression."""
RESAMPLES = 200
RIDGE = 1.0
"""Penalty of squared coefficients of standardised parameters; it keeps a parameter that separates all finite."""


@dataclass(frozen=True)
class Effect:
    """What one parameter has to do with success.

    Attributes:
        parameter: Its name, "name=value" for one value of a text.
        coefficient: Change of the log odds of success per standard deviation, all others held.
        low: Lower end of its 95 % bootstrap interval over worlds.
        high: Upper end.
        deviation: The standard deviation, in the parameter's own unit.
    """

    parameter: str
    coefficient: float
    low: float
    high: float
    deviation: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes no effect."""
        return self.low > 0.0 or self.high < 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "parameter": self.parameter,
            "coefficient": self.coefficient,
            "interval": [self.low, self.high],
            "deviation": self.deviation,
            "clear": self.clear,
        }


def failure_regression(rows: Iterable[Row], *, seed: int = 0) -> tuple[Effect, ...]:
    """Regress success on difficulty and world parameters, of the worlds of one task.

    A parameter that a world lacks counts as 0 there; a text is one indicator per value. Parameters that move together
    share their effect, so read those that difficulty drives as one.

    Args:
        rows: Rows of one policy and task, as `playing.play` gives them.
        seed: Seed of the bootstrap.

    Returns:
        The effects, the strongest first.

    Raises:
        EvaluationError: There are fewer than 20 worlds, of several tasks, all with one outcome, or all alike.
    """
    rows = [row for row in rows if not row.failed]
    tasks = sorted({row.task for row in rows})
    outcomes = np.array([bool(row.success) for row in rows])
    if len(rows) < LEAST or len(tasks) != 1:
        raise EvaluationError(
            f"a regression takes at least {LEAST} worlds of one task, and here are {len(rows)} of {len(tasks)}. Play "
            "more worlds, and regress task by task."
        )
    if outcomes.all() or not outcomes.any():
        raise EvaluationError(
            f"all {len(rows)} worlds of {tasks[0]!r} ended alike ({'success' if outcomes.all() else 'failure'}), so "
            "nothing tells them apart. Play harder or easier worlds."
        )
    names, values = _table(rows)
    deviations = values.std(axis=0)
    varied = deviations > 1e-9
    if not varied.any():
        raise EvaluationError(f"all {len(rows)} worlds of {tasks[0]!r} have the same parameters.")
    names = [name for name, kept in zip(names, varied, strict=True) if kept]
    standard = (values[:, varied] - values[:, varied].mean(axis=0)) / deviations[varied]
    coefficients = _fitted(standard, outcomes)
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(RESAMPLES):
        places = generator.integers(len(rows), size=len(rows))
        if outcomes[places].any() and not outcomes[places].all():
            drawn.append(_fitted(standard[places], outcomes[places]))
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0)
    effects = [
        Effect(name, float(coefficients[i]), float(low[i]), float(high[i]), float(deviations[varied][i]))
        for i, name in enumerate(names)
    ]
    return tuple(sorted(effects, key=lambda effect: -abs(effect.coefficient)))


def regressions(rows: Iterable[Row], *, seed: int = 0) -> dict[str, tuple[Effect, ...] | str]:
    """Regress success on parameters task by task; where that cannot be, the text says why."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    results: dict[str, tuple[Effect, ...] | str] = {}
    for task, own in found.items():
        try:
            results[task] = failure_regression(own, seed=seed)
        except EvaluationError as error:
            results[task] = str(error)
    return results


def _table(rows: Sequence[Row]) -> tuple[list[str], np.ndarray]:
    names = sorted({name for row in rows for name in row.metrics if name.startswith(PARAMETER)})
    values = [
        [float(row.params["difficulty"] or 0.0), *(row.metrics.get(name, 0.0) for name in names)]
        for row in rows
    ]
    return ["difficulty", *(name.removeprefix(PARAMETER) for name in names)], np.array(values)


def _fitted(values: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0 / RIDGE, solver="newton-cholesky").fit(values, outcomes).coef_[0]
