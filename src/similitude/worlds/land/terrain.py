"""Height maps: noise by subdivision that fades with every halving, and islands cut out of it."""

from __future__ import annotations

import numpy as np

from similitude.worlds.draws import Draws
from similitude.worlds.land.grid import coordinates, half_width

START = 32
"""Corners of the finished map per cell of the coarsest grid: hills are about 16 m wide."""


def _doubled(z: np.ndarray) -> np.ndarray:
    """Return the grid with a new corner in the middle of every edge and cell."""
    n = z.shape[0]
    wide = np.empty((n, 2 * n - 1))
    wide[:, ::2] = z
    wide[:, 1::2] = (z[:, :-1] + z[:, 1:]) * 0.5
    full = np.empty((2 * n - 1, 2 * n - 1))
    full[::2] = wide
    full[1::2] = (wide[:-1] + wide[1:]) * 0.5
    return full


def smoothed(z: np.ndarray, times: int) -> np.ndarray:
    """Return a map where every corner became the mean of itself and its neighbours, `times` times over."""
    for _ in range(times):
        padded = np.empty((z.shape[0] + 2, z.shape[1] + 2))
        padded[1:-1, 1:-1] = z
        padded[0, 1:-1], padded[-1, 1:-1] = z[0], z[-1]
        padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
        rows = padded[:-2] + padded[2:] + 2.0 * padded[1:-1]
        z = (rows[:, :-2] + rows[:, 2:] + 2.0 * rows[:, 1:-1]) * 0.0625
    return z


def noise(draws: Draws, size: int, *, start: int = START, fading: float = 0.5) -> np.ndarray:
    """Return fractal noise in about [-1, 1], (size, size).

    Args:
        draws: Where its random numbers come from.
        size: Corners per side, a multiple of `start`.
        start: Corners per cell of the coarsest grid, a power of two.
        fading: What each halving of the grid leaves of the noise: small for round hills, large for rough ground.
    """
    cells = max(size // start, 2)
    z = draws.array(cells + 1, cells + 1) * 2.0 - 1.0
    amplitude = 1.0
    while z.shape[0] < size:
        z = _doubled(z)
        amplitude = amplitude * fading
        z = z + (draws.array(*z.shape) * 2.0 - 1.0) * amplitude
    return smoothed(z[:size, :size], 1)


def island(
    draws: Draws, size: int, *, relief: float = 4.0, base: float = 2.0, fading: float = 0.4
) -> np.ndarray:
    """Return the heights of an island in a sea at height 0, in metres, (size, size).

    Args:
        draws: Where its random numbers come from.
        size: Corners per side.
        relief: Height of its hills over its plains, in metres.
        base: Height of its plains, in metres.
        fading: Roughness, see `noise`.
    """
    hills = noise(draws, size, fading=fading)
    shore = noise(draws, size, fading=0.4)
    x, y = coordinates(size)
    radius = np.sqrt(x * x + y * y) * (1.0 / half_width(size))
    # 1 inland, 0 on the sea floor: the coast wobbles, and at least a twentieth of the map's edge is sea
    fade = np.minimum(np.maximum((0.93 - radius + 0.06 * shore) * 5.0, 0.0), 1.0)
    fade = fade * fade * (3.0 - 2.0 * fade)
    return (base + relief * 0.5 * (hills + 0.6)) * fade - 1.5 * (1.0 - fade)
