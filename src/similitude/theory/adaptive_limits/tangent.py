"""The neural tangent limit of entrywise optimizers: a kernel that is not linear in the errors (paper 14, Section 2.4)."""

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
from similitude.theory.adaptive_limits.entrywise import Entrywise, entrywise
from similitude.theory.adaptive_limits.kets import (
    BLOCKS,
    Kets,
    LinearKets,
    covariances,
    sampled_kets,
)
from similitude.theory.adaptive_limits.perceptron import Make, Perceptron, read_perceptron
from similitude.theory.adaptive_limits.records import (
    Chi,
    LimitRun,
    Update,
    check_finite,
    errors_of,
    given_inputs,
    given_numbers,
    given_task,
    residual,
)
from similitude.theory.finite_width.given import number, whole
from similitude.theory.ridge.arrays import array

SAMPLES = 2**16
"""Draws of the kets, where the optimizer is not linear."""


@dataclass(frozen=True, eq=False)
class NonlinearKernel:
    """K_Q of an infinitely wide perceptron: f_{t+1} = f_t - lr K_Q(chi_0, ..., chi_t). Made by `nonlinear_kernel`.

    Attributes:
        net: The perceptron as it was read.
        optimizer: The entrywise optimizer.
        samples: Draws of the kets.
        seed: Of the draws: the same in every call, so that kets stay frozen from step to step.
    """

    net: Perceptron
    optimizer: Entrywise
    samples: int
    seed: int

    def ntk(self, inputs: ArrayLike | Tensor) -> Tensor:
        """Return the tangent kernel, shape (M, M): what SGD has in place of K_Q.

        Args:
            inputs: Shape (M, features).

        Raises:
            TheoryError: The inputs do not fit.
        """
        return torch.from_numpy(covariances(self.net, given_inputs(inputs, self.net.features)).ntk)

    def start_covariance(self, inputs: ArrayLike | Tensor) -> Tensor:
        """Return the covariance of the Gaussian outputs at the start, shape (M, M).

        Args:
            inputs: Shape (M, features).

        Raises:
            TheoryError: The inputs do not fit.
        """
        return torch.from_numpy(covariances(self.net, given_inputs(inputs, self.net.features)).forward[-1])

    @cites(14, "Theorem 2.4.7: the neural tangent Q-operator")
    def update(self, inputs: ArrayLike | Tensor, history: ArrayLike | Tensor) -> Update:
        """Return K_Q(chi_0, ..., chi_t): how fast outputs fall in step t.

        Args:
            inputs: Shape (M, features).
            history: chi = dLoss / df of every step so far, shape (t + 1, M), or (M,) of the first.

        Raises:
            TheoryError: They do not fit.
        """
        x = given_inputs(inputs, self.net.features)
        rows = torch.atleast_2d(torch.from_numpy(array(history, "history")))
        if rows.ndim != 2 or rows.shape[1] != len(x):
            raise TheoryError(
                f"history has shape {tuple(rows.shape)}: pass one number for each of the {len(x)} inputs, step by step."
            )
        if not len(rows):
            raise TheoryError("history is empty: pass chi of one step at least.")
        kets = self._kets(x)
        steps = _Steps(self.optimizer, kets)
        return [steps(chi) for chi in rows][-1]

    @cites(14, "Theorem 2.4.9: training in the neural tangent limit")
    def trajectory(
        self,
        inputs: ArrayLike | Tensor,
        targets: ArrayLike | Tensor,
        *,
        steps: int,
        lr: float,
        start: ArrayLike | Tensor | None = None,
        chi: Chi = residual,
    ) -> LimitRun:
        """Train the infinitely wide network, all inputs in every batch.

        Args:
            inputs: Shape (M, features).
            targets: Shape (M,).
            steps: Number of steps.
            lr: Learning rate, times n^-c of each layer in a network of n units.
            start: Outputs at the start, shape (M,); 0 by default. Those of a network are drawn from
                `start_covariance`.
            chi: dLoss / df of outputs and targets; f - y by default, of half the squared distance.

        Raises:
            TheoryError: The arguments do not fit, or training diverges.
        """
        x, y = given_task(inputs, targets, self.net.features)
        f = torch.zeros_like(y) if start is None else given_numbers(start, "start", len(x))
        return self._train(self._kets(x), y, f, whole("steps", steps), number("lr", lr, above=True), chi)

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
        """Train real networks in the neural tangent parametrization beside the limit, each from its own outputs.

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

        Cost: one training of the limit per network, on draws that they share.
        """
        x, y = given_task(inputs, targets, self.net.features)
        kets, count, rate = self._kets(x), whole("steps", steps), number("lr", lr, above=True)

        def limit(start: Tensor) -> LimitRun:
            return self._train(kets, y, start, count, rate, chi)

        return compare_widths(
            self.net,
            self.optimizer,
            "ntp",
            (x, y),
            limit,
            widths=widths,
            seeds=seeds,
            steps=count,
            lr=rate,
            chi=chi,
        )

    def _kets(self, inputs: Tensor) -> Kets:
        found = covariances(self.net, inputs)
        if self.optimizer.linear:
            return LinearKets(torch.from_numpy(found.ntk))
        return sampled_kets(
            self.net, inputs, found, samples=self.samples, seed=derive(self.seed, "nonlinear kernel")
        )

    def _train(self, kets: Kets, y: Tensor, f: Tensor, steps: int, lr: float, chi: Chi) -> LimitRun:
        step, outputs, error = _Steps(self.optimizer, kets), [f], torch.zeros_like(f)
        for t in range(1, steps + 1):
            moved = step(errors_of(chi, outputs[-1], y))
            outputs.append(outputs[-1] - lr * moved.value)
            error = error + lr * moved.error
            check_finite(torch.stack([outputs[-1], error]), t, lr)
        return LimitRun(torch.stack(outputs), float(error.max()), 0.0)


@cites(14, "Section 2.4: the neural tangent limit of adaptive optimizers")
def nonlinear_kernel(
    make: Make,
    *,
    optimizer: str | Entrywise | OptimizerLike = "adam",
    samples: int = SAMPLES,
    seed: int = 0,
) -> NonlinearKernel:
    """Return what takes the place of the tangent kernel when a wide perceptron is trained by Adam or the like.

    Use it to predict how a wide network in the neural tangent parametrization trains: its outputs move as
    `update` says, and its features stay. Weights start as N(0, 1), first layer included; put another gain into the
    nonlinearity (2**0.5 * relu).

    Args:
        make: Returns the module of a width: linear layers without biases, entrywise nonlinearities, one output. It is
            read by what it computes. Its own initial values are not used.
        optimizer: See `sim.theory.entrywise`. eps is in units of the gradients times
            n^d of the parametrization: see `sim.theory.limit_groups`.
        samples: Draws of the kets, `BLOCKS` at least; of a linear optimizer (SGD) the kernel is exact.
        seed: Of the draws.

    Raises:
        TheoryError: The module is no perceptron, or the optimizer not entrywise; the text says why.

    Example:
        Of one input, a signed step has the same size whatever the error.

        >>> from torch import nn
        >>> def make(width):
        ...     first, last = nn.Linear(2, width, bias=False), nn.Linear(width, 1, bias=False)
        ...     return nn.Sequential(first, nn.Tanh(), last)
        >>> kernel = nonlinear_kernel(make, optimizer="sign", samples=2**12)
        >>> small, large = (float(kernel.update([[1.0, -0.5]], [chi]).value) for chi in (0.3, 2.5))
        >>> small == large
        True

    Source: paper 14 (arXiv 2308.01814), Section 2.4.
    """
    return NonlinearKernel(
        read_perceptron(make), entrywise(optimizer), whole("samples", samples, least=BLOCKS), seed
    )


class _Steps:
    """The optimizer on the kets' gradients: one state per layer, on draws that stay."""

    def __init__(self, rule: Entrywise, kets: Kets) -> None:
        self._rule, self._kets, self._states = rule, kets, None

    def __call__(self, chi: Tensor) -> Update:
        gradients = self._kets.gradients(chi)
        states = self._states or [()] * len(gradients)
        made = [self._rule.step(g, state) for g, state in zip(gradients, states, strict=True)]
        self._states = [state for _, state in made]
        blocks = self._kets.response([update for update, _ in made])
        several = len(blocks) > 1
        error = blocks.std(0) / len(blocks) ** 0.5 if several else torch.zeros_like(blocks[0])
        return Update(blocks.mean(0), error)
