"""Scaling laws read off the surrogate: where its mean is best at each of several costs, and the line through that."""

from __future__ import annotations

import numpy as np
import torch

from similitude.core.seeding import numpy_generator
from similitude.tuning.laws.cost import CostModel
from similitude.tuning.laws.data import LawData
from similitude.tuning.laws.frontier import fit_frontier
from similitude.tuning.laws.paths import Paths, cost_levels, lines
from similitude.tuning.search.gaussian_process import GaussianProcess
from similitude.tuning.search.outputs import Scaling

CANDIDATES = 400
"""Configurations of each cost that are compared, in each of three rounds that draw closer to the best."""

RADII = (None, 0.4, 0.15)
"""Steps about the best candidate of a cost within which a round draws; the first draws between the trials."""

MOST_TRIALS = 400
"""Of more trials those nearest to the front are taken, because the time goes with their third power."""


WIDENING = 2.0
"""A smooth mean is biased where trials are few, and resamples share that bias: intervals that are twice as wide as the
resamples cover what they should (measured on problems with a known law, experiments/LOG.md)."""


class Surrogate:
    """A Gaussian process of the losses whose observations can be weighted anew without fitting its parameters again."""

    def __init__(self, data: LawData) -> None:
        self._data = data
        self._scaling = Scaling.of(-data.values)
        self._middle = np.median(data.coordinates, axis=0)
        self._inputs = self.inputs(data.coordinates, data.levels)
        self._values = self._scaling(-data.values)
        categorical = np.r_[np.zeros(len(data.axes), bool), np.ones(len(data.choices), bool)]
        self.process = GaussianProcess.fit(self._inputs, self._values, categorical=categorical)
        self._own = self.covariance(self._inputs)

    def inputs(self, coordinates: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return coordinates in steps from the middle, followed by the levels of choices."""
        return np.concatenate([(coordinates - self._middle) / self._data.steps, levels], 1)

    def covariance(self, inputs: np.ndarray) -> np.ndarray:
        """Return the prior covariance of some inputs with the trials; shape (m, n)."""
        return self.process.covariance(torch.as_tensor(inputs), torch.as_tensor(self._inputs)).numpy()

    def mean(self, covariance: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Return the posterior mean, larger is better, given each trial `counts` times, shape (n,); shape (m,)."""
        drawn = counts > 0
        noise = self.process.noise / counts[drawn] + 1e-6
        weights = np.linalg.solve(self._own[np.ix_(drawn, drawn)] + np.diag(noise), self._values[drawn])
        return covariance[:, drawn] @ weights

    def losses(self, mean: np.ndarray) -> np.ndarray:
        """Return the losses that means stand for."""
        return -self._scaling.back(mean)


def surrogate_paths(
    data: LawData, counts: np.ndarray, cost: CostModel, *, seed: int
) -> tuple[Paths, np.ndarray]:
    """Follow the best mean of a Gaussian process along the cost, in every resample.

    Args:
        data: The trials.
        counts: How often each is in each resample, shape (b, n), the first row ones.
        cost: What configurations cost.
        seed: Of the candidates.

    Returns:
        The lines, and the predictions of every trial in each resample, shape (b, n).
    """
    near = _nearest(data)
    few = data.subset(near)
    surrogate = Surrogate(few)
    levels = cost_levels(data)
    generator = numpy_generator(seed, "candidates")
    resampled = np.maximum(counts[:, near], 0)
    everything = [_candidates(few, cost, level, surrogate, generator) for level in levels]
    optima = np.empty((len(counts), len(levels), len(data.axes)))
    losses = np.empty((len(counts), len(levels)))
    votes = [np.zeros((len(counts), len(values))) for _, values in data.choices]
    rows = surrogate.covariance(surrogate.inputs(data.coordinates, data.levels))
    predictions = np.empty_like(counts, float)
    covariances = [surrogate.covariance(surrogate.inputs(*found)) for found in everything]
    stacked = np.concatenate([*covariances, rows])
    ends = np.cumsum([len(c) for c in covariances])
    for b, drawn in enumerate(resampled):
        means = np.split(surrogate.mean(stacked, drawn), ends)
        predictions[b] = surrogate.losses(means.pop())
        for place, (mean, (coordinates, chosen)) in enumerate(zip(means, everything, strict=True)):
            weights = _softmax(mean, surrogate.process.noise)
            optima[b, place] = weights @ coordinates
            losses[b, place] = surrogate.losses(mean.max(keepdims=True))[0]
            for h, table in enumerate(votes):
                table[b] += np.bincount(np.maximum(chosen[:, h], 0), weights, table.shape[1])
    reference = float(levels.mean())
    middles, slopes = lines(levels - reference, optima)
    slopes[1:] += _scatter(levels - reference, optima[0]) * generator.standard_normal(slopes[1:].shape)
    floor, amplitude, power = fit_frontier(
        levels - reference, losses, np.ones_like(losses), floored=data.floored
    )
    chosen = np.stack([table.argmax(1) for table in votes], 1) if votes else np.zeros((len(counts), 0), int)
    return Paths(reference, middles, slopes, floor, amplitude, power, chosen, WIDENING), predictions


def _scatter(levels: np.ndarray, optima: np.ndarray) -> np.ndarray:
    """Return the standard errors of slopes by how far optima (l, d) are off their line; shape (d,)."""
    middles, slopes = lines(levels, optima[None])
    left = optima - middles[0] - levels[:, None] * slopes[0]
    return np.sqrt((left**2).sum(0) / (len(levels) - 2) / (levels**2).sum())


def _softmax(mean: np.ndarray, noise: float) -> np.ndarray:
    """Weight candidates that are within the noise of the best one: their middle moves less by chance than the best."""
    weights = np.exp((mean - mean.max()) / max(0.3 * float(np.sqrt(noise)), 1e-3))
    return weights / weights.sum()


def _nearest(data: LawData) -> np.ndarray:
    """Return which trials are closest to the front, `MOST_TRIALS` at most; bool, shape (n,)."""
    order = np.argsort(data.log_costs, kind="stable")
    excess = np.empty(len(data))
    excess[order] = data.values[order] - np.minimum.accumulate(data.values[order])
    kept = np.zeros(len(data), bool)
    kept[np.argsort(excess, kind="stable")[:MOST_TRIALS]] = True
    return kept


def _candidates(
    data: LawData, cost: CostModel, level: float, surrogate: Surrogate, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw configurations of one cost, first between the trials, then ever closer to the best of them.

    Returns:
        Coordinates, shape (m, d), and levels of choices, shape (m, h).
    """
    low, high = data.coordinates.min(0), data.coordinates.max(0)
    ones = np.ones(len(data))
    found, chosen = np.empty((0, len(data.axes))), np.empty((0, len(data.choices)), int)
    for radius in RADII:
        i, j = generator.integers(len(data), size=(2, CANDIDATES))
        noise = generator.standard_normal((CANDIDATES, len(data.axes))) * data.steps
        if radius is None or not len(found):
            drawn = data.coordinates[i] + generator.random((CANDIDATES, 1)) * (
                data.coordinates[j] - data.coordinates[i]
            )
            drawn = drawn + 0.1 * noise
        else:
            mean = surrogate.mean(surrogate.covariance(surrogate.inputs(found, chosen)), ones)
            drawn = _softmax(mean, surrogate.process.noise) @ found + radius * noise
        levels = data.levels[j]
        drawn = _paid(np.clip(drawn, low, high), levels, cost, level, data.steps)
        inside = ((drawn >= low - 0.1 * data.steps) & (drawn <= high + 0.1 * data.steps)).all(1)
        found, chosen = np.concatenate([found, drawn[inside]]), np.concatenate([chosen, levels[inside]])
    if not len(found):  # nothing of this cost lies between the trials: the trial of nearest cost, moved there
        nearest = np.argsort(np.abs(data.log_costs - level))[:1]
        chosen = data.levels[nearest]
        found = _paid(data.coordinates[nearest], chosen, cost, level, data.steps)
    return found, chosen


def _paid(
    coordinates: np.ndarray, levels: np.ndarray, cost: CostModel, level: float, steps: np.ndarray
) -> np.ndarray:
    """Move configurations to a cost, the shortest way in steps."""
    slopes = cost.slopes[0] * steps
    if not slopes.any():
        return coordinates
    paid = cost.offset[0] + coordinates @ cost.slopes[0]
    for h, table in enumerate(cost.levels):
        paid = paid + table[0, np.maximum(levels[:, h], 0)]
    return coordinates + ((level - paid) / (slopes @ slopes))[:, None] * slopes * steps
