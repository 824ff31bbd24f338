"""Ridge regressions on sampled data whose spectrum is known: Gaussian eigenfunctions, points on a sphere, real images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch

from similitude.core.errors import DataError
from similitude.core.seeding import numpy_generator
from similitude.data import load
from similitude.data.sets import ImageSet
from similitude.kernels.entry import kernel
from similitude.studies.target_rows import target_rows

Array = np.ndarray


def gaussian_errors(
    eigenvalues: Array,
    target: Array,
    n: int,
    features: float,
    ridges: Sequence[float],
    *,
    noise: float = 0.0,
    draws: int = 10,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Fit ridge regressions on Gaussian random features of Gaussian eigenfunctions.

    Args:
        eigenvalues: Of the kernel, shape (modes,).
        target: Squared coefficients, shape (modes,); signs are drawn.
        n: Training samples.
        features: How many, inf for the kernel.
        ridges: Above 0.
        noise: Variance of the labels' noise.
        draws: Times that samples and features are drawn.
        seed: Seed of all draws.

    Returns:
        Test errors, exact over new samples, and training errors, both of shape (draws, ridges).
    """
    modes, found = len(eigenvalues), np.empty((2, draws, len(ridges)))
    for draw in range(draws):
        rng = numpy_generator(seed, "Gaussian design", n, features, draw)
        v = np.sqrt(target) * rng.choice([-1.0, 1.0], modes)
        phi = rng.standard_normal((n, modes))
        y = phi @ v + math.sqrt(noise) * rng.standard_normal(n)
        root = np.sqrt(eigenvalues)[:, None]
        if features != math.inf:
            root = root * rng.standard_normal((modes, int(features))) / math.sqrt(features)
            seen = phi @ root
        else:
            seen = phi * root[:, 0]
        values, vectors = np.linalg.eigh(seen @ seen.T)
        values = np.maximum(values, 0.0)
        parts = vectors.T @ y
        for i, ridge in enumerate(ridges):
            dual = vectors @ (parts / (values + ridge))
            learned = root @ (seen.T @ dual) if features != math.inf else root[:, 0] * (seen.T @ dual)
            found[0, draw, i] = float(np.square(learned - v).sum()) + noise
            found[1, draw, i] = float(np.square(ridge * parts / (values + ridge)).sum()) / n
    return found[0], found[1]


def gaussian_noise_risks(eigenvalues: Array, n: int, *, draws: int = 10, seed: int = 0) -> Array:
    """Return test errors of interpolating noise of variance 1, exact over noise and new samples, one per draw."""
    found = []
    for draw in range(draws):
        rng = numpy_generator(seed, "Gaussian noise", n, draw)
        seen = rng.standard_normal((n, len(eigenvalues))) * eigenvalues**0.5
        weights = np.linalg.solve(seen @ seen.T, seen * eigenvalues**0.5)
        found.append(1 + float(np.square(weights).sum()))
    return np.array(found)


def sphere_noise_risks(
    k: Callable[[Array], Array], dimension: int, n: int, *, draws: int = 10, seed: int = 0, test: int = 3000
) -> Array:
    """Return test errors of interpolating noise of variance 1 on points of the unit sphere, one per draw."""
    found = []
    for draw in range(draws):
        rng = numpy_generator(seed, "sphere", dimension, n, draw)
        x = rng.standard_normal((n + test, dimension))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        weights = np.linalg.solve(k(x[:n] @ x[:n].T), k(x[:n] @ x[n:].T))
        found.append(1 + float(np.square(weights).sum(0).mean()))
    return np.array(found)


def pool_noise_risks(K: Array, n: int, *, draws: int = 10, seed: int = 0) -> tuple[Array, list[Array]]:
    """Return test errors of interpolating noise of variance 1 on samples of a pool, and the samples of each draw."""
    risks, chosen = [], []
    for draw in range(draws):
        order = numpy_generator(seed, "pool noise", n, draw).permutation(len(K))
        train, test = order[:n], order[n:]
        block = K[np.ix_(train, train)]
        weights = np.linalg.solve(block + 1e-10 * np.trace(block) / n * np.eye(n), K[np.ix_(train, test)])
        risks.append(1 + float(np.square(weights).sum(0).mean()))
        chosen.append(train)
    return np.array(risks), chosen


@cache
def images(samples: int) -> tuple[str, Array, Array]:
    """Return a name, standardized pixels and target rows of real images: Fashion-MNIST, or digits without it."""
    data = _image_set()
    order = numpy_generator(0, "images of claims").permutation(len(data.train_images))[:samples]
    x = data.train_images[order].reshape(len(order), -1) / 255.0
    rows = target_rows(torch.from_numpy(data.train_labels[order]).long())
    return data.name, (x - x.mean()) / x.std(), rows


@cache
def image_kernel(samples: int) -> Array:
    """Return the tangent kernel of an infinitely wide ReLU network on `images`."""
    _, x, _ = images(samples)
    layers = torch.nn.Linear(x.shape[1], 16), torch.nn.ReLU(), torch.nn.Linear(16, 1)
    made = kernel(torch.nn.Sequential(*layers), weight_variance=2.0, bias_variance=0.1)
    return made.ntk(torch.from_numpy(x)).numpy()


def image_kernels(samples: int) -> dict[str, Array]:
    """Return three kernels on `images`: the tangent kernel, Laplace's and the Gaussian one."""
    _, x, _ = images(samples)
    unit = x - x.mean(0)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    squares = np.maximum(2 - 2 * unit @ unit.T, 0.0)
    np.fill_diagonal(squares, 0.0)
    return {
        "tangent kernel": image_kernel(samples),
        "Laplace": np.exp(-np.sqrt(squares) / 0.5),
        "Gaussian": np.exp(-squares / (2 * 0.7**2)),
    }


def _image_set() -> ImageSet:
    try:
        return load("fashion-mnist")
    except DataError:
        return load("digits")
