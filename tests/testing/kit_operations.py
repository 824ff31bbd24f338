"""Operators of somebody else's, one per claim, as the kit's tests need them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _define(name, function):
    made = torch.library.custom_op(f"kit::{name}", mutates_args=())(function)
    made.register_fake(lambda *arguments: torch.empty_like(function(*arguments)))
    return made


def flipped(x: Tensor) -> Tensor:
    return torch.flip(x, (-1,)).clone()


def smoothed(x: Tensor) -> Tensor:
    return 0.5 * (x + torch.roll(x, 1, -1))


def cubic_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs() ** (1 / 3)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.1 * x)


def normed(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], gain, bias)


def product(x: Tensor, kernel: Tensor, shift: Tensor) -> Tensor:
    return x @ kernel + shift


def gated(x: Tensor, weight: Tensor) -> Tensor:
    a, gate = F.linear(x, weight).chunk(2, -1)
    return a * torch.sigmoid(gate)


FLIPPED = _define("flipped", flipped)
SMOOTHED = _define("smoothed", smoothed)
CUBIC_ROOT = _define("cubic_root", cubic_root)
LEAKY = _define("leaky", leaky)
NORMED = _define("normed", normed)
PRODUCT = _define("product", product)
GATED = _define("gated", gated)


@torch.library.custom_op("kit::shapeless", mutates_args=())
def shapeless(x: Tensor) -> Tensor:
    """An operator without a fake, so that the meta device cannot run it."""
    return 2 * x
