"""Attention-only linear transformers that learn to regress in context: principal components one by one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from similitude.core.citation import cites
from similitude.core.errors import TheoryError
from similitude.core.seeding import numpy_generator
from similitude.theory.gradient_flows.problem import Problem, small_scale
from similitude.theory.ridge.arrays import array

Array = np.ndarray
_NULL = 1e-12  # variances below this, relative to the largest, are never learned


@cites(4, "Section 5: in-context linear regression")
class LinearTransformer(Problem):
    """Heads of one layer of linear attention on prompts of linear regression. Made by `linear_transformer`.

    A head answers v (q.x)(k.sum_n x_n y_n) to the query x, with y_n = w.x_n over N pairs of the context, x ~ N(0, Sigma)
    and w ~ N(0, I); it has degree 3. With A = sum_h v_h q_h k_h' the population loss is
    (trace Sigma - 2 N trace(Sigma A Sigma) + trace(Sigma A Q A')) / 2 for Q = N (N + 1) Sigma^2 + N trace(Sigma) Sigma.
    """

    def __init__(self, covariance: Array, context: int, *, heads: int, alpha: float, seed: int) -> None:
        d = len(covariance)
        draw = alpha * numpy_generator(seed, "linear transformer").standard_normal((heads, 2 * d + 1))
        draw[:, 0] = np.abs(draw[:, 0])  # v and -v with q and -q are one head
        values, vectors = np.linalg.eigh(covariance)
        self.variances, self.components = values[::-1], vectors[:, ::-1]
        names = [f"principal component {k + 1}" for k in range(d)]
        super().__init__(draw, degree=3, names=names, small=alpha)
        self.covariance, self.context = covariance, context
        N, total = context, float(self.variances.sum())
        self._cross = N * covariance @ covariance
        self._second = N * (N + 1) * covariance @ covariance + N * total * covariance

    def loss(self, neurons: Array) -> float:
        """Return the population loss in closed form."""
        A = self.map(neurons)
        fitted = np.sum(self.covariance @ A @ self._second * A) / 2 - np.sum(self._cross * A)
        return float(np.trace(self.covariance) / 2 + fitted)

    def push(self, neurons: Array, active: Array) -> Array:
        """Return the gradient of q'G k v with G = N Sigma^2 - Sigma A Q."""
        G = self._cross - self.covariance @ self.map(active) @ self._second
        v, q, k = self._parts(neurons)
        turned = q @ G
        return np.hstack([(turned * k).sum(1, keepdims=True), v * (k @ G.T), v * turned])

    def features(self, neurons: Array) -> Array:
        """Return the gain along each principal component over the one that is best there, shape (D,)."""
        gains = np.einsum("ji,jk,ki->i", self.components, self.map(neurons), self.components)
        return gains / self.gains

    def map(self, neurons: Array) -> Array:
        """Return A = sum_h v_h q_h k_h', shape (D, D)."""
        v, q, k = self._parts(neurons)
        return (v * q).T @ k

    @property
    def gains(self) -> Array:
        """What A ends at along each component, 1 / (trace Sigma + (N + 1) lambda_i), shape (D,)."""
        return 1 / (self.variances.sum() + (self.context + 1) * self.variances)

    @property
    def levels(self) -> Array:
        """Loss of each plateau: component i lowers it by half of lambda_i / (1 + (1 + trace Sigma / lambda_i) / N)."""
        seen = self.variances[self.variances > _NULL * self.variances[0]][: len(self.start)]
        total = float(self.variances.sum())
        learned = seen / (1 + (1 + total / seen) / self.context)
        return (total - np.concatenate([[0.0], np.cumsum(learned)])) / 2

    @property
    def greatest_utilities(self) -> Array:
        """Largest utility of a head of norm 1 along each component, N lambda_i^2 / (3 sqrt 3), shape (D,)."""
        return self.context * self.variances**2 / (3 * math.sqrt(3))

    @property
    def earliest(self) -> float:
        """Time before which no head can have grown: (1 / largest norm - 1) / (3 max utility)."""
        norm = float(np.linalg.norm(self.start, axis=1).max())
        return (1 / norm - 1) / (3 * float(self.greatest_utilities[0]))

    def _parts(self, neurons: Array) -> tuple[Array, Array, Array]:
        d = len(self.covariance)
        return neurons[:, :1], neurons[:, 1 : d + 1], neurons[:, d + 1 :]


def linear_transformer(
    covariance: ArrayLike | Tensor,
    context: int,
    *,
    heads: int | None = None,
    alpha: float = 1e-3,
    seed: int = 0,
) -> LinearTransformer:
    """Describe one layer of linear attention heads that learns linear regression in context.

    Args:
        covariance: Of the inputs, Sigma, shape (D, D).
        context: Pairs of input and answer in a prompt, N.
        heads: D + 1 by default.
        alpha: Standard deviation of every parameter at initialization.
        seed: Of the initialization.

    Raises:
        TheoryError: Sigma is no covariance, or a number is out of range.

    Example:
        >>> problem = linear_transformer(np.diag([2.0, 1.0]), 10)
        >>> problem.levels.round(4).tolist(), round(problem.loss(0 * problem.start), 4)
        ([1.5, 0.7, 0.3429], 1.5)

    Source: paper 4 (arXiv 2506.06489), Section 5, and its population loss in closed form.
    """
    sigma = array(covariance, "covariance")
    if sigma.ndim != 2 or sigma.shape[0] != sigma.shape[1] or not sigma.size:
        raise TheoryError(f"covariance has shape {sigma.shape}. Pass E x x', shape (D, D).")
    values = np.linalg.eigvalsh((sigma + sigma.T) / 2)
    if float(np.abs(sigma - sigma.T).max()) > 1e-9 * values[-1] or values[0] < -1e-9 * values[-1]:
        raise TheoryError(
            f"covariance is none: eigenvalues from {values[0]:.3g} to {values[-1]:.3g}, asymmetry "
            f"{np.abs(sigma - sigma.T).max():.3g}. Pass X'X / n of inputs that vary."
        )
    if not values[-1] > 0:
        raise TheoryError("covariance is zero: inputs do not vary, and nothing can be learned in context.")
    count = len(sigma) + 1 if heads is None else heads
    for name, value in (("context", context), ("heads", count)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise TheoryError(f"{name}={value!r}: pass a whole number of at least 1.")
    return LinearTransformer((sigma + sigma.T) / 2, context, heads=count, alpha=small_scale(alpha), seed=seed)
