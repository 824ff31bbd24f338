"""Hermite coefficients of a function of a Gaussian, with what a truncated series leaves out.

E phi(u) phi(v) = sum_j a_j(q1) a_j(q2) rho^j, where a_j(q) = E phi(sqrt(q) z) h_j(z) for normalized Hermite polynomials
h_j (Mehler's formula). By Cauchy and Schwarz the terms beyond J are at most
sqrt(r(q1) r(q2)) with r(q) = E phi(sqrt(q) z)^2 - sum_{j<J} a_j(q)^2, which is computable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from similitude.core.errors import KernelError

TOLERANCE = 1e-13
"""Part of E phi^2 that the terms left out may have before more are taken."""

MOST_TERMS = 512
"""Terms after which a series ends, whatever it leaves out: its bound says what."""

MOST_NODES = 16384
REACHES = (13.0, 20.0, 37.0)
"""Standard deviations that quadratures reach. At the last the density is the smallest number of float64."""

EDGE = 1e-15
"""Part of E phi^2 that may come from the last half standard deviation of a quadrature before it reaches further."""

ROUNDED = 2e-15
"""Difference between two quadratures, relative to E phi^2, that is rounding."""

UNRESOLVED = 1e-4
"""Difference between two quadratures, relative to E phi^2, at which phi is no function that we can integrate."""

_OUTGROWS = (
    "{name} of a Gaussian with variance {variance:.3g} has no finite second moment: its square outgrows the Gaussian's "
    "tail. Use a function that grows at most like exp(c |x|), or a smaller variance."
)


@dataclass(frozen=True)
class Expansion:
    """Hermite coefficients of a function at many variances, float64.

    Attributes:
        coefficients: a_j, shape (terms, *variances).
        second: E phi^2, shape of the variances.
        rest: E phi^2 minus the squares of the coefficients, and what the quadrature may be off; shape of the variances.
    """

    coefficients: Tensor
    second: Tensor
    rest: Tensor

    @property
    def terms(self) -> int:
        """Number of coefficients."""
        return len(self.coefficients)

    @property
    def parity(self) -> int | None:
        """0 where only even terms are there, 1 where only odd ones are, else None."""
        if self.second.numel() == 0:
            return None
        size = self.coefficients.reshape(self.terms, -1).abs().amax(dim=1)
        small = 1e-15 * float(size.max())
        if bool((size[1::2] <= small).all()):
            return 0
        return 1 if bool((size[0::2] <= small).all()) else None


def expand(
    function: Callable[[Tensor], Tensor],
    q: Tensor,
    *,
    name: str,
    kinks: Sequence[float] = (),
    terms: int | None = None,
) -> Expansion:
    """Return the Hermite coefficients of `function` at variances `q`.

    Args:
        function: Elementwise, of float64 tensors of any shape.
        q: Variances, any shape.
        name: What errors call it.
        kinks: Where it or one of its first derivatives jumps: quadratures are split there.
        terms: How many; None takes as many as it takes to leave out `TOLERANCE`, at most `MOST_TERMS`.

    Raises:
        KernelError: The function is not finite, or its square has no expectation.

    Cost: O(nodes x terms) per variance, with 400 nodes as a rule.
    """
    variances = q.detach().reshape(-1).to("cpu", torch.float64)
    if variances.numel() == 0:
        empty = torch.zeros(q.shape, dtype=torch.float64)
        return Expansion(empty.expand(1, *q.shape), empty, empty)
    if not bool(torch.isfinite(variances).all()) or float(variances.min()) < 0:
        raise KernelError(f"{name}: a variance is {float(variances.min()):g}, not finite or negative.")
    distinct, where = torch.unique(variances, return_inverse=True)
    apart = any(kink != 0 for kink in kinks)
    parts = [
        _expand(function, part, name=name, kinks=kinks, terms=terms)
        for part in (distinct.split(64) if apart else (distinct,))
    ]
    longest = max(part.terms for part in parts)
    coefficients = torch.zeros(longest, len(distinct), dtype=torch.float64)
    start = 0
    for part in parts:
        stop = start + len(part.second)
        coefficients[: part.terms, start:stop] = part.coefficients
        start = stop
    second, rest = (torch.cat([getattr(part, field) for part in parts]) for field in ("second", "rest"))
    return Expansion(
        coefficients[:, where].reshape(longest, *q.shape).to(q.device),
        second[where].reshape(q.shape).to(q.device),
        rest[where].reshape(q.shape).to(q.device),
    )


def _expand(
    function: Callable[[Tensor], Tensor],
    q: Tensor,
    *,
    name: str,
    kinks: Sequence[float],
    terms: int | None,
) -> Expansion:
    z, weights, values, second, doubt = _integrate(function, q, name=name, kinks=kinks)
    density = torch.exp(-z.square() / 4).mul_((2 * math.pi) ** -0.25)
    scaled = values * weights * density
    wanted = MOST_TERMS if terms is None else terms
    size = 48 if terms is None else terms
    coefficients = torch.zeros(wanted, len(q), dtype=torch.float64)
    done, state = 0, None
    rest = second
    while done < wanted:
        step = min(size, wanted - done)
        if z.dim() == 1:
            functions, state = _hermite_functions(z, done, step, state)
            coefficients[done : done + step] = functions @ scaled.T
        else:
            state = _project(z, scaled, coefficients, done, step, state)
        done += step
        rest = (second - coefficients[:done].square().sum(0)).clamp_(min=0)
        if terms is None and bool((rest <= TOLERANCE * second).all()):
            break
    return Expansion(coefficients[:done], second, rest + doubt + 8 * torch.finfo(torch.float64).eps * second)


def _integrate(
    function: Callable[[Tensor], Tensor], q: Tensor, *, name: str, kinks: Sequence[float]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return nodes, weights, values of phi, E phi^2 and by how much two quadratures differ in it."""
    largest = math.sqrt(float(q.max()))
    reach, nodes = 0, _first_nodes(REACHES[0], largest)
    while True:
        coarse = _rule(q, REACHES[reach], nodes, kinks)
        _, _, second, _, edge = _second(function, q, *coarse, reach=REACHES[reach], name=name)
        if not bool((edge <= EDGE * second).all()) or not bool(torch.isfinite(second).all()):
            if reach + 1 == len(REACHES):
                raise KernelError(_OUTGROWS.format(name=name, variance=float(q.max())))
            reach += 1
            nodes = _first_nodes(REACHES[reach], largest)
            continue
        finer = _second(
            function, q, *_rule(q, REACHES[reach], 2 * nodes, kinks), reach=REACHES[reach], name=name
        )
        doubt = (finer[2] - second).abs()
        if 2 * nodes >= MOST_NODES or bool((doubt <= ROUNDED * second).all()):
            break
        nodes *= 2
    if bool((doubt > UNRESOLVED * second).any()):
        worst = float((doubt / second.clamp_min(1e-300)).max())
        raise KernelError(
            f"{name} of a Gaussian with variance {float(q.max()):.3g} has no second moment that {nodes} and {2 * nodes} "
            f"points agree on (they differ by {worst:.1e} of it): it has a pole, or is too wild. Use a function that is "
            "finite and square integrable."
        )
    return finer[0], finer[1], finer[3], finer[2], doubt


def _second(
    function: Callable[[Tensor], Tensor], q: Tensor, z: Tensor, weights: Tensor, *, reach: float, name: str
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    at = q.sqrt()[:, None] * z
    values = function(at)
    if values.shape != at.shape:
        raise KernelError(
            f"{name} is not elementwise: of values of shape {tuple(at.shape)} it makes {tuple(values.shape)}."
        )
    if reach > REACHES[0] and not bool(torch.isfinite(values).all()):
        raise KernelError(_OUTGROWS.format(name=name, variance=float(q.max())))
    if not bool(torch.isfinite(values).all()):
        bad = float(at[~torch.isfinite(values)].abs().min())
        raise KernelError(
            f"{name} is not finite at |x| = {bad:.4g}, which a Gaussian with variance {float(q.max()):.3g} reaches. "
            "Use a function that is finite everywhere."
        )
    density = torch.exp(-z.square() / 2).mul_((2 * math.pi) ** -0.5)
    square = values.square().mul_(weights * density)
    edge = torch.where(z.abs() > reach - 0.5, square, 0.0).sum(1)
    return z, weights, square.sum(1), values, edge


def _first_nodes(reach: float, largest: float) -> int:
    # A step of a quarter in x resolves functions as smooth as tanh, one of 0.065 in z the polynomials.
    step = min(0.065, 0.25 / max(largest, 1e-300))
    return min(MOST_NODES // 2, 2 * math.ceil(reach / step))


def _rule(q: Tensor, reach: float, nodes: int, kinks: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return nodes in standard deviations and weights, shared by all variances or, split at kinks, of each its own."""
    if not kinks:
        # Equal steps: for an analytic function times a Gaussian they are exact but for exponentially little.
        z = torch.arange(-nodes, nodes + 1, dtype=torch.float64).mul_(reach / nodes)
        return z, torch.full_like(z, reach / nodes)
    inner = torch.tensor(sorted(set(kinks)), dtype=torch.float64)
    edges = (inner / q.clamp_min(1e-300).sqrt()[:, None]).clamp_(-reach, reach)
    if bool((inner == 0).all()):
        edges = edges[:1]
    ends = torch.full((len(edges), 1), reach, dtype=torch.float64)
    edges = torch.cat([-ends, edges, ends], dim=1)
    panels = max(1, nodes // 16)
    x, w = _gauss_legendre(32)
    starts = (torch.arange(panels, dtype=torch.float64)[:, None] + (x + 1) / 2).reshape(-1) / panels
    width = edges.diff(dim=1)[..., None]
    z = (edges[:, :-1, None] + width * starts).flatten(1)
    weights = (width * (w.repeat(panels) / (2 * panels))).flatten(1)
    return (z[0], weights[0]) if len(z) == 1 else (z, weights)


def _hermite_functions(
    z: Tensor, start: int, count: int, state: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Return h_j(z) sqrt(density) for j from `start` on, and the last two of them."""
    table = torch.empty(count, *z.shape, dtype=torch.float64)
    for row in range(count):
        state = _next(z, start + row, state)
        table[row] = state[1]
    assert state is not None
    return table, state


def _project(
    z: Tensor,
    scaled: Tensor,
    coefficients: Tensor,
    start: int,
    count: int,
    state: tuple[Tensor, Tensor] | None,
) -> tuple[Tensor, Tensor]:
    for row in range(start, start + count):
        state = _next(z, row, state)
        coefficients[row] = (state[1] * scaled).sum(1)
    assert state is not None
    return state


def _next(z: Tensor, order: int, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    if state is None:
        first = torch.exp(-z.square() / 4).mul_((2 * math.pi) ** -0.25)
        return torch.zeros_like(first), first
    before, last = state
    # sqrt(j) h_j = z h_{j-1} - sqrt(j - 1) h_{j-2}
    return last, (z * last).sub_(before, alpha=math.sqrt(order - 1)).mul_(1 / math.sqrt(order))


@lru_cache(maxsize=4)
def _gauss_legendre(count: int) -> tuple[Tensor, Tensor]:
    x, w = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy(x), torch.from_numpy(w)
