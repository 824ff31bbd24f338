"""What one gradient step of eta of the order of sqrt(N) can reach: tau*, against the best linear function (paper 16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from similitude.core.citation import cites
from similitude.theory.finite_width.activation import Phi, read_activation
from similitude.theory.one_step.hermite import hermite_moments, moments_of

Array = np.ndarray
_REACH, _ORDER = 9.0, 12  # standard deviations, and Gauss-Legendre nodes per panel
_INNER, _OUTER = (
    36,
    18,
)  # panels of what is smoothed, whose kinks may be anywhere, and of what it is compared with
_LARGEST, _TRIED = 40.0, 121  # slopes that are searched, dense near zero


@dataclass(frozen=True)
class TauStar:
    """How well one neuron that saw the teacher's direction fits the teacher. Made by `tau_star`.

    Attributes:
        value: tau*, the smallest mean squared error over slopes, with noise of variance 1 in the preactivation.
        slope: kappa, the best one, between -40 and 40.
        linear: mu_2*^2, the error of the best linear function.
    """

    value: float
    slope: float
    linear: float

    @property
    def beats_linear(self) -> bool:
        """Whether tau* is below the best linear function's error: a large step can then beat every fixed kernel."""
        return self.value < self.linear


@cites(16, "Theorem on eta of the order of sqrt(N): tau*")
def tau_star(student: Phi, teacher: Phi) -> TauStar:
    """Find how near a large first step can bring the features to a teacher of one direction.

    tau* = min over kappa of E_x1 [teacher(x1) - E_x2 phi(kappa x1 + x2)]^2, means of both functions subtracted. After a
    step of eta of the order of sqrt(N) and with many samples per dimension, the risk is at most of the order of
    tau* + sqrt(tau*) + dimension / n; the paper's constant is not given here. No kernel that is invariant to rotations
    goes below `linear` with n of the order of the dimension.

    Args:
        student: phi, of torch operations, applied entry by entry.
        teacher: The link function.

    Raises:
        TheoryError: One of them cannot be read, or is constant.

    Example:
        Smoothing by a unit Gaussian turns erf(z / sqrt 2) into erf(kappa z / 2): kappa = sqrt 2 is exact.

        >>> import math, torch
        >>> found = tau_star(lambda z: torch.erf(z / math.sqrt(2)), lambda z: torch.erf(z / math.sqrt(2)))
        >>> found.value < 1e-12, round(abs(found.slope), 4), found.beats_linear
        (True, 1.4142, True)

    Cost: about 200 smoothed activations, a second.
    """
    phi, link = read_activation(student), read_activation(teacher)
    own = hermite_moments(student)
    target = moments_of(hermite_moments(teacher), "teacher")
    moments_of(own, "student")
    (x, w), (inner, inner_weights) = _nodes(_OUTER), _nodes(_INNER)
    aim = link.values(x) - target.mean + own.mean

    def error(slope: float) -> float:
        smoothed = phi.values(slope * x[:, None] + inner) @ inner_weights
        return float(w @ (aim - smoothed) ** 2)

    reach = float(np.arcsinh(_LARGEST))
    slopes = np.sinh(np.linspace(-reach, reach, _TRIED))
    errors = np.array([error(slope) for slope in slopes])
    best = int(errors.argmin())
    between = float(slopes[max(best - 1, 0)]), float(slopes[min(best + 1, _TRIED - 1)])
    found: Any = minimize_scalar(error, bounds=between, method="bounded", options={"xatol": 1e-9})
    value, slope = min((float(found.fun), float(found.x)), (float(errors[best]), float(slopes[best])))
    return TauStar(value, slope, target.rest**2)


def _nodes(panels: int) -> tuple[Array, Array]:
    """Return nodes and weights of expectations over N(0, 1), zero on a panel's end."""
    points, weights = np.polynomial.legendre.leggauss(_ORDER)
    edges = np.linspace(-_REACH, _REACH, panels + 1)
    half, middle = np.diff(edges)[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    x = (middle + half * points).ravel()
    w = (half * weights).ravel() * np.exp(-(x**2) / 2)
    return x, w / w.sum()
