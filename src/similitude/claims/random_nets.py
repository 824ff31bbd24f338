"""Random networks with all of their weights, in batches: what claims on finite width and depth are measured on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from similitude.core.seeding import torch_generator

_ENTRIES = 8_000_000  # weights that are drawn at once

Phi = Callable[[Tensor], Tensor]


def plain_preactivations(
    x: Tensor,
    widths: Sequence[int],
    *,
    phi: Phi,
    C_W: float,
    C_b: float = 0.0,
    networks: int,
    seed: int,
    outputs: int | None = None,
) -> list[Tensor]:
    """Draw plain networks, and return the preactivations of every layer.

    Args:
        x: Inputs, shape (N, features).
        widths: Hidden widths.
        phi: Activation.
        C_W: Variance of a weight times its fan-in.
        C_b: Variance of a bias.
        networks: How many are drawn.
        seed: Their seed.
        outputs: Width of a last layer behind the hidden ones; None for none.

    Returns:
        One tensor per layer, of shape (networks, N, width).
    """
    sizes = [x.shape[1], *widths, *([] if outputs is None else [outputs])]
    g = torch_generator(seed, "plain networks", *sizes)
    batch = max(1, _ENTRIES // max(a * b for a, b in itertools.pairwise(sizes)))
    parts: list[list[Tensor]] = []
    for start in range(0, networks, batch):
        count = min(batch, networks - start)
        h, layers = x.expand(count, -1, -1), []
        for into, out in itertools.pairwise(sizes):
            z = h @ torch.randn(count, into, out, generator=g) * math.sqrt(C_W / into)
            if C_b:
                z = z + math.sqrt(C_b) * torch.randn(count, 1, out, generator=g)
            layers.append(z)
            h = phi(z)
        parts.append(layers)
    return [torch.cat(layers).double() for layers in zip(*parts, strict=True)]


def residual_streams(
    q0: Tensor,
    width: int,
    *,
    depth: int,
    networks: int,
    seed: int,
    phi: Phi = torch.relu,
    gamma: float = 0.5,
    stops: Sequence[int] = (),
) -> list[Tensor]:
    """Draw residual networks Y + L^-gamma W phi(Y), and return their streams.

    Args:
        q0: Covariance of N inputs, shape (N, N); the stem's weights are drawn, too.
        width: n.
        depth: L.
        networks: How many are drawn.
        seed: Their seed.
        phi: Activation.
        gamma: Exponent of the branches.
        stops: Branches behind which the stream is kept; behind the last one by default.

    Returns:
        The stream at every stop, shape (networks, N, width).
    """
    g = torch_generator(seed, "residual networks", width, depth)
    stops = stops or (depth,)
    root = torch.linalg.cholesky(q0.double()).float()
    batch = max(1, _ENTRIES // width**2)
    parts: list[list[Tensor]] = []
    for start in range(0, networks, batch):
        count = min(batch, networks - start)
        Y = root @ torch.randn(count, len(q0), width, generator=g)
        kept = {0: Y}
        for layer in range(depth):
            weights = torch.randn(count, width, width, generator=g)
            Y = Y + phi(Y) @ weights * (width**-0.5 * depth**-gamma)
            if layer + 1 in stops:
                kept[layer + 1] = Y
        parts.append([kept[stop] for stop in stops])
    return [torch.cat(streams).double() for streams in zip(*parts, strict=True)]


def covariances(Y: Tensor) -> Tensor:
    """Return <Y(a), Y(b)> / n of every network, shape (networks, N, N)."""
    return Y @ Y.mT / Y.shape[-1]


def tangent_kernels(widths: Sequence[int], *, networks: int, seed: int, features: int = 20) -> Tensor:
    """Return the tangent kernel at one input of |x|^2 = features: ReLU networks of variance 2 / fan-in, by autograd.

    All weights are in the NTK parametrization, and there are no biases.

    Args:
        widths: Hidden widths.
        networks: How many are drawn.
        seed: Their seed.
        features: Length of the input.

    Returns:
        Shape (networks,).
    """
    sizes = [features, *widths, 1]
    g = torch_generator(seed, "tangent kernels", *sizes)
    batch = max(1, _ENTRIES // sum(a * b for a, b in itertools.pairwise(sizes)))
    found = []
    for start in range(0, networks, batch):
        count = min(batch, networks - start)
        weights = [
            torch.randn(count, into, out, generator=g, requires_grad=True)
            for into, out in itertools.pairwise(sizes)
        ]
        h = torch.ones(count, 1, features)
        with torch.enable_grad():
            for i, weight in enumerate(weights):
                h = (h.relu() if i else h) @ weight * math.sqrt(2 / weight.shape[1])
            gradients = torch.autograd.grad(h.sum(), weights)
        found.append(torch.stack([each.square().sum((1, 2)).double() for each in gradients]).sum(0))
    return torch.cat(found)
