"""Kets of an infinitely wide perceptron at its start: Gaussian covariances layer by layer, and frozen draws of them that
gradients of all weights are made of (paper 14, Section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import derive
from similitude.theory.adaptive_limits.perceptron import Perceptron
from similitude.theory.finite_width.activation import Activation
from similitude.theory.finite_width.duals import products, slope_products

BLOCKS = 8
"""Independent scrambles of the points, whose spread is the error of what is computed from them."""

_NULL = 1e-12  # eigenvalues of a covariance below this share of the largest are rounding, as those of repeated inputs
_SEEDS = 2**31


@dataclass(frozen=True, eq=False)
class Covariances:
    """Covariances over M inputs, shape (M, M) each.

    Attributes:
        forward: Of x^0 (dot products of inputs), x^1, ..., x^L.
        backward: Of dx^1, ..., dx^L; that of dx^L is 1, since all inputs share the readout.
        slopes: E phi'(h) phi'(h) of every hidden layer.
    """

    forward: tuple[np.ndarray, ...]
    backward: tuple[np.ndarray, ...]
    slopes: tuple[np.ndarray, ...]

    @property
    def ntk(self) -> np.ndarray:
        """The tangent kernel, which is what SGD has."""
        hidden = zip(self.backward, self.slopes, self.forward[:-1], strict=True)
        return sum((g * d * k for g, d, k in hidden), start=self.forward[-1])


@cites(14, "Section 2.4: kets of the neural tangent limit at the start")
def covariances(net: Perceptron, inputs: Tensor) -> Covariances:
    """Return the covariances of kets at the start, weights N(0, 1) in the neural tangent parametrization.

    Args:
        net: The perceptron.
        inputs: Shape (M, features), float64.
    """
    forward = [(inputs @ inputs.T).numpy()]
    slopes = []
    for activation in net.activations:
        slopes.append(slope_products(activation, forward[-1]))
        forward.append(products(activation, forward[-1]))
    backward = [np.ones_like(forward[0])]
    for slope in reversed(slopes[1:]):
        backward.insert(0, backward[0] * slope)
    return Covariances(tuple(forward), tuple(backward), tuple(slopes))


class Kets(Protocol):
    """What gradients are made of, and what updates do to outputs."""

    def gradients(self, chi: Tensor) -> list[Tensor]:
        """Return the gradient that every layer's optimizer sees, for chi = dLoss / df, shape (M,)."""
        ...

    def response(self, updates: Sequence[Tensor]) -> Tensor:
        """Return how fast the outputs fall, shape (blocks, M), for one update per layer."""
        ...


@dataclass(frozen=True, eq=False)
class LinearKets:
    """All of the kets that a linear optimizer needs: the tangent kernel, exactly.

    Attributes:
        kernel: Shape (M, M).
    """

    kernel: Tensor

    def gradients(self, chi: Tensor) -> list[Tensor]:
        """Return chi itself: a linear optimizer commutes with the kernel."""
        return [chi]

    def response(self, updates: Sequence[Tensor]) -> Tensor:
        """Return the kernel times the update of chi, shape (1, M)."""
        return (self.kernel @ updates[0])[None]


@dataclass(frozen=True, eq=False)
class SampledKets:
    """Frozen draws of the kets. Made by `sampled_kets`.

    Attributes:
        first: dh^1, shape (blocks, draws, M).
        inputs: x^0, shape (M, features).
        later: dh^l x^(l-1) of the hidden layers from the second on, and x^L, shape (blocks, draws, M) each.
    """

    first: Tensor
    inputs: Tensor
    later: tuple[Tensor, ...]

    def gradients(self, chi: Tensor) -> list[Tensor]:
        """Return sum_b chi_b dh_b x_b of every draw: (blocks, draws, features), then (blocks, draws) per layer."""
        return [self.first @ (chi[:, None] * self.inputs), *(p @ chi for p in self.later)]

    def response(self, updates: Sequence[Tensor]) -> Tensor:
        """Return the sum over layers of E[dh_a Q x_a]: a sum over features in the first, shape (blocks, M)."""
        draws = self.first.shape[1]
        total = ((self.first.transpose(1, 2) @ updates[0]) * self.inputs).sum(2)
        for p, update in zip(self.later, updates[1:], strict=True):
            total = total + (update[:, None] @ p)[:, 0]
        return total / draws


@cites(14, "Theorem 2.4.7: independent copies of dh and x in every layer")
def sampled_kets(
    net: Perceptron, inputs: Tensor, found: Covariances, *, samples: int, seed: int
) -> SampledKets:
    """Draw the kets of every layer by scrambled Sobol points.

    Args:
        net: The perceptron.
        inputs: Shape (M, features), float64.
        found: `covariances` of these.
        samples: Points in all, at least one per block.
        seed: Of the scrambles.

    Raises:
        TheoryError: There are more inputs than Sobol points have dimensions for.

    Cost: memory of samples x (features + layers) x M numbers at most.
    """
    layers = net.hidden_layers
    first, later = torch.empty(0), []
    for layer in range(1, layers + 2):
        wanted: list[np.ndarray] = []
        if layer <= layers:
            wanted += [found.forward[layer - 1], found.backward[layer - 1]]
        if layer > 1:
            wanted.append(found.forward[layer - 2])
        drawn = _gaussians(wanted, samples=samples, seed=derive(seed, "kets", layer))
        p = torch.ones(())
        if layer <= layers:
            h, dx = drawn[:2]
            p = slope(net.activations[layer - 1], h) * dx
        if layer == 1:
            first = p
        else:
            later.append(p * net.activations[layer - 2].phi(drawn[-1]))
    return SampledKets(first, inputs, tuple(later))


def sobol_normal(dimensions: int, points: int, *, seed: int) -> Tensor:
    """Return standard normal points that fill space evenly, shape (points, dimensions), float64.

    Raises:
        TheoryError: There are more dimensions than Sobol points have.
    """
    if dimensions > SobolEngine.MAXDIM:
        raise TheoryError(
            f"{dimensions} dimensions are needed and Sobol points have {SobolEngine.MAXDIM}: about a third of it is the "
            "largest number of inputs. Pass fewer inputs."
        )
    engine = SobolEngine(max(dimensions, 1), scramble=True, seed=seed % _SEEDS)
    uniform = engine.draw(points, dtype=torch.float64)[:, :dimensions]
    # points are multiples of 2^-30 and may be 0
    return torch.special.ndtri(uniform.clamp(min=2.0**-32) + 2.0**-32)


def slope(activation: Activation, h: Tensor) -> Tensor:
    """Return phi'(h), shape as h."""
    return torch.from_numpy(activation.derivative(h.numpy()))


def _gaussians(wanted: Sequence[np.ndarray], *, samples: int, seed: int) -> list[Tensor]:
    """Draw independent Gaussian vectors of some covariances, shape (blocks, draws, M) each."""
    factors = [_factor(c) for c in wanted]
    sizes = [f.shape[1] for f in factors]
    per_block = max(samples // BLOCKS, 1)
    blocks = [sobol_normal(sum(sizes), per_block, seed=derive(seed, "block", b)) for b in range(BLOCKS)]
    parts = torch.stack(blocks).split(sizes, dim=2)
    return [part @ factor.T for part, factor in zip(parts, factors, strict=True)]


def _factor(covariance: np.ndarray) -> Tensor:
    """Return A with A A' the covariance, as many columns as its rank, the largest first."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _NULL * max(values[-1], 0.0)
    kept &= values > 0
    return torch.from_numpy((vectors[:, kept] * np.sqrt(values[kept]))[:, ::-1].copy())
