"""Train many finite linear residual networks at once, and compare their mean with the infinitely wide one."""

from __future__ import annotations

import math

import numpy as np
import torch

from similitude.core.seeding import numpy_generator, torch_generator
from similitude.theory.linear_resnet import linear_resnet_limit

STEPS, FEATURES = 6, 3
_TOGETHER = 2**22  # weights that are trained at once


def example_task() -> tuple[np.ndarray, np.ndarray]:
    """Return six examples of unit length, shape (6, 3), and targets of order 1."""
    rng = numpy_generator(13, "linear task")
    xi = rng.standard_normal((STEPS, FEATURES))
    return xi / np.linalg.norm(xi, axis=1, keepdims=True), rng.standard_normal(STEPS)


def train_linear(*, width: int, depth: int, lr: float, seeds: int, generator: torch.Generator) -> np.ndarray:
    """Train linear residual networks of Depth-muP by SGD, one example per step, stem and readout frozen.

    Args:
        width: Width n.
        depth: Branches L, each x + L^-1/2 W x.
        lr: Learning rate on (f - y)^2 / 2.
        seeds: Networks.
        generator: Draws their weights.

    Returns:
        Outputs before every step, shape (seeds, steps).
    """
    xi, y = example_task()
    examples = torch.from_numpy(xi).float()

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    stem, readout = draw(seeds, width, FEATURES), draw(seeds, width) / width
    weights = (draw(depth, seeds, width, width) / width**0.5).requires_grad_()
    outputs = []
    for t in range(STEPS):
        x = (stem @ examples[t]).unsqueeze(-1)
        for weight in weights:
            x = x + depth**-0.5 * (weight @ x)
        f = (readout * x.squeeze(-1)).sum(1)
        outputs.append(f.detach().double().numpy())
        (gradient,) = torch.autograd.grad(((f - float(y[t])) ** 2 / 2).sum(), weights)
        with torch.no_grad():
            weights -= lr * gradient  # the readout / n makes this the rate of muP
    return np.stack(outputs, axis=1)


def biases(*, width: int, depth: int, lr: float, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the mean output of finite networks is off the limit, and its standard error, by step."""
    generator = torch_generator(13, "linear networks", width)
    part = max(1, _TOGETHER // (depth * width**2))
    parts = [
        train_linear(width=width, depth=depth, lr=lr, seeds=min(part, seeds - start), generator=generator)
        for start in range(0, seeds, part)
    ]
    outputs = np.concatenate(parts)
    limit = linear_resnet_limit(*example_task(), depth=depth, lr=lr).outputs
    return outputs.mean(0) - limit, outputs.std(0, ddof=1) / math.sqrt(len(outputs))
