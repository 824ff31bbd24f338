"""Wide networks with one hidden layer behind a bottleneck: tangent kernels in closed form, and random draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.bottleneck.segment import Segment
from similitude.theory.finite_width.given import whole

Head = Literal["erf", "relu", "linear"]

_TINY = 1e-30  # below it points count as one: the slope of a cone at its tip is taken as 0


@cites(19, "the part above the bottleneck")
def wide_head(
    bottleneck: int, outputs: int = 1, *, phi: Head = "erf", width: int = 4096, seed: int = 0
) -> Segment:
    """Return an infinitely wide network with one hidden layer, at one random start.

    f(h) = m^-1/2 sum_k v_k phi(u_k . h / sqrt(d)) with v_k, u_k of N(0, 1), all trained with one learning rate. The
    kernel is that of m -> inf; the start is one draw, approximated by one network of finite width.

    Args:
        bottleneck: d.
        outputs: Outputs, each with v of its own.
        phi: "erf"; "relu", whose kernel has a cone at coinciding points; "linear".
        width: m of the start.
        seed: Seed of the start.

    Raises:
        TheoryError: A number is out of range, or phi is another.

    Example:
        >>> head = wide_head(2, phi="relu", width=64)
        >>> h = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
        >>> round(head.kernel(h, h).item(), 12), head.start(h).shape  # K = |h|^2 / (2 d), and as much of the lower layer
        (1.0, torch.Size([1, 1]))

    Source: paper 19 (arXiv 2107.00364); kernels of Williams (erf) and Cho and Saul (ReLU).
    """
    d, c, m = whole("bottleneck", bottleneck), whole("outputs", outputs), whole("width", width)
    kernel, activation = _known(phi)
    g = torch_generator(seed, "wide head", phi, d, c, m)
    u = torch.randn(d, m, generator=g, dtype=torch.float64) / math.sqrt(d)
    v = torch.randn(m, c, generator=g, dtype=torch.float64) / math.sqrt(m)
    return Segment(kernel, lambda h: activation(h @ u) @ v)


def erf_kernel(h: Tensor, other: Tensor) -> Tensor:
    """Return the tangent kernel of the head with phi = erf between points (a, d) and (b, d)."""
    S, left, right = _products(h, other)
    P = (1 + 2 * left) * (1 + 2 * right)
    K = 2 / math.pi * torch.asin(2 * S / P.sqrt())
    return K + 4 / math.pi / (P - 4 * S**2).sqrt() * S


def relu_kernel(h: Tensor, other: Tensor) -> Tensor:
    """Return the tangent kernel of the head with phi = ReLU."""
    S, left, right = _products(h, other)
    # sin and cos of the angle times both lengths: exact for near points, and smooth but at the tip of the cone.
    sine = (left * right - S**2).clamp(min=_TINY).sqrt()
    angle = torch.atan2(sine, S)
    return (sine + 2 * (math.pi - angle) * S) / (2 * math.pi)


def linear_kernel(h: Tensor, other: Tensor) -> Tensor:
    """Return the tangent kernel of the head without activation, one share per layer."""
    return 2 * h @ other.T / h.shape[1]


def _products(h: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return h.h'/d, |h|^2/d as a column and |h'|^2/d as a row."""
    d = h.shape[1]
    return h @ other.T / d, h.square().sum(1)[:, None] / d, other.square().sum(1)[None] / d


def _known(phi: str) -> tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]:
    known = {
        "erf": (erf_kernel, torch.erf),
        "relu": (relu_kernel, torch.relu),
        "linear": (linear_kernel, torch.clone),
    }
    if phi not in known:
        raise TheoryError(
            f"phi={phi!r}: kernels in closed form are known for {', '.join(map(repr, known))}. For another network pass "
            "Segment(kernel, start) with the kernel of it, e.g. from similitude.kernel, or use similitude.bottleneck."
        )
    return known[phi]
