"""The vertex of a least-squares parabola and the delta-method variance of it, from the normal equations."""

from __future__ import annotations

import numpy as np


def vertex(x: np.ndarray, y: np.ndarray) -> float:
    """Return -b / 2a of the least-squares parabola a x^2 + b x + c."""
    a, b, _ = np.polyfit(x, y, 2)
    return float(-b / (2 * a))


def vertex_sd(x: np.ndarray, a: float, b: float, sd: float) -> float:
    """Return the standard deviation of the vertex where each y has independent noise `sd`, to first order."""
    design = np.stack([x**2, x, np.ones_like(x)], axis=1)
    covariance = sd**2 * np.linalg.inv(design.T @ design)
    gradient = np.array([b / (2 * a**2), -1 / (2 * a), 0.0])
    return float(np.sqrt(gradient @ covariance @ gradient))
