"""Sums over Hermite coefficients, sum_j a_j b_j rho^j: by Horner's rule, or by fewer Chebyshev terms at one variance."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from similitude.kernels.duals.blocks import in_blocks
from similitude.kernels.duals.hermite import Expansion
from similitude.kernels.duals.orthant import TINY

NEGLIGIBLE = 4e-16
"""Part of the sum at rho = 1 that an economized series may leave out: rounding."""


def mehler(k: Tensor, q1: Tensor, q2: Tensor, first: Expansion, second: Expansion) -> Tensor:
    """Return sum_j a_j b_j rho^j at the correlations rho = k / sqrt(q1 q2).

    Args:
        k: Covariances.
        q1: Variances that broadcast with k.
        q2: Variances that broadcast with k.
        first: Coefficients at q1.
        second: Coefficients at q2.

    Cost: 1 nanosecond per entry and term on one core, half of them where the function is even or odd.
    """
    return sums(k, q1, q2, [(first, second)])[0]


def sums(k: Tensor, q1: Tensor, q2: Tensor, pairs: list[tuple[Expansion, Expansion]]) -> tuple[Tensor, ...]:
    """Return `mehler` of several pairs of expansions, which share the correlations."""
    stacks: list[Tensor] = []
    plans: list[tuple[int, int | None, bool]] = []
    for first, second in pairs:
        terms = min(first.terms, second.terms)
        parity = first.parity if first.parity is not None else second.parity
        a, b = first.coefficients[:terms], second.coefficients[:terms]
        one = _single(a), _single(b)
        single = one[0] is not None and one[1] is not None
        if one[0] is not None and one[1] is not None:
            a = _economize(one[0] * one[1]).reshape(-1, *(1,) * k.dim())
            b = torch.ones_like(a)
        if parity is not None:
            a, b = a[parity::2], b[parity::2]
        stacks += [a, b]
        plans.append((len(a), parity, single))

    def evaluate(k: Tensor, q1: Tensor, q2: Tensor, *stacks: Tensor) -> tuple[Tensor, ...]:
        rho = (k / torch.mul(q1, q2).clamp_min_(TINY).sqrt_()).clamp_(-1, 1)
        square = None
        results = []
        for index, (terms, parity, single) in enumerate(plans):
            a, b = stacks[2 * index], stacks[2 * index + 1]
            if parity is not None and square is None:
                square = rho.square()
            x = rho if parity is None or square is None else square
            if single:
                results.append(_clenshaw(rho, a.reshape(-1).tolist(), parity))
                continue
            value = _horner(x, a, b, terms)
            results.append(value.mul_(rho) if parity == 1 else value)
        return tuple(results)

    return in_blocks(evaluate, k, q1, q2, outputs=len(pairs), stacks=stacks)


def _single(coefficients: Tensor) -> Tensor | None:
    """Return the coefficients of the one variance that there is, None where there are several."""
    flat = coefficients.reshape(len(coefficients), -1)
    if flat.shape[1] == 0:
        return None
    apart = (flat - flat[:, :1]).abs().amax()
    return flat[:, 0] if float(apart) <= 4e-16 * float(flat.abs().max()) else None


def _horner(x: Tensor, a: Tensor, b: Tensor, terms: int) -> Tensor:
    value = torch.mul(a[terms - 1], b[terms - 1]).expand_as(x).clone()
    product = torch.empty_like(x)
    for j in range(terms - 2, -1, -1):
        torch.mul(a[j], b[j], out=product) if a[j].numel() * b[j].numel() > 1 else product.fill_(
            float(a[j] * b[j])
        )
        value.mul_(x).add_(product)
    return value


def _economize(coefficients: Tensor) -> Tensor:
    """Return Chebyshev coefficients of a polynomial without those that are rounding.

    A power series with a singularity at 1 + d converges like exp(-d n), its Chebyshev series like exp(-sqrt(2 d) n).
    """
    dense = np.polynomial.chebyshev.poly2cheb(coefficients.cpu().numpy())
    beyond = np.cumsum(np.abs(dense[::-1]))[::-1]
    kept = max(2, int((beyond > NEGLIGIBLE * np.abs(dense).sum()).sum()))
    padded = np.zeros(max(kept, len(dense), 2))
    padded[: len(dense)] = dense
    return torch.from_numpy(padded[:kept]).to(coefficients.device)


def _clenshaw(x: Tensor, coefficients: list[float], parity: int | None) -> Tensor:
    """Sum c_n T_n(x), of all n, or of the even or odd ones alone: T_2n(x) = T_n(2 x^2 - 1) halves the work."""
    y = x if parity is None else x.square().mul_(2).sub_(1)
    double = 2 * y
    last, before = torch.zeros_like(x), torch.zeros_like(x)
    for c in coefficients[:0:-1]:
        before.neg_().add_(c).addcmul_(double, last)
        last, before = before, last
    if parity != 1:
        return before.neg_().add_(coefficients[0]).addcmul_(y, last)
    before.neg_().add_(coefficients[0]).addcmul_(double, last)
    return before.sub_(last).mul_(x)  # T_-1 = T_1 = x
