"""Strips: how far corners and cells are from a line of points."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np


def distance_to(x: np.ndarray, y: np.ndarray, line: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the distance of places (broadcast from x and y) to a line of points, in their unit."""
    best: np.ndarray | None = None
    for (ax, ay), (bx, by) in pairwise(line):
        dx, dy = bx - ax, by - ay
        share = ((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9)
        share = np.minimum(np.maximum(share, 0.0), 1.0)
        px, py = x - ax - share * dx, y - ay - share * dy
        square = px * px + py * py
        best = square if best is None else np.minimum(best, square)
    if best is None:
        raise ValueError("a strip needs two points")
    return np.sqrt(best)
