"""Networks to compare with their kernels: an MLP, a ConvNet, a ResNet with norms and a transformer, on 8 x 8 digits.

They are ordinary modules without biases whose weights have variance 2 / fan-in, so that wider ones are in the NTK
parametrization already, and only learning rates are left to scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from similitude.data import load
from similitude.data.sets import ImageSet
from similitude.studies.universality_runs import Task

PIXELS, SIDE, CLASSES = 64, 8, 10
PATCH = 2
WEIGHT_VARIANCE = 1.0
"""Variance of weights times their fan-in (an embedding's is 1)."""


class Residual(nn.Module):
    """x + conv(relu(norm(x))), with the norm over channels and positions of one image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width, affine=False)
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map feature maps (B, width, H, W) to the same shape."""
        return x + self.conv(torch.relu(self.norm(x)))


class Mean(nn.Module):
    """The mean over the axes of positions."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean over `axes`."""
        return x.mean(self.axes)


class Transformer(nn.Module):
    """One pre-norm block over patches of 2 x 2 pixels, with one head whose logits are scaled by 1 / width.

    Args:
        width: Numbers per token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, width, PATCH, stride=PATCH, bias=False)
        self.positions = nn.Embedding((SIDE // PATCH) ** 2, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(3))
        self.query, self.key, self.value, self.out, self.up, self.down = (
            nn.Linear(width, width, bias=False) for _ in range(6)
        )
        self.head = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 1, 8, 8) to outputs (B, `CLASSES`)."""
        x = self.embed(x).flatten(2).transpose(1, 2)
        x = x + self.positions(torch.arange(x.shape[1], device=x.device))
        y = self.norms[0](x)
        q, k, v = self.query(y), self.key(y), self.value(y)
        mixed = (q @ k.transpose(-2, -1) / q.shape[-1]).softmax(-1) @ v
        x = x + self.out(mixed)
        x = x + self.down(torch.relu(self.up(self.norms[1](x))))
        return self.head(self.norms[2](x).mean(1))


def make_mlp(width: int) -> nn.Module:
    """Return an MLP of two hidden layers of ReLUs."""
    return _drawn(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(PIXELS, width, bias=False),
            nn.ReLU(),
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
            nn.Linear(width, CLASSES, bias=False),
        )
    )


def make_convnet(width: int) -> nn.Module:
    """Return two convolutions, the second one with stride 2, the mean over positions, and a linear head."""
    return _drawn(
        nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            Mean(2, 3),
            nn.Linear(width, CLASSES, bias=False),
        )
    )


def make_resnet(width: int) -> nn.Module:
    """Return a convolution and two residual ones with norms, the mean over positions, and a linear head."""
    return _drawn(
        nn.Sequential(
            nn.Conv2d(1, width, 3, stride=2, padding=1, bias=False),
            Residual(width),
            Residual(width),
            nn.ReLU(),
            Mean(2, 3),
            nn.Linear(width, CLASSES, bias=False),
        )
    )


def make_transformer(width: int) -> nn.Module:
    """Return a transformer of one block."""
    return _drawn(Transformer(width))


ARCHITECTURES: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {
        "MLP": make_mlp,
        "ConvNet": make_convnet,
        "ResNet with norms": make_resnet,
        "transformer": make_transformer,
    }
)
"""The reference networks by name."""


def digits_task(*, train: int = 24, test: int = 12) -> Task:
    """Return digits, standardized, with centred one-hot targets.

    Args:
        train: Images to train on.
        test: Images to compare on beside.
    """
    digits = load("digits")
    assert isinstance(digits, ImageSet)
    images = torch.tensor(digits.train_images[: train + test], dtype=torch.float32).permute(0, 3, 1, 2)
    labels = torch.tensor(digits.train_labels[:train])
    targets = nn.functional.one_hot(labels, CLASSES) - 1 / CLASSES
    return Task((images - images.mean()) / images.std(), targets)


def _drawn(module: nn.Module) -> nn.Module:
    """Draw all weights with variance 2 / fan-in; an embedding looks one row up, so its fan-in is 1."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            fan_in = 1 if isinstance(layer, nn.Embedding) else layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=math.sqrt(WEIGHT_VARIANCE / fan_in))
    return module
