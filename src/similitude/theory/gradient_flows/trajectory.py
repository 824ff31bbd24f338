"""Gradient flow of a two-layer network from a small start, integrated as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.integrate import solve_ivp

from similitude.core.errors import TheoryError
from similitude.theory.ridge.arrays import positive

if TYPE_CHECKING:
    from similitude.theory.gradient_flows.problem import Problem

Array = np.ndarray
_ACCURACY = 1e-8  # relative, per step; parameters far below the initialization are noise


@dataclass(frozen=True, eq=False)
class Trajectory:
    """A run of gradient flow.

    Attributes:
        times: Steps times learning rate, shape (T,).
        losses: Loss at each time, shape (T,).
        features: How much of each feature is learned at each time, shape (T, features); no columns where unknown.
    """

    times: Array
    losses: Array
    features: Array


def gradient_flow(problem: Problem, until: float, *, points: int) -> Trajectory:
    """Integrate d theta / dt = push(theta, theta) from the problem's own start.

    Args:
        problem: Its neurons, loss and push.
        until: Time to stop at.
        points: Times at which the loss is kept, at least 2.

    Raises:
        TheoryError: The time is not positive, or the integration fails.
    """
    times = grid(until, points)
    shape = problem.start.shape

    def velocity(_: float, state: Array) -> Array:
        neurons = state.reshape(shape)
        return problem.push(neurons, neurons).ravel()

    with np.errstate(over="ignore", invalid="ignore"):
        run: Any = solve_ivp(
            velocity,
            (0.0, until),
            problem.start.ravel(),
            method="LSODA",
            t_eval=times,
            rtol=_ACCURACY,
            atol=_ACCURACY * problem.small,
        )
    if not run.success:
        raise TheoryError(
            f"gradient flow could not be followed to t={until:.3g}: {run.message}. Give a shorter time, or targets and "
            "inputs of the order of 1."
        )
    states = [state.reshape(shape) for state in run.y.T]
    return Trajectory(
        times,
        np.array([problem.loss(state) for state in states]),
        np.array([problem.features(state) for state in states]),
    )


def grid(until: float, points: int) -> Array:
    """Return times from 0 to an end.

    Raises:
        TheoryError: The end is not positive and finite, or there are fewer than two points.
    """
    if not np.isfinite(positive(until, "until", "until=100.0")):
        raise TheoryError("until=inf: gradient flow is simulated to a finite time, e.g. until=100.0.")
    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise TheoryError(f"points={points!r}: pass how many times to keep, a whole number of at least 2.")
    return np.linspace(0.0, until, points)
