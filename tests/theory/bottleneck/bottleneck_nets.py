"""Small nets with bottlenecks and all of their weights, in the NTK parametrization: what the theory is tested on."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from similitude.theory.bottleneck.segment import Segment


class LinearNet(nn.Module):
    """Linear layers between finite bottlenecks, each over the root of its fan-in."""

    def __init__(self, features: int, widths: tuple[int, ...], *, seed: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        sizes = zip((features, *widths), widths, strict=False)
        self.weights = nn.ParameterList(torch.randn(a, b, generator=g, dtype=torch.float64) for a, b in sizes)

    def first(self, x: Tensor) -> Tensor:
        return (x @ self.weights[0] / math.sqrt(x.shape[1])).detach()

    def first_kernel(self, x: Tensor) -> Tensor:
        return x @ x.T / x.shape[1]

    def segments(self) -> list[Segment]:
        starts = [w.detach().clone() for w in self.weights[1:]]
        return [
            Segment(lambda h, other: h @ other.T / h.shape[1], lambda h, w=w: h @ w / math.sqrt(len(w)))
            for w in starts
        ]

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = x @ weight / math.sqrt(x.shape[1])
        return x


class WideNet(nn.Module):
    """n ReLUs, a bottleneck of d linear units, n units of the head, one output."""

    def __init__(self, features: int, d: int, n: int, *, phi: str, seed: int) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        sizes = ((features, n), (n, d), (d, n), (n, 1))
        self.weights = nn.ParameterList(
            torch.randn(*size, generator=g, dtype=torch.float64) for size in sizes
        )
        self.phi = {"erf": torch.erf, "relu": torch.relu}[phi]

    def below(self, x: Tensor) -> Tensor:
        return (
            torch.relu(x @ self.weights[0] * math.sqrt(2 / x.shape[1]))
            @ self.weights[1]
            / math.sqrt(len(self.weights[1]))
        )

    def first(self, x: Tensor) -> Tensor:
        return self.below(x).detach()

    def first_kernel(self, x: Tensor) -> Tensor:
        q = 2 * x @ x.T / x.shape[1]
        scale = torch.outer(q.diagonal(), q.diagonal()).sqrt()
        angle = (q / scale).clamp(-1, 1).acos().fill_diagonal_(0)
        above = scale * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
        return above + (math.pi - angle) / (2 * math.pi) * q

    def head(self) -> Callable[[Tensor], Tensor]:
        u, v = (w.detach().clone() for w in self.weights[2:])
        return lambda h: self.phi(h @ u / math.sqrt(len(u))) @ v / math.sqrt(len(v))

    def forward(self, x: Tensor) -> Tensor:
        u, v = self.weights[2:]
        return self.phi(self.below(x) @ u / math.sqrt(len(u))) @ v / math.sqrt(len(v))


def descend(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    lr: float,
    steps: int,
    loss: Callable[[Tensor, Tensor], Tensor] = lambda f, y: 0.5 * (f - y).square().sum(),
) -> Tensor:
    """Train in place on the first examples, and return the outputs on all before every step and at the end."""
    outputs = []
    for _ in range(steps):
        found = net(x)
        outputs.append(found.detach())
        gradients = torch.autograd.grad(loss(found[: len(y)], y), list(net.parameters()))
        with torch.no_grad():
            for p, gradient in zip(net.parameters(), gradients, strict=True):
                p -= lr * gradient
    return torch.stack([*outputs, net(x).detach()])


def tangent_kernel(net: nn.Module, x: Tensor) -> Tensor:
    """Return the products of gradients of all outputs, ordered (example, output)."""
    rows = []
    for f in net(x).flatten():
        parts = torch.autograd.grad(f, list(net.parameters()), retain_graph=True)
        rows.append(torch.cat([part.flatten() for part in parts]))
    J = torch.stack(rows)
    return J @ J.T
