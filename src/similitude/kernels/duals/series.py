"""Duals of functions without a closed form: Hermite series that know what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from similitude.kernels.duals.base import Dual
from similitude.kernels.duals.hermite import Expansion, expand
from similitude.kernels.duals.mehler import mehler, sums


class Series(Dual):
    """The dual of an elementwise function, by Mehler's formula with as many terms as its bound asks for.

    Args:
        function: Elementwise torch function of one tensor, finite, square integrable under Gaussians.
        name: What users call it.
        kinks: Where it or one of its first derivatives jumps.

    Example:
        >>> import torch
        >>> q = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
        >>> Series(torch.tanh, name="tanh").error_bound(q) < 1e-12
        True
    """

    exact = False

    def __init__(
        self, function: Callable[[Tensor], Tensor], *, name: str, kinks: Sequence[float] = ()
    ) -> None:
        self.function, self.name, self.kinks = function, name, tuple(kinks)

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self.function(x)

    def gradient(self, x: Tensor) -> Tensor:
        """Return phi'(x) as autograd takes it; 0 where phi does not depend on x."""
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            value = self.function(at)
            if not value.requires_grad:
                return torch.zeros_like(x)
            (slope,) = torch.autograd.grad(value.sum(), at, allow_unused=True)
        return torch.zeros_like(x) if slope is None else slope

    def expansion(self, q: Tensor, *, terms: int | None = None) -> Expansion:
        """Return the Hermite coefficients of phi at variances `q`."""
        return expand(self._plain, q, name=self.name, kinks=self.kinks, terms=terms)

    def gradient_expansion(self, q: Tensor, *, terms: int | None = None) -> Expansion:
        """Return the Hermite coefficients of phi' at variances `q`."""
        return expand(self.gradient, q, name=f"the derivative of {self.name}", kinks=self.kinks, terms=terms)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return mehler(k, q1, q2, *_two(self.expansion, q1, q2))

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return mehler(k, q1, q2, *_two(self.gradient_expansion, q1, q2))

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        pairs = [_two(self.expansion, q1, q2), _two(self.gradient_expansion, q1, q2)]
        covariance, derivative = sums(k, q1, q2, pairs)
        return covariance, derivative

    @override
    def mean(self, q: Tensor) -> Tensor:
        return self.expansion(q, terms=1).coefficients[0].to(q.dtype)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return self.gradient_expansion(q, terms=1).coefficients[0].to(q.dtype)

    @override
    def stein(self, q: Tensor) -> Tensor:
        # E z phi(sqrt(q) z) / sqrt(q) has rounding errors where q is small, E phi' has none, but misses jumps.
        if not self.kinks:
            return self.slope(q)
        weighed = self.expansion(q, terms=2).coefficients[1] / q.to(torch.float64).clamp_min(1e-300).sqrt()
        return torch.where(q.to(torch.float64) > 1e-12, weighed, self.slope(q).to(torch.float64)).to(q.dtype)

    @override
    def second(self, q: Tensor) -> Tensor:
        return self.expansion(q, terms=1).second.to(q.dtype)

    @override
    def steepness(self, q: Tensor) -> Tensor:
        return self.gradient_expansion(q, terms=1).second.to(q.dtype)

    @override
    def error_bound(self, q: Tensor) -> float:
        return _rest(self.expansion(q), q.dtype)

    @override
    def derivative_bound(self, q: Tensor) -> float:
        return _rest(self.gradient_expansion(q), q.dtype)

    def _plain(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.function(x)


def _two(expansion: Callable[..., Expansion], q1: Tensor, q2: Tensor) -> tuple[Expansion, Expansion]:
    """Expand at two sets of variances, with the coefficients of a joint one where they are the same values."""
    if q1.numel() == q2.numel() and torch.equal(q1.reshape(-1), q2.reshape(-1)):
        one = expansion(q1)
        other = Expansion(
            one.coefficients.reshape(one.terms, *q2.shape),
            one.second.reshape(q2.shape),
            one.rest.reshape(q2.shape),
        )
        return one, other
    return expansion(q1), expansion(q2)


def _rest(expansion: Expansion, dtype: torch.dtype) -> float:
    if expansion.second.numel() == 0:
        return 0.0
    rounding = 16 * torch.finfo(dtype).eps * float(expansion.second.max())
    return float(expansion.rest.max()) + rounding
