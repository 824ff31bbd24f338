"""Fully connected linear networks of two layers: modes are learned one by one, by the rule that their order calls for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import numpy_generator
from similitude.theory.gradient_flows.linear_rules import (
    Crossing,
    crossings,
    modes,
    principal,
    sequential_times,
)
from similitude.theory.gradient_flows.problem import Problem, small_scale
from similitude.theory.gradient_flows.staircase import Staircase
from similitude.theory.ridge.arrays import array, not_negative

Array = np.ndarray
Rule = Literal["auto", "sequential", "modes"]
_PATIENT, _HASTY = 1.0, 0.25
"""Patience (`Crossing`) from which modes are learned as such, and up to which the network turns at once."""
_ALIKE = 0.1  # relative difference of times up to which both rules say the same
_NEARLY = 0.1  # coupling up to which covariances nearly commute, so that patient modes do not mix


@cites(4, "Section 5: fully connected linear networks")
class Linear(Problem):
    """y = A W x by gradient flow from small random layers. Made by `linear`.

    Neurons are pairs of a column of A and a row of W, of degree 2. Features are the principal outputs: the share that
    the network explains of each eigenvector of Syx Sxx^-1 Syx'.
    """

    def __init__(
        self,
        covariance: Array,
        cross: Array,
        *,
        width: int,
        alpha: float,
        seed: int,
        rule: Rule,
        floor: float,
    ) -> None:
        outputs, inputs = cross.shape
        draw = numpy_generator(seed, "linear network").standard_normal((width, outputs + inputs))
        self.powers, self.directions = principal(covariance, cross)
        names = [f"mode {k + 1}" for k in range(len(self.powers))]
        super().__init__(alpha / math.sqrt(width) * draw, degree=2, names=names, small=alpha)
        self.covariance, self.cross, self.rule, self.floor = covariance, cross, rule, floor

    def loss(self, neurons: Array) -> float:
        """Return E |y - A W x|^2 / 2, of which the best linear map leaves `floor`."""
        M = self.map(neurons)
        fitted = np.sum(M @ self.covariance * M) / 2 - np.sum(M * self.cross)
        return float(self.floor + self.powers.sum() / 2 + fitted)

    def push(self, neurons: Array, active: Array) -> Array:
        """Return the gradient (R w, R'a) with R = Syx - A W Sxx."""
        c = len(self.cross)
        R = self.cross - self.map(active) @ self.covariance
        return np.hstack([neurons[:, c:] @ R.T, neurons[:, :c] @ R])

    def features(self, neurons: Array) -> Array:
        """Return the share that is explained of each principal output, shape (K,)."""
        along = self.directions.T @ self.map(neurons) @ self.cross.T
        return (along * self.directions.T).sum(1) / self.powers

    def map(self, neurons: Array) -> Array:
        """Return A W, shape (c, d)."""
        c = len(self.cross)
        return neurons[:, :c].T @ neurons[:, c:]

    @property
    def crossings(self) -> list[Crossing]:
        """Pairs of modes that grow in one order and explain the loss in the other, at this alpha."""
        return crossings(self.covariance, self.cross, clock=self.clock)

    def limit(self) -> Staircase:
        """Return the staircase as alpha vanishes, times in those of this alpha, by the rule that was asked for.

        "auto" takes the paper's conjecture unless modes are crossed (`Crossing`): a patient pair whose inputs hardly mix
        is learned as modes. Where it cannot be told, or both rules differ by more than 10 % in a time although nothing is
        crossed, the modes' staircase is the `alternative`.
        """
        if self.rule == "modes":
            return self._by_modes()
        crossed = self.crossings if self.rule == "auto" else []
        if not crossed:
            found, other = self._sequential(), self._by_modes()
            if self.rule == "sequential" or np.allclose(found.times, other.times, rtol=_ALIKE):
                return found
            note = (
                "covariances do not commute: times by the paper's rule and by that of modes, which is the alternative, "
                f"differ by up to {np.max(np.abs(other.times[1:] / found.times[1:] - 1)):.0%}"
            )
            return replace(found, notes=(note,), alternative=other)
        worst = max(crossed, key=lambda pair: pair.patience)
        note = (
            f"modes {worst.first + 1} and {worst.second + 1} (by speed) are crossed, the faster explains less; patience "
            f"{worst.patience:.3g}, coupling {worst.coupling:.2g}: "
        )
        if worst.patience >= _PATIENT and max(pair.coupling for pair in crossed) <= _NEARLY:
            return replace(self._by_modes(), notes=(note + "each is learned as a mode of its own",))
        if worst.patience <= _HASTY:
            note += "the network turns to the larger at once, as the paper's rule has it"
            return replace(self._sequential(), notes=(note,))
        note += "theory does not decide between the paper's rule and that of modes, which is the alternative"
        return replace(self._sequential(), notes=(note,), alternative=self._by_modes())

    def _sequential(self) -> Staircase:
        return self._staircase(sequential_times(self.covariance, self.cross), np.arange(len(self.powers)))

    def _by_modes(self) -> Staircase:
        found = modes(self.covariance, self.cross)
        return self._staircase(1 / found.strengths, found.principals)

    def _staircase(self, times: Array, order: Array) -> Staircase:
        """Return the staircase on which principal outputs are learned in some order at some times."""
        count = min(len(order), len(self.start))
        learned = np.vstack([np.zeros(len(order)), np.cumsum(np.eye(len(order))[order[:count]], 0)])
        return Staircase(
            np.concatenate([[0.0], times[:count]]) * self.clock,
            self.floor + (1 - learned) @ self.powers / 2,
            learned,
            tuple(int(k) for k in order[:count]),
            self.names,
            self.clock,
        )


def linear(
    covariance: ArrayLike | Tensor,
    cross: ArrayLike | Tensor,
    *,
    width: int | None = None,
    alpha: float = 1e-12,
    seed: int = 0,
    rule: Rule = "auto",
    floor: float = 0.0,
) -> Linear:
    """Describe a linear network y = A W x whose layers start as alpha / sqrt(width) times standard normal numbers.

    Args:
        covariance: Second moment of the inputs Sxx = E x x', shape (d, d).
        cross: Second moment of outputs with inputs Syx = E y x', shape (c, d).
        width: Hidden neurons, twice the larger side by default.
        alpha: Scale of the initialization, between 0 and 1: A W starts at about alpha^2, whatever the width.
        seed: Of the initialization that simulations start from; the limit does not depend on it.
        rule: "sequential" is the paper's conjecture. "modes" says that singular modes of Syx are learned independently,
            at 1 / sigma_j, which is exact where Sxx and Syx'Syx commute. "auto" decides (`Linear.limit`).
        floor: Loss that the best linear map leaves: half of E |y|^2 - trace(Syx Sxx^-1 Syx').

    Raises:
        TheoryError: A shape does not fit, Sxx is no covariance, or there is nothing to learn.

    Example:
        Whitened inputs: modes at times 1 / sigma, each lowering the loss by sigma^2 / 2.

        >>> stairs = linear(np.eye(2), np.diag([2.0, 1.0]), alpha=1e-6).limit()
        >>> (stairs.times / stairs.clock).round(6).tolist(), stairs.levels.round(6).tolist()
        ([0.0, 0.5, 1.0], [2.5, 0.5, 0.0])

    Source: paper 4 (arXiv 2506.06489), Section 5; the rule of modes and the choice between both are derived here.
    """
    Sxx, Syx = array(covariance, "covariance"), array(cross, "cross")
    if Syx.ndim != 2 or not Syx.size or Sxx.shape != (Syx.shape[1],) * 2:
        raise TheoryError(
            f"covariance has shape {Sxx.shape} and cross {Syx.shape}. Pass E x x' of shape (d, d) and E y x' of (c, d)."
        )
    size = float(np.abs(Sxx).max())
    values = np.linalg.eigvalsh((Sxx + Sxx.T) / 2)
    if float(np.abs(Sxx - Sxx.T).max()) > 1e-9 * size or values[0] < -1e-9 * size:
        raise TheoryError(
            f"covariance is none: its smallest eigenvalue is {values[0]:.3g}, its asymmetry "
            f"{np.abs(Sxx - Sxx.T).max():.3g}. Pass X'X / n."
        )
    outside = _outside(Sxx, Syx)
    if not np.abs(Syx).any() or outside > 1e-6:
        raise TheoryError(
            "cross is zero: outputs do not depend on the inputs. Pass Y'X / n."
            if not np.abs(Syx).any()
            else f"a share {outside:.2g} of cross lies where the inputs have no variance: no data has both moments. Take "
            "them from the same samples."
        )
    hidden = 2 * max(Syx.shape) if width is None else width
    if isinstance(hidden, bool) or not isinstance(hidden, int) or hidden < 1:
        raise TheoryError(f"width={width!r}: pass the number of hidden neurons, at least 1.")
    if rule not in ("auto", "sequential", "modes"):
        raise TheoryError(f"rule={rule!r}: choose 'auto', 'sequential' or 'modes'.")
    return Linear(
        (Sxx + Sxx.T) / 2,
        Syx,
        width=hidden,
        alpha=small_scale(alpha),
        seed=seed,
        rule=rule,
        floor=not_negative(floor, "floor"),
    )


def _outside(covariance: Array, cross: Array) -> float:
    """Return the share of the cross-covariance along directions in which inputs have no variance."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    null = vectors[:, values <= 1e-12 * values.max(initial=0.0)]
    return float(np.linalg.norm(cross @ null) / max(float(np.linalg.norm(cross)), 1e-300))
