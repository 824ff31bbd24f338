"""One run of a sampler on a problem: trials one after another, on a noise stream that all samplers share."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from similitude.tuning.problems.problem import Evaluation, Problem
from similitude.tuning.trials.failures import FailureKind, TrialFailure

NOISE_SEED = 1000


@dataclass(frozen=True)
class Record:
    """One trial of a problem.

    Attributes:
        number: Its number, from 0.
        values: Its configuration.
        value: The measured objective; NaN where it failed.
        truth: The objective without noise; NaN where it failed.
        cost: What it was charged.
        failure: Kind of its failure; None where there is none.
        seconds: CPU seconds of this process that the suggestion took, and what was told since the one before.
    """

    number: int
    values: dict[str, Any]
    value: float
    truth: float
    cost: float
    failure: FailureKind | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def run(
    problem: Problem,
    sampler: optuna.samplers.BaseSampler,
    *,
    seed: int,
    trials: int,
    directions: int = 1,
    centre_first: bool = False,
) -> list[Record]:
    """Tune a problem with a sampler.

    Args:
        problem: The problem.
        sampler: Any sampler of Optuna; it sees the whole space, and as user attributes costs and kinds of failures.
        seed: Seed of the noise, which all samplers of one seed meet in the same order.
        trials: Number of trials.
        directions: 1, or 2 for a sampler that is to minimize the objective and the logarithm of the cost.
        centre_first: Whether the first trial is put at the centre for a sampler that would not begin there.

    Returns:
        The trials in their order.

    Example:
        >>> from similitude.tuning.problems.chinchilla import ChinchillaLaw
        >>> records = run(ChinchillaLaw(), optuna.samplers.RandomSampler(seed=0), seed=0, trials=3)
        >>> [record.number for record in records]
        [0, 1, 2]
    """
    study = optuna.create_study(sampler=sampler, directions=[StudyDirection.MINIMIZE] * directions)
    return list(continued(problem, study, seed=seed, trials=trials, centre_first=centre_first))


def continued(
    problem: Problem, study: optuna.Study, *, seed: int, trials: int, centre_first: bool = False
) -> Iterator[Record]:
    """Tune a problem in a study of the caller's, and give each trial when it ends; see `run`.

    Args:
        problem: The problem.
        study: A study without trials.
        seed: Seed of the noise.
        trials: Number of trials.
        centre_first: Whether the first trial is put at the centre.
    """
    rng = np.random.default_rng(NOISE_SEED + seed)
    space = problem.space
    if centre_first:
        study.enqueue_trial(space.center)
    started = time.process_time()
    for number in range(trials):
        trial = study.ask()
        values = space.suggest(trial)
        seconds = time.process_time() - started
        found = problem.evaluate(values, rng)
        started = time.process_time()
        _tell(problem, study, trial, found)
        truth = math.nan if found.failure else problem.truth(values, found.value)
        yield Record(number, values, found.value, truth, found.cost, found.failure, seconds)


def _tell(problem: Problem, study: optuna.Study, trial: optuna.Trial, found: Evaluation) -> None:
    """Tell a study how a trial ended. Failures are told as such to every sampler: most of Optuna's ignore them."""
    trial.set_user_attr("cost", found.cost)
    if found.failure:
        try:
            problem.space.fail(trial, found.failure)
        except TrialFailure:
            study.tell(trial, state=TrialState.FAIL)
    elif len(study.directions) == 2:
        study.tell(trial, [found.value, math.log10(found.cost)])
    else:
        study.tell(trial, found.value)
