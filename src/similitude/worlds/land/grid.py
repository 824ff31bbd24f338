"""Coordinates of a map: corner (i, j) stands at y = (i - n/2) CELL, x = (j - n/2) CELL."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine.constants import CELL


def coordinates(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x as a row (1, n) and y as a column (n, 1), in metres."""
    line = (np.arange(size) - size // 2) * CELL
    return line[None, :], line[:, None]


def half_width(size: int) -> float:
    """Return the distance in metres from the middle of the map to its edge."""
    return size // 2 * CELL


def cell_of(size: int, x: float, y: float) -> tuple[int, int]:
    """Return row and column of the cell that holds a point, kept inside the map."""
    i, j = int((y / CELL + size // 2) // 1), int((x / CELL + size // 2) // 1)
    return min(max(i, 0), size - 2), min(max(j, 0), size - 2)


def height_at(z: np.ndarray, x: float, y: float) -> float:
    """Return the bilinear height of a map of corners (n, n) at a point, in metres."""
    size = z.shape[0]
    i, j = cell_of(size, x, y)
    a, b = y / CELL + size // 2 - i, x / CELL + size // 2 - j
    a, b = min(max(a, 0.0), 1.0), min(max(b, 0.0), 1.0)
    low = float(z[i, j]) * (1.0 - b) + float(z[i, j + 1]) * b
    high = float(z[i + 1, j]) * (1.0 - b) + float(z[i + 1, j + 1]) * b
    return low * (1.0 - a) + high * a
