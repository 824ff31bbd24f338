"""A two-layer network of the user's: its features, and one full-batch gradient step on its first layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor, nn

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import numpy_generator
from similitude.theory.finite_width.activation import Activation, Phi, read_activation
from similitude.theory.finite_width.given import number, whole
from similitude.theory.ridge.arrays import array

Array = np.ndarray
_LARGEST = 1e150  # above it squares, and sums of them, are beyond float64


@cites(16, "Section 2: the two-layer network and its first gradient step")
@dataclass(frozen=True, eq=False)
class TwoLayer:
    """A network f(x) = readout . phi(weight x + bias). Made by `TwoLayer.of` from layers, or `TwoLayer.random`.

    Attributes:
        weight: Of the first layer, shape (width, dimension), as in `torch.nn.Linear`.
        bias: Of the first layer, shape (width,).
        readout: Weights of the second layer, shape (width,); its bias is left out, as labels are centred.
        phi: The activation.

    Example:
        >>> import torch
        >>> net = TwoLayer.random(torch.tanh, width=3, dimension=2, seed=0)
        >>> net.features(np.zeros((5, 2))).shape
        (5, 3)
    """

    weight: Array
    bias: Array
    readout: Array
    phi: Activation

    @classmethod
    def of(
        cls, first: nn.Linear | Tensor | Array, phi: Phi, readout: nn.Linear | Tensor | Array | None = None
    ) -> Self:
        """Read the layers of a network, which is left as it is.

        Args:
            first: `torch.nn.Linear`, or a weight of shape (width, dimension).
            phi: Activation behind it, of torch operations, applied entry by entry.
            readout: The layer behind that, of one output, or its weights, shape (width,). If left out it is drawn from
                N(0, 1 / width^2) with a fixed seed; features need none, a step does.

        Raises:
            TheoryError: Shapes do not fit, or a weight is not finite.
        """
        weight = array(first.weight if isinstance(first, nn.Linear) else first, "first.weight")
        if weight.ndim != 2 or not weight.size:
            raise TheoryError(
                f"first has shape {weight.shape}. Pass a weight of shape (width, dimension), or its Linear layer."
            )
        width = len(weight)
        own_bias = first.bias if isinstance(first, nn.Linear) else None
        bias = np.zeros(width) if own_bias is None else array(own_bias, "first.bias")
        if readout is None:
            last = _random_readout(width, 0)
        else:
            last = array(readout.weight if isinstance(readout, nn.Linear) else readout, "readout")
        if last.shape not in ((width,), (1, width), (width, 1)):
            raise TheoryError(
                f"readout has shape {last.shape} and the first layer {width} neurons: one output of {width} weights is "
                "needed. Pass one row of a readout of several outputs."
            )
        return cls(weight, bias, last.reshape(width), read_activation(phi))

    @classmethod
    def random(cls, phi: Phi, *, width: int, dimension: int, seed: int) -> Self:
        """Draw the network of the paper: weights N(0, 1 / dimension), readout N(0, 1 / width^2), no bias.

        Args:
            phi: Activation, of torch operations.
            width: Neurons.
            dimension: Of the inputs.
            seed: Of both draws.

        Raises:
            TheoryError: A number is out of range.
        """
        width, dimension = whole("width", width), whole("dimension", dimension)
        g = numpy_generator(seed, "first layer", width, dimension)
        weight = g.standard_normal((width, dimension)) / math.sqrt(dimension)
        return cls(weight, np.zeros(width), _random_readout(width, seed), read_activation(phi))

    @property
    def width(self) -> int:
        """Number of neurons, N."""
        return len(self.weight)

    def preactivations(self, X: ArrayLike | Tensor) -> Array:
        """Return weight x + bias of every sample, shape (samples, width).

        Raises:
            TheoryError: Inputs do not fit the weight.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is told where it is used
            return self.inputs(X) @ self.weight.T + self.bias

    def features(self, X: ArrayLike | Tensor) -> Array:
        """Return phi(weight x + bias), shape (samples, width).

        Raises:
            TheoryError: Inputs do not fit the weight, or features are too large to square.
        """
        found = self.phi.values(self.preactivations(X))
        _check_size("features", found)
        return found

    def inputs(self, X: ArrayLike | Tensor) -> Array:
        """Return inputs in float64, shape (samples, dimension).

        Raises:
            TheoryError: They do not fit the weight.
        """
        x = array(X, "X")
        if x.ndim != 2 or x.shape[1] != self.weight.shape[1] or not len(x):
            raise TheoryError(
                f"X has shape {x.shape} and the first layer takes {self.weight.shape[1]} inputs. Pass samples as rows, "
                f"shape (samples, {self.weight.shape[1]})."
            )
        return x

    def step(self, X: ArrayLike | Tensor, y: ArrayLike | Tensor, *, eta: float) -> Self:
        """Return the network after one full-batch gradient step on the first layer's weight.

        The loss is mean (f - y)^2 / 2, the learning rate eta sqrt(width). Theory is of labels whose mean is subtracted.

        Args:
            X: Inputs, shape (samples, dimension).
            y: Labels, shape (samples,).
            eta: Step size of the paper: of the order of 1 is small, of sqrt(width) large.

        Raises:
            TheoryError: Shapes do not fit, a number is not finite, phi has no gradient, or the step's square overflows.
        """
        eta = number("eta", eta)
        x = self.inputs(X)
        labels = row(y, len(x))
        z = self.preactivations(x)
        left = labels - self.phi.values(z) @ self.readout
        gradient = (left[:, None] * self.phi.derivative(z) * self.readout).T @ x / len(x)
        with np.errstate(over="ignore", invalid="ignore"):
            moved = self.weight + eta * math.sqrt(self.width) * gradient
        _check_size("weights after the step", moved)
        return replace(self, weight=moved)


def row(y: ArrayLike | Tensor, samples: int) -> Array:
    """Return one label per sample, shape (samples,).

    Raises:
        TheoryError: There is not one per sample.
    """
    labels = array(y, "y")
    if labels.shape not in ((samples,), (samples, 1)):
        raise TheoryError(
            f"y has shape {labels.shape} and X {samples} samples: one number per sample is needed. Of classes pass one "
            "against the rest: (labels == 3) * 2.0 - 1."
        )
    return labels.reshape(samples)


def _check_size(what: str, values: Array) -> None:
    largest = float(np.abs(values).max())
    if not largest < _LARGEST:
        raise TheoryError(
            f"{what} reach {largest:.3g}, whose squares are beyond float64. Scale inputs down, or take a smaller step."
        )


def _random_readout(width: int, seed: int) -> Array:
    return numpy_generator(seed, "readout", width).standard_normal(width) / width
