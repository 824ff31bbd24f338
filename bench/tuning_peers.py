"""The methods that `bench/tuning.py` compares: ours, the original CARBS from its own code, and Optuna's own samplers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from similitude.tuning.problems.chinchilla import ChinchillaLaw
from similitude.tuning.problems.digits import DigitsTraining
from similitude.tuning.problems.on_policy import OnPolicyLearning
from similitude.tuning.problems.problem import Evaluation, Problem
from similitude.tuning.problems.runs import Record
from similitude.tuning.problems.runs import run as run_sampler
from similitude.tuning.space.dimensions import Linear, Logit
from similitude.tuning.space.space import Space

PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        ChinchillaLaw(),
        ChinchillaLaw(units=(1e6, 1e9, 1e-3)),
        OnPolicyLearning(),
        DigitsTraining(),
        ChinchillaLaw(drift=0.0),
    )
}


@dataclass(frozen=True)
class Method:
    """A way to tune.

    Attributes:
        name: Its name in tables.
        make: Builds the sampler for a problem and a seed.
        peer: Whether it is one of the others: it gets the centre as its first trial unless it begins there itself, and
            logit dimensions as their log odds, which Optuna has no distribution for.
        directions: 2 where it minimizes value and log10 cost, 1 where costs travel beside the value.
        problems: Names of the problems that it is run on; all of them if empty.
    """

    name: str
    make: Callable[[Problem, int], BaseSampler]
    peer: bool = True
    directions: int = 2
    problems: tuple[str, ...] = ()


def ours(problem: Problem, seed: int) -> BaseSampler:
    """Our sampler as it comes."""
    from similitude.tuning.carbs import CarbsSampler
    from similitude.tuning.trials.budget import Budget

    return CarbsSampler(problem.space, seed=seed, budget=Budget(per_trial=problem.cap))


def ours_as_published(problem: Problem, seed: int) -> BaseSampler:
    """Our own code of the published algorithm."""
    from similitude.tuning.carbs import CarbsSampler
    from similitude.tuning.trials.budget import Budget

    return CarbsSampler(problem.space, seed=seed, budget=Budget(per_trial=problem.cap), compat="carbs")


def original(problem: Problem, seed: int) -> BaseSampler:
    """The original CARBS from its own code, with its kernels fitted by our fast equivalent of its own fit."""
    from tuning_original import OriginalSampler

    return OriginalSampler(problem.space, seed=seed, cap=problem.cap)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("ours", ours, peer=False, directions=1),
        Method("ours compat=carbs", ours_as_published, peer=False, directions=1),
        Method("original CARBS", original, peer=False, directions=1),
        Method("Optuna TPE", lambda p, seed: optuna.samplers.TPESampler(seed=seed, multivariate=True)),
        Method(
            "Optuna GPSampler",
            lambda p, seed: optuna.samplers.GPSampler(seed=seed),
            problems=("chinchilla", "on-policy", "digits"),
        ),
        Method("Optuna NSGA-II", lambda p, seed: optuna.samplers.NSGAIISampler(seed=seed)),
        Method("random", lambda p, seed: optuna.samplers.RandomSampler(seed=seed)),
    )
}


def run(problem: Problem, method: Method, seed: int, trials: int) -> list[Record]:
    """Run one method on one problem; the noise of a seed is the same for all methods."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    given = InLogOdds(problem) if method.peer else problem
    sampler = method.make(given, seed)
    return run_sampler(
        given, sampler, seed=seed, trials=trials, directions=method.directions, centre_first=method.peer
    )


class InLogOdds:
    """A problem whose logit dimensions are given as log10 odds, so that any sampler can search them evenly."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.logit = [name for name, dim in problem.space.items() if isinstance(dim, Logit)]
        self.name, self.cap, self.worst = problem.name, problem.cap, problem.worst
        self.costs, self.cheapest, self.front = problem.costs, problem.cheapest, problem.front
        self.space = Space(
            {
                name: Linear(_log_odds(dim.center), low=_log_odds(dim.low), high=_log_odds(dim.high))
                if isinstance(dim, Logit)
                else dim
                for name, dim in problem.space.items()
            }
        )

    def evaluate(self, values: Mapping[str, Any], rng: np.random.Generator) -> Evaluation:
        return self.problem.evaluate(self._natural(values), rng)

    def truth(self, values: Mapping[str, Any], measured: float) -> float:
        return self.problem.truth(self._natural(values), measured)

    def _natural(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: 1 / (1 + 10**-v) if name in self.logit else v for name, v in values.items()}


def _log_odds(share: Any) -> float:
    return float(np.log10(share / (1 - share)))
