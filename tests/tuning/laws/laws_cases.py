"""Histories with known laws: Chinchilla's at random configurations, and others made of formulas."""

import functools
import math

import numpy as np
import optuna

from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.runs import continued
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import History


@functools.cache
def chinchilla(*, seed: int, drift: float = -0.5, trials: int = 60) -> optuna.Study:
    """Random trials on Chinchilla's law with noise, in a study that knows nothing of spaces."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    for _ in continued(ChinchillaLaw(drift=drift), study, seed=seed, trials=trials):
        pass
    return study


def history(space: Space, rows: list[tuple[dict, float, float]], *, minimize: bool = True) -> History:
    """A history of rows of configuration, value and cost."""
    return History(
        space=space,
        points=np.array([space.point(values) for values, _, _ in rows]),
        values=np.array([value for _, value, _ in rows], float),
        costs=np.array([cost for _, _, cost in rows], float),
        numbers=np.arange(len(rows)),
        minimize=minimize,
    )


def drawn(space: Space, rng: np.random.Generator, *, reach: float = 1.5) -> dict:
    """A random configuration within some units of the center."""
    return space.values_at(rng.uniform(-reach, reach, len(space)))


def log10(value: float) -> float:
    return math.log10(value)
