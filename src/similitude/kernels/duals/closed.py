"""Duals of smooth functions in closed form: erf, GELU, waves and exponentials.

Williams, Computing with infinite networks (1996), equation 11 (erf); Tsuchida et al., Avoiding kernel fixed points
(2021), Proposition 1 (GELU).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import override

from similitude.kernels.duals.base import Dual


class Erf(Dual):
    """The dual of the error function: (2/pi) asin(2k / sqrt((1 + 2 q1)(1 + 2 q2))) and (4/pi) / sqrt(... - 4 k^2).

    Source: Williams (1996), equation 11.
    """

    name = "erf"

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return torch.erf(x)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self.both(k, q1, q2)[0]

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self._rest(k, q1, q2).rsqrt_().mul_(4 / math.pi)

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        root = self._rest(k, q1, q2).sqrt_()
        covariance = torch.atan2((2 * k).expand_as(root), root).mul_(2 / math.pi)
        return covariance, root.reciprocal_().mul_(4 / math.pi)

    def _rest(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        # (1 + 2 q1)(1 + 2 q2) - 4 k^2, as a sum of terms that are not negative for any covariance.
        rest = torch.mul(q1, q2).addcmul_(k, k, value=-1).clamp_(min=0).mul_(4)
        return rest.add_(1).add_(q1, alpha=2).add_(q2, alpha=2)

    @override
    def mean(self, q: Tensor) -> Tensor:
        return torch.zeros_like(q)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return (2 / math.sqrt(math.pi)) / (1 + 2 * q).sqrt()


class Gelu(Dual):
    """The dual of x Phi(x), the exact GELU.

    With P = (1 + q1)(1 + q2) and D = P - k^2:
    E phi phi = k/4 + (1 / 2 pi) ((k^2 + q1 q2 D) / (P sqrt D) + k asin(k / sqrt P)), and E phi' phi' is its derivative
    in k.

    Source: Tsuchida et al. (2021), Proposition 1.
    """

    name = "gelu"

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.gelu(x)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self._terms(k, q1, q2, derivative=False)[0]

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self._terms(k, q1, q2, derivative=True)[1]

    @override
    def both(self, k: Tensor, q1: Tensor, q2: Tensor) -> tuple[Tensor, Tensor]:
        return self._terms(k, q1, q2, derivative=True)

    def _terms(self, k: Tensor, q1: Tensor, q2: Tensor, *, derivative: bool) -> tuple[Tensor, Tensor]:
        size = torch.mul(q1, q2)
        rest = size.addcmul(k, k, value=-1).clamp_(min=0).add_(1).add_(q1).add_(q2)
        root = rest.sqrt()
        asin = torch.atan2(k.expand_as(root), root)
        whole = torch.addcmul(rest, k, k)  # P = D + k^2
        scaled = root.reciprocal().div_(whole)  # 1 / (P sqrt D)
        slope = asin
        covariance = torch.addcmul(k * k, size, rest).mul_(scaled)
        covariance.addcmul_(k, asin).mul_(1 / (2 * math.pi)).add_(k, alpha=0.25)
        if derivative:
            # asin + k / sqrt D + k (2 + k^2 / D - q1 q2) / (P sqrt D)
            inner = torch.mul(k, k).div_(rest).add_(2).sub_(size).add_(whole).mul_(scaled)
            slope = asin.addcmul_(inner, k.expand_as(inner)).mul_(1 / (2 * math.pi)).add_(0.25)
        return covariance, slope

    @override
    def mean(self, q: Tensor) -> Tensor:
        return q / (1 + q).sqrt() / math.sqrt(2 * math.pi)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return torch.full_like(q, 0.5)


class Wave(Dual):
    """The dual of sin(x + phase): with m = (q1 + q2) / 2, E phi phi = e^-m (sin^2(phase) cosh k + cos^2(phase) sinh k).

    Args:
        phase: Added to the Gaussian; pi / 2 gives the cosine.
        name: What users call it.
    """

    def __init__(self, phase: float = 0.0, *, name: str = "sin") -> None:
        self.phase, self.name = phase, name
        quarter = phase == math.pi / 2
        self.sine, self.cosine = (1.0, 0.0) if quarter else (math.sin(phase), math.cos(phase))

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return self.sine * torch.cos(x) + self.cosine * torch.sin(x)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self._waves(k, q1, q2, even=self.sine**2, odd=self.cosine**2)

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self._waves(k, q1, q2, even=self.cosine**2, odd=self.sine**2)

    def _waves(self, k: Tensor, q1: Tensor, q2: Tensor, *, even: float, odd: float) -> Tensor:
        # cosh and sinh overflow where e^-m cosh k does not; expm1 keeps the digits of a small k.
        far = torch.exp(k.abs() - 0.5 * (q1 + q2)).mul_(0.5)
        less = torch.expm1(-2 * k.abs())
        return far * (even * (2 + less) - odd * torch.sign(k) * less)

    @override
    def mean(self, q: Tensor) -> Tensor:
        return torch.exp(-q / 2).mul_(self.sine)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return torch.exp(-q / 2).mul_(self.cosine)

    @override
    def shifted(self, shift: float) -> Dual:
        return Wave(self.phase + shift, name=f"{self.name}(x + {shift:g})")


class Exponential(Dual):
    """The dual of exp(x + shift): E phi phi = E phi' phi' = exp((q1 + q2) / 2 + k + 2 shift).

    Args:
        shift: Added to the Gaussian.
        name: What users call it.
    """

    def __init__(self, shift: float = 0.0, *, name: str = "exp") -> None:
        self.shift, self.name = shift, name

    @override
    def __call__(self, x: Tensor) -> Tensor:
        return torch.exp(x + self.shift)

    @override
    def covariance(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return torch.add(q1, q2).mul_(0.5).add(k).add_(2 * self.shift).exp_()

    @override
    def derivative(self, k: Tensor, q1: Tensor, q2: Tensor) -> Tensor:
        return self.covariance(k, q1, q2)

    @override
    def mean(self, q: Tensor) -> Tensor:
        return torch.exp(q / 2 + self.shift)

    @override
    def slope(self, q: Tensor) -> Tensor:
        return self.mean(q)

    @override
    def shifted(self, shift: float) -> Dual:
        return Exponential(self.shift + shift, name=f"{self.name}(x + {shift:g})")
