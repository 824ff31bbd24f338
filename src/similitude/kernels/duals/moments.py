"""Mixed moments of two Gaussians, each plain or cut off below a threshold, by Stein's lemma."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from similitude.kernels.duals.orthant import TINY, density, orthant, tail


def one_sided(power: int, above: Tensor, root: Tensor) -> Tensor:
    """Return E (v - t)_+^power of a Gaussian v; power 0 is the probability of v > t.

    Args:
        power: Not negative.
        above: Mean of v minus the threshold t.
        root: Standard deviation of v; where it is 0 and v stands at the threshold, the probability is one half.
    """
    ratio = above / root.clamp_min(TINY)
    lower = tail(-ratio)
    if power == 0:
        return lower
    value = (above * lower).addcmul_(root, density(ratio))
    for order in range(2, power + 1):
        lower, value = value, above * value + (order - 1) * root.square() * lower
    return value


class Moments:
    """Mixed moments of Gaussians u and v with covariance k and variances q1 and q2; each is computed once.

    A factor of a moment is (threshold, power): (t, m) stands for (u - t)_+^m, (None, m) for u^m.

    Args:
        k: Covariances, float64.
        q1: Variances of u that broadcast with k.
        q2: Variances of v that broadcast with k.
    """

    def __init__(self, k: Tensor, q1: Tensor, q2: Tensor) -> None:
        self.k, self.q1, self.q2 = k, q1.clamp_min(TINY), q2.clamp_min(TINY)
        self.root1, self.root2 = self.q1.sqrt(), self.q2.sqrt()
        self.size = torch.mul(self.q1, self.q2).sqrt_()
        self.distance = ((self.size - k.abs()) / self.size).clamp_(0, 1)
        self.rho = (k / self.size).clamp_(-1, 1)
        self.sign = torch.where(self.rho < 0, -1.0, 1.0).to(k.dtype)
        self.rest = (self.distance * (2 - self.distance)).sqrt_()
        self.known: dict[tuple[object, ...], Tensor] = {}

    def mixed(self, first: tuple[float | None, int], second: tuple[float | None, int]) -> Tensor:
        """Return E f(u) g(v) for the factors `first` of u and `second` of v."""
        key = ("mixed", first, second)
        if key not in self.known:
            self.known[key] = self._mixed(first, second)
        return self.known[key]

    def _mixed(self, first: tuple[float | None, int], second: tuple[float | None, int]) -> Tensor:
        (a, m), (b, n) = first, second
        if a is None and b is None:
            return self._plain(m, n)
        if a is None:
            return self._half(m, b, n, 0, self.q1, self.q2)
        if b is None:
            return self._half(n, a, m, 0, self.q2, self.q1)
        if m == 0 and n == 0:
            return orthant(a / self.root1, b / self.root2, self.rho, self.distance)
        return self._lowered(a, m, b, n) if m > 0 else self._lowered(b, n, a, m, swapped=True)

    def _lowered(self, a: float, m: int, b: float, n: int, *, swapped: bool = False) -> Tensor:
        """Take one power off: E u f = q1 E df/du + k E df/dv for f = (u - a)_+^(m-1) (v - b)_+^n."""

        def lower(power: int, other: int) -> Tensor:
            return self.mixed((b, other), (a, power)) if swapped else self.mixed((a, power), (b, other))

        root1, root2 = (self.root2, self.root1) if swapped else (self.root1, self.root2)
        first, second = a / root1, b / root2
        # Means of one given that the other is at its threshold, from the threshold, without cancellation, and with
        # the rounding of the orthant probability: where the correlation is almost 1 only errors that agree cancel.
        apart = second - self.sign * first
        above2 = -root2 * (apart + self.sign * self.distance * first)
        above1 = root1 * self.sign * (apart - self.distance * second)
        total = -a * lower(m - 1, n)
        if m > 1:
            total = total + (m - 1) * root1.square() * lower(m - 2, n)
        else:
            total = total + root1 * density(first) * one_sided(n, above2, root2 * self.rest)
        if n > 0:
            return total + n * self.k * lower(m - 1, n - 1)
        return total + self.k / root2 * density(second) * one_sided(m - 1, above1, root1 * self.rest)

    def _plain(self, m: int, n: int) -> Tensor:
        total = torch.zeros_like(self.size)
        for r in range(m % 2, min(m, n) + 1, 2) if (m - n) % 2 == 0 else ():
            count = (
                math.factorial(r) * math.comb(m, r) * math.comb(n, r) * _matchings(m - r) * _matchings(n - r)
            )
            total += count * self.k**r * self.q1 ** ((m - r) // 2) * self.q2 ** ((n - r) // 2)
        return total

    def _half(self, m: int, b: float | None, n: int, order: int, q1: Tensor, q2: Tensor) -> Tensor:
        """Return E u^m g(v) where g is the derivative of `order` of (v - b)_+^n."""
        assert b is not None
        if m == 0:
            return _derivative_mean(b, n, order, q2).expand_as(self.size)
        total = self.k * self._half(m - 1, b, n, order + 1, q1, q2)
        return total if m == 1 else total + (m - 1) * q1 * self._half(m - 2, b, n, order, q1, q2)


def _derivative_mean(threshold: float, power: int, order: int, variance: Tensor) -> Tensor:
    """Return E g(v) where g is the derivative of `order` of (v - threshold)_+^power, delta functions included."""
    if order <= power:
        return math.perm(power, order) * one_sided(
            power - order, torch.full_like(variance, -threshold), variance.sqrt()
        )
    root = variance.sqrt()
    x = threshold / root
    # E of the derivative of order r of delta(v - t) is He_r(t / root) density / root^(r + 1).
    lower, value = torch.zeros_like(x), torch.ones_like(x)
    for r in range(order - power - 1):
        lower, value = value, x * value - r * lower
    return math.factorial(power) * value * density(x) / root ** (order - power)


def _matchings(n: int) -> int:
    """Return (n - 1)!!: the moment of order n of a standard Gaussian, n even."""
    return math.prod(range(1, n, 2))
