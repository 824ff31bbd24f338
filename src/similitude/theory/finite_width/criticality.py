"""Order, chaos and the line between them in wide random networks: paper 8, the fixed point of the variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from scipy.optimize import brentq

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.activation import Activation, Phi, read_activation
from similitude.theory.finite_width.given import number
from similitude.theory.finite_width.moments import mean_square, moments

Phase = Literal["ordered", "critical", "chaotic"]

_NONE, _SMALLEST, _LARGEST = 1e-12, 1e-280, 1e12
"""Variances: below the first it is taken to end at 0, the others are where searches end."""
_ZERO, _NEAR = 1e-24, 1e-4  # variances at which an activation is as at zero, and is nearly so
_CRITICAL = 1e-6  # how near to 1 chi_perp is called critical
_FASTER = 1.5  # growth of <phi^2> / K over a factor of 1,000 in K, from which phi is no longer linear at most
_FLAT = 1e-9  # relative growth of the variance that is none


@dataclass(frozen=True)
class Criticality:
    """What a wide random network does with its inputs as it gets deep. Made by `criticality`.

    Attributes:
        variance: K*, the variance that preactivations settle at. Where every variance is kept (ReLU at C_W = 2) the one
            that was started from.
        chi_perp: C_W <phi'^2> at K*: by what the angle between two near inputs grows per layer (squared).
        chi_par: C_W d<phi^2>/dK at K*: by what a deviation from K* does.
        depth_scale: 1 / |log chi_perp|: layers over which two near inputs grow alike, or apart, by e.
        phase: "ordered" (inputs grow alike), "critical", or "chaotic" (near inputs grow apart).
    """

    variance: float
    chi_perp: float
    chi_par: float
    depth_scale: float
    phase: Phase

    def __str__(self) -> str:
        scale = (
            "no depth scale" if math.isinf(self.depth_scale) else f"depth scale {self.depth_scale:.3g} layers"
        )
        return f"{self.phase}: K* = {self.variance:.4g}, chi_perp = {self.chi_perp:.4g}, {scale}"


@cites(8, "criticality: fixed point and susceptibilities")
def criticality(phi: Phi, C_W: float, *, C_b: float = 0.0, start: float = 1.0) -> Criticality:
    """Say what depth does to a wide network of random weights of variance C_W / fan_in and biases of variance C_b.

    The variance of a preactivation goes from layer to layer as K <- C_W <phi^2> + C_b, and ends at a fixed point K*.

    Args:
        phi: Activation, of torch operations: `torch.tanh`.
        C_W: Variance of a weight times the fan-in; 2 is He's initialization.
        C_b: Variance of a bias.
        start: Variance of the first layer's preactivations, from which the fixed point is looked for.

    Raises:
        TheoryError: A number is out of range, or the variance grows without bound; the message has the critical C_W.

    Example:
        >>> import torch
        >>> found = criticality(torch.relu, 2.0)
        >>> found.phase, found.chi_perp, found.variance
        ('critical', 1.0, 1.0)
        >>> criticality(torch.tanh, 1.3, C_b=0.3).phase
        'ordered'

    Source: paper 8 (arXiv 2309.01592); Schoenholz et al., arXiv 1611.01232, for K* and the depth scale.

    Cost: some tens of quadratures, milliseconds each.
    """
    activation = read_activation(phi)
    C_W, C_b = number("C_W", C_W, above=True), number("C_b", C_b)
    start = number("start", start, above=True)
    variance = _fixed_point(activation, C_W, C_b, start)
    at = moments(activation, max(variance, _ZERO))
    chi = C_W * at.gain
    near = abs(chi - 1) <= _CRITICAL
    scale = math.inf if near else 1 / abs(math.log(chi)) if chi > 0 else 0.0
    phase: Phase = "critical" if near else "ordered" if chi < 1 else "chaotic"
    return Criticality(variance, chi, C_W * at.slope, scale, phase)


@cites(8, "criticality: the critical line")
def critical_line(phi: Phi, C_b: float = 0.0) -> float:
    """Return the C_W at which a wide network is between order and chaos, for a given variance of biases.

    On the line C_W = 1 / <phi'^2> and C_b = K (1 - <phi^2> / (K <phi'^2>)), both at K = K*; of several
    the smallest K* is taken that a variance settles at.

    Args:
        phi: Activation, of torch operations.
        C_b: Variance of a bias.

    Raises:
        TheoryError: The number is out of range, or no C_W is critical with it.

    Example:
        >>> import torch
        >>> critical_line(torch.relu), round(critical_line(torch.tanh, 0.05), 3)
        (2.0, 1.761)

    Source: paper 8 (arXiv 2309.01592); Schoenholz et al., arXiv 1611.01232.
    """
    activation = read_activation(phi)
    C_b = number("C_b", C_b)

    def bias(variance: float) -> float:
        at = moments(activation, variance)
        return variance * (1 - at.square / at.gain) if at.gain > 0 else -math.inf

    if activation.slopes is not None:
        if C_b > 0:
            raise TheoryError(
                f"C_b={C_b:g}: an activation that is linear on either side of zero is critical without biases alone, for "
                "with them the variance grows layer by layer. Pass C_b=0."
            )
        return 1 / mean_square(activation, 1.0)
    if C_b == 0 and activation.at_zero == 0:
        gain = moments(activation, _ZERO).gain
        if gain > 0 and mean_square(activation, _NEAR) <= gain:  # what is near a variance of 0 ends there
            return 1 / gain
    place = _NONE
    while (found := _crossing(lambda K: bias(K) - C_b, place, up=True, end=_LARGEST)) is not None:
        at = moments(activation, found)
        if at.slope <= at.gain:  # chi_par is at most 1: the variance settles there
            return 1 / at.gain
        place = 1.01 * found
    raise TheoryError(
        f"C_b={C_b:g}: no C_W is critical for this activation with biases of this variance. Pass another C_b, or look at "
        "criticality(phi, C_W, C_b=C_b) for several C_W."
    )


def _fixed_point(activation: Activation, C_W: float, C_b: float, start: float) -> float:
    if activation.slopes is not None:
        keeps = C_W * mean_square(activation, 1.0)
        if abs(keeps - 1) <= _FLAT and C_b == 0:
            return start
        if keeps < 1 - _FLAT:
            return C_b / (1 - keeps)
        raise _unbounded(C_W, C_b, C_W / keeps)

    def growth(variance: float) -> float:
        return C_W * mean_square(activation, variance) + C_b / variance - 1

    grows = growth(start)
    if abs(grows) <= 1e-15:
        return start
    if grows > 0:
        found = _crossing(growth, start, up=True, end=min(max(_LARGEST, 1e6 * start), 1 / _SMALLEST))
        if found is None:
            far, near = (mean_square(activation, variance) for variance in (_LARGEST, _LARGEST / 1e3))
            if far > _FASTER * near:
                raise TheoryError(
                    f"C_W={C_W:g}: the variance grows without bound from {start:g} on, for phi grows faster than "
                    "linearly. Pass a smaller C_W or start, or another activation."
                )
            raise _unbounded(C_W, C_b, 1 / far)
        return found
    vanishes = C_b == 0 and activation.at_zero == 0
    found = _crossing(growth, start, up=False, end=_NONE if vanishes else _SMALLEST)
    return 0.0 if found is None else found


def _crossing(function: Callable[[float], float], start: float, *, up: bool, end: float) -> float | None:
    """Return the first variance at which a function changes its sign, going by halves of an octave and then faster."""
    side = function(start)
    step, here, last = 0.5, math.log2(start), math.log2(end)
    while here < last if up else here > last:
        there = min(here + step, last) if up else max(here - step, last)
        value = function(2.0**there)
        if value == 0 or (value > 0) != (side > 0):
            root: Any = brentq(lambda octave: function(2.0**octave), here, there, xtol=1e-13)
            return 2.0**root
        here, step = there, step * 1.1
    return None


def _unbounded(C_W: float, C_b: float, critical: float) -> TheoryError:
    also = f" with C_b={C_b:g}" if C_b else ""
    at_most = critical * (1 + _FLAT)
    less = f"C_W below {critical:.4g}"
    what = f"C_W of at most {critical:.4g}" if at_most < C_W else f"C_b=0, or {less}" if C_b else less
    return TheoryError(
        f"C_W={C_W:g}{also}: the variance grows without bound with the depth; the critical C_W is {critical:.4g}. "
        f"Pass {what}."
    )
