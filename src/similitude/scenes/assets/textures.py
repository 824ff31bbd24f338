"""Textures by name, drawn by code, and those of the user's files."""

from __future__ import annotations

import hashlib
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.assets.animal_textures import ANIMALS
from similitude.scenes.assets.beside import read_file, stamp_of
from similitude.scenes.assets.pictures import decoded
from similitude.scenes.assets.plain_textures import PLAIN

TEXTURES = (*PLAIN, *ANIMALS)
"""Names of the textures that are drawn by code: 512 x 512 pixels that go on without a seam."""

MISSING = "missing: "
"""How the names of textures begin that a model needs and its file does not have; what is wrong with them follows."""


def texture_pixels(name: str) -> np.ndarray:
    """Return a texture, sRGB from 0 to 1, float32, rows from the top; it must not be written to.

    A picture that has changed on the disk is read again.

    Args:
        name: One of `TEXTURES`, or the absolute path of a picture that Pillow reads.

    Returns:
        Shape (H, W, 3), or (H, W, 4) for a picture with transparent places.

    Raises:
        SceneError: There is no such texture, or its file is missing, no picture or too large.
    """
    return _drawn(name) if name in TEXTURES else _read(*_file(name))


def _file(name: str) -> tuple[Path, tuple[int, int]]:
    """Return the path that a name is, and what tells whether its file is still the one that was read."""
    if name.startswith(MISSING):
        raise SceneError(f"{name.removeprefix(MISSING)} Or give the object another material by a control.")
    path = Path(name)
    if not path.is_absolute():
        raise SceneError(_unknown(name))
    return path, stamp_of(path)


@cache
def _drawn(name: str) -> np.ndarray:
    return _fixed((PLAIN.get(name) or ANIMALS[name])())


@lru_cache(maxsize=32)
def _read(path: Path, stamp: tuple[int, int]) -> np.ndarray:
    del stamp  # of what was read: another one is another entry of the cache
    return _fixed(decoded(read_file(path), str(path)))


def _fixed(pixels: np.ndarray) -> np.ndarray:
    out = np.ascontiguousarray(np.clip(pixels, 0, 1), np.float32)
    out.setflags(write=False)
    return out


def texture_digest(name: str) -> str:
    """Return the SHA-256 of a texture's pixels; it is remembered until its file changes.

    Raises:
        SceneError: As `texture_pixels`.
    """
    return _digest_drawn(name) if name in TEXTURES else _digest_read(*_file(name))


@cache
def _digest_drawn(name: str) -> str:
    return hashlib.sha256(_drawn(name).tobytes()).hexdigest()


@lru_cache(maxsize=1024)
def _digest_read(path: Path, stamp: tuple[int, int]) -> str:
    return hashlib.sha256(_read(path, stamp).tobytes()).hexdigest()


def _unknown(name: str) -> str:
    looks_like_file = "/" in name or "\\" in name or Path(name).suffix.lower() in (".png", ".jpg", ".jpeg")
    return (
        f"there is no texture {name!r}. "
        + did_you_mean(name, TEXTURES)
        + ("A picture of your own needs its absolute path. " if looks_like_file else "")
        + f"There are: {', '.join(TEXTURES)}."
    )
