"""Colours of a world: tables by kind, and every cell of the terrain lit by the sun."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine.constants import CELL, CLIMBABLE, UNITS
from similitude.worlds.engine.view import SUN_X, SUN_Y, SUN_Z
from similitude.worlds.kinds import BIOMES, COLORS, KINDS

CLIMB_CONTRAST = 0.12
"""How much darker every other cell of a climbable wall is."""
NOISE = 0.035
"""Largest change of a cell's brightness by chance, so that motion can be seen on even ground."""


def thing_palette() -> np.ndarray:
    """Return the colours of the kinds of things, uint8, (kinds, 3)."""
    return np.array([kind.color for kind in KINDS], dtype=np.uint8)


def solid_palette() -> np.ndarray:
    """Return the colours of what never moves, uint8, (colours, 3)."""
    return np.array([color for _, color in COLORS], dtype=np.uint8)


def cell_colors(height: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Colour every cell by its biome, its slope towards the sun, a little noise, and a chequer where it can be climbed.

    Args:
        height: Corners, int16 in units of 1/128 m, (n, n).
        ground: Biome plus 128 where it can be climbed, uint8, (n, n).

    Returns:
        Red, green, blue as uint8, (n, n, 3); the last row and column repeat those before them.
    """
    z = height.astype(np.float64) / UNITS
    rise_x = np.zeros_like(z)
    rise_y = np.zeros_like(z)
    rise_x[:-1, :-1] = (z[:-1, 1:] + z[1:, 1:] - z[:-1, :-1] - z[1:, :-1]) / (2 * CELL)
    rise_y[:-1, :-1] = (z[1:, :-1] + z[1:, 1:] - z[:-1, :-1] - z[:-1, 1:]) / (2 * CELL)
    for rise in (rise_x, rise_y):
        rise[-1], rise[:, -1] = rise[-2], rise[:, -2]
    steepness = rise_x * rise_x + rise_y * rise_y
    lit = (SUN_Z - SUN_X * rise_x - SUN_Y * rise_y) / np.sqrt(1.0 + steepness)
    row, column = np.indices(z.shape, dtype=np.int64)
    chance = ((row * 73856093) ^ (column * 19349663)) * 2654435761 >> 13 & 0xFF
    light = 0.62 + 0.46 * np.maximum(lit, -0.4) + NOISE * (chance / 127.5 - 1.0)
    wall = (ground >= CLIMBABLE) & (steepness > 1.0) & ((row + column) % 2 == 0)
    light = np.where(wall, light - CLIMB_CONTRAST, light)
    biome = np.array([color for _, color in BIOMES], dtype=np.float64)[ground & (CLIMBABLE - 1)]
    return np.clip(biome * light[..., None], 0, 255).astype(np.uint8)
