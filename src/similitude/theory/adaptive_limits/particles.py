"""The maximal update limit of a shallow perceptron under entrywise optimizers: particles in place of units, which move
(paper 14, Section 2.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import derive
from similitude.scaling.trial import OptimizerLike
from similitude.theory.adaptive_limits.comparison import LimitComparison, compare_widths
from similitude.theory.adaptive_limits.entrywise import Entrywise, State, entrywise
from similitude.theory.adaptive_limits.kets import BLOCKS, slope, sobol_normal
from similitude.theory.adaptive_limits.perceptron import Make, Perceptron, read_perceptron
from similitude.theory.adaptive_limits.records import (
    Chi,
    LimitRun,
    check_finite,
    errors_of,
    given_task,
    relative_change,
    residual,
)
from similitude.theory.finite_width.given import number, whole

PARTICLES = 2**16
"""Particles in all blocks together."""


@dataclass(frozen=True, eq=False)
class FeatureLimit:
    """A shallow perceptron of infinite width in muP: f = E[v phi(u x)], u and v as they move. Made by `feature_limit`.

    Attributes:
        net: The perceptron as it was read.
        optimizer: The entrywise optimizer.
        particles: Number of particles.
        seed: Of their start.
    """

    net: Perceptron
    optimizer: Entrywise
    particles: int
    seed: int

    @cites(14, "Theorem 2.5.2: training in the maximal update limit")
    def trajectory(
        self,
        inputs: ArrayLike | Tensor,
        targets: ArrayLike | Tensor,
        *,
        steps: int,
        lr: float,
        chi: Chi = residual,
    ) -> LimitRun:
        """Train the infinitely wide network, all inputs in every batch. Its outputs start at 0.

        Args:
            inputs: Shape (M, features).
            targets: Shape (M,).
            steps: Number of steps.
            lr: Learning rate, times n^-c of each layer in a network of n units.
            chi: dLoss / df of outputs and targets; f - y by default, of half the squared distance.

        Returns:
            Means over independent blocks of particles, and the standard error.

        Raises:
            TheoryError: The arguments do not fit, or training diverges.
        """
        x, y = given_task(inputs, targets, self.net.features)
        u, v = self._start()
        count, rate = whole("steps", steps), number("lr", lr, above=True)
        states: tuple[State, State] = ((), ())
        first, outputs = self._kernel(u, x), []
        for step in range(count + 1):
            h = u @ x.T
            features = self.net.activations[0].phi(h)
            outputs.append((v @ features)[:, 0] / features.shape[1])
            check_finite(outputs[-1], step, rate)
            if step == count:
                break
            errors = errors_of(chi, outputs[-1], y)[:, None]
            gradients = (
                (v.transpose(1, 2) * slope(self.net.activations[0], h) * errors) @ x,
                features @ errors.mT,
            )
            moved = [self.optimizer.step(g, s) for g, s in zip(gradients, states, strict=True)]
            states = (moved[0][1], moved[1][1])
            u, v = u - rate * moved[0][0], v - rate * moved[1][0].mT
        blocks = torch.stack(outputs, 1)
        error = blocks.std(0) / BLOCKS**0.5
        change = relative_change(first, self._kernel(u, x))
        check_finite(torch.stack([error.max(), change]), count, rate)
        return LimitRun(blocks.mean(0), float(error.max()), float(change))

    def compare(
        self,
        inputs: ArrayLike | Tensor,
        targets: ArrayLike | Tensor,
        *,
        widths: Sequence[int],
        steps: int,
        lr: float,
        seeds: int = 8,
        chi: Chi = residual,
    ) -> LimitComparison:
        """Train real networks in muP beside the limit, from random outputs of the order of n^-1/2.

        Args:
            inputs: Shape (M, features).
            targets: Shape (M,).
            widths: Widths, two different ones at least for a verdict.
            steps: Number of steps.
            lr: Learning rate.
            seeds: Networks of every width, trained as one batched program.
            chi: dLoss / df of outputs and targets.

        Raises:
            TheoryError: The arguments do not fit, or training diverges.
        """
        task = given_task(inputs, targets, self.net.features)
        found = self.trajectory(*task, steps=steps, lr=lr, chi=chi)
        return compare_widths(
            self.net,
            self.optimizer,
            "mup",
            task,
            lambda _: found,
            widths=widths,
            seeds=seeds,
            steps=steps,
            lr=lr,
            chi=chi,
        )

    def _start(self) -> tuple[Tensor, Tensor]:
        """Return u, shape (blocks, particles, features), and v, (blocks, 1, particles), in pairs (u, v) and (u, -v)."""
        half = self.particles // (2 * BLOCKS)
        drawn = torch.stack(
            [
                sobol_normal(self.net.features + 1, half, seed=derive(self.seed, "particles", block))
                for block in range(BLOCKS)
            ]
        )
        u, v = drawn[..., :-1], drawn[..., -1]
        return torch.cat([u, u], 1), torch.cat([v, -v], 1)[:, None]

    def _kernel(self, u: Tensor, x: Tensor) -> Tensor:
        features = self.net.activations[0].phi(u @ x.T)
        return (features.mT @ features).mean(0)


@cites(14, "Section 2.5: the maximal update limit of adaptive optimizers")
def feature_limit(
    make: Make,
    *,
    optimizer: str | Entrywise | OptimizerLike = "adam",
    particles: int = PARTICLES,
    seed: int = 0,
) -> FeatureLimit:
    """Return the infinitely wide shallow perceptron that learns features, under Adam or the like.

    Particles are evenly spread Sobol points that move as units do: far fewer are needed than random units.

    Args:
        make: Returns the module of a width, with one hidden layer; read as by `nonlinear_kernel`.
        optimizer: See `sim.theory.entrywise`.
        particles: Their number.
        seed: Of their start.

    Raises:
        TheoryError: The module is no perceptron of one hidden layer, or the optimizer not entrywise.

    Example:
        >>> from torch import nn
        >>> def make(width):
        ...     first, last = nn.Linear(2, width, bias=False), nn.Linear(width, 1, bias=False)
        ...     return nn.Sequential(first, nn.Tanh(), last)
        >>> limit = feature_limit(make, optimizer="sgd", particles=2**10)
        >>> run = limit.trajectory([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], steps=3, lr=0.5)
        >>> run.outputs[0].abs().max() < 1e-12, run.outputs[-1, 0] > 0.1
        (tensor(True), tensor(True))

    Source: paper 14 (arXiv 2308.01814), Section 2.5.

    Cost: particles x M x features a step.
    """
    net = read_perceptron(make)
    if net.hidden_layers > 1:
        raise TheoryError(
            f"the network has {net.hidden_layers} hidden layers ({', '.join(net.names)}): between them the limit in "
            "muP needs operators that no draws stand for, and is not computed here. Pass one hidden layer; of deep "
            "ones train wide networks (rule='mup'), or take nonlinear_kernel, their neural tangent limit."
        )
    return FeatureLimit(net, entrywise(optimizer), whole("particles", particles, least=2 * BLOCKS), seed)
