"""The networks of tests/oracles/neural_tangents_fixtures.py as ordinary torch modules of some width, with one output."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Erf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


class Sin(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Joined(nn.Module):
    """A layer beside a network of it, one after the other along the features."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, width), nn.Linear(width, width)
        self.third, self.head = nn.Linear(2 * width, width), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        both = torch.cat([first, self.second(torch.erf(first))], -1)
        return self.head(torch.erf(self.third(both)))


class Residual(nn.Module):
    """x + W act(V norm(x)), twice."""

    def __init__(self, width: int, act: nn.Module) -> None:
        super().__init__()
        self.stem, self.head, self.act = nn.Linear(64, width), nn.Linear(width, 1), act
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.ups = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.downs = nn.ModuleList(nn.Linear(width, width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=True):
            x = x + down(self.act(up(norm(x))))
        return self.head(self.act(x))


class ResidualConvolutional(nn.Module):
    """Two residual convolutions, the second one halved, and the mean over the image."""

    def __init__(self, width: int, act: nn.Module) -> None:
        super().__init__()
        self.stem, self.head, self.act = nn.Conv2d(1, width, 3, padding=1), nn.Linear(width, 1), act
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.first(self.act(x))
        x = x + 0.5 * self.second(self.act(x))
        return self.head(self.act(x).mean((2, 3)))


def perceptron(width: int, act: nn.Module) -> nn.Module:
    hidden = [nn.Linear(64, width), act, nn.Linear(width, width), act, nn.Linear(width, width), act]
    return nn.Sequential(*hidden, nn.Linear(width, 1))


def flattened(width: int, act: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        act,
        nn.Conv2d(width, width, 3, stride=2),
        act,
        nn.Conv2d(width, width, 3, padding=1),
        act,
        nn.Flatten(),
        nn.Linear(9 * width, 1),
    )


def pooled(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(width, width, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 1),
    )


def normed(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1),
        nn.GroupNorm(1, width, affine=False),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.GroupNorm(1, width, affine=False),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 1),
    )


NETWORKS: dict[str, tuple[Callable[[int], nn.Module], bool]] = {
    "mlp-relu": (lambda width: perceptron(width, nn.ReLU()), False),
    "mlp-erf": (lambda width: perceptron(width, Erf()), False),
    "mlp-gelu": (lambda width: perceptron(width, nn.GELU()), False),
    "mlp-leaky": (lambda width: perceptron(width, nn.LeakyReLU(0.2)), False),
    "mlp-sin": (lambda width: perceptron(width, Sin()), False),
    "mlp-concat": (Joined, False),
    "residual-norm-relu": (lambda width: Residual(width, nn.ReLU()), False),
    "residual-norm-gelu": (lambda width: Residual(width, nn.GELU()), False),
    "conv-flat-relu": (lambda width: flattened(width, nn.ReLU()), True),
    "conv-flat-gelu": (lambda width: flattened(width, nn.GELU()), True),
    "conv-pooled": (pooled, True),
    "conv-norm": (normed, True),
    "residual-conv-relu": (lambda width: ResidualConvolutional(width, nn.ReLU()), True),
    "residual-conv-gelu": (lambda width: ResidualConvolutional(width, nn.GELU()), True),
}
"""Function of the width by name of the fixture, and whether it reads images as images."""
