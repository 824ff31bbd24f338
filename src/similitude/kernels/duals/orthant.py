"""Probability that two correlated Gaussians both exceed thresholds, by Owen's function, accurate at every correlation.

Owen, Tables for computing bivariate normal probabilities (1956), equation 2.1.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

NODES = 28
"""Gauss-Legendre nodes for Owen's integral, whose integrand is at most nine standard deviations of a Gaussian long: with
24 the largest error is 4e-15, with 28 it is rounding."""

REACH = 9.0
"""Standard deviations after which a Gaussian is nothing: its tail has 1e-19 there."""

TINY = 1e-140
"""What stands for 0 where something is divided by it."""


def tail(x: Tensor) -> Tensor:
    """Return P(z > x) for a standard Gaussian z."""
    return torch.special.erfc(x / math.sqrt(2)).mul_(0.5)


def density(x: Tensor) -> Tensor:
    """Return the standard Gaussian density at x."""
    return torch.exp(x.square().mul_(-0.5)).mul_(1 / math.sqrt(2 * math.pi))


def owen(h: Tensor, over: Tensor, under: Tensor) -> Tensor:
    """Return Owen's T(h, a) = (1 / 2 pi) int_0^a exp(-h^2 (1 + x^2) / 2) / (1 + x^2) dx at a = over / under.

    Args:
        h: Any shape, float64.
        over: Numerator of a.
        under: Denominator of a; a may be infinite, of the sign of 0 or -0.
    """
    h = h.abs()
    sign = torch.sign(over) * torch.where(torch.signbit(under), -1.0, 1.0)
    over, under = over.abs(), under.abs()
    long = over > under
    # T(h, a) = (Q(h) + Q(ah)) / 2 - Q(h) Q(ah) - T(ah, 1 / a) brings a below 1.
    a = torch.minimum(over, under) / torch.maximum(over, under).clamp_min(TINY)
    reached = torch.where(long, h / a.clamp_min(TINY), h)
    integral = _integral(reached, torch.minimum(a, REACH / reached.clamp_min(1.0)))
    first, second = tail(h), tail(reached)
    flipped = (first + second).mul_(0.5).sub_(first * second).sub_(integral)
    return torch.where(long, flipped, integral).mul_(sign)


def orthant(h: Tensor, k: Tensor, rho: Tensor, distance: Tensor) -> Tensor:
    """Return P(X > h, Y > k) for standard Gaussians of correlation rho.

    Args:
        h: Threshold of X.
        k: Threshold of Y.
        rho: Correlation.
        distance: 1 - |rho|, which rho alone does not tell where it is almost 1.
    """
    root = (distance * (2 - distance)).sqrt_()
    sign = torch.where(rho < 0, -1.0, 1.0).to(h.dtype)
    # k - rho h without cancellation, and the same rounding for both thresholds: errors of k - h then cancel.
    apart = k - sign * h
    over_h = apart + sign * distance * h
    over_k = -sign * apart + sign * distance * k
    both_zero = (h == 0) & (k == 0)
    first = owen(h, torch.where(both_zero, 0.0, over_h), torch.where(both_zero, 1.0, h * root))
    second = owen(k, torch.where(both_zero, 0.0, over_k), torch.where(both_zero, 1.0, k * root))
    apart_in_sign = (h * k < 0) | ((h * k == 0) & (h + k < 0))
    value = (tail(h) + tail(k)).mul_(0.5).sub_(first).sub_(second).sub_(apart_in_sign.to(h.dtype), alpha=0.5)
    centre = 0.25 + torch.atan2(rho, root) / (2 * math.pi)
    return torch.where(both_zero, centre, value).clamp_(0, 1)


def _integral(h: Tensor, a: Tensor) -> Tensor:
    total = torch.zeros_like(h)
    half = h.square().mul_(-0.5)
    for node, weight in _gauss_legendre():
        square = (a * node).square_().add_(1)
        total.add_(torch.exp(half * square).div_(square), alpha=weight)
    return total.mul_(a).mul_(1 / (2 * math.pi))


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[tuple[float, float], ...]:
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return tuple(zip(((nodes + 1) / 2).tolist(), (weights / 2).tolist(), strict=True))
