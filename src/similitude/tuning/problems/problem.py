"""Problems with a known cost frontier: what tuners are measured on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from similitude.tuning.space.space import Space
from similitude.tuning.trials.failures import FailureKind


@dataclass(frozen=True)
class Evaluation:
    """What one trial of a problem gives.

    Attributes:
        value: The measured objective, smaller is better; NaN where the trial failed.
        cost: What it is charged with, in the problem's unit.
        failure: Kind of the failure, "diverged", "oom" or "cap"; None where there is none.
    """

    value: float
    cost: float
    failure: FailureKind | None = None

    @classmethod
    def failed(cls, kind: FailureKind, cost: float) -> Evaluation:
        """Return the evaluation of a trial that failed.

        Example:
            >>> Evaluation.failed("oom", 2.0)
            Evaluation(value=nan, cost=2.0, failure='oom')
        """
        return cls(math.nan, cost, kind)


@runtime_checkable
class Problem(Protocol):
    """A problem to tune, whose objective is minimized; its frontier says what each cost can buy."""

    @property
    def name(self) -> str:
        """Name of the problem."""
        ...

    @property
    def space(self) -> Space:
        """Its search space; trials begin at the centre."""
        ...

    @property
    def cap(self) -> float:
        """Cost at which a trial is killed: it fails, and is charged the cap."""
        ...

    @property
    def worst(self) -> float:
        """Value that a tuner has without any trial: that of the reference of the hypervolume."""
        ...

    @property
    def costs(self) -> tuple[float, float]:
        """Cheapest and dearest cost at which the gap to the frontier is taken."""
        ...

    @property
    def cheapest(self) -> float:
        """Cheapest cost that the hypervolume of the frontier counts."""
        ...

    def evaluate(self, values: Mapping[str, Any], rng: np.random.Generator) -> Evaluation:
        """Run one trial with noise from `rng`."""
        ...

    def truth(self, values: Mapping[str, Any], measured: float) -> float:
        """Return the objective without noise; `measured` itself where only training can tell."""
        ...

    def front(self, cost: float) -> float:
        """Return the best objective that trials of at most this cost can have."""
        ...
