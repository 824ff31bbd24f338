"""Real training in milliseconds to seconds: a network with one hidden layer on scikit-learn's digits."""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from similitude.tuning.problems.problem import Evaluation
from similitude.tuning.space.dimensions import Log, Logit
from similitude.tuning.space.space import Space

PIXELS, CLASSES, TRAIN, BATCH = 64, 10, 1200, 64
WORST_COUNTED = 3.0
FLOPS_PER_WEIGHT = 6


@dataclass(frozen=True)
class DigitsTraining:
    """Cross-entropy of a tanh network with one hidden layer on held-out digits, and the GFLOP that it was trained for.

    SGD with heavy-ball momentum at batch 64, drawn with replacement from 1,200 digits; the loss, at most 3, is over the
    other 597. Weights begin as N(0, 1/64) and N(0, 1/width). Everything is float64 on the CPU. The frontier is by
    brute force: a grid of 924 trainings, of which the best settings were trained with 6 seeds more, whose means it is
    (`scripts/bench tuning --remake-front`).
    """

    name = "digits"
    cap = 20.0
    worst = math.log(CLASSES)
    costs = (0.01, 20.0)

    @property
    def cheapest(self) -> float:
        """Cost of the cheapest trial."""
        return gigaflops(4, 10)

    @property
    def space(self) -> Space:
        """Learning rate, momentum, width and steps."""
        return Space(
            lr=Log(1e-2, low=1e-4, high=10.0, role="transfer"),
            momentum=Logit(0.5, low=0.05, high=0.995),
            width=Log(8, low=4, high=256, integer=True, role="scale"),
            steps=Log(30, low=10, high=3000, integer=True, role="scale"),
        )

    def evaluate(self, values: Mapping[str, Any], rng: np.random.Generator) -> Evaluation:
        """Train one network from weights and batches of `rng`."""
        width, steps = int(values["width"]), int(values["steps"])
        cost = gigaflops(width, steps)
        if cost > self.cap:
            return Evaluation.failed("cap", self.cap)
        lr, momentum = np.array([values["lr"]]), np.array([values["momentum"]])
        loss = float(train_digits(width, (steps,), lr, momentum, rng=rng)[0, 0])
        return (
            Evaluation(min(loss, WORST_COUNTED), cost)
            if math.isfinite(loss)
            else Evaluation.failed("diverged", cost)
        )

    def truth(self, values: Mapping[str, Any], measured: float) -> float:
        """Return what was measured: the expected loss of a configuration is not known."""
        return measured

    def front(self, cost: float) -> float:
        """Return the best value that brute force found at no more than some cost; `worst` below the cheapest."""
        return min((value for at, value in _frontier() if at <= cost), default=self.worst)


def gigaflops(width: int, steps: int) -> float:
    """Return what training costs: 6 FLOP per weight and image.

    Example:
        >>> gigaflops(8, 30)
        0.00681984
    """
    return steps * width * (PIXELS + CLASSES) * BATCH * FLOPS_PER_WEIGHT / 1e9


@functools.cache
def _frontier() -> tuple[tuple[float, float], ...]:
    """Cost and value of the frontier that brute force found."""
    with resources.files("similitude.tuning.problems").joinpath("digits_front.csv").open() as lines:
        return tuple((float(row["gflop"]), float(row["loss"])) for row in csv.DictReader(lines))


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    images, labels = np.asarray(bunch["data"], float), np.asarray(bunch["target"])
    order = np.random.default_rng(0).permutation(len(images))
    return images[order] / 16, labels[order]


def train_digits(
    width: int, stops: Sequence[int], lr: np.ndarray, momentum: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray:
    """Train k networks of one width side by side, from the same weights and batches, one per learning rate and momentum.

    Args:
        width: Units of the hidden layer.
        stops: Numbers of steps, ascending, after which losses are taken; nothing depends on how long training goes on.
        lr: Learning rates, shape (k,).
        momentum: Momenta, shape (k,).
        rng: Draws weights and batches.

    Returns:
        Mean cross-entropies in nats over the held-out digits, shape (stops, k); those of diverged networks are not
        finite.
    """
    images, labels = _digits()
    k = len(lr)
    rate, friction = lr[:, None, None], momentum[:, None, None]
    hidden = rng.standard_normal((PIXELS, width)) / math.sqrt(PIXELS)
    output = rng.standard_normal((width, CLASSES)) / math.sqrt(width)
    weights = [
        np.repeat(first[None], k, axis=0)
        for first in (hidden, np.zeros((1, width)), output, np.zeros((1, CLASSES)))
    ]
    velocities = [np.zeros_like(w) for w in weights]
    rows = np.arange(BATCH)
    losses = []
    with np.errstate(all="ignore"):  # diverged networks are told by their losses
        for step in range(1, stops[-1] + 1):
            chosen = rng.integers(0, TRAIN, BATCH)
            x = images[chosen]
            activations, p = _forward(x, weights)
            p[:, rows, labels[chosen]] -= 1
            p /= BATCH
            back = (p @ weights[2].transpose(0, 2, 1)) * (1 - activations * activations)
            gradients = (
                x.T @ back,
                back.sum(1, keepdims=True),
                activations.transpose(0, 2, 1) @ p,
                p.sum(1, keepdims=True),
            )
            for w, v, g in zip(weights, velocities, gradients, strict=True):
                v *= friction
                v -= rate * g
                w += v
            if step in stops:
                losses.append(_held_out(weights))
            if k == 1 and not np.isfinite(weights[2]).all():
                break
    return np.array(losses + [np.full(k, np.nan)] * (len(stops) - len(losses)))


def _forward(x: np.ndarray, weights: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Activations of the hidden layer and probabilities, shapes (k, images, width) and (k, images, classes)."""
    activations = np.tanh(x @ weights[0] + weights[1])
    p = activations @ weights[2] + weights[3]
    p -= p.max(2, keepdims=True)
    np.exp(p, out=p)
    p /= p.sum(2, keepdims=True)
    return activations, p


def _held_out(weights: Sequence[np.ndarray]) -> np.ndarray:
    images, labels = _digits()
    scores = np.tanh(images[TRAIN:] @ weights[0] + weights[1]) @ weights[2] + weights[3]
    top = scores.max(2, keepdims=True)
    total = np.log(np.exp(scores - top).sum(2)) + top[..., 0]
    return (total - scores[:, np.arange(len(labels) - TRAIN), labels[TRAIN:]]).mean(1)
