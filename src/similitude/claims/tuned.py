"""What claims about tuning measure: laws that the trials of a tuner show, and what its choices are worth trained anew."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Literal

import numpy as np
import optuna

from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.laws.laws import ScalingLaws
from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.digits import DigitsTraining
from similitude.tuning.problems.problem import Problem
from similitude.tuning.problems.quality import Quality, incumbents, quality
from similitude.tuning.problems.runs import Record, continued, run
from similitude.tuning.trials.budget import Budget

TRIALS = 60
RETRAINED_FROM = 50_000


def sampler_of(problem: Problem, *, seed: int, compat: Literal["carbs"] | None = None) -> CarbsSampler:
    """Return our sampler as it comes for a problem.

    Args:
        problem: The problem; its cap is told.
        seed: Seed of the sampler.
        compat: "carbs" for the published search.
    """
    return CarbsSampler(problem.space, seed=seed, budget=Budget(per_trial=problem.cap), compat=compat)


@functools.cache
def laws_of(drift: float, *, seed: int, compat: Literal["carbs"] | None = None) -> ScalingLaws:
    """Return the scaling laws after 60 trials on Chinchilla's law.

    Args:
        drift: Exponent of the best learning rate over parameters.
        seed: Seed of the noise and of the sampler.
        compat: "carbs" for the published search.
    """
    problem = ChinchillaLaw(drift=drift)
    study = optuna.create_study(sampler=sampler_of(problem, seed=seed, compat=compat))
    for _ in continued(problem, study, seed=seed, trials=TRIALS):
        pass
    return ScalingLaws.from_study(study)


def tuned_digits(*, seed: int, trials: int = TRIALS, seeds: int = 4) -> tuple[Quality, list[Record]]:
    """Tune the digits, and train the chosen configurations again, so that none is worth its luck.

    Args:
        seed: Seed of the trainings and of the sampler.
        trials: Number of trials.
        seeds: How often each configuration is trained again.

    Returns:
        What the frontier is worth, and the trials, with the means of new trainings as the truth of those on it.
    """
    problem = DigitsTraining()
    records = run(problem, sampler_of(problem, seed=seed), seed=seed, trials=trials)
    chosen = {point.cost for point in incumbents(records)}
    again = [
        replace(r, truth=_retrained(problem, r, seeds)) if not r.failure and r.cost in chosen else r
        for r in records
    ]
    return quality(problem, again), again


def _retrained(problem: DigitsTraining, record: Record, seeds: int) -> float:
    found = [
        problem.evaluate(record.values, np.random.default_rng([RETRAINED_FROM, seed])).value
        for seed in range(seeds)
    ]
    return problem.worst if any(math.isnan(value) for value in found) else float(np.mean(found))
