"""Light from all around by name, drawn by code, and EXR or HDR files."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.stage import Camera, Environment


@lru_cache(maxsize=16)
def environment_pixels(name: str) -> np.ndarray:
    """Return linear radiance from all directions, float32, shape (H, 2H, 3); it must not be written to.

    Rows go from straight up to straight down; columns from azimuth -pi to pi, azimuth 0 (the middle) being +x and
    growing towards +y to the left, as seen from inside: column c is azimuth pi - 2 pi (c + 1/2) / (2H).

    Raises:
        SceneError: There is no such environment, or its file cannot be read.
    """
    if name == "studio":
        z = np.cos((np.arange(64) + 0.5) / 64 * np.pi)[:, None, None]
        return np.broadcast_to(0.35 + 0.25 * z, (64, 128, 3)).astype(np.float32)
    raise SceneError(f"there is no environment {name!r}.")


def environment_digest(name: str) -> str:
    """Return the SHA-256 of an environment's pixels."""
    return hashlib.sha256(environment_pixels(name).tobytes()).hexdigest()


def radiance(environment: Environment, directions: np.ndarray) -> np.ndarray:
    """Return the linear radiance that comes from directions, float32, shape (..., 3)."""
    pixels = environment_pixels(environment.name)
    h, w = pixels.shape[:2]
    x, y, z = np.moveaxis(directions, -1, 0)
    azimuth = np.arctan2(y, x) - environment.rotation
    column = ((np.pi - azimuth) / (2 * np.pi) * w).astype(int) % w
    row = np.clip((np.arccos(np.clip(z, -1, 1)) / np.pi * h).astype(int), 0, h - 1)
    return pixels[row, column] * np.float32(environment.strength)


def backdrop(environment: Environment, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Return what a camera sees of an environment, sRGB float32, shape (H, W, 3)."""
    from similitude.scenes.renderers.optics import rays_of, shown

    _, directions = rays_of(camera, size[0])
    return shown(radiance(environment, directions)).reshape(*size, 3)
