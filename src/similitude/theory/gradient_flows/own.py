"""Problems of one's own: any utility and cost, or any two-layer network on data, differentiated by torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.gradient_flows.problem import Problem
from similitude.theory.ridge.arrays import array

Array = np.ndarray
_AGREE = 1e-6  # relative difference of two ways to the same number that is rounding


class OwnProblem(Problem):
    """Neurons of which utility and cost are functions of torch. Made by `own_problem` and `two_layer_problem`."""

    def __init__(
        self,
        utility: Callable[[Tensor, Tensor], Tensor],
        cost: Callable[[Tensor], Tensor],
        *,
        start: Array,
        degree: float,
        names: Sequence[str],
    ) -> None:
        size = float(np.linalg.norm(start, axis=1).max()) if start.ndim == 2 and start.any() else 0.5
        if size >= 1:
            raise TheoryError(
                f"a neuron starts with norm {size:.3g}: staircases are those of small initializations. Start at "
                f"{0.01 / size:.1g} times that, or less."
            )
        super().__init__(start, degree=degree, names=names, small=size)
        self._utility, self._cost = utility, cost

    def loss(self, neurons: Array) -> float:
        """Return the cost of these neurons."""
        with torch.no_grad():
            return float(self._cost(torch.from_numpy(neurons)))

    def push(self, neurons: Array, active: Array) -> Array:
        """Return the gradient of each neuron's utility by autograd."""
        with torch.enable_grad():
            at = torch.from_numpy(neurons).requires_grad_()
            total = self._utility(at, torch.from_numpy(active)).sum()
            (gradient,) = torch.autograd.grad(total, at)
        return gradient.numpy()

    def features(self, neurons: Array) -> Array:
        """Return the norm of each neuron, shape (H,)."""
        return np.linalg.norm(neurons, axis=1)


@cites(4, "Algorithm 1, for any utility and cost")
def own_problem(
    utility: Callable[[Tensor, Tensor], Tensor],
    cost: Callable[[Tensor], Tensor],
    *,
    start: ArrayLike | Tensor,
    degree: float,
    names: Sequence[str] | None = None,
) -> OwnProblem:
    """Describe a problem by its utility and its cost.

    Both get all neurons as rows of float64 and must not mix rows but through the residual; a row of zeros is a neuron
    that is not there. Minus the gradient of the cost must be that of the utility at the active neurons, which is so for
    any loss of a sum of neurons; this and the degree are checked at a random point.

    Args:
        utility: From neurons (H, P) and active neurons (H, P) to U(theta_i; r), shape (H,).
        cost: From active neurons (H, P) to the loss, a scalar.
        start: Parameters at a small initialization, shape (H, P).
        degree: Degree of homogeneity of every neuron, at least 2.
        names: Names of the neurons, for what is learned.

    Raises:
        TheoryError: The functions contradict each other or the degree, or do not return what they should.

    Example:
        One product of two weights that fits the number 3.

        >>> problem = own_problem(
        ...     lambda n, active: n.prod(1) * (3 - active.prod(1).sum()), lambda n: (3 - n.prod(1).sum()) ** 2 / 2,
        ...     start=[[1e-6, 2e-6]], degree=2,
        ... )
        >>> problem.loss(np.zeros((1, 2))), problem.push(np.ones((1, 2)), np.zeros((1, 2))).tolist()
        (4.5, [[3.0, 3.0]])
    """
    at = array(start, "start")
    rows = len(at) if at.ndim == 2 else 0
    named = [f"neuron {i}" for i in range(rows)] if names is None else list(names)
    if len(named) != rows:
        raise TheoryError(f"{len(named)} names for {rows} neurons. Pass one per neuron.")
    problem = OwnProblem(utility, cost, start=at, degree=degree, names=named)
    _check(problem)
    return problem


def two_layer_problem(
    neuron: Callable[[Tensor, Tensor], Tensor],
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    start: ArrayLike | Tensor,
    degree: float,
) -> OwnProblem:
    """Describe least squares by a network of neurons of one's own: the loss is E |y - sum_i f_i(x)|^2 / 2.

    Args:
        neuron: From neurons (H, P) and inputs (n, ...) to the outputs of each neuron, shape (H, n) or (H, n, c).
        X: Inputs, shape (n, ...).
        y: Targets, shape (n,) or (n, c).
        start: Parameters at a small initialization, shape (H, P).
        degree: Degree of homogeneity of a neuron: 2 for ReLU, 3 for quadratic neurons.

    Raises:
        TheoryError: A shape does not fit, or the neuron has another degree.

    Example:
        >>> relu = lambda n, x: n[:, :1] * torch.relu(n[:, 1:] @ x.T)
        >>> problem = two_layer_problem(relu, np.eye(2), [1.0, -1.0], start=1e-3 * np.ones((3, 3)), degree=2)
        >>> problem.loss(np.zeros((3, 3)))
        0.5
    """
    inputs, targets = torch.from_numpy(array(X, "X")), torch.from_numpy(array(y, "y"))
    at = array(start, "start")
    if at.ndim == 2 and at.size:
        shape = tuple(neuron(torch.from_numpy(at), inputs).shape)
        if shape != (len(at), *targets.shape):
            raise TheoryError(
                f"neuron returns shape {shape} for {len(at)} neurons, and y has shape {tuple(targets.shape)}. Return "
                f"{(len(at), *targets.shape)}: one output per neuron and sample."
            )

    def residual(active: Tensor) -> Tensor:
        return targets - neuron(active, inputs).sum(0)

    def utility(neurons: Tensor, active: Tensor) -> Tensor:
        return (neuron(neurons, inputs) * residual(active)).flatten(1).sum(1) / len(inputs)

    def cost(active: Tensor) -> Tensor:
        return residual(active).square().sum() / (2 * len(inputs))

    return own_problem(utility, cost, start=at, degree=degree)


def _check(problem: OwnProblem) -> None:
    """Compare utility, cost and degree with each other at a random point.

    Raises:
        TheoryError: They disagree.
    """
    at = np.random.default_rng(0).standard_normal(problem.start.shape)
    with torch.no_grad():
        here, twice = (problem._utility(torch.from_numpy(c * at), torch.from_numpy(at)) for c in (1.0, 2.0))
    if tuple(here.shape) != (len(at),):
        raise TheoryError(
            f"utility returns shape {tuple(here.shape)} for {len(at)} neurons. Return one number per neuron."
        )
    size = float(here.abs().max())
    if (
        not np.isfinite(size)
        or float((twice - 2**problem.degree * here).abs().max()) > _AGREE * 2**problem.degree * size
    ):
        raise TheoryError(
            f"the utility of neurons twice as large is {float(twice.sum() / here.sum()):.4g} times as large, and of "
            f"degree {problem.degree:g} it would be {2**problem.degree:g} times. Correct the degree, or leave biases out."
        )
    neurons = torch.from_numpy(at).requires_grad_()
    with torch.enable_grad():
        loss = problem._cost(neurons)
        if loss.shape != ():
            raise TheoryError(f"cost returns shape {tuple(loss.shape)}. Return a scalar.")
        (gradient,) = torch.autograd.grad(loss, neurons)
    push = problem.push(at, at)
    off = float(np.abs(gradient.numpy() + push).max())
    if off > _AGREE * float(np.abs(push).max()):
        raise TheoryError(
            f"utility and cost contradict each other: minus the gradient of the cost differs from that of the utility by "
            f"up to {off:.3g}, the largest is {np.abs(push).max():.3g}. The utility is the neuron's share in what lowers "
            "the cost to first order."
        )
