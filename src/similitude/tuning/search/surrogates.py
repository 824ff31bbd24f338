"""What the search believes of configurations that were not tried: value, cost, and whether they fail.

Source: paper 10, Section 3 (surrogates of output and cost, and of success).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.tuning.search.acquisition import log_probability_below
from similitude.tuning.search.gaussian_process import FITTED, GaussianProcess
from similitude.tuning.search.outputs import Scaling
from similitude.tuning.search.pareto import Groups
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import History

CostOf = Callable[[Mapping[str, Any]], float]
"""Cost of a configuration, where it is known beforehand."""

CONDITIONED = 1000
"""Configurations that surrogates are conditioned on, at most: the front, and the newest of the others."""

_FAILURE_NOISE, _COST_NOISE = 1e-2, 1e-4  # variances


@dataclass(frozen=True)
class Surrogates:
    """Beliefs of a history; made by `Surrogates.of`.

    Attributes:
        space: The space.
        groups: The configurations that they are conditioned on, cheapest first.
        scaling: From values to the units of `value`.
        value: Belief of the value, running trials imagined to have ended.
        worst: The lowest value that was seen, in the same units.
        waiting: Configurations that are being run, shape (m, d).
    """

    space: Space
    groups: Groups
    scaling: Scaling
    value: GaussianProcess
    worst: float
    waiting: np.ndarray
    _cost: GaussianProcess | None
    _cost_scale: tuple[float, float]
    _cost_of: CostOf | None
    _failure: GaussianProcess | None

    @classmethod
    def of(
        cls,
        history: History,
        rng: np.random.Generator,
        *,
        cap: float | None = None,
        cost_of: CostOf | None = None,
    ) -> Surrogates:
        """Fit the beliefs.

        Trials of one configuration count as one with less noise. A running trial is imagined to end with a draw from
        the belief, so that others keep away from it.

        Args:
            history: With at least one value.
            rng: Draws what running trials are imagined to give.
            cap: What a trial may cost; one that was ended there cost at least that.
            cost_of: The cost, where it is known beforehand.
        """
        space = history.space
        groups, chosen = _kept(Groups.of(history))
        scaling = Scaling.of(groups.values)
        scaled = scaling(groups.values)
        kinds, parts = space.categorical, additive_parts(space)
        value = GaussianProcess.fit(
            groups.points, scaled, groups.counts, categorical=kinds, parts=parts, chosen=chosen
        )
        if len(history.waiting):
            mean, covariance = value.joint(history.waiting)
            root = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(mean)))
            value = value.imagined(history.waiting, mean + root @ rng.standard_normal(len(mean)))
        cost, scale = None, (0.0, 1.0)
        if cost_of is None:
            log_costs = np.log10(groups.costs)
            scale = float(log_costs.mean()), float(log_costs.std()) or 1.0
            scaled_costs = (log_costs - scale[0]) / scale[1]
            cost = GaussianProcess.fit(groups.points, scaled_costs, categorical=kinds, chosen=chosen)
            dear = np.array([f.point for f in history.failures if f.kind == "cap"])
            if cap is not None and len(dear):  # they would have cost at least the cap
                least = (math.log10(cap) - scale[0]) / scale[1]
                cost = cost.imagined(dear, np.maximum(cost.predict(dear)[0], least))
        known = cost_of is not None or cap is None  # else those that are too dear are the cost's affair
        failed = [f.point for f in history.failures if f.kind != "cap" or known]
        failure = None
        if failed:
            both = np.r_[groups.points, np.array(failed)]
            labels = np.r_[-np.ones(len(groups)), np.ones(len(failed))]
            failure = GaussianProcess.fit(both, labels, categorical=kinds)
        return cls(
            space, groups, scaling, value, float(scaled.min()), history.waiting, cost, scale, cost_of, failure
        )

    def log_cost(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the cost's logarithm (base 10) at points, each of shape (m,)."""
        if self._cost_of is not None:
            known = [self._cost_of(self.space.values_at(p)) for p in points]
            return np.log10(np.array(known, float)), np.full(len(points), _COST_NOISE)
        assert self._cost is not None
        mean, variance = self._cost.predict(points)
        middle, spread = self._cost_scale
        return middle + spread * mean, spread**2 * variance + _COST_NOISE

    def log_success(self, points: np.ndarray) -> np.ndarray:
        """Return the logarithm of the probability that configurations do not fail, shape (m,)."""
        if self._failure is None:
            return np.zeros(len(points))
        mean, variance = self._failure.predict(points)
        return log_probability_below(mean, variance + _FAILURE_NOISE, 0.0)


def additive_parts(space: Space) -> tuple[np.ndarray, ...]:
    """Return which dimensions act apart: those that are scaled, and those that should transfer with the free ones.

    Under a parametrization that transfers, what is good is the same at every scale, so that the value is a sum of the
    two; how far it is not is the weight of the part that couples them. Nothing is assumed where a role is missing.

    Example:
        >>> from similitude.tuning.space.dimensions import Log
        >>> [part.tolist() for part in additive_parts(Space(n=Log(1, role="scale"), lr=Log(1, role="transfer")))]
        [[True, False], [False, True]]
    """
    scaled = np.array([dim.role == "scale" for dim in space.values()])
    if not scaled.any() or not any(dim.role == "transfer" for dim in space.values()):
        return ()
    return scaled, ~scaled


def _kept(groups: Groups) -> tuple[Groups, np.ndarray | None]:
    """Return the groups that surrogates are conditioned on, and the places of those whose parameters are fitted."""
    if len(groups) <= FITTED:
        return groups, None
    front = groups.front()
    other = np.setdiff1d(np.arange(len(groups)), front)
    newest = other[np.argsort(-groups.newest[other], kind="stable")]
    kept = np.sort(np.r_[front, newest[: max(0, CONDITIONED - len(front))]])
    fitted = np.r_[front, newest[: max(0, FITTED - len(front))]][:FITTED]
    return groups.only(kept), np.searchsorted(kept, np.sort(fitted))
