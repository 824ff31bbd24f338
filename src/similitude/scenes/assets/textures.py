"""Textures by name, drawn by code, and those of the user's files."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from similitude.core.errors import SceneError

MISSING = "missing: "
"""How the names of textures begin that a model needs and its file does not have; what is wrong with them follows."""


@lru_cache(maxsize=64)
def texture_pixels(name: str) -> np.ndarray:
    """Return a texture, sRGB from 0 to 1, float32, shape (H, W, 3), rows from the top; it must not be written to.

    Raises:
        SceneError: There is no such texture, or its file cannot be read.
    """
    if name.startswith(MISSING):
        raise SceneError(f"{name.removeprefix(MISSING)} Or give the object another material by a control.")
    if name == "checker":
        cells = np.indices((8, 8)).sum(0) % 2
        return np.kron(cells, np.ones((16, 16)))[..., None].repeat(3, 2).astype(np.float32) * 0.8 + 0.1
    raise SceneError(f"there is no texture {name!r}.")


def texture_digest(name: str) -> str:
    """Return the SHA-256 of a texture's pixels."""
    return hashlib.sha256(texture_pixels(name).tobytes()).hexdigest()
