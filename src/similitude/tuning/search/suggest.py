"""The next configuration to try: local search along the cost-quality front, led by beliefs of value, cost and failure.

Source: paper 10 (CARBS), Section 3. What differs, and what each difference is worth, is in docs/tuning_comparison.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from similitude.core.citation import cites
from similitude.tuning.search.acquisition import (
    log_expected_gain,
    log_expected_improvement,
    log_probability_below,
)
from similitude.tuning.search.candidates import Neighbourhood
from similitude.tuning.search.pareto import Staircase
from similitude.tuning.search.repetition import most_at_stake
from similitude.tuning.search.start import start
from similitude.tuning.search.surrogates import CostOf, Surrogates
from similitude.tuning.trials.history import History

_POLISHED, _POLISH_STRIDES = 8, (0.3, 0.1)  # best candidates that others are drawn around, and how far


@dataclass(frozen=True)
class Settings:
    """Settings of the search; the defaults are the same for all problems.

    Attributes:
        radius: Standard deviation of a step of up to three dimensions, in units; in d dimensions it is longer by the root
            of d / 3, so that a step in all directions is as long in each.
        strides: Factors of the radius with which candidates are drawn.
        prior: How strongly candidates far from the front are disliked: 1 weighs them by the density of the radius.
        starts: Trials with a value before anything is modelled; more where a choice without order has more values.
        candidates: Per dimension and stride.
        dear_every: Every so many trials one aims at the dear end of the front.
        repeat_every: Every so many trials a member of the front may be run again instead.
    """

    radius: float = 0.3
    strides: tuple[float, ...] = (1.0, 2.0)
    prior: float = 0.25
    starts: int = 4
    candidates: int = 100
    dear_every: int = 8
    repeat_every: int = 5


@cites(10, "Section 3")
def suggest(
    history: History,
    *,
    seed: int,
    number: int,
    cap: float | None = None,
    cost_of: CostOf | None = None,
    settings: Settings | None = None,
) -> np.ndarray:
    """Suggest a configuration; the same arguments give the same.

    Trials maximize the expected gain of area under the front, in the user's values. Every eighth one maximizes the
    expected improvement over the best value of the front instead, whatever it costs: near the cap there is little area
    left to gain, and the dear end is what most users are after. Both are weighed by the probabilities to cost less than
    the cap and not to fail, and by the distance from the front.

    Args:
        history: What the study has shown.
        seed: Of the study.
        number: Of the trial.
        cap: What a trial may cost.
        cost_of: The cost of a configuration, where it is known.
        settings: Settings.

    Returns:
        A point of the space, shape (d,).
    """
    settings = settings or Settings()
    space, rng = history.space, np.random.default_rng([seed, number])
    radius = settings.radius * math.sqrt(max(1.0, len(space) / 3))
    near = Neighbourhood(space, radius)
    levels = [
        high - low + 1 for (low, high), kind in zip(space.bounds, space.categorical, strict=True) if kind
    ]
    if len(history.points) < max([settings.starts, *levels]):
        return start(history, near, number, rng)
    beliefs = Surrogates.of(history, rng, cap=cap, cost_of=cost_of)
    view = _View.of(beliefs, cap)
    dear = number % settings.dear_every == settings.dear_every - 1

    def promise(points: np.ndarray) -> np.ndarray:
        away = np.sqrt(((points[:, None] - view.origins[None]) ** 2).sum(-1)).min(1)
        return view.promise(points, dear=dear) - 0.5 * settings.prior * (away / radius) ** 2

    count = settings.candidates * len(space)
    points = np.concatenate([near.draw(view.origins, count, rng, stride=s) for s in settings.strides])
    points = _untried(points, history)
    if not len(points):  # a space of few configurations, all of them tried
        return most_at_stake(beliefs, history, end=view.end)[0]
    promises = promise(points)
    for stride in _POLISH_STRIDES:
        best = points[np.argsort(-promises, kind="stable")[:_POLISHED]]
        more = _untried(near.draw(best, count // 4, rng, stride=stride), history)
        points, promises = np.r_[points, more], np.r_[promises, promise(more)]
    chosen = points[int(np.argmax(promises))]
    if number % settings.repeat_every == settings.repeat_every - 1:
        again, stake = most_at_stake(beliefs, history, end=view.end)
        if stake > view.gain(chosen):
            return again
    return chosen


@dataclass(frozen=True)
class _View:
    """The front as the search sees it."""

    beliefs: Surrogates
    cap: float | None
    origins: np.ndarray
    staircase: Staircase
    end: float

    @classmethod
    def of(cls, beliefs: Surrogates, cap: float | None) -> _View:
        groups = beliefs.groups
        front = groups.front()
        log_costs = np.log10(groups.costs)
        every, every_cost = groups.points, log_costs
        if len(beliefs.waiting):
            every = np.r_[every, beliefs.waiting]
            every_cost = np.r_[every_cost, beliefs.log_cost(beliefs.waiting)[0]]
        believed, _ = beliefs.value.predict(every)
        # Without a cap there is always more to be bought: a decade counts.
        end = float(log_costs.max()) + 1.0 if cap is None else math.log10(cap)
        return cls(
            beliefs,
            cap,
            groups.points[front],
            Staircase.of(every_cost, believed),
            end,
        )

    def gain(self, point: np.ndarray) -> float:
        """Return the logarithm of the area that a configuration is expected to gain, if it ends well."""
        mean, variance = self.beliefs.value.predict(point[None])
        return float(self._area(mean, variance, self.beliefs.log_cost(point[None])[0])[0])

    def promise(self, points: np.ndarray, *, dear: bool) -> np.ndarray:
        """Return what configurations promise, in logarithms, and that they end well, below the cap.

        Args:
            points: Shape (m, d).
            dear: Whether the best value of all is to be improved on, and not the area.
        """
        mean, variance = self.beliefs.value.predict(points)
        log_costs, uncertain = self.beliefs.log_cost(points)
        if dear:
            promised = log_expected_improvement(mean, variance, float(self.staircase.values[-1]))
        else:
            promised = self._area(mean, variance, log_costs)
        if self.cap is not None:
            promised = promised + log_probability_below(log_costs, uncertain, math.log10(self.cap))
        return promised + self.beliefs.log_success(points)

    def _area(self, mean: np.ndarray, variance: np.ndarray, log_costs: np.ndarray) -> np.ndarray:
        beliefs = self.beliefs
        return log_expected_gain(
            mean,
            variance,
            log_costs,
            self.staircase,
            worst=beliefs.worst,
            end=self.end,
            steepness=beliefs.scaling.steepness,
        )


def _untried(points: np.ndarray, history: History) -> np.ndarray:
    """Return the points that are not those of trials: these are repeated on purpose only."""
    tried = [history.points, history.waiting, *(f.point[None] for f in history.failures)]
    known = {tuple(p) for p in np.round(np.concatenate(tried), 9) + 0.0}
    return points[[tuple(p) not in known for p in np.round(points, 9) + 0.0]] if len(points) else points
