"""NNGP and tangent kernels of ReLU networks of tests/kernels/peer_nets.py between an input and itself, slow and plain.

Where both arguments are the same the dual of a leaky ReLU is (1 + a^2) / 2 times the variance, and that of its derivative
(1 + a^2) / 2: no angle is computed, so nothing is lost to rounding.
"""

from __future__ import annotations

import numpy as np

WEIGHT, BIAS = 2.0, 0.1
EPSILON = 1e-5

Pair = tuple[np.ndarray, np.ndarray]


def perceptron(images: np.ndarray, *, slope: float = 0.0) -> Pair:
    """Return both kernels of three hidden layers on flattened images (n, 64)."""
    half = (1 + slope**2) / 2
    k = WEIGHT * (images**2).mean(1) + BIAS
    t = k
    for _ in range(3):
        k, t = WEIGHT * half * k + BIAS, WEIGHT * half * k + BIAS + WEIGHT * half * t
    return k, t


def residual(images: np.ndarray) -> Pair:
    """Return both kernels of two blocks x + W relu(V norm(x)) on flattened images (n, 64)."""
    k = WEIGHT * (images**2).mean(1) + BIAS
    t = k
    for _ in range(2):
        up = WEIGHT * k / (k + EPSILON) + BIAS
        t_up = up + WEIGHT * t / (k + EPSILON)
        down = WEIGHT * up / 2 + BIAS
        k, t = k + down, t + down + WEIGHT * t_up / 2
    return WEIGHT * k / 2 + BIAS, WEIGHT * k / 2 + BIAS + WEIGHT * t / 2


def flattened(images: np.ndarray) -> Pair:
    """Return both kernels of the three flattened convolutions on images (n, 8, 8)."""

    def conv(maps: np.ndarray, *, stride: int, padding: int) -> np.ndarray:
        padded = np.pad(maps, ((0, 0), (padding, padding), (padding, padding)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))[:, ::stride, ::stride]
        return WEIGHT * windows.mean((-2, -1))

    k = conv(images**2, stride=1, padding=1) + BIAS
    t = k
    for stride, padding in ((2, 0), (1, 1)):
        after = conv(k / 2, stride=stride, padding=padding) + BIAS
        k, t = after, after + conv(t / 2, stride=stride, padding=padding)
    k, t = k.mean((1, 2)), t.mean((1, 2))
    return WEIGHT * k / 2 + BIAS, WEIGHT * k / 2 + BIAS + WEIGHT * t / 2


def residual_convolutional(image: np.ndarray) -> tuple[float, float]:
    """Return both kernels of two residual convolutions and a mean over an image (8, 8), by pairs of positions."""
    side = len(image)
    shifts = [
        np.kron(np.eye(side, k=rows), np.eye(side, k=columns))
        for rows in (-1, 0, 1)
        for columns in (-1, 0, 1)
    ]

    def conv(pairs: np.ndarray) -> np.ndarray:
        return WEIGHT * sum(shift @ pairs @ shift.T for shift in shifts) / len(shifts)

    def duals(pairs: np.ndarray) -> Pair:
        scale = np.sqrt(np.outer(pairs.diagonal(), pairs.diagonal()))
        angle = np.arccos(np.clip(pairs / scale, -1, 1))
        np.fill_diagonal(angle, 0.0)
        cosine = np.cos(angle)
        return scale * (np.sin(angle) + (np.pi - angle) * cosine) / (2 * np.pi), (np.pi - angle) / (2 * np.pi)

    k = conv(np.outer(image.flatten(), image.flatten())) + BIAS
    t = k
    for scale in (1.0, 0.5):
        image_k, slope = duals(k)
        after = conv(image_k) + BIAS
        k, t = k + scale**2 * after, t + scale**2 * (after + conv(slope * t))
    image_k, slope = duals(k)
    nngp = WEIGHT * image_k.mean() + BIAS
    return float(nngp), float(nngp + WEIGHT * (slope * t).mean())
