"""The infinitely wide linear residual network under SGD, exactly and at any depth (paper 13, Section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from similitude.core.citation import cites
from similitude.core.errors import PlanError


@dataclass(frozen=True)
class LinearResNetLimit:
    """The training of an infinitely wide linear residual network.

    Attributes:
        outputs: Output before every step, shape (steps,).
        rms: Root mean square of the stream before every step, at the input and behind every branch: shape
            (steps, depth + 1).
    """

    outputs: np.ndarray
    rms: np.ndarray


@cites(13, "Section 4: linear residual networks")
def linear_resnet_limit(
    xi: ArrayLike, y: ArrayLike, *, depth: int, lr: float, multiplier: float = 1.0
) -> LinearResNetLimit:
    """Train a linear residual network of infinite width by SGD, one example per step.

    The network is x_0 = U xi, x_l = x_(l-1) + c W_l x_(l-1) with c = multiplier / sqrt(depth), and f = v . x_L / n, with
    entries of U and v from N(0, 1) and of W_l from N(0, 1 / n). SGD trains the W_l on (f - y)^2 / 2 with learning rate
    `lr`, U and v stay. This is Depth-muP: the limit of large depth exists, and is approached as 1 / depth.

    Every vector of the infinite network is a linear combination of Gaussian ones: the columns of U, v, W_l x and W_l' g
    for every x and g that the layer has met. Their covariances are known from earlier layers and steps, so the network
    is run on coefficients in place of vectors.

    Args:
        xi: The example of every step, shape (steps, features).
        y: Its target, shape (steps,).
        depth: Number L of branches.
        lr: Learning rate.
        multiplier: The constant a in the multiplier a / sqrt(L) of every branch.

    Returns:
        Outputs and sizes of the stream; a finite network of width n differs by chance as 1 / sqrt(n), and on average
        over seeds as 1 / n.

    Raises:
        PlanError: The shapes do not fit, or a number is out of range.

    Example:
        The first step's change is that of the neural tangent kernel: lr y (1 + 1/L)^(L - 1) |xi|^2.

        >>> limit = linear_resnet_limit([[0.6, 0.8]] * 2, [1.0, 1.0], depth=4, lr=0.1)
        >>> bool(np.isclose(limit.outputs[1], 0.1 * 1.25**3))
        True

    Source: paper 13 (arXiv 2310.02244), Section 4.

    Cost: depth^2 steps^3 operations and 4 depth^2 steps^2 numbers of memory.
    """
    examples, targets = np.asarray(xi, float), np.asarray(y, float)
    _check(examples, targets, depth, lr, multiplier)
    return _Coefficients(examples, targets, depth, lr, multiplier / math.sqrt(depth)).train()


class _Coefficients:
    """The network as coefficients over Gaussian vectors: first those of U, then v, then `forward` and `backward`.

    forward[l, s] stands for W_l x of step s, backward[l, s] for W_l' g of step s, both with the initial W_l.
    """

    def __init__(
        self, examples: np.ndarray, targets: np.ndarray, depth: int, lr: float, scale: float
    ) -> None:
        self.examples, self.targets = examples, targets
        self.depth, self.lr, self.scale = depth, lr, scale
        self.steps, self.features = examples.shape
        block = depth * self.steps
        self.v = self.features
        self.forward = self.features + 1 + np.arange(block).reshape(depth, self.steps)
        self.backward = self.forward + block
        length = self.features + 1 + 2 * block
        self.x = np.zeros((depth + 1, self.steps, length))
        self.g = np.zeros((depth + 1, self.steps, length))
        # Covariance of the vectors of one layer and direction; those of different ones are independent.
        self.covariance = np.zeros((2 * depth, self.steps, self.steps))

    def train(self) -> LinearResNetLimit:
        """Run all steps."""
        outputs = np.zeros(self.steps)
        rms = np.zeros((self.steps, self.depth + 1))
        for t in range(self.steps):
            rms[t] = self._pass(t)
            outputs[t] = self.x[self.depth, t, self.v]
            self._return(t, outputs[t] - self.targets[t])
        return LinearResNetLimit(outputs, rms)

    def _pass(self, t: int) -> np.ndarray:
        self.x[0, t, : self.features] = self.examples[t]
        squares = np.zeros(self.depth + 1)
        for layer in range(self.depth):
            entering = self.x[layer, t]
            products = self.x[layer, : t + 1] @ self._covaried(entering)
            squares[layer] = products[t]
            self._know(layer, t, products)
            # What the initial weight gives, and what earlier updates give: W - lr c sum of g x' / n.
            meets = entering[self.backward[layer, :t]] - self.lr * self.scale * products[:t]
            leaving = meets @ self.g[layer + 1, :t]
            leaving[self.forward[layer, t]] += 1
            self.x[layer + 1, t] = entering + self.scale * leaving
        last = self.x[self.depth, t]
        squares[self.depth] = last @ self._covaried(last)
        return np.sqrt(squares)

    def _return(self, t: int, error: float) -> None:
        self.g[self.depth, t, self.v] = error
        for layer in reversed(range(self.depth)):
            entering = self.g[layer + 1, t]
            products = self.g[layer + 1, : t + 1] @ self._covaried(entering)
            self._know(self.depth + layer, t, products)
            meets = entering[self.forward[layer, :t]] - self.lr * self.scale * products[:t]
            leaving = meets @ self.x[layer, :t]
            leaving[self.backward[layer, t]] += 1
            self.g[layer, t] = entering + self.scale * leaving

    def _know(self, block: int, t: int, products: np.ndarray) -> None:
        self.covariance[block, t, : t + 1] = products
        self.covariance[block, : t + 1, t] = products

    def _covaried(self, vector: np.ndarray) -> np.ndarray:
        """Multiply by the covariance of all Gaussian vectors, block by block."""
        free = self.features + 1
        blocks = vector[free:].reshape(2 * self.depth, self.steps, 1)
        return np.concatenate([vector[:free], (self.covariance @ blocks).ravel()])


def _check(examples: np.ndarray, targets: np.ndarray, depth: int, lr: float, multiplier: float) -> None:
    if examples.ndim != 2 or not examples.size or targets.shape != examples.shape[:1]:
        raise PlanError(
            f"xi has shape {examples.shape} and y {targets.shape}: SGD takes one example per step. Pass xi of shape "
            "(steps, features) and y of shape (steps,)."
        )
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 1:
        raise PlanError(f"depth={depth!r}: pass the number of branches, a whole number of at least 1.")
    numbers = np.concatenate([examples.ravel(), targets, [lr, multiplier]])
    if not np.isfinite(numbers).all() or lr < 0:
        raise PlanError(
            f"lr={lr}, multiplier={multiplier}, or an entry of xi or y is not a finite number, or the rate is negative. "
            "Pass finite numbers and lr >= 0."
        )
