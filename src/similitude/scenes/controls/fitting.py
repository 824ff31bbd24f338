"""Where a camera must stand so that what it looks at fills its picture."""

from __future__ import annotations

import numpy as np

NEAREST = 0.002
"""Least distance from the camera to the nearest point, in units of the scene: before that, zooming ends."""

_EXCHANGES = 30


def fitted(points: np.ndarray, axes: np.ndarray, tangent: float) -> tuple[np.ndarray, float]:
    """Return where a camera stands whose picture is filled by points, as near to its edges as it can be.

    A camera that may move along all its axes, but not turn, sees the points within a pyramid. Along an axis across, with
    coordinate r of a point and f along the view, the camera at (a, -d) needs |r - a| <= t (f + d) for all points, so
    d >= (max(r - t f) - min(r + t f)) / (2 t). The larger of both axes decides, and along the other the points are put
    in the middle.

    Args:
        points: Shape (V, 3).
        axes: Right, up and forward of the camera, shape (3, 3).
        tangent: Of half the angle that the points shall fill.

    Returns:
        The position, shape (3,), and the distance along the view from there to the middle of the points.
    """
    right, up, forward = axes @ points.T
    spans = [
        (float((r - tangent * forward).max()), float((r + tangent * forward).min())) for r in (right, up)
    ]
    distance = max((high - low) / (2 * tangent) for high, low in spans)
    distance = max(distance, NEAREST - float(forward.min()))
    depth = forward + distance
    middle = [_middle(r, depth) for r in (right, up)]
    return axes.T @ np.array([*middle, -distance]), float((forward.min() + forward.max()) / 2 + distance)


def _middle(across: np.ndarray, depth: np.ndarray) -> float:
    """Return from where the outermost points are equally far to both sides in the picture."""
    here = float(across.mean())
    for _ in range(_EXCHANGES):
        seen = (across - here) / depth
        i, j = int(seen.argmax()), int(seen.argmin())
        there = float((across[i] * depth[j] + across[j] * depth[i]) / (depth[i] + depth[j]))
        if abs(there - here) < 1e-12:
            break
        here = there
    return here
