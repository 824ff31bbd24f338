"""The network of an agent: an actor and a critic over numbers, and over images where there are any; plain torch."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from similitude.core.errors import WorldError
from similitude.worlds.gym.spaces import REALS, SWITCHES

GRASP, JUMP = 1.0, -3.0
"""Where the logits of the switches begin: hands rather closed, legs rather still. Closing them by chance takes long."""
SPREAD = -1.0
"""Where the logarithm of the standard deviations of the 18 real numbers begins."""
NARROWEST, WIDEST = -2.5, 0.5
"""Ends of that logarithm: an agent that is certain no longer learns by trying."""
PATCH = 4
"""Pixels per side that the first convolution sees at once."""


class Outputs(NamedTuple):
    """What a network says of a batch.

    Attributes:
        means: Of the 18 real numbers, (B, 18).
        spreads: Logarithms of their standard deviations, (B, 18).
        logits: Of the three switches, (B, 3).
        values: Expected return, (B,).
    """

    means: Tensor
    spreads: Tensor
    logits: Tensor
    values: Tensor


class PolicyNetwork(nn.Module):
    """An actor and a critic of one width and depth; a camera's images are encoded once, for the actor.

    Every side that grows is a multiple of `width`, so that `similitude.plan` tells all roles from the network itself.

    Args:
        numbers: Numbers of an observation.
        width: Units of hidden layers; channels of convolutions are a quarter and a half of it.
        depth: Hidden layers.
        resolution: Rows and columns of images; None without a camera.

    Raises:
        WorldError: A size is too small, or images do not divide into patches.

    Example:
        >>> network = PolicyNetwork(229, width=64)
        >>> network(torch.zeros(5, 229)).means.shape
        torch.Size([5, 18])
    """

    def __init__(
        self, numbers: int, *, width: int = 64, depth: int = 2, resolution: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        if width < 4 or width % 4 or depth < 1:
            raise WorldError(
                f"a network of width {width} and depth {depth} cannot be made: the width must be a multiple of 4, the "
                "depth at least 1. Give width=64, depth=2."
            )
        self.numbers, self.resolution = numbers, resolution
        self.camera = None if resolution is None else Camera(resolution, width=width)
        eyes = self.camera is not None
        self.actor, self.critic = (Trunk(numbers, width=width, depth=depth, eyes=eyes) for _ in range(2))
        self.act = nn.Linear(width, REALS + SWITCHES)
        self.value = nn.Linear(width, 1)
        self.spread = nn.Parameter(torch.full((REALS,), SPREAD))
        self.limits = (NARROWEST, WIDEST)  # TorchScript sees no names of the module
        with torch.no_grad():
            self.act.weight.mul_(0.1)  # a policy that begins with opinions explores less
            self.act.bias.zero_()
            self.act.bias[REALS : REALS + 2] = GRASP
            self.act.bias[-1] = JUMP

    def forward(self, numbers: Tensor, images: Tensor | None = None) -> Outputs:
        """Return what to do and what it is worth.

        Args:
            numbers: (B, numbers).
            images: uint8, (B, rows, columns, 4); where there is a camera.
        """
        code: Tensor | None = None
        watched: Tensor | None = None
        if self.camera is not None and images is not None:
            seen = self.camera(images)
            code, watched = seen, seen.detach()  # the critic's errors, large at first, must not teach the eye
        acts = self.act(self.actor(numbers, code))
        reals = self.spread.shape[0]
        spreads = self.spread.clamp(self.limits[0], self.limits[1]).expand(acts.shape[0], reals)
        values = self.value(self.critic(numbers, watched)).squeeze(1)
        return Outputs(acts[:, :reals], spreads, acts[:, reals:], values)


class Trunk(nn.Module):
    """Hidden layers of one width with tanh.

    Args:
        numbers: Numbers of the input.
        width: Units per layer.
        depth: Layers.
        eyes: Whether there is a code of an image, of `width` numbers, beside the input. It has a matrix of its own, so
            that no matrix has a side that grows in part.
    """

    def __init__(self, numbers: int, *, width: int, depth: int, eyes: bool) -> None:
        super().__init__()
        self.first = nn.Linear(numbers, width)
        self.eyes = nn.Linear(width, width, bias=False) if eyes else None
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth - 1))

    def forward(self, x: Tensor, code: Tensor | None = None) -> Tensor:
        """Map (B, numbers), and codes of images (B, width), to (B, width)."""
        x = self.first(x)
        if self.eyes is not None and code is not None:
            x = x + self.eyes(code)
        x = torch.tanh(x)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return x


class Camera(nn.Module):
    """Three convolutions and a layer: an image becomes `width` numbers.

    Args:
        resolution: Rows and columns; multiples of 8.
        width: Units of the code.

    Raises:
        WorldError: The resolution is none of multiples of 8.
    """

    def __init__(self, resolution: tuple[int, int], *, width: int) -> None:
        super().__init__()
        if any(side % (2 * PATCH) for side in resolution):
            raise WorldError(
                f"images of {resolution[0]} x {resolution[1]} do not divide into patches of {2 * PATCH}. Take multiples "
                f"of {2 * PATCH}, such as --resolution 48."
            )
        few, many = width // 4, width // 2
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(4, few, PATCH, PATCH),
                nn.Conv2d(few, many, 3, 2, padding=1),
                nn.Conv2d(many, many, 3, padding=1),
            ]
        )
        self.code = nn.Linear(many * (resolution[0] // 8) * (resolution[1] // 8), width)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images (B, rows, columns, 4) to (B, width)."""
        x = images.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        for layer in self.layers:
            x = torch.relu(layer(x))
        return torch.relu(self.code(x.flatten(1)))
