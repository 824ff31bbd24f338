"""Draws of the covariance of residual networks of finite width and depth, without their weights (paper 15)."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.finite_width.activation import Phi, read_activation
from similitude.theory.finite_width.given import covariance, number, whole


@cites(15, "networks of finite width and depth, in law")
def sample_resnet_covariance(
    q0: ArrayLike | Tensor,
    width: int,
    *,
    depth: int,
    trials: int,
    phi: Phi = torch.relu,
    branch: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """Draw covariances of finite residual networks on N inputs, exactly in law.

    Given a layer, the rows that W phi(Y) adds are independent Gaussian vectors over the inputs with covariance
    <phi(Y(a)), phi(Y(b))> / n. They are drawn as such, without matrices of n^2 weights.

    Args:
        q0: Covariance of the inputs, shape (N, N), or one variance; the stem's weights are drawn, too.
        width: n.
        depth: Number L of branches.
        trials: Networks.
        phi: Activation, of torch operations.
        branch: Multiplier a of the branches beside 1 / sqrt(L).
        seed: Seed of the draws.

    Returns:
        <Y_L(a), Y_L(b)> / n of every network, shape (trials, N, N).

    Raises:
        TheoryError: No inputs have this covariance, a number is out of range, or the stream overflows.

    Example:
        >>> draws = sample_resnet_covariance(1.0, 64, depth=16, trials=2000)
        >>> bool(abs(draws.mean() - (1 + 1 / 32) ** 16) < 0.03)
        True

    Source: paper 15 (arXiv 2302.00453), the limit of depth before width.

    Cost: trials x L x n x N^2 operations.
    """
    q, activation = covariance(q0), read_activation(phi)
    n, L, runs = whole("width", width), whole("depth", depth), whole("trials", trials)
    step = number("branch", branch) / math.sqrt(L)
    g = torch_generator(seed, "residual draws", n, L)
    with torch.no_grad():
        Y = _root(torch.from_numpy(q)) @ torch.randn(runs, len(q), n, generator=g, dtype=torch.float64)
        for layer in range(L):
            hidden = activation.phi(Y.clone()).double()
            noise = torch.randn(Y.shape, generator=g, dtype=torch.float64)
            Y = Y + step * (_root(hidden @ hidden.mT / n) @ noise)
            if not bool(torch.isfinite(Y).all()):
                raise TheoryError(
                    f"the stream overflows behind branch {layer + 1} of {L}. Pass a smaller branch than {branch:g}."
                )
        return (Y @ Y.mT / n).numpy()


def _root(matrix: Tensor) -> Tensor:
    """Return a square root of covariances, which may be singular, as with equal inputs."""
    if matrix.shape[-1] == 1:
        return matrix.clamp_min(0).sqrt()
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt().unsqueeze(-2)
