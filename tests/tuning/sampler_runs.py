"""Short searches on small problems, for the tests of the sampler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import optuna

from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.dimensions import Log
from similitude.tuning.space.space import Space

optuna.logging.set_verbosity(optuna.logging.ERROR)

LADDER = Space(size=Log(10.0, low=1.0, high=1e4, role="scale"), rate=Log(1e-2))


def ladder(values: dict[str, Any]) -> tuple[float, float]:
    """Value and cost of a toy: larger is better and dearer, and the best rate is 0.1."""
    return values["size"] ** -0.5 + np.log10(values["rate"] / 0.1) ** 2, values["size"]


def objective_of(
    space: Space, measure: Callable[[dict[str, Any]], tuple[float, float]] = ladder, *, sign: float = 1.0
) -> Callable[[optuna.Trial], float]:
    """Return the objective of a measure that gives a value and a cost."""

    def objective(trial: optuna.Trial) -> float:
        value, cost = measure(space.suggest(trial))
        trial.set_user_attr("cost", cost)
        return sign * value

    return objective


def searched(
    space: Space = LADDER,
    measure: Callable[[dict[str, Any]], tuple[float, float]] = ladder,
    *,
    trials: int,
    direction: Literal["minimize", "maximize"] = "minimize",
    **options: Any,
) -> optuna.Study:
    """Return a study after some trials."""
    study = optuna.create_study(direction=direction, sampler=CarbsSampler(space, **options))
    sign = 1.0 if direction == "minimize" else -1.0
    study.optimize(objective_of(space, measure, sign=sign), n_trials=trials)
    return study


def sequence(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the configurations of a study in the order in which they were tried."""
    return [trial.params for trial in study.get_trials(deepcopy=False)]
