"""Trees: where they grow by biome, kept away from the spawn, the things and the solution's path."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from similitude.worlds.kinds import BIOME
from similitude.worlds.land.biomes import cell_slopes
from similitude.worlds.land.grid import cell_of

if TYPE_CHECKING:
    from similitude.worlds.tasks.site import Site

MOST = 0.01
"""Most trees per square metre of the map: the camera pays for each."""
GROWTH = {
    "grassland": 0.15,
    "dry grassland": 0.08,
    "deciduous forest": 0.8,
    "temperate rain forest": 1.0,
    "tropical rain forest": 1.0,
    "swamp": 0.35,
    "temperate desert": 0.02,
    "tropical desert": 0.03,
    "coast": 0.05,
}
"""Chance that a tree grows where one could, by biome."""
LEAVES = {
    "temperate rain forest": "needles",
    "dry grassland": "needles",
    "coast": "palm",
    "tropical desert": "palm",
    "tropical rain forest": "palm",
}


def _kept_clear(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Return segments (m, 4) and their distances (m,) that trees keep."""
    segments: list[tuple[float, float, float, float]] = []
    widths: list[float] = []

    def keep(x0: float, y0: float, x1: float, y1: float, width: float) -> None:
        segments.append((x0, y0, x1, y1))
        widths.append(width)

    x, y = site.spawn[0], site.spawn[1]
    keep(x, y, x, y, 3.0)
    for step in site.steps:
        for point in step.at:
            keep(x, y, point[0], point[1], 1.5)
            x, y = point[0], point[1]
        if step.thing >= 0:
            tx, ty, _ = site.place_of(step.thing)
            keep(x, y, tx, ty, 1.5)
            x, y = (tx, ty) if step.do in ("take", "eat") else (x, y)
    for row in site.things:
        keep(row[1], row[2], row[1], row[2], 2.0 + max(row[6], row[7]))
    for row in site.solids:
        keep(row[0], row[1], row[0], row[1], 1.5 + max(row[5], row[6]))
    for cx, cy, radius in site.clear:
        keep(cx, cy, cx, cy, radius)
    return np.array(segments), np.array(widths)


def _far(x: float, y: float, segments: np.ndarray, widths: np.ndarray) -> bool:
    dx, dy = segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1]
    px, py = x - segments[:, 0], y - segments[:, 1]
    length = np.maximum(dx * dx + dy * dy, 1e-9)
    share = np.minimum(np.maximum((px * dx + py * dy) / length, 0.0), 1.0)
    ox, oy = px - share * dx, py - share * dy
    return bool(np.all(ox * ox + oy * oy > widths * widths))


def plant(site: Site, biomes: np.ndarray) -> None:
    """Add trees to a site whose biomes (n, n) are known."""
    draws = site.draws.child("trees")
    side = 2.0 * site.half
    tries = int(side * side * MOST)
    spots = draws.array(tries, 6)
    slopes = cell_slopes(site.z)
    segments, widths = _kept_clear(site)
    names = tuple(BIOME)
    grown: list[tuple[float, float]] = []
    for a, b, chance, tall, kind, other in spots.tolist():
        x, y = (a - 0.5) * side, (b - 0.5) * side
        i, j = cell_of(site.size, x, y)
        biome = names[int(biomes[i, j])]
        if chance >= GROWTH.get(biome, 0.0) * site.trees or slopes[i, j] > 0.5 or site.bare[i, j]:
            continue
        if not _far(x, y, segments, widths):
            continue
        if any((x - p) * (x - p) + (y - q) * (y - q) < 2.25 for p, q in grown):
            continue
        leaves = LEAVES.get(biome, "leaves")
        if other < 0.25 * site.difficulty:
            leaves = ("leaves", "needles", "palm")[int(kind * 3)]
        site.add_tree(x, y, height=math.floor((3.0 + 4.0 * tall) * 8.0) / 8.0, leaves=leaves)
        grown.append((x, y))
