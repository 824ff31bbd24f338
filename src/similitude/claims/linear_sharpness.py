"""Two-layer linear networks that autograd trains: how far Theorem 5.1 of paper 2 is off, and how sharp they end."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from similitude.core.seeding import torch_generator
from similitude.landscape.curvature import Curvature
from similitude.theory.two_layer_linear import TwoLayerLinear

FEATURES, EXAMPLES = 6, 30
POWERS = {"mup": 0.5, "ntp": 0.0}
"""gamma is the width to this power."""


class LinearNet(nn.Module):
    """f = X E V / (gamma sqrt(N D)) with weights of N(0, 1), float64.

    Args:
        width: Hidden units N.
        gamma: What the output is divided by beside sqrt(N D).
        seed: Draws the weights.
    """

    def __init__(self, width: int, gamma: float, *, seed: int) -> None:
        super().__init__()
        generator = torch_generator(seed, "linear net", width)
        draw = torch.randn(FEATURES + 1, width, generator=generator, dtype=torch.float64)
        self.E, self.V = nn.Parameter(draw[:-1].clone()), nn.Parameter(draw[-1].clone())
        self.gamma = gamma

    def forward(self, X: Tensor) -> Tensor:
        """Map inputs (P, D) to outputs (P,)."""
        return X @ self.E @ self.V / (self.gamma * math.sqrt(self.E.numel()))


def task(*, whitened: bool) -> tuple[Tensor, Tensor]:
    """Return Gaussian inputs (P, D) and targets (P,), float64; whitened ones have a second moment of exactly I."""
    generator = torch_generator(2, "linear task")
    X = torch.randn(EXAMPLES, FEATURES, generator=generator, dtype=torch.float64)
    if whitened:
        X = torch.linalg.qr(X).Q * math.sqrt(EXAMPLES)
    w = torch.randn(FEATURES, generator=generator, dtype=torch.float64)
    noise = torch.randn(EXAMPLES, generator=generator, dtype=torch.float64)
    return X, X @ w + 0.1 * noise


def half_squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return |f - y|^2 / (2 P)."""
    return 0.5 * (model(batch[0]) - batch[1]).square().mean()


def trained(net: LinearNet, batch: tuple[Tensor, Tensor], *, eta: float, steps: int) -> None:
    """Train by gradient descent at the rate eta gamma^2."""
    optimizer = torch.optim.SGD(net.parameters(), lr=eta * net.gamma**2)
    for _ in range(steps):
        optimizer.zero_grad()
        half_squared_error(net, batch).backward()
        optimizer.step()


def largest_difference(width: int, power: float, *, steps: int, seed: int) -> float:
    """Return the largest entry by which w, e, v of a trained network are off Theorem 5.1 at any of some steps.

    Args:
        width: Hidden units.
        power: gamma is the width to this power.
        steps: Steps of gradient descent, at 0.8 over the initial sharpness.
        seed: Draws the weights.
    """
    X, y = task(whitened=False)
    net = LinearNet(width, width**power, seed=seed)
    state, worst = _state(net, X, y), 0.0
    eta = 0.8 / state.sharpness()
    for _ in range(steps):
        trained(net, (X, y), eta=eta, steps=1)
        state, found = state.step(eta), _state(net, X, y)
        off = (np.abs(state.w - found.w).max(), np.abs(state.e - found.e).max(), abs(state.v - found.v))
        worst = max(worst, *map(float, off))
    return worst


def sharpness_before_and_after(
    width: int, power: float, *, eta: float, steps: int, seed: int
) -> tuple[float, float]:
    """Train on whitened inputs, and measure gamma^2 times the largest eigenvalue of the Hessian before and after."""
    batch = task(whitened=True)
    net = LinearNet(width, width**power, seed=seed)
    found = []
    for moves in (0, steps):
        trained(net, batch, eta=eta, steps=moves)
        with Curvature(net, half_squared_error, batch) as curv:
            found.append(net.gamma**2 * curv.sharpness(tol=1e-6).value)
    return found[0], found[1]


def _state(net: LinearNet, X: Tensor, y: Tensor) -> TwoLayerLinear:
    return TwoLayerLinear.of(X, y, E=net.E, V=net.V, gamma=net.gamma)
