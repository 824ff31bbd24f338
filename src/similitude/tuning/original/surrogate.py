"""The Gaussian processes of the published CARBS: kernels that stay near where they start, and noise that is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cholesky, solve_triangular

JITTER = 1e-4
NOISE_LOG_MEAN, NOISE_LOG_SD = math.log(1e-2), 0.5
STEPS, RATE = 40, 2.5e-3
"""The published fit is Adam with 1,000 steps of 1e-4. Nearly all of them go one way, by about 0.1 in the logarithm, so 40
steps of 25 times the rate end where it does, within 0.001."""
LEAST_LOG_DETERMINANT = -15.0
"""Joint draws leave a point out of what later ones are conditioned on where the covariance would fall below."""


@dataclass(frozen=True)
class OriginalProcess:
    """A process with zero mean and a covariance of linear part, stationary part and noise.

    Attributes:
        x: Inputs, shape (n, d).
        y: Targets, shape (n,).
        linear: Variance of the linear part; 0 for none.
        variance: Variance of the stationary part.
        lengths: Lengthscales, shape (d,).
        noise: Variance of the noise.
        smooth: Whether the stationary part is squared-exponential; Matern 3/2 where not.
    """

    x: np.ndarray
    y: np.ndarray
    linear: float
    variance: float
    lengths: np.ndarray
    noise: float
    smooth: bool = False

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        *,
        length: float,
        noise: float,
        smooth: bool = False,
        noise_fixed: bool = False,
    ) -> OriginalProcess:
        """Fit all variances and lengthscales as published, from 1 and `length`.

        Args:
            x: Inputs, shape (n, d).
            y: Targets, shape (n,).
            length: Lengthscale to start from.
            noise: Variance of the noise to start from.
            smooth: Whether the stationary part is squared-exponential, and the only one.
            noise_fixed: Whether the noise stays as it is.
        """
        start = cls(x, y, 0.0 if smooth else 1.0, 1.0, np.full(x.shape[1], length), noise, smooth)
        return start._ascended(noise_fixed)

    def given(self, x: np.ndarray, y: np.ndarray) -> OriginalProcess:
        """Return the process with the same variances and lengthscales, given other data.

        Args:
            x: Inputs, shape (n, d).
            y: Targets, shape (n,).
        """
        return replace(self, x=x, y=y)

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance without noise at some inputs, each of shape (m,).

        Args:
            x: Inputs, shape (m, d).
        """
        return self._conditional(
            x, cholesky(self._covariance(self.noise + JITTER), lower=True), self.x, self.y
        )

    def draw(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw values at some inputs, one after another, each given those before; shape (m,).

        The noise meanwhile is drawn from its prior: published, it is not the fitted one.

        Args:
            x: Inputs, shape (m, d).
            rng: Draws them.
        """
        seen, values, cov = self.x, self.y, self._covariance(drawn_noise(rng))
        drawn = []
        for row in x[:, None]:
            mean, variance = self._conditional(row, cholesky(cov, lower=True), seen, values)
            drawn.append(float(mean[0] + math.sqrt(variance[0]) * rng.standard_normal()))
            cross = self._kernel(seen, row)
            wider = np.block([[cov, cross], [cross.T, self._kernel(row, row) + JITTER]])
            sign, log_determinant = np.linalg.slogdet(wider)
            if sign > 0 and log_determinant > LEAST_LOG_DETERMINANT:
                seen, values, cov = np.r_[seen, row], np.r_[values, drawn[-1]], wider
        return np.array(drawn)

    def _conditional(
        self, new: np.ndarray, factor: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        weights = solve_triangular(factor, self._kernel(x, new), lower=True)
        mean = weights.T @ solve_triangular(factor, y, lower=True)
        own = self.linear * (new * new).sum(1) + self.variance
        return mean, np.maximum(own - (weights * weights).sum(0), 0.0)

    def _covariance(self, diagonal: float) -> np.ndarray:
        return self._kernel(self.x, self.x) + diagonal * np.eye(len(self.x))

    def _kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.linear * a @ b.T + self.variance * _shape(
            _squares(a, b) @ self.lengths**-2.0, self.smooth
        )

    def _ascended(self, noise_fixed: bool) -> OriginalProcess:
        """Ascend log marginal likelihood plus log prior density of the noise, over logarithms, by Adam."""
        squares, products = _squares(self.x, self.x), self.x @ self.x.T
        theta = np.log(np.r_[self.linear or 1.0, self.variance, self.noise, self.lengths])
        first, second = np.zeros_like(theta), np.zeros_like(theta)
        for step in range(1, STEPS + 1):
            descent = self._descent(theta, squares, products)
            descent[2] *= not noise_fixed
            first, second = 0.9 * first + 0.1 * descent, 0.999 * second + 0.001 * descent**2
            theta = theta - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        linear, variance, noise, *lengths = np.exp(theta)
        return replace(
            self,
            linear=linear if self.linear else 0.0,
            variance=variance,
            noise=noise,
            lengths=np.array(lengths),
        )

    def _descent(self, theta: np.ndarray, squares: np.ndarray, products: np.ndarray) -> np.ndarray:
        """The gradient of the negative log posterior: half the trace of (K^-1 - K^-1 y y' K^-1) times that of K."""
        linear, variance, noise, *rest = np.exp(theta)
        linear, lengths = linear * bool(self.linear), np.array(rest)
        scaled = squares @ lengths**-2.0
        stationary = variance * _shape(scaled, self.smooth)
        cov = linear * products + stationary + (noise + JITTER) * np.eye(len(self.y))
        inverse = np.linalg.inv(cov)
        alpha = inverse @ self.y
        w = inverse - np.outer(alpha, alpha)
        along = (
            -2 * w * variance * _slope(scaled, self.smooth)
        )  # of K by the log of a lengthscale, over its squares
        prior = 1 + (math.log(noise) - NOISE_LOG_MEAN) / NOISE_LOG_SD**2
        return np.r_[
            0.5 * linear * (w * products).sum(),
            0.5 * (w * stationary).sum(),
            0.5 * noise * np.trace(w) + prior,
            0.5 * np.einsum("ij,ijk->k", along, squares) / lengths**2,
        ]


def drawn_noise(rng: np.random.Generator) -> float:
    """Draw a variance of the noise from its prior, a log-normal one around 0.01.

    Args:
        rng: Draws it.
    """
    return math.exp(NOISE_LOG_MEAN + NOISE_LOG_SD * rng.standard_normal())


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a[:, None] - b[None]) ** 2


def _shape(scaled: np.ndarray, smooth: bool) -> np.ndarray:
    """The stationary part of variance 1 over squared scaled distances."""
    if smooth:
        return np.exp(-scaled / 2)
    root = np.sqrt(3 * scaled)
    return (1 + root) * np.exp(-root)


def _slope(scaled: np.ndarray, smooth: bool) -> np.ndarray:
    """Its derivative by the squared scaled distance."""
    return -0.5 * np.exp(-scaled / 2) if smooth else -1.5 * np.exp(-np.sqrt(3 * scaled))
