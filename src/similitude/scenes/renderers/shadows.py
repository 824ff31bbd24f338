"""Which light is held up: soft shadows of lamps, and corners that see little of the environment."""

from __future__ import annotations

import math
from functools import lru_cache

import numba
import numpy as np

from similitude.scenes.renderers.optics import dots, lengths
from similitude.scenes.renderers.surfaces import Surface
from similitude.scenes.renderers.trees import Instance, unblocked
from similitude.scenes.stage import Light

NEAR = 0.4
"""How far away a surface must be to dim the light of the environment, in units of the scene."""

TILE = 4
"""Pixels across and down whose random numbers complete each other, and over which shadows are averaged."""

_OFFSET = 2e-4  # so that a ray does not meet the surface that it leaves
_R2 = np.array([0.7548776662466927, 0.5698402909980532])  # Roberts' sequence: even in the plane at any length


@lru_cache(maxsize=24)
def spread_points(resolution: int, sample: int, samples: int, *, stream: int) -> np.ndarray:
    """Return a point of the unit square for each pixel; those of all samples of a tile of pixels are spread evenly.

    Args:
        resolution: Rows and columns of the picture, R.
        sample: Which of its samples.
        samples: How many there are.
        stream: Points of different streams have nothing to do with each other.

    Returns:
        float32, shape (R * R, 2); it must not be written to.
    """
    # The order within a tile: neighbours are far from each other in the sequence.
    order = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    k = np.arange(TILE * TILE)[:, None]
    start = np.array([0.5 + 0.3819660113 * stream, 0.5 + 0.2360679775 * stream])
    points = (start + (k * samples + sample) * _R2) % 1.0
    tiles = -(-resolution // TILE)
    index = np.tile(order, (tiles, tiles))[:resolution, :resolution]
    out = points.astype(np.float32)[index.reshape(-1)]
    out.setflags(write=False)
    return out


def light_held_up(
    instances: list[Instance],
    surface: Surface,
    lights: tuple[Light, ...],
    *,
    grid: tuple[int, int, int] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what reaches places: which share of each lamp, and which share of the environment past what is near.

    Args:
        instances: What may be in the way.
        surface: The places.
        lights: The lamps.
        grid: Resolution, sample and number of samples where places are the pixels of a picture. None: rays go to the
            middle of the lamps, and the environment is not held up.

    Returns:
        Of lamps, float32, shape (L, P), and of the environment, shape (P,).
    """
    count = len(surface.point)
    seen = np.flatnonzero(surface.instance >= 0)
    share = np.zeros((len(lights) + 1, count), np.float32)
    origin = _lifted(surface)
    noisy = []
    for j, lamp in enumerate(lights):
        to = np.asarray(lamp.position, np.float32) - origin
        if grid is not None and lamp.radius > 0:
            to += np.float32(lamp.radius) * _ball(spread_points(*grid, stream=j + 1))
            noisy.append(j)
        lit = np.flatnonzero((surface.instance >= 0) & (dots(to, surface.normal) > 0))
        if len(lit):
            share[j, lit] = unblocked(instances, origin[lit], to[lit], np.full(len(lit), 0.999, np.float32))
    if grid is None:
        share[-1] = 1
    elif len(seen):
        # Normals with a random unit vector added are spread by the cosine.
        facing = surface.facing[seen]
        away = _ball(spread_points(*grid, stream=0)[seen]) * np.float32(0.999) + surface.normal[seen]
        away /= lengths(away)[:, None]
        away -= np.minimum(2 * dots(away, facing), 0)[:, None] * facing  # not into the triangle itself
        reach = np.full(len(seen), NEAR, np.float32)
        share[-1, seen] = unblocked(instances, origin[seen], away, reach)
        noisy.append(len(lights))
        chosen = np.ascontiguousarray(share[noisy])
        even = chosen.copy()
        _average(chosen, surface.instance, surface.point, surface.normal, grid[0], grid[1] % 2, even)
        share[noisy] = even
    return share[:-1], share[-1]


def _ball(points: np.ndarray) -> np.ndarray:
    """Return points of the unit sphere for points of the unit square, float32, shape (P, 3)."""
    z = 1 - 2 * points[:, 0]
    flat, angle = np.sqrt(1 - z * z), np.float32(2 * np.pi) * points[:, 1]
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), z], 1)


def _lifted(surface: Surface) -> np.ndarray:
    away = np.float32(_OFFSET) * (1 + lengths(surface.point) / 4)
    return surface.lifted + surface.facing * away[:, None]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _average(
    values: np.ndarray,
    instance: np.ndarray,
    point: np.ndarray,
    normal: np.ndarray,
    resolution: int,
    shift: int,
    out: np.ndarray,
) -> None:
    """Average rows of `values` over a tile around each pixel, over those neighbours that lie on the same surface."""
    total = np.zeros(len(values))
    for row in range(resolution):
        for column in range(resolution):
            p = row * resolution + column
            if instance[p] < 0:
                continue
            up, down = max(row - 2 + shift, 0), min(row + 2 + shift, resolution)
            left, right = max(column - 2 + shift, 0), min(column + 2 + shift, resolution)
            same = True
            for c in range(len(values)):
                for y in range(up, down):
                    for x in range(left, right):
                        same = same and values[c, y * resolution + x] == values[c, p]
            if same:
                continue
            # How far places move from one pixel to the next, so that planes seen at a slant are one surface.
            q = p + 1 if column + 1 < resolution else p - 1
            r = p + resolution if row + 1 < resolution else p - resolution
            step = 0.0
            for s in (q, r):
                if instance[s] == instance[p]:
                    length = 0.0
                    for i in range(3):
                        length += (point[s, i] - point[p, i]) ** 2
                    step = max(step, math.sqrt(length))
            total[:] = 0.0
            count = 0
            for y in range(up, down):
                for x in range(left, right):
                    s = y * resolution + x
                    if instance[s] != instance[p]:
                        continue
                    turned, off = 0.0, 0.0
                    for i in range(3):
                        turned += normal[s, i] * normal[p, i]
                        off += (point[s, i] - point[p, i]) * normal[p, i]
                    if turned > 0.8 and abs(off) < step + 1e-4:
                        count += 1
                        for c in range(len(values)):
                            total[c] += values[c, s]
            if count:
                for c in range(len(values)):
                    out[c, p] = total[c] / count
