"""What one gradient step will learn from a user's own data: the direction and size of the spike, before the step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.theory.finite_width.given import number
from similitude.theory.one_step.network import TwoLayer, row
from similitude.theory.one_step.spike import OneStepSpike, spike_of
from similitude.theory.ridge.arrays import array

Array = np.ndarray


@cites(16, "Proposition: the first gradient is of rank one")
def one_step_alignment(
    net: TwoLayer,
    X: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    *,
    eta: float,
    direction: ArrayLike | Tensor | None = None,
) -> OneStepSpike:
    """Predict the top singular value and direction of a network's first layer after a step on your data.

    The step is nearly readout times v, with v the mean of x (y - f(x)) phi' over samples, phi' averaged over neurons.
    Inputs may be of any distribution, as long as weights are random and independent of them, and may be whitened by
    `whitened`.

    Args:
        net: The network before the step: `TwoLayer.of(model[0], torch.relu, model[2])`, or `TwoLayer.random`.
        X: Inputs, shape (samples, dimension).
        y: Labels, shape (samples,); subtract their mean.
        eta: Step size: a learning rate of eta sqrt(width).
        direction: What alignment is measured to, shape (dimension,); the linear teacher X^+ y of these samples if left
            out.

    Returns:
        The spike, singular values in units of the weights.

    Raises:
        TheoryError: Shapes do not fit, a number is not finite, or nothing is learned: v is zero.

    Cost: the features of all samples, and a least-squares fit.
    """
    eta = number("eta", eta)
    x = net.inputs(X)
    labels = row(y, len(x))
    z = net.preactivations(x)
    left = labels - net.phi.values(z) @ net.readout
    v = x.T @ (left * net.phi.derivative(z).mean(1)) / len(x)
    size = float(np.linalg.norm(v))
    if direction is None:
        teacher = linear_teacher(x, labels)
        if not float(np.linalg.norm(teacher)) > 0:
            raise TheoryError(
                "the least-squares fit of y on X is zero, so that there is no direction to be aligned with. Pass labels "
                "that depend on the inputs, or a direction."
            )
    else:
        teacher = array(direction, "direction")
    if teacher.shape != v.shape or not float(np.linalg.norm(teacher)) > 0:
        raise TheoryError(
            f"direction has shape {teacher.shape} and norm {float(np.linalg.norm(teacher)):.3g}, inputs are of dimension "
            f"{len(v)}. Pass one vector that is not zero."
        )
    width, dimension = net.weight.shape
    scale = float(np.sqrt(dimension * np.mean(net.weight**2)))
    if not size > 0 or not scale > 0:
        raise TheoryError(
            f"the step's direction has norm {size:.3g}, weights are of size {scale:.3g}: neither may be zero. Pass "
            "labels that depend on the inputs, a phi with a linear part, and a random first layer."
        )
    gradient = size * float(np.linalg.norm(net.readout)) * width**0.5 / scale
    found = spike_of(gradient, eta, width / dimension, squared_cosine(v, teacher))
    return replace(
        found,
        strength=found.strength * scale,
        threshold=found.threshold * scale,
        bulk=found.bulk * scale,
        top=found.top * scale,
    )


def linear_teacher(x: Array, labels: Array) -> Array:
    """Return the weights of the least-squares fit with an intercept, shape (dimension,)."""
    return np.linalg.lstsq(x - x.mean(0), labels - labels.mean(), rcond=None)[0]


def squared_cosine(a: Array, b: Array) -> float:
    """Return the squared cosine of two vectors, 0 where one is zero.

    Example:
        >>> squared_cosine(np.array([1.0, 0.0]), np.array([-2.0, 2.0])).__round__(12)
        0.5
    """
    size = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return (float(a @ b) / size) ** 2 if size > 0 else 0.0


def top_direction(weight: Array) -> tuple[float, Array]:
    """Return the largest singular value of a weight and its direction among inputs, shape (dimension,)."""
    values, vectors = np.linalg.eigh(weight.T @ weight)
    return float(np.sqrt(max(values[-1], 0.0))), vectors[:, -1]


def whitened(X: ArrayLike | Tensor, dimension: int) -> Array:
    """Return the leading principal components of inputs, each of mean 0 and variance 1.

    Args:
        X: Inputs, shape (samples, inputs).
        dimension: How many components are kept.

    Raises:
        TheoryError: The inputs vary along fewer directions.

    Example:
        >>> x = whitened(np.random.default_rng(0).standard_normal((50, 4)), 2)
        >>> (x.T @ x / 50).round(9).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    x = array(X, "X")
    if x.ndim != 2 or not x.size:
        raise TheoryError(f"X has shape {x.shape}. Pass samples as rows, shape (samples, inputs).")
    left, values, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
    rank = int((values > values[0] * max(x.shape) * 2.0**-52).sum()) if values[0] > 0 else 0
    if not 1 <= dimension <= rank:
        raise TheoryError(
            f"dimension={dimension}: these inputs vary along {rank} directions. Pass a number from 1 to {rank}."
        )
    return left[:, :dimension] * np.sqrt(len(x))
