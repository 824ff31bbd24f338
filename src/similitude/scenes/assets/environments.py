"""Light from all around by name: drawn by code, Blender's, or in EXR and HDR files of the user's."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.assets.beside import stamp_of
from similitude.scenes.assets.blender_lights import PREFIX, blender_light
from similitude.scenes.assets.light_files import KINDS, read_radiance
from similitude.scenes.assets.skies import SKIES
from similitude.scenes.stage import Camera, Environment

ENVIRONMENTS = tuple(SKIES)
"""Names of the environments that are drawn by code."""


def environment_pixels(name: str) -> np.ndarray:
    """Return linear radiance from all directions, float32, shape (H, 2H, 3), H at most 512; it must not be written to.

    Rows go from straight up to straight down; columns from azimuth pi to -pi, azimuth 0 (the middle) being +x and
    growing towards +y to the left, as seen from inside: column c is azimuth pi - 2 pi (c + 1/2) / (2H).

    Args:
        name: One of `ENVIRONMENTS`; "blender:NAME" for those that come with Blender; or the absolute path of an EXR or
            HDR file, which is read again where it has changed.

    Raises:
        SceneError: There is no such environment, or its file cannot be read.
    """
    return _drawn(name) if name in SKIES else _read(*_file(name))


def _file(name: str) -> tuple[Path, tuple[int, int]]:
    """Return the file of an environment, and what tells whether it is still the one that was read."""
    if name.startswith(PREFIX):
        path = blender_light(name.removeprefix(PREFIX))
    elif Path(name).suffix.lower() in KINDS:
        path = Path(name)
        if not path.is_absolute():
            raise SceneError(f"the environment {name!r} needs its absolute path, e.g. {Path.cwd() / name}.")
    else:
        raise SceneError(
            f"there is no environment {name!r}. "
            + did_you_mean(name, SKIES)
            + f"There are: {', '.join(SKIES)}; '{PREFIX}NAME' for those of Blender; and paths that end in "
            f"{' or '.join(KINDS)}."
        )
    return path, stamp_of(path)


def environment_digest(name: str) -> str:
    """Return the SHA-256 of an environment's pixels; it is remembered until its file changes.

    Raises:
        SceneError: As `environment_pixels`.
    """
    return _digest_drawn(name) if name in SKIES else _digest_read(*_file(name))


@cache
def _digest_drawn(name: str) -> str:
    return hashlib.sha256(_drawn(name).tobytes()).hexdigest()


@lru_cache(maxsize=256)
def _digest_read(path: Path, stamp: tuple[int, int]) -> str:
    return hashlib.sha256(_read(path, stamp).tobytes()).hexdigest()


def radiance(environment: Environment, directions: np.ndarray) -> np.ndarray:
    """Return the linear radiance that comes from directions, bilinear between pixels.

    Args:
        environment: Which, how strong and how turned.
        directions: Unit vectors from the middle, shape (..., 3).

    Returns:
        float32, shape (..., 3).
    """
    pixels = environment_pixels(environment.name)
    h, w = pixels.shape[:2]
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    azimuth = np.arctan2(y, x) - environment.rotation
    column = (np.pi - azimuth) / (2 * np.pi) * w - 0.5
    row = np.clip(np.arccos(np.clip(z, -1, 1)) / np.pi * h - 0.5, 0, h - 1)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    right, below = (left + 1) % w, np.minimum(top + 1, h - 1)
    across, down = (column - left)[..., None], (row - top)[..., None]
    left %= w
    upper = pixels[top, left] * (1 - across) + pixels[top, right] * across
    lower = pixels[below, left] * (1 - across) + pixels[below, right] * across
    return ((upper * (1 - down) + lower * down) * environment.strength).astype(np.float32)


def backdrop(environment: Environment, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """Return what a camera sees of an environment, sRGB float32, shape (H, W, 3).

    Args:
        environment: The environment.
        camera: The camera.
        size: Rows and columns, the same number.
    """
    from similitude.scenes.renderers.optics import rays_of, shown

    _, directions = rays_of(camera, size[0])
    return shown(radiance(environment, directions)).reshape(*size, 3)


@cache
def _drawn(name: str) -> np.ndarray:
    return _fixed(SKIES[name]())


@lru_cache(maxsize=8)
def _read(path: Path, stamp: tuple[int, int]) -> np.ndarray:
    del stamp  # of what was read: another one is another entry of the cache
    return _fixed(read_radiance(path))


def _fixed(pixels: np.ndarray) -> np.ndarray:
    out = np.ascontiguousarray(np.clip(pixels, 0, None), np.float32)
    out.setflags(write=False)
    return out
