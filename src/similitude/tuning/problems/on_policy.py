"""On-policy reinforcement learning as tuners meet it: six hyperparameters, failures, and runs of bad luck."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.tuning.problems.problem import Evaluation
from similitude.tuning.space.dimensions import Linear, Log, Logit
from similitude.tuning.space.space import Space
from similitude.tuning.trials.failures import FailureKind

HALF_SCORE_STEPS = 1e7
MOST_ENVIRONMENTS = 1024
DIVERGES_BEYOND = 30.0
"""Multiple of the best learning rate from which on training diverges."""
CHARGED_FOR_FAILURE = 0.05
VALUE_NOISE, COST_NOISE = 0.02, 0.05
BAD_LUCK, CHANCE_OF_BAD_LUCK = 0.2, 0.05


@dataclass(frozen=True)
class OnPolicyLearning:
    """One less the score of an agent, and the seconds that it took to train.

    The score is 1 / (1 + (1e7 / e)^0.5) of the effective steps e = steps exp(-p), with a penalty p that is quadratic in
    the distance of learning rate, entropy bonus, discount and epochs from their best values; the best learning rate is
    3e-4 (environments / 64)^0.5. The score has noise of 0.02, and one run of twenty scores 0.2 less. Trials out of
    memory, environments (1 + epochs / 8) > 1024, and diverged ones, from 30 times the best learning rate, fail at 5 %
    of their cost.

    Example:
        >>> [round(OnPolicyLearning().front(cost), 3) for cost in (10, 1e2, 1e3, 1e4)]
        [0.651, 0.372, 0.157, 0.091]
    """

    name = "on-policy"
    cap = 3e4
    worst = 1.0
    costs = (10.0, 3e4)
    cheapest = 10**-0.8

    @property
    def space(self) -> Space:
        """The six hyperparameters, none of them with a role."""
        return Space(
            lr=Log(1e-3, low=1e-6, high=0.1),
            entropy=Log(1e-3, low=1e-5, high=1.0),
            discount=Logit(0.95, low=0.5, high=0.9999),
            environments=Log(32, low=8, high=2048, integer=True),
            epochs=Linear(2, low=1, high=10, integer=True, scale=4.0),
            steps=Log(1e6, low=1e5, high=1e9),
        )

    def evaluate(self, values: Mapping[str, Any], rng: np.random.Generator) -> Evaluation:
        """Run one trial: score and seconds with noise, or a failure."""
        cost = _seconds(values) * math.exp(COST_NOISE * rng.standard_normal())
        noise, luck = VALUE_NOISE * rng.standard_normal(), rng.random()
        if kind := _failure(values):
            return Evaluation.failed(kind, min(CHARGED_FOR_FAILURE * cost, self.cap))
        if cost > self.cap:
            return Evaluation.failed("cap", self.cap)
        return Evaluation(
            self.truth(values, math.nan) + noise + (BAD_LUCK if luck < CHANCE_OF_BAD_LUCK else 0.0), cost
        )

    def truth(self, values: Mapping[str, Any], measured: float) -> float:
        """Return one less the score without noise or bad luck."""
        off_lr = math.log10(values["lr"] / _best_lr(values["environments"]))
        off_discount = math.log10(values["discount"] / (1 - values["discount"])) - 2
        off_entropy, off_epochs = math.log10(values["entropy"]) + 2, (values["epochs"] - 4) / 2
        penalty = 0.8 * off_lr**2 + 0.3 * off_entropy**2 + off_discount**2 + 0.1 * off_epochs**2
        return _one_less_score(values["steps"] * math.exp(-penalty))

    def front(self, cost: float) -> float:
        """Return the best over epochs with as many environments as fit, which are the cheapest per step."""
        found = []
        for epochs in range(1, 11):
            values = {"epochs": epochs, "environments": MOST_ENVIRONMENTS // (1 + epochs / 8), "steps": 1.0}
            steps = min(max(cost / _seconds(values), 1e5), 1e9)
            found.append(_one_less_score(steps * math.exp(-0.1 * ((epochs - 4) / 2) ** 2)))
        return min(found)


def _best_lr(environments: float) -> float:
    return 3e-4 * math.sqrt(environments / 64)


def _one_less_score(effective_steps: float) -> float:
    return 1 - 1 / (1 + math.sqrt(HALF_SCORE_STEPS / effective_steps))


def _seconds(values: Mapping[str, Any]) -> float:
    return values["steps"] * (1 + 0.3 * values["epochs"]) / (2000 * values["environments"] ** 0.8)


def _failure(values: Mapping[str, Any]) -> FailureKind | None:
    if values["environments"] * (1 + values["epochs"] / 8) > MOST_ENVIRONMENTS:
        return "oom"
    return "diverged" if values["lr"] > DIVERGES_BEYOND * _best_lr(values["environments"]) else None
