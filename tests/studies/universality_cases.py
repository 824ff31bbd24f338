"""A ReLU network whose kernel is written out, to stand for any architecture, and studies whose numbers are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from similitude.studies.universality_records import Universality, UniversalityWidth
from similitude.studies.universality_verdict import architecture, overall

WIDTHS = (64, 256, 1024)


def relu_limit(inputs: Tensor) -> Tensor:
    """Return the limit of the tangent kernel of two hidden layers of ReLUs, all weights of variance 1 / fan-in."""
    x = inputs.flatten(1).double()
    k = x @ x.T / x.shape[1]
    t = k
    for _ in range(2):
        scale = torch.outer(k.diagonal(), k.diagonal()).sqrt()
        angle = (k / scale).clamp(-1, 1).acos().fill_diagonal_(0)
        k = scale * (angle.sin() + (math.pi - angle) * angle.cos()) / (2 * math.pi)
        t = k + (math.pi - angle) / (2 * math.pi) * t
    return t


def study(power: float | Callable[[int], float] = -0.5, *, contrast: str | None = "mup") -> Universality:
    """Return a study of two architectures in which deviations go with a power of the width, or are given by it."""

    def at(width: int, seed: int) -> float:
        return (power(width) if callable(power) else 3.0 * width**power) * (1 + 0.02 * seed)

    def measured(scale: float) -> list[UniversalityWidth]:
        return [
            UniversalityWidth(
                width,
                deviations=tuple(scale * at(width, seed) for seed in range(3)),
                train_deviations=tuple(0.5 * scale * at(width, seed) for seed in range(3)),
                kernel_errors=tuple(2 * width**-0.5 * (1 + 0.01 * seed) for seed in range(3)),
                kernel_changes=tuple(9 / width * (1 + 0.01 * seed) for seed in range(3)),
                contrast_changes=tuple(0.2 * (1 + 0.01 * seed) for seed in range(3)) if contrast else (),
            )
            for width in WIDTHS
        ]

    found = {
        name: architecture(name, measured(scale), lr=0.1) for name, scale in (("MLP", 1.0), ("a <b>", 0.7))
    }
    return Universality(found, contrast, overall(found), {"steps": 100}, 12.5)
