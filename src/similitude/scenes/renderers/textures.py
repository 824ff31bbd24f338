"""Textures as the fast renderer reads them: linear light in a pyramid of halved pictures, sampled without moiré."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from similitude.scenes.renderers.optics import linear
from similitude.scenes.renderers.turns import Turns

_KEPT = 48  # pyramids held at once


@dataclass(frozen=True, eq=False)
class Pyramid:
    """A texture and its halves, down to one pixel.

    Attributes:
        pixels: Linear light of all levels one after the other, float32, shape (P, 3).
        levels: First pixel, rows and columns of each level, int64, shape (L, 3).
        solid: Where alpha is at least a half, shape (H, W); None where it is everywhere.
    """

    pixels: np.ndarray
    levels: np.ndarray
    solid: np.ndarray | None


_PYRAMIDS: dict[int, tuple[np.ndarray, Pyramid]] = {}
_TURNS = Turns()


def pyramid_of(pixels: np.ndarray) -> Pyramid:
    """Return the pyramid of a texture, sRGB, shape (H, W, 3 or 4); made once for an array."""
    held = _PYRAMIDS.get(id(pixels))
    if held is not None and held[0] is pixels:
        return held[1]
    level = linear(pixels[..., :3])
    levels, parts, first = [], [], 0
    while True:
        h, w = level.shape[:2]
        levels.append((first, h, w))
        parts.append(level.reshape(-1, 3))
        first += h * w
        if h == 1 and w == 1:
            break
        level = _halved(level)
    solid = None
    if pixels.shape[-1] == 4 and (pixels[..., 3] < 0.5).any():
        solid = np.ascontiguousarray(pixels[..., 3] >= 0.5)
    made = Pyramid(np.concatenate(parts), np.array(levels, np.int64), solid)
    with _TURNS:
        while len(_PYRAMIDS) >= _KEPT:
            del _PYRAMIDS[next(iter(_PYRAMIDS))]
        _PYRAMIDS[id(pixels)] = (pixels, made)
    return made


def _halved(level: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
        size = level.shape[axis]
        if size > 1:
            even = np.take(level, range(0, size - 1, 2), axis)
            level = (even + np.take(level, range(1, size, 2), axis)) / 2
    return level.astype(np.float32)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def sample(
    pixels: np.ndarray, levels: np.ndarray, at: np.ndarray, uv: np.ndarray, width: np.ndarray, out: np.ndarray
) -> None:
    """Multiply colours by a texture, repeated without end, trilinear between levels.

    Args:
        pixels, levels: Of the pyramid.
        at: Rows of `uv`, `width` and `out` that bear the texture.
        uv: Coordinates, shape (P, 2); v grows upwards.
        width: Of what a ray stands for, in coordinates, shape (P,).
        out: Colours, shape (P, 3), changed in place.
    """
    last = len(levels) - 1
    size = math.sqrt(levels[0, 1] * levels[0, 2])
    for p in at:
        if not abs(uv[p, 0]) + abs(uv[p, 1]) < 1e8:
            continue  # pixels there have no numbers
        level = math.log2(max(width[p] * size, 1.0))
        low = min(int(level), last)
        part = min(level - low, 1.0) if low < last else 0.0
        red = green = blue = 0.0
        for step in range(2):
            share = part if step else 1.0 - part
            if share <= 0.0:
                continue
            first, h, w = levels[low + step, 0], levels[low + step, 1], levels[low + step, 2]
            x, y = uv[p, 0] * w - 0.5, (1.0 - uv[p, 1]) * h - 0.5
            left, top = math.floor(x), math.floor(y)
            fx, fy = x - left, y - top
            for j in range(2):
                row = first + (int(top) + j) % h * w
                for i in range(2):
                    weight = share * (fx if i else 1.0 - fx) * (fy if j else 1.0 - fy)
                    pixel = row + (int(left) + i) % w
                    red += weight * pixels[pixel, 0]
                    green += weight * pixels[pixel, 1]
                    blue += weight * pixels[pixel, 2]
        out[p, 0] *= red
        out[p, 1] *= green
        out[p, 2] *= blue


def solid_at(solid: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Return where a cut-out is solid at coordinates, bool, shape (P,)."""
    h, w = solid.shape
    column = np.floor(uv[:, 0] * w).astype(int) % w
    row = np.floor((1 - uv[:, 1]) * h).astype(int) % h
    return solid[row, column]
