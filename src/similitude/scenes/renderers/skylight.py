"""Light of an environment on surfaces: pictures that are blurred beforehand, for matt ones and for glossy ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from similitude.scenes.assets.environments import environment_pixels
from similitude.scenes.stage import Environment

ROUGH = (0.15, 0.3, 0.5, 0.75, 1.0)
"""Roughnesses of the blurred pictures; rough 0 is the environment's own picture."""

_H, _W = 32, 64


@dataclass(frozen=True, eq=False)
class Skylight:
    """An environment ready for shading, its strength and rotation left out.

    Attributes:
        matt: Irradiance on surfaces that look in each direction, over pi, float32, shape (32, 64, 3).
        sharp: Radiance, float32, shape (H, 2H, 3).
        blurred: Radiance as surfaces of the roughnesses `ROUGH` mirror it (by the lobe of GGX), shape (5, 32, 64, 3).
    """

    matt: np.ndarray
    sharp: np.ndarray
    blurred: np.ndarray


@lru_cache(maxsize=16)
def skylight_of(environment: Environment) -> Skylight:
    """Return an environment's light; `environment` with strength 1 and rotation 0, so that one is made for all."""
    pixels = np.array(environment_pixels(environment.name), np.float32)
    small = _shrunk(pixels)
    directions, area = _directions(*small.shape[:2])
    between = np.clip(directions @ directions.T, -1, 1)
    half = np.sqrt((1 + between) / 2)  # cosine of the angle between the normal and the half vector
    flat = small.reshape(-1, 3).astype(np.float32)
    facing = np.maximum(between, 0) * area
    matt = (facing @ flat) / facing.sum(1, keepdims=True)
    blurred = []
    for rough in ROUGH:
        a2 = rough**4
        lobe = facing / (half**2 * (a2 - 1) + 1) ** 2
        blurred.append((lobe @ flat) / lobe.sum(1, keepdims=True))
    shape = (len(ROUGH), *small.shape)
    blurs = np.stack(blurred).reshape(shape).astype(np.float32)
    return Skylight(matt.reshape(small.shape).astype(np.float32), pixels, blurs)


def light_of(environment: Environment) -> Skylight:
    """Return the light of an environment, made once for each of its name."""
    return skylight_of(Environment(environment.name))


def _shrunk(pixels: np.ndarray) -> np.ndarray:
    """Return the mean radiance over a coarse grid of directions, float64, shape (32, 64, 3)."""
    h, w = pixels.shape[:2]
    rows = np.minimum(np.arange(max(h, _H)) * h // max(h, _H), h - 1)
    columns = np.minimum(np.arange(max(w, _W)) * w // max(w, _W), w - 1)
    full = pixels[rows][:, columns].astype(np.float64)
    weight = np.sin((np.arange(len(rows)) + 0.5) / len(rows) * math.pi)[:, None, None]
    down = (np.arange(len(rows)) * _H) // len(rows)
    across = (np.arange(len(columns)) * _W) // len(columns)
    total, share = np.zeros((_H, len(columns), 3)), np.zeros((_H, 1, 1))
    np.add.at(total, down, full * weight)
    np.add.at(share, down, weight)
    mean = np.ascontiguousarray(np.moveaxis(total / share, 1, 0))
    out = np.zeros((_W, _H, 3))
    np.add.at(out, across, mean)
    return np.moveaxis(out / np.bincount(across, minlength=_W)[:, None, None], 0, 1)


def _directions(h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the directions of pixels, float32, shape (h * w, 3), and their solid angles, shape (h * w,)."""
    theta = (np.arange(h) + 0.5) / h * np.pi
    azimuth = np.pi - 2 * np.pi * (np.arange(w) + 0.5) / w
    z = np.cos(theta)[:, None] * np.ones(w)
    x, y = np.sin(theta)[:, None] * np.cos(azimuth), np.sin(theta)[:, None] * np.sin(azimuth)
    edges = np.cos(np.arange(h + 1) / h * np.pi)
    area = (edges[:-1] - edges[1:])[:, None] * np.full(w, 2 * np.pi / w)
    return np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32), area.reshape(-1).astype(np.float32)
