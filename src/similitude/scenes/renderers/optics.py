"""What all renderers share: the rays of a camera, and how linear light becomes the colours of a picture."""

from __future__ import annotations

import numpy as np

from similitude.scenes.stage import Camera

UNIT = 100.0
"""Millimetres that a unit of a scene stands for, about the size of a cup: what a lens blurs depends on it."""

GLOSS_FROM = 0.75
"""Roughness above which gloss fades out, to nothing at 1: matt surfaces follow Lambert's law in every renderer."""


def rays_of(
    camera: Camera, resolution: int, *, offsets: tuple[float, float] = (0.5, 0.5)
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rays through the pixels of a square picture.

    Args:
        camera: The camera.
        resolution: Rows and columns, R.
        offsets: Where in its pixel each ray goes through, from the left and from the top, 0 to 1.

    Returns:
        Origins and unit directions, float32, shape (R * R, 3), row after row from the top.
    """
    right, up, forward = camera.axes
    across = (
        2 * (np.arange(resolution) + offsets[0]) / resolution - 1 - 2 * camera.shift[0]
    ) * camera.half_width
    down = (
        1 - 2 * (np.arange(resolution) + offsets[1]) / resolution - 2 * camera.shift[1]
    ) * camera.half_width
    directions = forward + across[None, :, None] * right + down[:, None, None] * up
    flat = directions.reshape(-1, 3).astype(np.float32)
    flat /= lengths(flat)[:, None]
    return np.tile(np.asarray(camera.position, np.float32), (len(flat), 1)), flat


def dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the scalar products of vectors, shape (P, 3) each, row by row."""
    return np.einsum("ij,ij->i", a, b)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Return the lengths of vectors, shape (P, 3)."""
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


def shown(linear: np.ndarray) -> np.ndarray:
    """Return linear light as sRGB (IEC 61966-2-1), float32, cut off at 1."""
    x = np.clip(linear, 0.0, 1.0)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055).astype(np.float32)


def over_black(light: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return the colours of a frame: light is averaged over what is covered, shown, and then takes its share.

    An edge is as bright as its alpha, whatever is put behind it.

    Args:
        light: Linear light over black, shape (..., 3).
        cover: Share that is covered, shape (...).
    """
    mean = light / np.maximum(cover, 1e-6)[..., None]
    return shown(mean) * np.clip(cover, 0, 1)[..., None].astype(np.float32)


def linear(shown: np.ndarray) -> np.ndarray:
    """Return sRGB as linear light, float32."""
    x = np.asarray(shown, np.float32)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)
