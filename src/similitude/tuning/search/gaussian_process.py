"""An exact Gaussian process, small enough to be fitted anew at every suggestion: the surrogate of the search.

k(u, u') = v_0 + v_1 u.u' + sum over parts p of v_p M(|u - u'|_p / l), M the Matern kernel of smoothness 5/2, with a
length l for every dimension, and Hamming distances for dimensions without order. A part is a group of dimensions: one
part of all, or also one of what is scaled and one of what should transfer, so that cheap trials say what is good in
dear ones (additive structure; the weight of the part of all is how strongly they are coupled).

Source: paper 10, Section 3 (a Matern kernel and a linear one over log-scaled inputs centred on the search); parameters
are maximum a posteriori here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

FITTED = 150
"""Points at most from which lengths, variances and noise are found; all points are used once they are."""

_JITTER = 1e-6
_ROWS = 256  # points that are predicted at once, for the memory
_LENGTH, _LENGTH_SD = math.log(1.0), 0.7  # logarithms, in units of the space
_VARIANCES = {"constant": (math.log(0.3), 1.0), "linear": (math.log(0.3), 1.0), "all": (0.0, 1.0)}
_COUPLED = (math.log(0.1), 1.0)  # of the part of all, where others stand beside it
_NOISE, _NOISE_SD = math.log(1e-2), 1.0
_BOUNDS = (-9.0, 5.0)
_ITERATIONS = 40


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process; see `fit`.

    Attributes:
        points: Where it was conditioned, shape (n, d).
        lengths: Length of every dimension, in units, shape (d,).
        variances: Variance of the constant, of the linear part and of every other part.
        noise: Variance of the noise of one observation.
        parts: Which dimensions each part is made of, bool, shape (parts, d).
    """

    points: Tensor
    lengths: Tensor
    variances: Tensor
    noise: float
    parts: Tensor
    categorical: Tensor
    _root: Tensor
    _weights: Tensor
    _noises: Tensor

    @classmethod
    def fit(
        cls,
        points: np.ndarray,
        values: np.ndarray,
        counts: np.ndarray | None = None,
        *,
        categorical: np.ndarray | None = None,
        parts: Sequence[np.ndarray] = (),
        chosen: np.ndarray | None = None,
    ) -> GaussianProcess:
        """Find the most likely parameters under the priors, and condition on all observations.

        Args:
            points: Configurations in units, shape (n, d), n at least 1.
            values: Observed values, about standardized, shape (n,); the mean of `counts` observations each.
            counts: Observations per point, shape (n,); one where None.
            categorical: Dimensions without order, bool, shape (d,).
            parts: Groups of dimensions that act apart, each bool of shape (d,), beside the part of all.
            chosen: Indices of the points from which parameters are found; the last `FITTED` where None.

        Cost:
            About 40 Cholesky factorizations of at most `FITTED` points, and one of all.
        """
        x = torch.as_tensor(np.asarray(points, float))
        y = torch.as_tensor(np.asarray(values, float))
        n, d = x.shape
        kinds = torch.as_tensor(np.zeros(d, bool) if categorical is None else np.asarray(categorical, bool))
        masks = torch.as_tensor(np.array([np.ones(d, bool), *parts]).reshape(-1, d))
        shares = 1 / torch.as_tensor(np.ones(n) if counts is None else np.asarray(counts, float))
        index = slice(max(0, n - FITTED), n) if chosen is None else torch.as_tensor(chosen)
        theta = _most_likely(x[index], y[index], shares[index], kinds, masks)
        lengths, variances, noise = _unpacked(theta, d)
        process = cls(
            x, lengths, variances, float(noise), masks.double(), kinds, y[:0], y[:0], float(noise) * shares
        )
        return process.conditioned(y)

    def conditioned(self, values: Tensor) -> GaussianProcess:
        """Return the same process given values at its points."""
        covariance = self.covariance(self.points, self.points)
        covariance.diagonal().add_(self._noises + _JITTER)
        root = _cholesky(covariance)
        weights = torch.cholesky_solve(values[:, None], root)[:, 0]
        return self._with(self.points, root, weights, self._noises)

    def predict(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the noise-free value at some points, each of shape (m,)."""
        every = torch.as_tensor(np.asarray(points, float)).reshape(-1, self.points.shape[1])
        means, variances = [], []
        for x in every.split(_ROWS):
            cross = self.covariance(x, self.points)
            half = torch.linalg.solve_triangular(self._root, cross.T, upper=False)
            means.append(cross @ self._weights)
            variances.append((self._own(x) - half.square_().sum(0)).clamp(min=1e-9))
        return torch.cat(means).numpy(), torch.cat(variances).numpy()

    def joint(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of the noise-free values at some points, of shapes (m,) and (m, m)."""
        x = torch.as_tensor(np.asarray(points, float)).reshape(-1, self.points.shape[1])
        cross = self.covariance(x, self.points)
        half = torch.linalg.solve_triangular(self._root, cross.T, upper=False)
        return (cross @ self._weights).numpy(), (self.covariance(x, x) - half.T @ half).numpy()

    def imagined(self, points: np.ndarray, values: np.ndarray) -> GaussianProcess:
        """Return the process given further observations; parameters stay as they are.

        Args:
            points: Configurations, shape (m, d).
            values: Values there, shape (m,).
        """
        x = torch.as_tensor(np.asarray(points, float)).reshape(-1, self.points.shape[1])
        noises = torch.full((len(x),), self.noise, dtype=torch.float64)
        cross = self.covariance(self.points, x)
        known = self._root @ (self._root.T @ self._weights)  # the values that it was conditioned on
        corner = self.covariance(x, x)
        corner.diagonal().add_(noises + _JITTER)
        side = torch.linalg.solve_triangular(self._root, cross, upper=False)
        n, m = len(self.points), len(x)
        root = torch.zeros(n + m, n + m, dtype=torch.float64)
        root[:n, :n], root[n:, :n] = self._root, side.T
        root[n:, n:] = _cholesky(corner - side.T @ side)
        every = torch.cat([known, torch.as_tensor(np.asarray(values, float))])
        weights = torch.cholesky_solve(every[:, None], root)[:, 0]
        return self._with(torch.cat([self.points, x]), root, weights, torch.cat([self._noises, noises]))

    def _with(self, points: Tensor, root: Tensor, weights: Tensor, noises: Tensor) -> GaussianProcess:
        return GaussianProcess(
            points,
            self.lengths,
            self.variances,
            self.noise,
            self.parts,
            self.categorical,
            root,
            weights,
            noises,
        )

    def covariance(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the prior covariance of the noise-free values at points, shape (m, n).

        Args:
            a: Points, shape (m, d).
            b: Points, shape (n, d).
        """
        numeric = ~self.categorical
        total = self.variances[0] + self.variances[1] * (a[:, numeric] @ b[:, numeric].T)
        for variance, part in zip(self.variances[2:], self.parts, strict=True):
            weights = part / self.lengths
            apart = torch.cdist(
                a * weights * numeric, b * weights * numeric, compute_mode="donot_use_mm_for_euclid_dist"
            )
            if bool(self.categorical.any()):
                square = apart.square()
                for j in torch.nonzero(self.categorical).flatten().tolist():
                    square += weights[j] ** 2 * (a[:, j, None] != b[None, :, j])
                apart = square.sqrt()
            total.add_(_matern(apart).mul_(variance))
        return total

    def _own(self, x: Tensor) -> Tensor:
        """Return the prior variance at points, shape (m,)."""
        flat = self.variances[0] + self.variances[2:].sum()
        return flat + self.variances[1] * x[:, ~self.categorical].square().sum(1)


def _matern(apart: Tensor) -> Tensor:
    """Matern kernel of smoothness 5/2 at distances in lengths."""
    a = math.sqrt(5) * apart
    return (a.square() / 3).add_(a).add_(1).mul_(a.neg_().exp_())


def _unpacked(theta: np.ndarray, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return lengths, variances and noise from their logarithms."""
    every = torch.as_tensor(np.exp(theta))
    return every[:d], every[d:-1], every[-1]


def _most_likely(x: Tensor, y: Tensor, shares: Tensor, categorical: Tensor, parts: Tensor) -> np.ndarray:
    """Return the logarithms of lengths, variances and noise with the largest posterior density.

    Args:
        x: Points, shape (n, d).
        y: Values, shape (n,).
        shares: Part of the noise variance that each has: 1 / observations, shape (n,).
        categorical: Dimensions without order, shape (d,).
        parts: Dimensions of each part, shape (parts, d).
    """
    d, count = x.shape[1], len(parts)
    squares = (x[:, None] - x[None]).square()
    squares[..., categorical] = (squares[..., categorical] > 0).double()
    linear = x[:, ~categorical] @ x[:, ~categorical].T
    several = count > 1
    variances = [_VARIANCES["constant"], _VARIANCES["linear"], _COUPLED if several else _VARIANCES["all"]]
    variances += [_VARIANCES["all"]] * (count - 1)
    middle = np.array([_LENGTH] * d + [m for m, _ in variances] + [_NOISE])
    spread = np.array([_LENGTH_SD] * d + [s for _, s in variances] + [_NOISE_SD])
    eye = torch.eye(len(x), dtype=torch.float64)
    masks = parts.double()

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        lengths, variance, noise = _unpacked(theta, d)
        inverse = lengths**-2
        covariance = variance[0] + variance[1] * linear + torch.diag(noise * shares + _JITTER)
        kernels, slopes = [], []
        for v, mask in zip(variance[2:], masks, strict=True):
            a = (5 * (squares @ (inverse * mask))).sqrt()
            decay = torch.exp(-a)
            kernels.append(v * (1 + a + a.square() / 3) * decay)
            slopes.append(v * 5 / 3 * (1 + a) * decay)  # d k / d log l_j = slope x squares_j / l_j^2
            covariance = covariance + kernels[-1]
        root, failed = torch.linalg.cholesky_ex(covariance)
        if int(failed):
            return 1e10, np.zeros_like(theta)
        inverted = torch.cholesky_solve(eye, root)
        weights = inverted @ y
        w = inverted - torch.outer(weights, weights)
        value = float(root.diagonal().log().sum() + 0.5 * y @ weights)
        per_length = torch.zeros(d, dtype=torch.float64)
        for slope, mask in zip(slopes, masks, strict=True):
            per_length += 0.5 * mask * inverse * torch.einsum("ij,ijk->k", w * slope, squares)
        rest = [0.5 * variance[0] * w.sum(), 0.5 * variance[1] * (w * linear).sum()]
        rest += [0.5 * (w * kernel).sum() for kernel in kernels]
        rest += [0.5 * noise * (w.diagonal() * shares).sum()]
        z = (theta - middle) / spread
        return value + 0.5 * float(z @ z), torch.cat([per_length, torch.stack(rest)]).numpy() + z / spread

    if len(x) < 3:
        return middle
    found: Any = minimize(
        objective,
        middle,
        jac=True,
        method="L-BFGS-B",
        bounds=[_BOUNDS] * len(middle),
        options={"maxiter": _ITERATIONS},
    )
    return found.x


def _cholesky(matrix: Tensor) -> Tensor:
    """Return the lower Cholesky factor, of the matrix with as much on its diagonal as it takes."""
    scale = float(matrix.diagonal().mean())
    for jitter in (0.0, 1e-8, 1e-6, 1e-4, 1e-2):
        root, failed = torch.linalg.cholesky_ex(
            matrix + jitter * scale * torch.eye(len(matrix), dtype=torch.float64)
        )
        if not int(failed):
            return root
    raise AssertionError("a covariance matrix is far from positive definite")
