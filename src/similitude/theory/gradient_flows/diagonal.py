"""Diagonal linear networks: every drop of the loss in closed form, in the limit of a vanishing initialization."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.optimize import nnls
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.gradient_flows.problem import Problem, small_scale
from similitude.theory.gradient_flows.staircase import Staircase
from similitude.theory.gradient_flows.trajectory import Trajectory, grid
from similitude.theory.ridge.arrays import array

Array = np.ndarray
_ROUNDING = 1e-10  # gradients below this, relative to the largest at the start, are zero
_NULL = 1e-12  # eigenvalues of the inputs' second moment below this, relative to the largest, are zero
_TIE = 1e-9  # events closer than this, relative to the time, are one
_EXPONENT = 50.0  # weights beyond e^50 are met by no solution, only by trial steps of the integrator
_EVENTS = 50  # per coordinate; more were never seen


@cites(4, "Section 4: diagonal linear networks, with the re-initialization of deactivated neurons derived")
class DiagonalLinear(Problem):
    """Least squares with weights beta = u * v. Made by `diagonal_linear`.

    Each coordinate is a neuron (u_i, v_i) of degree 2. In the mirror variable q with beta = alpha^2 sinh(2 q), gradient
    flow is q' = -grad; s = q / log(1 / alpha) stays within [-1, 1], and a coordinate is active where s is 1 or -1.
    """

    def __init__(self, X: Array, y: Array, *, alpha: float) -> None:
        n, d = X.shape
        start = np.column_stack([np.full(d, math.sqrt(2) * alpha), np.zeros(d)])
        super().__init__(start, degree=2, names=[f"coordinate {i}" for i in range(d)], small=alpha)
        self.X, self.y = X, y
        self.H, self.b = X.T @ X / n, X.T @ y / n

    def loss(self, neurons: Array) -> float:
        """Return |X beta - y|^2 / (2 n)."""
        return self._loss(self.features(neurons))

    def push(self, neurons: Array, active: Array) -> Array:
        """Return the gradient (g v, g u) with g = X'(y - X beta) / n."""
        g = self.b - self.H @ self.features(active)
        return g[:, None] * neurons[:, ::-1]

    def features(self, neurons: Array) -> Array:
        """Return the weights beta, shape (d,)."""
        return neurons[:, 0] * neurons[:, 1]

    def limit(self) -> Staircase:
        """Return the exact staircase as alpha vanishes, times in those of this alpha.

        Between events s moves by the gradient of the inactive coordinates; at an event the next s_i reaches 1 or -1, and
        beta becomes the minimum of the loss over the active coordinates with the sign of s. Active coordinates whose
        weight returns to 0 leave from where s is: this is the re-initialization.

        Cost: about 2 d events of one nonnegative least squares each.
        """
        d = len(self.b)
        s, beta, scale = np.zeros(d), np.zeros(d), max(float(np.abs(self.b).max()), 1e-300)
        times, betas, order, notes = [0.0], [beta], list[int](), list[str]()
        for _ in range(_EVENTS * d):
            move = self.b - self.H @ beta
            move[(np.abs(move) < _ROUNDING * scale) | (beta != 0)] = 0
            room = 1 - np.sign(move) * s
            waits = np.full(d, math.inf)
            free = (move != 0) & (room > _TIE)
            waits[free] = room[free] / np.abs(move[free])
            wait = float(waits.min())
            if not math.isfinite(wait):
                break
            hits = np.flatnonzero(waits <= wait * (1 + _TIE))
            s = np.clip(s + wait * move, -1, 1)
            s[hits] = np.sign(move[hits])
            active = np.where(np.abs(s) > 1 - _TIE, np.sign(s), 0.0)
            beta = _signed_minimum(self.H, self.b, active)
            times.append(times[-1] + wait)
            betas.append(beta)
            order.append(int(hits[np.argmax(np.abs(beta[hits]))]))
            if len(hits) > 1:
                names = ", ".join(str(i) for i in hits)
                notes.append(
                    f"coordinates {names} become active at the same time {times[-1] * self.clock:.4g}"
                )
        else:
            notes.append(f"stopped after {len(order)} events")
        levels = np.array([self._loss(b) for b in betas])
        return Staircase(
            np.array(times) * self.clock,
            levels,
            np.array(betas),
            tuple(order),
            self.names,
            self.clock,
            tuple(notes),
        )

    def flow(self, until: float, *, points: int = 2000) -> Trajectory:
        """Simulate gradient flow in the mirror variable, which any alpha down to 1e-300 leaves in range.

        Args:
            until: Time to stop at.
            points: Times at which the loss is kept, spread evenly.

        Raises:
            TheoryError: The integration fails.
        """
        times, log_alpha = grid(until, points), math.log(self.small)

        def halves(q: Array) -> tuple[Array, Array]:
            """Return alpha^2 e^(2 q) and alpha^2 e^(-2 q)."""
            return (
                np.exp(np.minimum(2 * q + 2 * log_alpha, _EXPONENT)),
                np.exp(np.minimum(-2 * q + 2 * log_alpha, _EXPONENT)),
            )

        def weights(q: Array) -> Array:
            up, down = halves(q)
            return (up - down) / 2

        run: Any = solve_ivp(
            lambda _, q: self.b - self.H @ weights(q),
            (0.0, until),
            np.zeros(len(self.b)),
            method="Radau",
            jac=lambda _, q: -self.H * sum(halves(q)),
            t_eval=times,
            rtol=1e-7,
            atol=1e-9,
        )
        if not run.success:
            raise TheoryError(f"gradient flow could not be followed to t={until:.3g}: {run.message}.")
        betas = np.array([weights(q) for q in run.y.T])
        return Trajectory(times, np.array([self._loss(b) for b in betas]), betas)

    def _loss(self, beta: Array) -> float:
        return float(np.mean((self.X @ beta - self.y) ** 2) / 2)


def diagonal_linear(X: ArrayLike | Tensor, y: ArrayLike | Tensor, *, alpha: float = 1e-12) -> DiagonalLinear:
    """Describe least squares with weights beta = u * v that start at u = sqrt(2) alpha, v = 0.

    Args:
        X: Inputs, shape (n, d).
        y: Targets, shape (n,).
        alpha: Scale of the initialization, between 0 and 1; it may be as small as 1e-150.

    Raises:
        TheoryError: A shape does not fit, or a number is not finite.

    Example:
        With orthogonal inputs coordinates are learned one by one, the largest weight first, at times 1 / |b_i|.

        >>> problem = diagonal_linear(np.sqrt(2) * np.eye(2), [np.sqrt(2) * 3.0, np.sqrt(2) * 1.0], alpha=1e-6)
        >>> stairs = problem.limit()
        >>> stairs.order, (stairs.times / stairs.clock).round(6).tolist(), stairs.levels.round(6).tolist()
        ((0, 1), [0.0, 0.333333, 1.0], [5.0, 0.5, 0.0])

    Source: paper 4 (arXiv 2506.06489), Section 4, after Pesme and Flammarion (arXiv 2304.00488).
    """
    inputs, targets = array(X, "X"), array(y, "y")
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1] or not inputs.size:
        raise TheoryError(f"X has shape {inputs.shape} and y {targets.shape}. Pass (n, d) and (n,).")
    return DiagonalLinear(inputs, targets, alpha=small_scale(alpha))


def _signed_minimum(H: Array, b: Array, signs: Array) -> Array:
    """Minimize beta'H beta / 2 - b'beta over weights that are zero or of the given sign; zero where that is 0."""
    where, beta = np.flatnonzero(signs), np.zeros(len(b))
    values, vectors = np.linalg.eigh(H)
    kept = values > _NULL * values.max()
    roots = np.sqrt(values[kept])
    factor, target = (vectors[:, kept] * roots).T, (vectors[:, kept].T @ b) / roots
    found, _ = nnls((factor * signs)[:, where], target)
    size = float(np.abs(found).max()) if found.size else 0.0
    beta[where] = signs[where] * np.where(found > _NULL * size, found, 0.0)
    return beta
