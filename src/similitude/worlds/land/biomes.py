"""The fourteen biomes by height, moisture, warmth and slope."""

from __future__ import annotations

import numpy as np

from similitude.worlds.draws import Draws
from similitude.worlds.engine.constants import CELL
from similitude.worlds.kinds import BIOME
from similitude.worlds.land.terrain import noise


def _corners(z: np.ndarray) -> tuple[np.ndarray, ...]:
    right = np.concatenate([z[:, 1:], z[:, -1:]], axis=1)
    up = np.concatenate([z[1:], z[-1:]], axis=0)
    both = np.concatenate([right[1:], right[-1:]], axis=0)
    return z, right, up, both


def cell_slopes(z: np.ndarray) -> np.ndarray:
    """Return the squared slope (rise per run) of every cell at its middle, (n, n), from its four corners."""
    a, b, d, e = _corners(z)
    along, across = (b - a + e - d) * (0.5 / CELL), (d - a + e - b) * (0.5 / CELL)
    return along * along + across * across


def paint(z: np.ndarray, climbs: np.ndarray, draws: Draws) -> np.ndarray:
    """Return the biome of every cell, uint8, (n, n).

    Args:
        z: Heights in metres, (n, n).
        climbs: Cells that can be climbed, bool, (n, n): steep ones of the others show as "unclimbable".
        draws: Where moisture and warmth come from.
    """
    size = z.shape[0]
    a, b, d, e = _corners(z)
    middle = (a + b + d + e) * 0.25
    moisture = noise(draws.child("moisture"), size, start=64, fading=0.4) + draws.uniform(-0.5, 0.5)
    warmth = draws.uniform(-1.0, 1.0) - 0.03 * middle
    slope = cell_slopes(z)
    biome = np.full(z.shape, BIOME["grassland"], dtype=np.uint8)
    for name, where in (
        ("dry grassland", moisture < -0.25),
        ("temperate desert", (moisture < -0.6) & (warmth < 0.2)),
        ("tropical desert", (moisture < -0.6) & (warmth >= 0.2)),
        ("deciduous forest", (moisture > 0.15) & (warmth < 0.6)),
        ("temperate rain forest", (moisture > 0.5) & (warmth < 0.2)),
        ("tropical rain forest", (moisture > 0.3) & (warmth >= 0.2)),
        ("swamp", (moisture > 0.35) & (middle < 1.4)),
        ("coast", middle < 0.8),
        ("dark shore", (middle < 0.8) & (moisture > 0.2)),
        ("bare rock", slope > 1.0),
        ("unclimbable", (slope > 1.0) & ~climbs),
        ("water", middle < 0.0),
        ("fresh water", (middle < 0.0) & (moisture > 0.8)),
    ):
        biome[where] = BIOME[name]
    return biome
