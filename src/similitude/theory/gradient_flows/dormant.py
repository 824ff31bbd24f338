"""Utility maximization: dormant neurons turn and grow under a residual that stands still, until one becomes active."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.gradient_flows.problem import Problem

Array = np.ndarray
_ACCURACY = 1e-8  # relative, of directions and of accumulated utility, per step
_DIRECTION = 1e-13  # absolute: parts of a unit direction that are this small are noise
_TIE = 1e-6  # relative difference of accumulated utility at which neurons become active together
_SMOOTH = 3_000  # evaluations of the push in one wait, of which smooth utilities take a third
_TURN = 5e-3  # angle of a step along a kink
_MOST = 50_000  # such steps
_CHUNK = 2.0  # by how much the time that is looked ahead grows


@dataclass(frozen=True, eq=False)
class Dormant:
    """Directions and sizes of neurons that are too small to matter for the residual.

    Attributes:
        directions: Unit vectors, shape (H, P).
        utilities: Accumulated utility times the degree, shape (H,): log of the norm for degree 2, -1 / ((degree - 2)
            norm^(degree - 2)) otherwise. It grows at the rate degree * U for every degree.
    """

    directions: Array
    utilities: Array

    @classmethod
    def of(cls, neurons: Array, degree: float) -> Dormant:
        """Take neurons apart, shape (H, P)."""
        norms = np.linalg.norm(neurons, axis=1)
        return cls(neurons / norms[:, None], accumulated(norms, degree))

    def neurons(self, degree: float) -> Array:
        """Return the parameters, shape (H, P)."""
        return self.directions * _norms(self.utilities, degree)[:, None]


@dataclass(frozen=True, eq=False)
class Wait:
    """How long it took until neurons became active.

    Attributes:
        time: When it ended.
        dormant: Neurons at that time.
        woken: Indices of those that reached the threshold; none where nothing grows, or not before the time limit.
    """

    time: float
    dormant: Dormant
    woken: tuple[int, ...]


def accumulated(norms: Array, degree: float) -> Array:
    """Return the accumulated utility times the degree that neurons of some norms have."""
    return np.log(norms) if degree == 2 else -1 / ((degree - 2) * norms ** (degree - 2))


@cites(4, "Algorithm 1: utility maximization")
def maximize_utility(
    problem: Problem,
    dormant: Dormant,
    asleep: Array,
    active: Array,
    *,
    start: float,
    threshold: float,
    until: float,
    scale: float,
) -> Wait:
    """Follow dormant neurons under the residual of the active ones until one has grown to the threshold.

    Directions climb the utility on the sphere, at the rate norm^(degree - 2); norms grow by the utility.

    Args:
        problem: Its push.
        dormant: State of all neurons; rows that are not asleep stay.
        asleep: Which neurons are dormant, shape (H,).
        active: The network that leaves the residual, shape (H, P).
        start: Time now.
        threshold: Norm at which a neuron becomes active.
        until: Time limit.
        scale: Size of the largest push at the start of all: what is 1e-9 of it is zero.

    Raises:
        TheoryError: The integration fails.
    """
    rows, degree = np.flatnonzero(asleep), problem.degree
    if not rows.size:
        return Wait(start, dormant, ())
    count, width = len(rows), dormant.directions.shape[1]
    goal = float(accumulated(np.array([threshold]), degree)[0])

    def push(directions: Array) -> Array:
        neurons = np.zeros_like(dormant.directions)
        neurons[rows] = directions
        return problem.push(neurons, active)[rows]

    evaluations = itertools.count(1)

    def rates(state: Array) -> tuple[Array, Array]:
        """Return the growth of accumulated utilities, shape (n,), and the motion of directions, shape (n, P)."""
        # Of trial steps that leave the sphere far behind powers would overflow.
        directions = _unit(state[count:].reshape(count, width))
        gradient = push(directions)
        along = (gradient * directions).sum(1)
        pace = _norms(np.minimum(state[:count], goal), degree) ** (degree - 2)
        return along, pace[:, None] * (gradient - along[:, None] * directions)

    def velocity(_: float, state: Array) -> Array:
        if next(evaluations) > _SMOOTH:
            raise _KinkError
        along, turn = rates(state)
        return np.concatenate([along, turn.ravel()])

    def reached(_: float, state: Array) -> float:
        return float(state[:count].max()) - goal

    reached.terminal = True  # type: ignore[attr-defined]
    reached.direction = 1  # type: ignore[attr-defined]
    state = np.concatenate([dormant.utilities[rows], dormant.directions[rows].ravel()])
    time, there = start, False
    while time < until and not there:
        speed = float(np.linalg.norm(push(state[count:].reshape(count, width)), axis=1).max())
        if speed <= 1e-9 * scale:
            break
        ahead = (goal - float(state[:count].max())) / speed
        end = min(max(time + ahead, _CHUNK * time), until)
        try:
            run: Any = solve_ivp(
                velocity,
                (time, end),
                state,
                method="DOP853",
                events=reached,
                rtol=_ACCURACY,
                atol=np.concatenate([np.full(count, _ACCURACY), np.full(count * width, _DIRECTION)]),
            )
        except _KinkError:
            time, state, there = _slide(rates, time, state, end=end, goal=goal, degree=degree)
            continue
        if not run.success:
            raise TheoryError(
                f"dormant neurons could not be followed from t={time:.3g} to {end:.3g}: {run.message}. Give inputs and "
                "targets of the order of 1."
            )
        time, state, there = float(run.t[-1]), run.y[:, -1], bool(run.t_events[0].size)
    slack = _TIE * max(abs(goal), float(np.abs(dormant.utilities[rows]).max()))
    woken = rows[state[:count] >= goal - slack] if there else []
    return Wait(time, _with(dormant, rows, state), tuple(int(i) for i in woken))


class _KinkError(Exception):
    """Neurons stick to a kink of their utility, which no smooth integrator passes."""


def _slide(
    rates: Callable[[Array], tuple[Array, Array]],
    time: float,
    state: Array,
    *,
    end: float,
    goal: float,
    degree: float,
) -> tuple[float, Array, bool]:
    """Follow neurons in steps of a small angle: where pushes point at a kink from both sides, they slide along it.

    Returns:
        Time and state at the end, and whether a neuron reached its goal.

    Raises:
        TheoryError: It takes too many steps.
    """
    for _ in range(_MOST):
        along, turn = rates(state)
        count, tiny = len(along), np.finfo(float).tiny
        utilities = state[:count]
        step = _TURN / max(float(np.linalg.norm(turn, axis=1).max()), tiny)
        if degree > 2:  # how fast directions turn depends on the norm
            step = min(step, float((_TURN * np.abs(utilities) / np.maximum(np.abs(along), tiny)).min()))
        climbing = along > 0
        arrival = float(((goal - utilities[climbing]) / along[climbing]).min(initial=math.inf))
        step = min(step, arrival, end - time)
        directions = _unit(state[count:].reshape(turn.shape) + step * turn)
        state = np.concatenate([utilities + step * along, directions.ravel()])
        time += step
        if step == arrival or time >= end:
            return time, state, step == arrival
    raise TheoryError(
        f"dormant neurons stick to a kink of their utility at t={time:.4g}: {_MOST} steps along it did not lead beyond. "
        "Smooth the activation, give fewer samples, or an earlier `until`."
    )


def _unit(directions: Array) -> Array:
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _with(dormant: Dormant, rows: Array, state: Array) -> Dormant:
    directions, utilities = dormant.directions.copy(), dormant.utilities.copy()
    found = state[len(rows) :].reshape(len(rows), -1)
    directions[rows] = _unit(found)
    utilities[rows] = state[: len(rows)]
    return Dormant(directions, utilities)


def _norms(utilities: Array, degree: float) -> Array:
    if degree == 2:
        return np.exp(utilities)
    return (-(degree - 2) * utilities) ** (-1 / (degree - 2))


def check_small(problem: Problem, threshold: float) -> None:
    """Raise unless every neuron starts below the norm at which it would be active.

    Raises:
        TheoryError: The threshold is not positive, or a neuron is not below it.
    """
    if not (math.isfinite(threshold) and threshold > 0):
        raise TheoryError(f"threshold={threshold}: pass the norm at which a neuron becomes active, e.g. 1.0.")
    norm = float(np.linalg.norm(problem.start, axis=1).max())
    if norm >= threshold:
        raise TheoryError(
            f"a neuron starts with norm {norm:.3g}, and neurons are active from {threshold:.3g} on: this is no small "
            f"initialization. Start at {threshold / norm / 10:.1g} times that, or less."
        )
