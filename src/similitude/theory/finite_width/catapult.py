"""The catapult: a two-layer linear network on one example at learning rates beyond 2 / curvature, exactly (paper 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number, whole

Window = Literal["monotone", "catapult", "divergent"]

MONOTONE, DIVERGENT = 2.0, 4.0
"""lr x curvature up to which the loss falls from the first step on, and from which it never comes back."""

_ROUNDING = 1e-12
_OVERFLOW = 1e100  # an output whose powers are still numbers


@dataclass(frozen=True, eq=False)
class Catapult:
    """A run of gradient descent. Made by `catapult_map`.

    Attributes:
        f: Output before every step, shape (steps + 1,); fewer where it diverged.
        curvature: Tangent kernel at the example, likewise: gradient descent is stable up to 2 / lr.
        diverged: Whether the output left the range of numbers.
    """

    f: np.ndarray
    curvature: np.ndarray
    diverged: bool

    @property
    def loss(self) -> np.ndarray:
        """f^2 / 2, of the shape of f."""
        return self.f**2 / 2

    @property
    def peak(self) -> float:
        """Largest loss over the first one."""
        return float(self.loss.max() / self.loss[0])


@cites(8, "the catapult: training at large learning rates")
def catapult_map(f: float, curvature: float, *, lr: float, width: int, steps: int) -> Catapult:
    """Train f = u.v / sqrt(n) on one example with input 1 and target 0 by gradient descent on f^2 / 2.

    With the curvature lam = (|u|^2 + |v|^2) / n, both numbers evolve by themselves and exactly, at any width:
    f <- f (1 - lr lam + lr^2 f^2 / n), lam <- lam + lr f^2 (lr lam - 4) / n.

    Args:
        f: Output at the start, not 0.
        curvature: lam at the start; about 2 for entries of N(0, 1).
        lr: Learning rate.
        width: n.
        steps: Steps of gradient descent.

    Raises:
        TheoryError: A number is out of range, or no network has this output and curvature: lam >= 2 |f| / sqrt(n).

    Example:
        >>> run = catapult_map(1.0, 2.0, lr=1.4, width=1024, steps=200)
        >>> run.peak > 100, bool(run.loss[-1] < 1e-12), bool(run.curvature[-1] < 2 / 1.4)
        (True, True, True)

    Source: paper 8 (arXiv 2309.01592); Lewkowycz et al., arXiv 2003.02218.
    """
    number("abs(f)", abs(number("f", f, least=-math.inf)), above=True)
    curvature, lr = number("curvature", curvature, above=True), number("lr", lr, above=True)
    width, steps = whole("width", width), whole("steps", steps)
    if curvature * (1 + _ROUNDING) < (least := 2 * abs(f) / math.sqrt(width)):
        raise TheoryError(
            f"curvature={curvature:g} with f={f:g} at width {width}: |u|^2 + |v|^2 is at least 2 |u.v|, so the curvature "
            f"is at least {least:.4g}. Pass the two numbers of one network."
        )
    outputs, curvatures = [float(f)], [curvature]
    for _ in range(steps):
        f, lam = outputs[-1], curvatures[-1]
        square = f * f / width
        after = f * (1 - lr * lam + lr * lr * square)
        if not abs(after) < _OVERFLOW:
            return Catapult(np.array(outputs), np.array(curvatures), diverged=True)
        outputs.append(after)
        curvatures.append(lam + lr * square * (lr * lam - 4))
    return Catapult(np.array(outputs), np.array(curvatures), diverged=False)


@cites(8, "the catapult: its windows")
def catapult_window(lr: float, curvature: float) -> Window:
    """Say what gradient descent does to a wide two-layer linear network, by its initial curvature.

    Below lr x curvature = 2 the loss falls. From 2 to 4 it first grows to the order of the width, which pushes the
    curvature below 2 / lr, and then falls; from 4 on it diverges.

    Args:
        lr: Learning rate.
        curvature: Largest eigenvalue of the tangent kernel at the start, in the units of the loss.

    Raises:
        TheoryError: A number is out of range.

    Example:
        >>> [catapult_window(lr, 2.0) for lr in (0.5, 1.5, 2.5)]
        ['monotone', 'catapult', 'divergent']
    """
    product = number("lr", lr, above=True) * number("curvature", curvature, above=True)
    return "monotone" if product <= MONOTONE else "catapult" if product < DIVERGENT else "divergent"
