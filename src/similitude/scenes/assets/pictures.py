"""Pictures in files as arrays: those of textures, refused where they are none or too large."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from similitude.core.errors import SceneError

MOST_PIXELS = 64 * 10**6
"""Pixels of the largest picture that is decoded."""

SIDE = 1024
"""Rows and columns that textures are reduced to: a scene's picture has fewer."""


def decoded(data: bytes, where: str) -> np.ndarray:
    """Return a picture in the bytes of a PNG, JPEG or another file that Pillow reads.

    Args:
        data: The file's bytes.
        where: What it is called in messages.

    Returns:
        sRGB from 0 to 1, float32, shape (H, W, 3), or (H, W, 4) where some of it is transparent; at most `SIDE` rows and
        columns.

    Raises:
        SceneError: It is no picture, is damaged or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(io.BytesIO(data)) as image:
                return pixels_of(image, where)
    except SceneError:
        raise
    except Exception as error:  # Pillow's readers raise errors of many kinds about damaged files
        raise SceneError(
            f"{where}: is no picture that can be read ({error}). Save it again as PNG or JPEG."
        ) from error


def pixels_of(image: Image.Image, where: str) -> np.ndarray:
    """Return an opened picture as an array; see `decoded`."""
    if image.width * image.height > MOST_PIXELS:
        raise SceneError(
            f"{where}: has {image.width} x {image.height} pixels, more than the {MOST_PIXELS:,} that are decoded. "
            "Make it smaller."
        )
    if image.mode.startswith(("I", "F")):  # 16 bits or more of grey, which Pillow's conversion would cut off
        grey = np.asarray(image, np.float64)
        top = 65535 if image.mode.startswith("I") else 1
        image = Image.fromarray(np.round(np.clip(grey / top, 0, 1) * 255).astype(np.uint8))
    image = image.convert("RGBA")
    if max(image.size) > SIDE:
        share = SIDE / max(image.size)
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        image = image.resize(size, Image.Resampling.BOX)
    pixels = np.asarray(image, np.float32) / 255
    return pixels if (pixels[..., 3] < 1).any() else np.ascontiguousarray(pixels[..., :3])
