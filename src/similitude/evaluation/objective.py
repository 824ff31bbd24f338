"""Tune anything that a suite evaluates: an objective for `sim.tune` from a function that returns rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from similitude.core.errors import EvaluationError
from similitude.evaluation.aggregate import by_task
from similitude.evaluation.rows import Row

if TYPE_CHECKING:
    import optuna

    from similitude.tuning.space.space import Space


@dataclass(frozen=True)
class SuiteObjective:
    """An objective to be maximised: the mean over tasks of the mean score, at the cost that the rows state.

    Every task has the same weight, however many rows it has.

    Attributes:
        evaluate: Called with a configuration of the space, returns the rows that it scored. For trials in processes it
            is defined at the top level of a module.
        space: The space of configurations.

    Example:
        >>> import tempfile
        >>> from similitude.tuning.space.dimensions import Log
        >>> from similitude.tuning.space.space import Space
        >>> from similitude.tuning.tune import tune
        >>> def evaluate(configuration):
        ...     return [Row("fewshot", "mnli", "probe", 40.0 - abs(configuration["c"] - 1), seconds=2.0)]
        >>> space = Space(c=Log(1.0))
        >>> objective = SuiteObjective(evaluate, space)
        >>> study = tune(
        ...     objective,
        ...     space,
        ...     trials=2,
        ...     engine="inline",
        ...     direction="maximize",
        ...     cost="cost",
        ...     storage=tempfile.mkdtemp(),
        ... )
        >>> study.trials[0].value, study.trials[0].user_attrs["cost"]
        (40.0, 2.0)
    """

    evaluate: Callable[[Mapping[str, Any]], Iterable[Row]]
    space: Space

    def __call__(self, trial: optuna.Trial) -> float:
        """Evaluate the trial's configuration and tell its cost.

        Raises:
            EvaluationError: A row has no score, or there is none; the reason of the first is named.
        """
        rows = list(self.evaluate(self.space.suggest(trial)))
        trial.set_user_attr("cost", sum(row.seconds for row in rows))
        return mean_score(rows)


def mean_score(rows: Iterable[Row]) -> float:
    """Return the mean over tasks of the mean score.

    Raises:
        EvaluationError: A row has no score, or there is none; the reason of the first is named.

    Example:
        >>> mean_score([Row("s", "a", "x", 1.0), Row("s", "a", "x", 0.0, seed=1), Row("s", "b", "x", 1.0)])
        0.75
    """
    rows = list(rows)
    for row in rows:
        if row.failed:
            raise EvaluationError(
                f"task {row.task!r} has no score: {row.error or 'it is not a finite number'}. Mend that, or leave the "
                "task out."
            )
    if not rows:
        raise EvaluationError("nothing was evaluated: there are no rows. Name at least one task.")
    return fmean(fmean(scores) for scores in by_task(rows).values())
