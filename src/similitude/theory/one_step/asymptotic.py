"""Ridge regression on a layer's features before and after one gradient step, in closed form (paper 16)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.optimize import brentq

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Phi
from similitude.theory.finite_width.given import number
from similitude.theory.one_step.hermite import HermiteMoments
from similitude.theory.one_step.proportions import Proportions, proportions

_SLACK = 1e-9  # how far ends of a bracket are moved out, against rounding


@dataclass(frozen=True)
class OneStepRisk:
    """Predicted errors of ridge regression on a layer's features. Made by `one_step_risk`.

    Attributes:
        risk: Mean squared distance from the teacher's noiseless output after the step.
        before: The same without the step.
        linear: What no step of eta = O(1) and no ridge goes below: the risk of the best linear function, mu_2*^2.
        coefficient: E_0, by how much the draw of samples multiplies the error (noise included).
        effective_ridge: What the ridge is worth to infinitely many samples.
    """

    risk: float
    before: float
    linear: float
    coefficient: float
    effective_ridge: float

    @property
    def gain(self) -> float:
        """By how much the step lowers the risk, at least 0; nan at the peak of interpolation."""
        return self.before - self.risk if math.isfinite(self.before) else math.nan


@cites(16, "Theorem on the improvement R_0 - R_1 after one step of eta = O(1)")
def one_step_risk(
    student: Phi | HermiteMoments,
    teacher: Phi | HermiteMoments,
    *,
    n: float,
    width: float,
    dimension: float,
    eta: float,
    ridge: float,
    noise: float = 0.0,
) -> OneStepRisk:
    """Predict the risk of ridge regression on the features of a two-layer network after one full-batch gradient step.

    Network, step and teacher are those of `one_step_spike`. Then n fresh samples are regressed on features
    phi(W x) / sqrt(N), means subtracted, with the ridge n / N times `ridge` on the diagonal.

    Args:
        student: phi, of torch operations, or its moments.
        teacher: The link function, or its moments.
        n: Training samples of the step, and again of the regression.
        width: N.
        dimension: Of the inputs. Only ratios of these three matter.
        eta: Step size, at least 0; holds for eta of the order of 1.
        ridge: lambda, at least 0.
        noise: Variance of the labels' noise.

    Returns:
        The risks; infinite without a ridge where width and n are equal.

    Raises:
        TheoryError: A number is out of range, the student has no linear part, or a linear student has no ridge.

    Example:
        >>> import torch
        >>> sizes = {"n": 1200, "width": 300, "dimension": 300}
        >>> found = one_step_risk(torch.tanh, torch.relu, **sizes, eta=4.0, ridge=0.01, noise=1 / 16)
        >>> round(found.before, 4), round(found.risk, 4), round(found.linear, 4)
        (0.2084, 0.1748, 0.0908)

    Source: Gaussian equivalence of the features (paper 16); closed form derived for this library, in terms that are not
    negative (docs/one_step.md).

    Cost: one root, below a millisecond.
    """
    eta, ridge = number("eta", eta), number("ridge", ridge)
    at = proportions(student, teacher, n=n, width=width, dimension=dimension, noise=noise)
    if ridge == 0 and at.student.rest**2 == 0:
        raise TheoryError(
            "ridge=0 and student is linear: its features are as many as the inputs, and what interpolates is not "
            "predicted. Pass a small ridge, e.g. 1e-6."
        )
    s = _effective_ridge(at, ridge)
    before, _ = _risk(at, ridge, s, 0.0)
    risk, coefficient = _risk(at, ridge, s, eta)
    return OneStepRisk(risk, before, at.teacher.rest**2, coefficient, s)


def _bulk(at: Proportions, t: float) -> float:
    """Return m(t) = tr (mu_1^2 W W' + t)^-1 / d, the positive root of m = 1 / (t + mu_1^2 N / (1 + mu_1^2 m))."""
    square = at.student.linear**2
    b = t + square * (at.width - 1)
    root = math.hypot(b, 2 * math.sqrt(square * t))
    return 2 / (b + root) if b > 0 else (root - b) / (2 * square * t)


def _features_used(at: Proportions, s: float) -> float:
    """Return z(s) = tr C (C + s)^-1 / d with C = mu_1^2 W'W + mu_2^2."""
    t = at.student.rest**2 + s
    pulled = at.student.linear**2 * _bulk(at, t)
    return at.width * (at.student.rest**2 / t + pulled) / (1 + pulled)


def _effective_ridge(at: Proportions, ridge: float) -> float:
    """Solve s (n - z(s)) = ridge n for s, which is between the ridge and the ridge + N (mu_1^2 + mu_2^2) / n."""
    if ridge == 0 and at.width <= at.n:
        return 0.0
    rest = at.student.rest**2
    # Without a ridge z = n, and z is at least N mu_2^2 / (mu_2^2 + s).
    low = ridge if ridge > 0 else rest * (at.width - at.n) / at.n
    high = ridge + at.width / at.n * at.student.power

    def residual(log_s: float) -> float:
        s = math.exp(log_s)
        return at.n - _features_used(at, s) - ridge * at.n / s

    ends = math.log(low) - _SLACK, math.log(high) + _SLACK
    if residual(ends[0]) >= 0:
        return low
    if residual(ends[1]) <= 0:
        return high
    found: Any = brentq(residual, *ends, xtol=1e-14, maxiter=1000)
    return math.exp(found)


def _risk(at: Proportions, ridge: float, s: float, eta: float) -> tuple[float, float]:
    """Return the risk after a step and E_0, given the effective ridge, which no step changes."""
    rest, square = at.student.rest**2, at.student.linear**2
    t = rest + s
    m = _bulk(at, t)
    g = square * m / (1 + square * m)
    g_left = 1 / (1 + square * m)
    slope = m * m / (g_left + g * t * m)  # -m'(t)
    # What the ridge leaves of the teacher's linear part: mu_2^2 Q - s t Q' with Q = beta' (mu_1^2 W W' + t)^-1 beta.
    strength = eta * abs(at.student.linear) * at.gradient
    y = 1 / (1 + strength * strength * g)
    value = m * (at.strayed + at.aimed * y)
    change = slope * (at.strayed + at.aimed * y * (y + g * (1 - y)))
    missed = at.teacher.rest**2 + at.teacher.linear**2 * (rest * value + s * t * change)
    # E_0 = n / (n - q), n - q = (n - z) + (z - q) and z - q = -s z'(s) = N s (rest / t + s mu_1^2 slope / p) / (t p).
    spread = at.width * s * g_left / t * (rest / t + s * square * slope * g_left)
    unused = ridge * at.n / s if ridge > 0 else max(at.n - at.width, 0.0)
    left = unused + spread
    if not left > 0:
        return math.inf, math.inf
    used = max(at.n - left, 0.0)
    return at.n / left * missed + at.noise * used / left, at.n / left
