"""Nets with a bottleneck that the claims of paper 19 train, many seeds as one batched program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from similitude.core.seeding import torch_generator

Phi = Callable[[Tensor], Tensor]


class Erf(nn.Module):
    """The error function, entry by entry."""

    def forward(self, x: Tensor) -> Tensor:
        """Return erf(x)."""
        return torch.erf(x)


def make_bottleneck_net(width: int, *, features: int, bottleneck: int, outputs: int = 1) -> nn.Sequential:
    """Return a net of ReLUs below and erf above a bottleneck, its weights Gaussian of variance gain / fan-in.

    Args:
        width: Units of both hidden layers.
        features: Numbers of an input.
        bottleneck: d.
        outputs: Outputs.
    """
    sizes = ((features, width), (width, bottleneck), (bottleneck, width), (width, outputs))
    first, second, third, last = (nn.Linear(a, b, bias=False) for a, b in sizes)
    for layer, gain in ((first, 2.0), (second, 1.0), (third, 1.0), (last, 1.0)):
        nn.init.normal_(layer.weight, std=math.sqrt(gain / layer.in_features))
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, third, Erf(), last)


class Nets:
    """Nets of four weight layers in the NTK parametrization: (x W1) phi W2 is the bottleneck, U psi v what is above.

    Args:
        features: Numbers of an input.
        bottleneck: d.
        width: Units of both hidden layers.
        outputs: Outputs.
        nets: Their number.
        seed: Their seed.
        below: phi; ReLU by default, whose layer has variance 2 / fan-in.
        above: psi; erf by default.
        gain: Variance of the first layer times its fan-in.
    """

    def __init__(
        self,
        features: int,
        *,
        bottleneck: int,
        width: int,
        nets: int,
        seed: int,
        outputs: int = 1,
        below: Phi = torch.relu,
        above: Phi = torch.erf,
        gain: float = 2.0,
    ) -> None:
        self.sizes = ((features, width), (width, bottleneck), (bottleneck, width), (width, outputs))
        self.below, self.above, self.gain = below, above, gain
        g = torch_generator(seed, "bottleneck nets", features, bottleneck, width)
        self.weights = [torch.randn(nets, *size, generator=g) for size in self.sizes]

    def bottleneck(self, x: Tensor) -> Tensor:
        """Return the units of the bottleneck, (nets, P, d)."""
        W1, W2 = self.weights[:2]
        return self.below(x @ W1 * math.sqrt(self.gain / len(x[0]))) @ W2 / math.sqrt(W2.shape[1])

    def head(self, h: Tensor) -> Tensor:
        """Return the outputs from the bottleneck on, (nets, P, outputs)."""
        U, v = self.weights[2:]
        return self.above(h @ U / math.sqrt(U.shape[1])) @ v / math.sqrt(v.shape[1])

    def outputs(self, x: Tensor) -> Tensor:
        """Return the outputs, (nets, P, outputs)."""
        return self.head(self.bottleneck(x))

    def starts(self, x: Tensor) -> list[tuple[Tensor, Callable[[Tensor], Tensor]]]:
        """Return of every net its bottleneck and the function above it, both in float64 and as they are now."""
        U, v = (w.detach().double().clone() for w in self.weights[2:])
        h = self.bottleneck(x).detach().double()
        above = self.above

        def head(net: int) -> Callable[[Tensor], Tensor]:
            return lambda at: above(at @ U[net] / math.sqrt(len(U[net]))) @ v[net] / math.sqrt(len(v[net]))

        return [(h[net], head(net)) for net in range(len(h))]

    def train(
        self, x: Tensor, y: Tensor, *, lr: float, steps: int, kept: Sequence[int] | None = None
    ) -> Tensor:
        """Train in place by gradient descent on half the sum of squared errors.

        Args:
            x: Inputs (P, features), those with a target first.
            y: Targets (N, outputs).
            lr: Learning rate.
            steps: Steps.
            kept: Steps before which outputs are kept; all, and the end, by default.

        Returns:
            Outputs (kept, nets, P, outputs), float64.
        """
        stops = range(steps + 1) if kept is None else kept
        found = []
        for w in self.weights:
            w.requires_grad_()
        for step in range(steps + 1):
            if step in stops:
                with torch.no_grad():
                    found.append(self.outputs(x).double())
            if step < steps:
                with torch.enable_grad():
                    loss = 0.5 * (self.outputs(x[: len(y)]) - y).square().sum()
                gradients = torch.autograd.grad(loss, self.weights)
                with torch.no_grad():
                    for w, gradient in zip(self.weights, gradients, strict=True):
                        w.sub_(gradient, alpha=lr)
        for w in self.weights:
            w.requires_grad_(False)
        return torch.stack(found)

    def kernels(self, x: Tensor) -> Tensor:
        """Return the tangent kernel of the first output of every net, (nets, P, P), float64."""
        P, nets = len(x), len(self.weights[0])
        total = torch.zeros(nets, P, P, dtype=torch.float64)
        for w in self.weights:
            w.requires_grad_()
        with torch.enable_grad():
            rows = self.outputs(x)[..., 0].sum(0)
        for w in self.weights:
            parts = [torch.autograd.grad(row, w, retain_graph=True)[0].flatten(1) for row in rows]
            J = torch.stack(parts, 1)
            total += (J @ J.mT).double()
        for w in self.weights:
            w.requires_grad_(False)
        return total
