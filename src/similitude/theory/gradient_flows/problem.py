"""What alternating gradient flows run on: neurons of a two-layer network, the residual's push on each, and a loss."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.gradient_flows.staircase import Staircase
from similitude.theory.gradient_flows.trajectory import Trajectory, gradient_flow

Array = np.ndarray
_TINIEST = 1e-150


@cites(4, "Section 2: two-layer networks and their utility")
class Problem(ABC):
    """A two-layer network f = sum_i f_i(x; theta_i) of neurons that start small, and the loss that it is trained on.

    The one thing that gradient flow and alternating gradient flow differ in is what the residual is taken at. So a
    problem is its `push`: the gradient with respect to each neuron of its utility U(theta_i; r) = E <f_i, r> for the
    residual r that some `active` neurons leave. Gradient flow moves all neurons by push(neurons, neurons). Dormant
    neurons are moved by push(neurons, active), and U is <theta_i, push_i> / degree.

    Args:
        start: Parameters of all neurons at initialization, shape (H, P).
        degree: Degree of homogeneity of every f_i: f_i(x; c theta) = c^degree f_i(x; theta), at least 2.
        names: What can be learned, one name per number that `features` returns.
        small: Scale of the initialization alpha.

    Raises:
        TheoryError: The start is no table of finite numbers, a neuron starts at zero, or the degree is below 2.
    """

    def __init__(self, start: Array, *, degree: float, names: Sequence[str], small: float) -> None:
        if start.ndim != 2 or not start.size:
            raise TheoryError(
                f"start has shape {start.shape}. Pass one row of parameters per neuron, at least one."
            )
        if not (math.isfinite(degree) and degree >= 2):
            raise TheoryError(
                f"degree={degree}: below 2 neurons leave the origin at once, and there is no plateau to predict. A "
                "neuron of L layers without biases and with ReLU or linear activations has degree L."
            )
        _check_neurons(start)
        self.start, self.degree, self.names, self.small = (
            start,
            float(degree),
            tuple(names),
            small_scale(small),
        )

    @property
    def clock(self) -> float:
        """Time in which what happens at the vanishing initialization: log(1 / alpha) for degree 2, else 1."""
        return -math.log(self.small) if self.degree == 2 else 1.0

    @abstractmethod
    def loss(self, neurons: Array) -> float:
        """Return the loss of the network of these neurons, shape (H, P); a row of zeros is a neuron that is not there."""

    @abstractmethod
    def push(self, neurons: Array, active: Array) -> Array:
        """Return the gradient of the utility of every neuron, for the residual that the active ones leave, shape (H, P).

        Args:
            neurons: Where the gradient is taken, shape (H, P).
            active: The network that leaves the residual, shape (H, P), rows of zeros for neurons that are dormant.
        """

    @abstractmethod
    def features(self, neurons: Array) -> Array:
        """Return how much of each feature the network has learned, shape (features,)."""

    def utility(self, neurons: Array, active: Array) -> Array:
        """Return U(theta_i; r) of every neuron, shape (H,): Euler's theorem on the push."""
        return (neurons * self.push(neurons, active)).sum(1) / self.degree

    def limit(self) -> Staircase | None:
        """Return the staircase in closed form, or None where there is none."""
        return None

    def at(self, alpha: float) -> Self:
        """Return the same problem, its neurons in the same directions, at another scale of the initialization.

        Args:
            alpha: The scale.

        Raises:
            TheoryError: It is not between 0 and 1, or so small that neurons vanish in double precision.

        Example:
            >>> from similitude.theory import diagonal_linear
            >>> problem = diagonal_linear([[1.0]], [2.0], alpha=1e-3)
            >>> problem.at(1e-6).limit().times / problem.limit().times[1]
            array([0., 2.])
        """
        other = copy.copy(self)
        other.small = small_scale(alpha)
        other.start = self.start * (other.small / self.small)
        _check_neurons(other.start)
        return other

    def flow(self, until: float, *, points: int = 2000) -> Trajectory:
        """Simulate gradient flow itself.

        Args:
            until: Time to stop at.
            points: Times at which the loss is kept, spread evenly.
        """
        return gradient_flow(self, until, points=points)


def small_scale(alpha: float) -> float:
    """Return the scale of an initialization.

    Raises:
        TheoryError: It is no number between 0 and 1.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, float | int | np.number) or not 0 < alpha < 1:
        raise TheoryError(f"alpha={alpha!r}: pass the scale of a small initialization, e.g. 1e-3.")
    return float(alpha)


def _check_neurons(start: Array) -> None:
    still = np.flatnonzero(~np.abs(start).any(1))
    if still.size:
        raise TheoryError(
            f"neuron {still[0]} starts at zero, which gradient flow never leaves. Give it a small random start."
        )
    largest = np.abs(start).max(1)
    if largest.min() < _TINIEST:
        raise TheoryError(
            f"neuron {int(largest.argmin())} starts at {largest.min():.3g}, whose square is below what double precision "
            f"holds. Start at {_TINIEST:g} or above."
        )
