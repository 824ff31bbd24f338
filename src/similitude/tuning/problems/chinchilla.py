"""Pretraining by Chinchilla's loss law, with a learning rate whose optimum drifts with the number of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.tuning.problems.problem import Evaluation
from similitude.tuning.space.dimensions import Log
from similitude.tuning.space.space import Space

IRREDUCIBLE, PARAMETER_TERM, TOKEN_TERM = 1.69, 406.4, 410.7
PARAMETER_POWER, TOKEN_POWER = 0.34, 0.28
FLOPS_PER_PARAMETER_AND_TOKEN, UNIT_OF_COST = 6, 1e15
CURVATURE = 0.3
"""Loss that a learning rate costs that is a decade off."""
BEST_LR, AT_PARAMETERS = 3e-3, 1e7
VALUE_NOISE, COST_NOISE = 0.01, 0.05


@dataclass(frozen=True)
class ChinchillaLaw:
    """Loss and cost of a language model of `parameters` parameters trained on `tokens` tokens at a learning rate `lr`.

    L = 1.69 + 406.4 N^-0.34 + 410.7 D^-0.28 + 0.3 (log10 lr - log10 lr*)^2 with lr* = 3e-3 (N/1e7)^drift, measured with
    noise of 0.01. The cost is 6 N D in PFLOP, with noise of 5 %.

    Attributes:
        drift: Exponent of the best learning rate over parameters; 0 where it transfers.
        units: What the user counts parameters, tokens and learning rates in; changes nothing else.

    Source: arXiv 2203.15556, approach 3, for the loss at the best learning rate.

    Example:
        >>> law = ChinchillaLaw()
        >>> [round(law.front(cost), 3) for cost in (1, 10, 1e2, 1e3, 1e4)]
        [7.02, 5.433, 4.318, 3.535, 2.986]
    """

    drift: float = -0.5
    units: tuple[float, float, float] = (1.0, 1.0, 1.0)

    cap = 1e4
    worst = 8.0
    costs = (1.0, 1e4)
    cheapest = 10**-1.2

    @property
    def name(self) -> str:
        """Name of the problem."""
        return (
            "chinchilla" + ("" if self.drift else "-transfer") + ("" if set(self.units) == {1} else "-units")
        )

    @property
    def space(self) -> Space:
        """Parameters, tokens and learning rate, one decade per unit."""
        n, d, lr = self.units
        return Space(
            parameters=Log(3e6 / n, low=1e6 / n, high=1e9 / n, role="scale"),
            tokens=Log(3e7 / d, low=1e7 / d, high=1e11 / d, role="scale"),
            lr=Log(1e-3 / lr, low=1e-5 / lr, high=1.0 / lr, role="transfer"),
        )

    @property
    def exponents(self) -> dict[str, float]:
        """Powers of the cost with which the best configuration grows."""
        share = TOKEN_POWER / (PARAMETER_POWER + TOKEN_POWER)
        return {"parameters": share, "tokens": 1 - share, "lr": self.drift * share}

    def evaluate(self, values: Mapping[str, Any], rng: np.random.Generator) -> Evaluation:
        """Run one trial: the law with noise of value and cost."""
        n, d, _ = self._natural(values)
        cost = _cost(n, d) * math.exp(COST_NOISE * rng.standard_normal())
        value = self.truth(values, math.nan) + VALUE_NOISE * rng.standard_normal()
        return Evaluation(value, cost) if cost <= self.cap else Evaluation.failed("cap", self.cap)

    def truth(self, values: Mapping[str, Any], measured: float) -> float:
        """Return the loss without noise."""
        n, d, lr = self._natural(values)
        return _loss(n, d) + CURVATURE * math.log10(lr / self.best_lr(n)) ** 2

    def best_lr(self, parameters: float) -> float:
        """Return the best learning rate of a number of parameters, both as plain numbers."""
        return BEST_LR * (parameters / AT_PARAMETERS) ** self.drift

    def front(self, cost: float) -> float:
        """Return the loss of the compute-optimal model of some cost inside the bounds."""
        product = cost * UNIT_OF_COST / FLOPS_PER_PARAMETER_AND_TOKEN
        balance = PARAMETER_POWER * PARAMETER_TERM / (TOKEN_POWER * TOKEN_TERM)
        n = (balance * product**TOKEN_POWER) ** (1 / (PARAMETER_POWER + TOKEN_POWER))
        n = min(max(n, 1e6), 1e9)
        return _loss(n, min(max(product / n, 1e7), 1e11))

    def _natural(self, values: Mapping[str, Any]) -> tuple[float, float, float]:
        n, d, lr = (
            values[name] * unit for name, unit in zip(("parameters", "tokens", "lr"), self.units, strict=True)
        )
        return n, d, lr


def _loss(n: float, d: float) -> float:
    return IRREDUCIBLE + PARAMETER_TERM * n**-PARAMETER_POWER + TOKEN_TERM * d**-TOKEN_POWER


def _cost(n: float, d: float) -> float:
    return FLOPS_PER_PARAMETER_AND_TOKEN * n * d / UNIT_OF_COST
