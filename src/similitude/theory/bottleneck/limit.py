"""Starts of a bottleneck, and the kernels of the same net without one: the limit of ever wider bottlenecks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import torch_generator
from similitude.theory.finite_width.activation import Phi, read_activation
from similitude.theory.finite_width.duals import products, slope_products
from similitude.theory.finite_width.given import covariance, whole


class WideKernels(NamedTuple):
    """Both kernels of an infinitely wide net.

    Attributes:
        nngp: Covariance of outputs over random starts, (P, P).
        ntk: Tangent kernel, (P, P), which does not move in training.
    """

    nngp: np.ndarray
    ntk: np.ndarray


@cites(19, "the net below the bottleneck at initialization")
def bottleneck_start(nngp: ArrayLike | Tensor, bottleneck: int, *, seed: int = 0) -> Tensor:
    """Draw the units of a bottleneck at initialization: every unit is N(0, K) over examples, on its own.

    Args:
        nngp: Covariance K of one output of the part below, between P examples, (P, P).
        bottleneck: Its units d.
        seed: Seed of the draw.

    Returns:
        Shape (P, d), float64.

    Raises:
        TheoryError: No outputs have this covariance, or d is not a whole number of at least 1.

    Example:
        >>> h = bottleneck_start([[1.0, 1.0], [1.0, 1.0]], 3)  # two equal examples
        >>> bool(torch.allclose(h[0], h[1]))
        True
    """
    K = torch.from_numpy(covariance(nngp, "nngp"))
    d = whole("bottleneck", bottleneck)
    values, vectors = torch.linalg.eigh(K)
    root = vectors * values.clamp(min=0).sqrt()
    g = torch_generator(seed, "bottleneck start", d)
    return root @ torch.randn(len(K), d, generator=g, dtype=torch.float64)


@cites(19, "the limit of a wide bottleneck")
def without_bottleneck(
    nngp: ArrayLike | Tensor, ntk: ArrayLike | Tensor, *, phi: Phi = torch.erf
) -> WideKernels:
    """Return the kernels of a net whose bottleneck is infinitely wide, too, under a head with one hidden layer.

    With the head of `wide_head`, K = E[phi(u) phi(v)] and Theta = K + E[phi'(u) phi'(v)] (K_g + Theta_g) for (u, v) of
    covariance K_g. The kernel of a net with a bottleneck of d units is about 1/sqrt(d) away from it at its start.

    Args:
        nngp: K_g, covariance of one output of the part below, (P, P).
        ntk: Theta_g, its tangent kernel.
        phi: Activation, of torch operations.

    Raises:
        TheoryError: No outputs have this covariance, the kernels differ in shape, or phi is no activation.

    Example:
        >>> found = without_bottleneck([[1.0]], [[2.0]], phi=torch.relu)
        >>> found.nngp.tolist(), found.ntk.tolist()
        ([[0.5]], [[2.0]])
    """
    K, theta = covariance(nngp, "nngp"), covariance(ntk, "ntk")
    if K.shape != theta.shape:
        raise TheoryError(
            f"nngp has shape {K.shape} and ntk {theta.shape}. Pass both kernels of the same examples."
        )
    activation = read_activation(phi)
    above = products(activation, K)
    return WideKernels(above, above + slope_products(activation, K) * (K + theta))
