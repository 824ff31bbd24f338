"""The best richness after fewer steps than a sweep trained: which gamma to take at which compute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from similitude.core.errors import GridError
from similitude.runs.grid import Cell
from similitude.studies.gamma_exponents import best_gamma
from similitude.studies.gamma_records import BestGamma, GammaPoint

_PARTS = (8, 4, 2, 1)
_FEWEST = 10  # steps below which a mean over the last tenth is one loss


@dataclass(frozen=True)
class Budget:
    """Gammas compared after some number of steps, each at the rate that is best then.

    Attributes:
        steps: The number of steps.
        losses: By gamma the mean training loss over the last tenth of these steps, at the best rate; inf where every
            rate diverged.
        rates: That rate by gamma; nan where there is none.
        best: The best gamma, with its interval.
    """

    steps: int
    losses: Mapping[float, float]
    rates: Mapping[float, float]
    best: BestGamma

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""

        def listed(values: Mapping[float, float]) -> list[float | None]:
            return [value if math.isfinite(value) else None for value in values.values()]

        return {
            "steps": self.steps,
            "gammas": list(self.losses),
            "losses": listed(self.losses),
            "lrs": listed(self.rates),
            "best": self.best.to_dict(),
        }


def default_budgets(steps: int) -> tuple[int, ...]:
    """Return an eighth, a quarter, a half and the whole of some steps, as far as they are enough to average over.

    Example:
        >>> default_budgets(200), default_budgets(12)
        ((25, 50, 100, 200), (12,))
    """
    return tuple(steps // part for part in _PARTS if steps // part >= _FEWEST) or (steps,)


def check_budgets(budgets: Sequence[int], steps: int) -> tuple[int, ...]:
    """Return budgets in increasing order.

    Raises:
        GridError: One is no number of steps that were trained, or there is none.
    """
    wrong = [b for b in budgets if isinstance(b, bool) or not isinstance(b, int) or not 1 <= b <= steps]
    if wrong or not budgets:
        raise GridError(
            f"budgets={tuple(budgets)!r}: each is a number of the {steps} steps that are trained, e.g. "
            f"{default_budgets(steps)!r}."
        )
    return tuple(sorted(set(budgets)))


def best_by_steps(
    points: Sequence[GammaPoint],
    curves: Mapping[Cell, np.ndarray],
    *,
    seeds: Sequence[int],
    budgets: Sequence[int],
) -> tuple[Budget, ...]:
    """Find the best richness after each of some numbers of steps.

    A run at a constant rate that is cut off is a run of fewer steps, so one sweep answers for all of them.

    Args:
        points: What the sweep found, by increasing gamma.
        curves: Training losses by cell of gamma, lr and seed, shape (T,) each.
        seeds: Seeds of the sweep, in the order of its losses.
        budgets: Numbers of steps, at most T each.

    Example:
        >>> from similitude.studies.optimum import optimum
        >>> from similitude.studies.records import Curve
        >>> falls = {1.0: 0.1, 10.0: 0.2}  # per step
        >>> curves = {Cell.of(gamma=g, lr=0.5, seed=0): np.exp(-r * np.arange(40)) for g, r in falls.items()}
        >>> flat = Curve(8, (0.5,), ((1.0,),))
        >>> points = [GammaPoint(g, flat, (1.0,), optimum(flat), (None,)) for g in falls]
        >>> early, late = best_by_steps(points, curves, seeds=[0], budgets=[10, 40])
        >>> early.best.gamma, round(early.losses[10.0], 4)
        (10.0, 0.1653)
    """
    found = []
    for steps in budgets:
        there = [_after(point, curves, seeds, steps) for point in points]
        means = {point.gamma: [float(np.mean(row)) for row in point.curve.losses] for point in there}
        places = {gamma: int(np.argmin(row)) for gamma, row in means.items()}
        losses = {gamma: row[places[gamma]] for gamma, row in means.items()}
        rates = {
            point.gamma: point.curve.lrs[places[point.gamma]]
            if math.isfinite(losses[point.gamma])
            else math.nan
            for point in there
        }
        found.append(Budget(steps, losses, rates, best_gamma(there)))
    return tuple(found)


def _after(
    point: GammaPoint, curves: Mapping[Cell, np.ndarray], seeds: Sequence[int], steps: int
) -> GammaPoint:
    """Return a point with its losses taken at an earlier step."""
    last = slice(steps - max(1, steps // 10), steps)
    losses = []
    for lr in point.curve.lrs:
        means = [float(curves[Cell.of(gamma=point.gamma, lr=lr, seed=seed)][last].mean()) for seed in seeds]
        losses.append(tuple(mean if math.isfinite(mean) else math.inf for mean in means))
    return replace(point, curve=replace(point.curve, losses=tuple(losses)))
