"""Ridge regressions on samples drawn from a pool, by one eigendecomposition per draw: errors at many ridges."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from similitude.core.errors import StudyError
from similitude.core.seeding import numpy_generator

Array = np.ndarray
Features = Callable[[int, int], Array]
"""features(count, draw): the values of some random features on the whole pool, shape (N, count)."""


def kernel_regressions(
    K: Array,
    rows: Array,
    n: int,
    ridges: Sequence[float],
    *,
    noise: float = 0.0,
    draws: int = 5,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Fit kernel ridge regressions to n samples of a pool, and test them on the rest.

    Args:
        K: Kernel of the pool, shape (N, N).
        rows: Targets, shape (N, outputs).
        n: Training samples, below N.
        ridges: Added to the diagonal; 0 interpolates, by the pseudo-inverse where the matrix is singular.
        noise: Variance of noise that is added to all labels, training and test, shared out over outputs.
        draws: How many times samples are drawn.
        seed: Seed of the draws.

    Returns:
        Mean squared errors on test and on training samples, summed over outputs, both of shape (draws, ridges).

    Raises:
        StudyError: n is not below the pool's size.

    Cost: draws x 9 n^3 operations.
    """
    _check(n, len(K))
    found = [_fitted(K, *_drawn(rows, n, noise, draw, seed), ridges) for draw in range(draws)]
    return _stacked(found)


def feature_regressions(
    features: Features,
    count: int,
    rows: Array,
    n: int,
    ridges: Sequence[float],
    *,
    noise: float = 0.0,
    draws: int = 5,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Fit ridge regressions on random features, new ones in every draw; see `kernel_regressions`.

    Args:
        features: Gives the features of a draw.
        count: How many.
        rows: Targets, shape (N, outputs).
        n: Training samples, below N.
        ridges: Added to the diagonal of the n x n matrix of the features' mean products.
        noise: Variance of noise that is added to all labels.
        draws: How many times samples and features are drawn.
        seed: Seed of the draws of samples.

    Raises:
        StudyError: n is not below the pool's size.
    """
    _check(n, len(rows))
    found = []
    for draw in range(draws):
        values = features(count, draw)
        found.append(_fitted(values @ values.T / count, *_drawn(rows, n, noise, draw, seed), ridges))
    return _stacked(found)


def gaussian_features(K: Array, *, seed: int = 0) -> Features:
    """Return random features that are Gaussian with a kernel as their covariance: outputs of infinitely wide networks.

    Args:
        K: Kernel of the pool, shape (N, N).
        seed: Seed of the features.
    """
    values, vectors = np.linalg.eigh(K)
    root = vectors * np.sqrt(np.maximum(values, 0.0))

    def features(count: int, draw: int) -> Array:
        return root @ numpy_generator(seed, "features", draw).standard_normal((len(K), count))

    return features


def _drawn(rows: Array, n: int, noise: float, draw: int, seed: int) -> tuple[Array, Array, Array]:
    rng = numpy_generator(seed, "regressions", n, draw)
    order = rng.permutation(len(rows))
    noisy = rows + math.sqrt(noise / rows.shape[1]) * rng.standard_normal(rows.shape) if noise else rows
    return noisy, order[:n], order[n:]


def _fitted(K: Array, rows: Array, train: Array, test: Array, ridges: Sequence[float]) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(K[np.ix_(train, train)])
    cut = 4 * len(values) * np.finfo(float).eps * float(values[-1])
    seen, across = vectors.T @ rows[train], K[np.ix_(test, train)] @ vectors
    errors = np.empty((2, len(ridges)))
    for i, ridge in enumerate(ridges):
        kept = values > cut if ridge == 0 else values > -math.inf
        inverse = np.where(kept, 1 / np.where(kept, np.maximum(values, 0.0) + ridge, 1.0), 0.0)
        errors[0, i] = np.square(across @ (inverse[:, None] * seen) - rows[test]).sum(1).mean()
        missed = np.where(kept, ridge * inverse, 1.0)
        errors[1, i] = np.square(missed[:, None] * seen).sum() / len(train)
    return errors[0], errors[1]


def _stacked(found: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    return np.array([test for test, _ in found]), np.array([train for _, train in found])


def _check(n: int, pool: int) -> None:
    if not 1 <= n < pool:
        raise StudyError(
            f"{n} training samples of a pool of {pool}: pass at least 1, and fewer than the pool has."
        )
