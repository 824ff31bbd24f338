"""Two-layer networks that take one gradient step on Gaussian inputs: what claims of paper 16 are measured on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from similitude.core.seeding import numpy_generator
from similitude.theory.one_step.network import TwoLayer
from similitude.theory.one_step.report import ridge_errors

Array = np.ndarray
Link = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Setting:
    """A problem to draw from.

    Attributes:
        phi: Activation of the network.
        link: The teacher: its labels are link(<x, beta>) with a direction beta that is drawn.
        dimension: Of the inputs.
        width: Neurons.
        n: Samples of the step, and again of the regression.
        noise: Variance of the labels' noise.
    """

    phi: Link
    link: Link
    dimension: int
    width: int
    n: int
    noise: float


@dataclass(frozen=True, eq=False)
class Drawn:
    """One draw of a setting.

    Attributes:
        setting: What it is of.
        net: The network before the step.
        change: What a step of eta = 1 adds to its weight, shape (width, dimension).
        beta: The teacher's direction.
        x: Inputs of the step.
        y: Labels of the step, their mean subtracted.
        rng: Where further draws come from.
    """

    setting: Setting
    net: TwoLayer
    change: Array
    beta: Array
    x: Array
    y: Array
    rng: np.random.Generator

    def after(self, eta: float) -> TwoLayer:
        """Return the network after a step of a given size: the gradient is that at the start, whatever the size."""
        return replace(self.net, weight=self.net.weight + eta * self.change)


def drawn(setting: Setting, seed: int) -> Drawn:
    """Draw a network, a teacher and samples, and take the step.

    Args:
        setting: What to draw from.
        seed: Of everything.
    """
    s = setting
    rng = numpy_generator(seed, "one step", s.dimension, s.width, s.n)
    beta = rng.standard_normal(s.dimension)
    beta /= np.linalg.norm(beta)
    x, y, _ = _samples(s, beta, s.n, rng)
    net = TwoLayer.random(s.phi, width=s.width, dimension=s.dimension, seed=seed)
    y = y - y.mean()
    return Drawn(s, net, net.step(x, y, eta=1.0).weight - net.weight, beta, x, y, rng)


def measured_risks(
    draw: Drawn, etas: Sequence[float], ridges: Sequence[float], *, tests: int = 3000
) -> Array:
    """Return risks of ridge regression on fresh samples after steps of several sizes, all on the same samples.

    Args:
        draw: The network and its step.
        etas: Sizes of the step.
        ridges: lambdas.
        tests: Samples whose noiseless labels the risk is measured on.

    Returns:
        Shape (etas, ridges).
    """
    s = draw.setting
    x, y, _ = _samples(s, draw.beta, s.n, draw.rng)
    test, _, truth = _samples(s, draw.beta, tests, draw.rng)
    found = []
    for eta in etas:
        net = draw.after(eta)
        found.append(ridge_errors(net.features(x), y, net.features(test), truth, ridges))
    return np.array(found)


def _samples(s: Setting, beta: Array, count: int, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return inputs, noisy labels and noiseless ones."""
    x = rng.standard_normal((count, s.dimension))
    truth = s.link(torch.from_numpy(x @ beta)).numpy()
    return x, truth + math.sqrt(s.noise) * rng.standard_normal(count), truth
