"""What textures are drawn with: coordinates, noise and cells that go on without a seam over every edge."""

from __future__ import annotations

import numpy as np

SIZE = 512
"""Rows and columns of the textures that are drawn by code."""


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of the pixels from the left and from the top, 0 to 1; each float64, shape (SIZE, SIZE)."""
    ticks = (np.arange(SIZE) + 0.5) / SIZE
    u, v = np.meshgrid(ticks, ticks)
    return u, v


def noise(seed: int, waves: float, *, across: float = 1.0, octaves: int = 1) -> np.ndarray:
    """Return smooth noise with mean 0 and standard deviation 1, periodic in both directions.

    Args:
        seed: Which.
        waves: About how many blobs there are along an edge.
        across: Factor of their number from left to right; below 1 they are stretched that way.
        octaves: How many layers, each twice as fine and half as strong as the one before.

    Returns:
        float64, shape (SIZE, SIZE).
    """
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    total = np.zeros((SIZE, SIZE))
    for octave in range(octaves):
        width = SIZE / (waves * 2**octave) / 4
        layer = ndimage.gaussian_filter(
            rng.standard_normal((SIZE, SIZE)), (width, width / across), mode="wrap"
        )
        total += layer / layer.std() / 2**octave
    return (total - total.mean()) / total.std()


def cells(seed: int, count: int, *, across: float = 1.0, even: bool = False) -> tuple[np.ndarray, ...]:
    """Return the cells around points (Voronoi's), periodic in both directions.

    Args:
        seed: Which.
        count: About how many points along an edge.
        across: Factor of their number from left to right.
        even: Whether the points lie on a shifted grid, like scales, rather than anywhere.

    Returns:
        Distance to the nearest point and from there to the edge of the cell (both in spacings of points), the number of
        the point, and the angle at which it is seen; each of shape (SIZE, SIZE).
    """
    from scipy.spatial import KDTree

    rng = np.random.default_rng(seed)
    columns, rows = max(1, round(count * across)), count + count % 2 * even
    y, x = np.divmod(np.arange(rows * columns), columns)
    jitter = rng.uniform(-0.5, 0.5, (2, rows * columns)) * (0.35 if even else 0.8)
    points = np.stack([(x + jitter[0] + (y % 2) / 2 * even) / columns, (y + jitter[1]) / rows], 1) % 1.0
    stretch = np.array([columns, rows]) / rows  # so that distances count in spacings, both ways
    u, v = grid()
    tree = KDTree(points * stretch, boxsize=stretch)
    asked = np.stack([u.ravel(), v.ravel()], 1) * stretch
    found = tree.query(asked, k=2)
    distance, nearest = np.asarray(found[0]), np.asarray(found[1])
    away = asked - (points * stretch)[nearest[:, 0]]
    away -= np.round(away / stretch) * stretch
    angle = np.arctan2(away[:, 1], away[:, 0])
    parts = distance[:, 0] * rows, (distance[:, 1] - distance[:, 0]) * rows / 2, nearest[:, 0], angle
    return tuple(part.reshape(SIZE, SIZE) for part in parts)


def step(values: np.ndarray, edge: float = 0.0, *, soft: float = 0.05) -> np.ndarray:
    """Return 0 where values are below an edge and 1 above, smooth within `soft` of it."""
    t = np.clip((values - edge) / (2 * soft) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def mixed(
    share: np.ndarray,
    low: tuple[float, float, float] | np.ndarray,
    high: tuple[float, float, float] | np.ndarray,
) -> np.ndarray:
    """Return colours between two, where share is 0 and where it is 1, shape (SIZE, SIZE, 3)."""
    t = np.clip(share, 0, 1)[..., None]
    return (1 - t) * np.asarray(low) + t * np.asarray(high)


def shaded(colors: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return colours made lighter or darker by a factor of each pixel."""
    return colors * by[..., None]
