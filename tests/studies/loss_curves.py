"""Shapes of loss over log2 of the learning rate as met in practice, and noisy curves drawn from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from similitude.studies.records import Curve

Shape = Callable[[np.ndarray], np.ndarray]


def bowl(x: np.ndarray) -> np.ndarray:
    return 1 + 0.08 * x**2


def flat(x: np.ndarray) -> np.ndarray:
    """Within 2 % over two octaves."""
    return 1 + 0.02 * x**4


def lopsided(x: np.ndarray) -> np.ndarray:
    """A slow slope on the left, an exponential on the right."""
    return 1 + 0.06 * np.log2(1 + 2.0 ** (-x)) + 0.05 * 2.0 ** (2.5 * x)


def cliff(x: np.ndarray) -> np.ndarray:
    """A slow slope on the left, on the right losses that explode and then diverge."""
    y = 1 + 0.08 * np.log2(1 + 2.0 ** (-x)) + 0.02 * 2.0 ** (5 * x)
    return np.where(y > 3, np.inf, y)


def jump(x: np.ndarray) -> np.ndarray:
    """Better and better, until it diverges."""
    return np.where(x > 0, np.inf, 1 - 0.05 * x)


def ushape(x: np.ndarray) -> np.ndarray:
    """From the untrained loss on the left, through the minimum, up again."""
    return 0.3 + 2.0 / (1 + 2.0 ** (1.2 * (x + 3.5))) + 0.02 * 2.0 ** (2 * x)


SHAPES: dict[str, Shape] = {f.__name__: f for f in (bowl, flat, lopsided, cliff, jump, ushape)}


def true_minimum(shape: Shape) -> float:
    """Return the minimum of a shape by brute force."""
    fine = np.linspace(-4, 4, 80001)
    return float(fine[np.argmin(shape(fine))])


def drawn(
    shape: Shape,
    generator: np.random.Generator,
    *,
    noise: float = 0.01,
    seeds: int = 3,
    step: float = 1.0,
    points: int = 9,
    width: int = 64,
    centre: float = 0.0,
    offset: float | None = None,
    common: float = 0.5,
) -> Curve:
    """Draw a curve whose shape is centred at 2^centre, on a grid of random phase unless `offset` is given.

    `noise` is relative to the loss; the share `common` of its variance is the same at every rate of a seed.
    """
    phase = generator.uniform(-0.5, 0.5) * step if offset is None else offset
    x = (np.arange(points) - points // 2) * step + phase
    own, shared = generator.standard_normal((points, seeds)), generator.standard_normal((1, seeds))
    with np.errstate(invalid="ignore"):
        losses = shape(x)[:, None] * (1 + noise * (np.sqrt(1 - common) * own + np.sqrt(common) * shared))
    return Curve(width, tuple(2.0 ** (x + centre)), tuple(map(tuple, losses.tolist())))
