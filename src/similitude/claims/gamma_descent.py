"""Deep linear networks of many gammas and seeds under gradient descent, as one batched program in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from similitude.core.seeding import derive

Weights = list[Tensor]


@dataclass(frozen=True)
class LinearRuns:
    """Runs of some gammas and seeds.

    Attributes:
        gammas: Richnesses.
        losses: Half the squared error before each step, shape (gammas, seeds, steps).
        start: Weights by layer, shape (gammas, seeds, rows, columns).
        end: Weights after the last step.
    """

    gammas: tuple[float, ...]
    losses: np.ndarray
    start: Weights
    end: Weights


def descend(
    target: Tensor,
    *,
    layers: int,
    gammas: Sequence[float],
    lrs: Sequence[float],
    steps: int,
    width: int,
    seeds: int = 3,
) -> LinearRuns:
    """Train deep linear networks to be a matrix, on inputs of unit covariance: their population loss.

    Args:
        target: What (W_L ... W_1 - its initial value) / gamma has to be, shape (outputs, inputs).
        layers: Number of weight layers.
        gammas: Richnesses.
        lrs: Learning rate of each.
        steps: Steps of gradient descent.
        width: Units of every hidden layer.
        seeds: Number of draws of the weights, the same ones for every gamma.
    """
    outputs, inputs = target.shape
    weights: Weights = []
    for layer in range(layers):
        rows = outputs if layer == layers - 1 else width
        columns = inputs if layer == 0 else width
        std = 1 / width if layer == layers - 1 else columns**-0.5
        draws = [
            std * torch.randn(rows, columns, generator=_generator(seed, layer), dtype=torch.float64)
            for seed in range(seeds)
        ]
        weights.append(torch.stack(draws).expand(len(gammas), -1, -1, -1).clone())
    start = [w.clone() for w in weights]
    scale = torch.tensor(list(gammas), dtype=torch.float64)[:, None, None, None]
    rate = torch.tensor(list(lrs), dtype=torch.float64)[:, None, None, None]
    before, losses = product(start), []
    for w in weights:
        w.requires_grad_()
    for _ in range(steps):
        loss = 0.5 * ((product(weights) - before) / scale - target).square().sum((-2, -1))
        losses.append(loss.detach().numpy())
        gradients = torch.autograd.grad(loss.sum(), weights)  # runs do not touch each other
        with torch.no_grad():
            for w, gradient in zip(weights, gradients, strict=True):
                w.sub_(rate * gradient)
    end = [w.detach() for w in weights]
    return LinearRuns(tuple(gammas), np.stack(losses, axis=-1), start, end)


def product(weights: Weights) -> Tensor:
    """Return W_L ... W_1, shape (..., outputs, inputs)."""
    found = weights[0]
    for w in weights[1:]:
        found = w @ found
    return found


def sharpness(runs: LinearRuns, target: Tensor, *, trained: bool) -> np.ndarray:
    """Return the largest eigenvalue of the loss's dense Hessian, shape (gammas, seeds)."""
    seeds = runs.losses.shape[1]
    found = np.empty((len(runs.gammas), seeds))
    for i, gamma in enumerate(runs.gammas):
        for j in range(seeds):
            start, at = (
                [w[i, j] for w in weights] for weights in (runs.start, runs.end if trained else runs.start)
            )
            before = product(start)

            def loss(*weights: Tensor, before: Tensor = before, gamma: float = gamma) -> Tensor:
                return 0.5 * ((product(list(weights)) - before) / gamma - target).square().sum()

            blocks = torch.autograd.functional.hessian(loss, tuple(at))
            rows = [
                torch.cat([b.reshape(w.numel(), -1) for b in row], 1)
                for w, row in zip(at, blocks, strict=True)
            ]
            found[i, j] = float(torch.linalg.eigvalsh(torch.cat(rows))[-1])
    return found


def _generator(seed: int, layer: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, "linear", layer))
