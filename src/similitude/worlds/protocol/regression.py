"""Which parameters of worlds go with failure: a logistic regression of success on what the generator chose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.core.errors import EvaluationError
from similitude.evaluation.rows import Row
from similitude.worlds.protocol.playing import PARAMETER

LEAST = 20
"""Fewest worlds for a regression."""
QUANTILE = 1.959963984540054
"""Of the normal distribution at 97.5 %."""
RIDGE = 1.0
"""Penalty of squared coefficients of standardised parameters; it keeps a parameter that separates all finite."""


@dataclass(frozen=True)
class Effect:
    """What one parameter has to do with success.

    Attributes:
        parameter: Its name, "name=value" for one value of a text.
        coefficient: Change of the log odds of success per standard deviation, all others held.
        low: Lower end of its 95 % interval, from the curvature of the penalised likelihood.
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


def failure_regression(rows: Iterable[Row]) -> tuple[Effect, ...]:
    """Regress success on difficulty and world parameters, of the worlds of one task.

    A parameter that a world lacks counts as 0 there; a text is one indicator per value. Parameters that move together
    share their effect, so read those that difficulty drives as one.

    Args:
        rows: Rows of one policy and task, as `playing.play` gives them.

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
    coefficients, errors = _fitted(standard, outcomes)
    effects = [
        Effect(name, coefficient, coefficient - QUANTILE * error, coefficient + QUANTILE * error, deviation)
        for name, coefficient, error, deviation in zip(
            names, coefficients.tolist(), errors.tolist(), deviations[varied].tolist(), strict=True
        )
    ]
    return tuple(sorted(effects, key=lambda effect: -abs(effect.coefficient)))


def regressions(rows: Iterable[Row]) -> dict[str, tuple[Effect, ...] | str]:
    """Regress success on parameters task by task; where that cannot be, the text says why."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.task, []).append(row)
    results: dict[str, tuple[Effect, ...] | str] = {}
    for task, own in found.items():
        try:
            results[task] = failure_regression(own)
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


def _fitted(values: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and their standard errors."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0 / RIDGE, solver="newton-cholesky").fit(values, outcomes)
    chances = model.predict_proba(values)[:, 1]
    with_constant = np.column_stack([np.ones(len(values)), values])
    penalty = RIDGE * np.eye(with_constant.shape[1])
    penalty[0, 0] = 0.0
    curvature = with_constant.T @ (with_constant * (chances * (1.0 - chances))[:, None]) + penalty
    return model.coef_[0], np.sqrt(np.diag(np.linalg.inv(curvature)))[1:]
