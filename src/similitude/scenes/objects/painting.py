"""Pictures on objects by closed forms: colours by direction or by texture coordinate, and noise without state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from similitude.scenes.objects.solids import directions

Color = Sequence[float] | np.ndarray


def by_direction(paint: Callable[[np.ndarray], np.ndarray], *, height: int = 288) -> np.ndarray:
    """Return the picture of a ball: colours by unit direction, shape (height, 2 height, 3).

    Args:
        paint: From directions, shape (N, 3), to sRGB, shape (N, 3).
        height: Rows.
    """
    uv = coordinates(height, 2 * height)
    return _picture(paint(directions(uv).reshape(-1, 3)), height, 2 * height)


def by_place(paint: Callable[[np.ndarray, np.ndarray], np.ndarray], height: int, width: int) -> np.ndarray:
    """Return a picture: sRGB, shape (N, 3), of coordinates u and v, each shape (N,)."""
    uv = coordinates(height, width).reshape(-1, 2)
    return _picture(paint(uv[:, 0], uv[:, 1]), height, width)


def coordinates(height: int, width: int) -> np.ndarray:
    """Return u and v of the middle of each pixel, shape (height, width, 2); v grows upwards."""
    v, u = np.meshgrid(
        1 - (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width, indexing="ij"
    )
    return np.stack([u, v], -1)


def _picture(colors: np.ndarray, height: int, width: int) -> np.ndarray:
    shaped = np.clip(colors, 0, 1).reshape(height, width, -1)
    # Whole steps of 8 bits: the last bits of sines differ between machines, and digests must not.
    return (np.round(shaped * 255) / 255).astype(np.float32)


def mixed(first: Color, second: Color, share: np.ndarray) -> np.ndarray:
    """Return colours between two by share of the second, clipped to 0 and 1; shape (N, 3)."""
    t = np.clip(share, 0, 1)[..., None]
    return np.asarray(first, np.float64) * (1 - t) + np.asarray(second, np.float64) * t


def step(values: np.ndarray, edge: float, width: float) -> np.ndarray:
    """Return 0 well below an edge, 1 well above it and a straight line between, `width` wide."""
    return np.clip((values - edge) / width + 0.5, 0, 1)


def noise(points: np.ndarray, frequency: float, *, seed: int = 0, octaves: int = 3) -> np.ndarray:
    """Return smooth noise of points in space, about -1 to 1, shape (N,).

    Sums of sine waves in random directions: the same everywhere, without a lattice.

    Args:
        points: Shape (N, D).
        frequency: Waves per unit of the longest octave.
        seed: Of the directions.
        octaves: Each has twice the frequency and half the height of the one before.
    """
    rng = np.random.default_rng(seed)
    out = np.zeros(len(points))
    for k in range(octaves):
        waves = rng.normal(size=(8, points.shape[1]))
        waves *= (
            2
            * np.pi
            * frequency
            * 2**k
            * rng.uniform(0.6, 1.4, (8, 1))
            / np.linalg.norm(waves, axis=1, keepdims=True)
        )
        phases = rng.uniform(0, 2 * np.pi, 8)
        out += 0.5**k * np.sin(points @ waves.T + phases).mean(1) * 1.6
    return out


def spread(count: int) -> np.ndarray:
    """Return directions spread evenly over a ball (a Fibonacci spiral), shape (count, 3)."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], 1)


def strokes(x: np.ndarray, y: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return how far points are from a line of straight strokes.

    Args:
        x: Shape (N,).
        y: Shape (N,).
        line: Its corners, shape (K, 2).
    """
    out = np.full(len(x), np.inf)
    for (ax, ay), (bx, by) in pairwise(line):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        out = np.minimum(out, np.hypot(x - ax - t * dx, y - ay - t * dy))
    return out
