"""Normals for models that have none: smooth across gentle edges, sharp at the others."""

from __future__ import annotations

import numpy as np
from scipy import sparse

CREASE = 40.0
"""Degrees between two triangles beyond which the edge between them is sharp; near the 30 to 60 of modelling programs."""

MOST_PAIRS = 5 * 10**7
"""Pairs of corners at one place that are compared; where there are more, triangles stay flat."""


def smooth_corners(triangles: np.ndarray) -> np.ndarray:
    """Return unit normals of the corners of triangles.

    Each corner has the mean of the normals of the triangles that meet at its place and are turned by at most `CREASE`
    against its own, by their areas. Triangles without an area get +z.

    Args:
        triangles: Corners, shape (F, 3, 3), counterclockwise from outside.

    Returns:
        float64, shape (3F, 3).

    Cost:
        The number of triangles times how many meet at a corner.
    """
    doubled = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(doubled, axis=1, keepdims=True)
    face = np.where(area > 0, doubled / np.where(area > 0, area, 1), (0.0, 0.0, 1.0))
    flat = np.repeat(face, 3, axis=0)
    place = _places(triangles.reshape(-1, 3))
    if (np.bincount(place).astype(np.int64) ** 2).sum() > MOST_PAIRS:
        return flat
    corners = len(place)
    at = sparse.csr_matrix((np.ones(corners, np.int8), (place, np.arange(corners))))
    pairs = (at.T @ at).tocoo()
    near = (flat[pairs.row] * flat[pairs.col]).sum(1) >= np.cos(np.radians(CREASE))
    row, col = pairs.row[near], pairs.col[near]
    met = sparse.csr_matrix((np.ones(len(row)), (row, col)), (corners, corners))
    summed = met @ np.repeat(doubled, 3, axis=0)
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return np.where(length > 0, summed / np.where(length > 0, length, 1), flat)


def _places(points: np.ndarray) -> np.ndarray:
    """Return a number for each point, the same for those at one place; shape (P,)."""
    # One number of 64 bits per point sorts 20 times as fast as rows; two places share one with chance P^2 / 2^65.
    bits = np.ascontiguousarray(points + 0.0, np.float64).view(np.uint64)  # + 0.0 makes -0.0 the same as 0.0
    mixed = np.zeros(len(points), np.uint64)
    for axis in range(3):
        mixed = (mixed ^ bits[:, axis]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed, return_inverse=True)[1].ravel()
