"""CARBS as its authors published it (paper 10), flaws included: the search of `CarbsSampler(compat="carbs")`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, ndtr, ndtri

from similitude.core.citation import cites
from similitude.core.errors import TuningError
from similitude.core.seeding import numpy_generator
from similitude.tuning.original.front import Group, front, group, same
from similitude.tuning.original.surrogate import OriginalProcess, drawn_noise
from similitude.tuning.space.dimensions import Linear, Log, Logit, Number
from similitude.tuning.space.space import Space
from similitude.tuning.trials.history import History

RADIUS = 0.3
RANDOM_TRIALS = 4
RANDOM_DRAWS, ATTEMPTS = 32, 8
RESAMPLE_EVERY = 5
CANDIDATES_PER_DIMENSION = 100
MOST_OVERSAMPLING = 64
EXPLORATION = 1.0
MARGIN_OF_INTEGERS = 0.1
LEAST_SHARE = 1e-7
"""Ranks of the best and the worst trial are taken to be this far from 1 and 0, which makes 5.2 standard deviations."""


@dataclass(frozen=True)
class Basic:
    """The coordinates of the published search: transformed values over their scale, so that 0 depends on the units.

    Attributes:
        space: The space.
        anchors: Coordinates of the centre, shape (d,).
        low: Lower bounds, themselves outside, shape (d,).
        high: Upper bounds, likewise.
    """

    space: Space
    anchors: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, space: Space) -> Basic:
        """Return the coordinates of a space.

        Raises:
            TuningError: A dimension is no number, or is not always there.
        """
        numbers = _numbers(space)
        anchors = np.array([_basic(dim, dim.center) for dim in numbers])
        bounds = np.array([_bounds(dim) for dim in numbers])
        return cls(space, anchors, bounds[:, 0], bounds[:, 1])

    def rounded(self, x: np.ndarray) -> np.ndarray:
        """Return points with their integers rounded, without bounds; shape (n, d) as `x`."""
        x = x.copy()
        for j, dim in enumerate(_numbers(self.space)):
            if dim.integer:
                x[:, j] = _rounded(dim, x[:, j])
        return x

    def inside(self, x: np.ndarray) -> np.ndarray:
        """Return which points are within all bounds, shape (n,)."""
        return np.asarray(((x > self.low) & (x < self.high)).all(1))


@cites(10, "Algorithm 1")
def suggest_original(history: History, *, seed: int, number: int, cap: float | None = None) -> np.ndarray:
    """Return what the published search tries next, as a point of `history.space` in units; shape (d,).

    Four random trials around the centre; then, every fifth trial, one more of the frontier's configuration that has been
    tried least; otherwise that candidate of the frontier's neighbourhood which has the largest product of expected
    improvement over the frontier at its cost, nearness to it, and probability of success. Trials that are being run count
    with a drawn value each.

    Where the published search would raise an error, this one does not: see `front`, and what is drawn in place of
    candidates that are all out of bounds.

    Args:
        history: The trials so far.
        seed: Seed of the study.
        number: Number of the trial.
        cap: Largest predicted cost of a candidate; if all are dearer, one is drawn at random, as published.

    Raises:
        TuningError: A dimension is no number, or is not always there.

    Source: paper 10, Section 3; hyperparameters as in the authors' code.
    """
    noise = drawn_noise(numpy_generator(seed, "carbs", "noise"))
    return _Search(history, numpy_generator(seed, "carbs", number), cap, noise).next()


class _Search:
    """One suggestion."""

    def __init__(self, history: History, rng: np.random.Generator, cap: float | None, noise: float) -> None:
        self.history, self.rng, self.cap, self.noise = history, rng, cap, noise
        self.basic = Basic.of(history.space)
        anchors = self.basic.anchors
        self.x, self.signed, self.costs = history.points + anchors, history.signed, history.costs
        self.waiting = history.waiting + anchors
        self.failed = np.array([f.point for f in history.failures]).reshape(-1, len(anchors)) + anchors
        bounded = np.isfinite(self.basic.low) | np.isfinite(self.basic.high)
        outermost = np.array([isinstance(dim, Log | Logit) for dim in history.space.values()])
        self.oversampling = 2 ** (int((bounded | outermost).sum()) // 2)
        self.groups = group(self.x, self.signed, self.costs) if len(self.x) else []

    def next(self) -> np.ndarray:
        if len(self.x) < RANDOM_TRIALS:
            return self._at_random(self.basic.anchors[None])
        if len(self.x) > (self._repeats() + 1) * RESAMPLE_EVERY:
            return self._again()
        return self._candidate()

    def _repeats(self) -> int:
        """How many trials were of a configuration that had been tried before."""
        tried = np.r_[self.x, self.failed, self.waiting]
        return len(tried) - len(group(tried, np.zeros(len(tried)), np.ones(len(tried))))

    def _again(self) -> np.ndarray:
        """The configuration of the frontier with the fewest trials; the cheapest of several."""

        def trials(g: Group) -> int:
            return len(g.rows) + sum(same(w, self.x[g.rows[0]]) for w in self.waiting)

        return self.history.points[min(front(self.groups, self.costs, careful=False), key=trials).rows[0]]

    def _candidate(self) -> np.ndarray:
        log_costs = np.log(self.costs)
        low, span = log_costs.min(), np.ptp(log_costs) or 1.0
        targets, scaled = normal_ranks(self.signed), min_max(log_costs)
        like_values, like_front = self._kernels()
        values, cost = like_values.given(self.x, targets), like_values.given(self.x, scaled)
        if len(self.waiting):
            imagined = values.draw(self.waiting, self.rng)
            values = values.given(np.r_[self.x, self.waiting], np.r_[targets, imagined])
        failure = None
        if len(self.failed):
            labels = np.r_[-np.ones(len(self.x)), np.ones(len(self.failed))]
            failure = like_values.given(np.r_[self.x, self.failed], labels)
        groups = front(self.groups, self.costs, careful=True)
        rows = _rows(groups)
        reference = like_front.given(scaled[rows, None], targets[rows])
        ends = scaled[rows].min(), scaled[rows].max()

        def at_cost(c: np.ndarray) -> np.ndarray:
            return reference.predict(np.clip(c, *ends)[:, None])[0]

        origins = self.x[[g.rows[0] for g in groups]]
        x, nearness = self._around(origins, CANDIDATES_PER_DIMENSION * len(self.basic.anchors))
        if not len(x):
            return self._at_random(origins)
        mean, variance = values.predict(x)
        predicted = cost.predict(x)[0]
        cheapest, dearest = math.log(groups[0].cost), math.log(groups[-1].cost)
        dearest = min(dearest, math.log(self.cap)) if self.cap else dearest
        drawn = cheapest + (dearest - cheapest) * self.rng.random()
        least = at_cost(np.array([2 * (drawn - low) / span - 1]))[0]
        gain = expected_improvement(mean, variance, np.maximum(at_cost(predicted), least) + EXPLORATION)
        if failure is not None:
            m, v = failure.predict(x)
            with np.errstate(divide="ignore", invalid="ignore"):
                gain = gain * np.nan_to_num(
                    ndtr(-m / v)
                )  # the variance stands where its root should: as published
        if self.cap is not None:
            affordable = (predicted + 1) / 2 * span + low < math.log(self.cap)
            if not affordable.any():
                return self._at_random(origins)
            gain = gain * affordable
        return x[np.argmax(gain * nearness)] - self.basic.anchors

    def _kernels(self) -> tuple[OriginalProcess, OriginalProcess]:
        """The kernel of values, costs and failures, and that of the front, from the first trials that succeeded.

        The published code fits a model to each of them at every suggestion. But its library keeps what is fitted by name,
        and gives a new model the old parameters of its name: only the first fit of a process has an effect.
        """
        x, signed, costs = self.x[:RANDOM_TRIALS], self.signed[:RANDOM_TRIALS], self.costs[:RANDOM_TRIALS]
        targets = normal_ranks(signed)
        like_values = OriginalProcess.fit(x, targets, length=RADIUS, noise=self.noise)
        rows = _rows(front(group(x, signed, costs), costs, careful=True))
        at = min_max(np.log(costs))[rows, None]
        return like_values, OriginalProcess.fit(
            at, targets[rows], length=1.0, noise=like_values.noise, smooth=True, noise_fixed=True
        )

    def _around(self, origins: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """Points around the origins within bounds, and the density of their distance from the nearest."""
        drawn = self._drawn(origins, wanted * self.oversampling)
        distances = np.sqrt(((drawn[:, None] - origins[None]) ** 2).sum(2)).min(1)
        nearness = np.exp(-0.5 * (distances / RADIUS) ** 2)
        x = self.basic.rounded(drawn)
        inside = self.basic.inside(x)
        return x[inside][:wanted], nearness[inside][:wanted]

    def _at_random(self, origins: np.ndarray) -> np.ndarray:
        """A point around the origins, whatever it costs; the first of the origins where all are out of bounds."""
        for attempt in range(ATTEMPTS):
            times = min(self.oversampling * 2**attempt, MOST_OVERSAMPLING)
            x = self._drawn(origins, RANDOM_DRAWS * times)
            inside = self.basic.inside(x)
            if inside.any():
                return x[inside][0] - self.basic.anchors
        return origins[0] - self.basic.anchors

    def _drawn(self, origins: np.ndarray, n: int) -> np.ndarray:
        chosen = self.rng.integers(0, len(origins), n)
        return origins[chosen] + RADIUS * self.rng.standard_normal((n, origins.shape[1]))


def expected_improvement(mean: np.ndarray, variance: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the expected improvement of normal variables over a reference, 0 where there is no variance.

    Example:
        >>> expected_improvement(np.array([0.0]), np.array([1.0]), np.array([0.0])) * math.sqrt(2 * math.pi)
        array([1.])
    """
    sd = np.sqrt(np.maximum(variance, 1e-30))
    z = (mean - reference) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    with np.errstate(over="ignore", invalid="ignore"):
        below = density * (1 + z * erfcx(-z / math.sqrt(2)) * math.sqrt(math.pi / 2))
    return sd * np.where(z < 0, below, density + z * ndtr(z))


def normal_ranks(values: np.ndarray) -> np.ndarray:
    """Return normal scores of values by interpolation between their root-n quantiles, the ends pinned at 5.2; shape (n,).

    Example:
        >>> normal_ranks(np.array([1.0, 2.0, 3.0, 4.0])).round(2)
        array([-5.2 , -0.43,  0.43,  5.2 ])
    """
    shares = np.linspace(0, 1, int(math.sqrt(len(values))))
    quantiles = np.quantile(values, shares)
    up = np.interp(values, quantiles, shares)
    down = -np.interp(-values, -quantiles[::-1], -shares[::-1])
    ends = np.where(values == values.max(), 1.0, (up + down) / 2)
    return ndtri(np.clip(np.where(values == values.min(), 0.0, ends), LEAST_SHARE, 1 - LEAST_SHARE))


def min_max(values: np.ndarray) -> np.ndarray:
    """Return values scaled to the range from -1 to 1; all -1 where they are equal.

    Example:
        >>> min_max(np.array([1.0, 2.0, 5.0]))
        array([-1. , -0.5,  1. ])
    """
    return 2 * (values - values.min()) / (np.ptp(values) or 1.0) - 1


def _rows(groups: Sequence[Group]) -> np.ndarray:
    return np.concatenate([g.rows for g in groups]).astype(int)


def check_original(space: Space) -> None:
    """Refuse a space that the published algorithm cannot search.

    Args:
        space: What is searched.

    Raises:
        TuningError: A dimension is a choice, or is there only sometimes.
    """
    _numbers(space)


def _numbers(space: Space) -> list[Number]:
    numbers = []
    for name, dim in space.items():
        if not isinstance(dim, Number) or dim.when:
            kind = "is there only sometimes" if isinstance(dim, Number) else "is a choice"
            raise TuningError(
                f"{name} {kind}, and the published CARBS searches numbers that are always there. Leave "
                'compat="carbs" out for such a space.'
            )
        numbers.append(dim)
    return numbers


def _basic(dim: Number, value: float) -> float:
    """The coordinate of a value; infinite where the transform is."""
    if isinstance(dim, Linear):
        return value / dim._unit()
    odds = value / (1 - value) if isinstance(dim, Logit) else value
    return math.log10(odds) / dim._unit() if odds > 0 else -math.inf


def _bounds(dim: Number) -> tuple[float, float]:
    """Bounds; those of integers a little outside."""
    margin = MARGIN_OF_INTEGERS if dim.integer else 0.0
    return (
        -math.inf if dim.low is None else _basic(dim, dim.low - margin),
        math.inf if dim.high is None else _basic(dim, dim.high + margin),
    )


def _rounded(dim: Number, x: np.ndarray) -> np.ndarray:
    """The coordinates of the nearest integers, whether or not they are within bounds."""
    log = isinstance(dim, Log)
    with np.errstate(over="ignore", divide="ignore"):
        value = 10 ** (x * dim._unit()) if log else x * dim._unit()
        whole = np.round(value / dim.multiple_of) * dim.multiple_of
        return (np.log10(whole) if log else whole) / dim._unit()
