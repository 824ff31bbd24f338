"""Balls of sports: what tells them apart is their seams, which are drawn by direction."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import ObjectModel
from similitude.scenes.objects.painting import by_direction, mixed, noise, spread, step
from similitude.scenes.objects.solids import ball
from similitude.scenes.stage import Material

GOLDEN = (1 + 5**0.5) / 2


def tennis_ball() -> ObjectModel:
    """Return a ball of yellow felt with its white seam."""

    def paint(away: np.ndarray) -> np.ndarray:
        fuzz = noise(away, 14, octaves=3)
        felt = mixed((0.70, 0.80, 0.16), (0.86, 0.94, 0.32), 0.5 + 0.5 * fuzz)
        return mixed(felt, (0.95, 0.95, 0.90), 1 - step(_from_seam(away) + 0.01 * fuzz, 0.06, 0.03))

    mesh = ball(Material("felt", (1, 1, 1), "felt", roughness=1.0), rows=64)
    return ObjectModel("tennis ball", (mesh,), textures={"felt": by_direction(paint)})


def baseball() -> ObjectModel:
    """Return a ball of white leather with red stitches."""
    seam = _seam(1400)
    along = np.arange(len(seam)) / len(seam)

    def paint(away: np.ndarray) -> np.ndarray:
        from scipy.spatial import KDTree

        far, nearest = KDTree(seam).query(away)
        leather = mixed((0.90, 0.87, 0.80), (0.96, 0.94, 0.90), 0.5 + 0.5 * noise(away, 3))
        leather = mixed(leather, (0.62, 0.58, 0.52), 1 - step(far, 0.012, 0.012))
        # Each stitch leans back from the seam: its phase grows with the distance.
        phase = (along[nearest] * 108 - far * 7.0) % 1.0
        thread = (np.abs(phase - 0.5) < 0.24) & (far > 0.015) & (far < 0.105)
        return mixed(leather, (0.72, 0.06, 0.08), thread.astype(float))

    mesh = ball(Material("leather", (1, 1, 1), "leather", roughness=0.55), rows=64)
    return ObjectModel("baseball", (mesh,), textures={"leather": by_direction(paint, height=400)})


def golf_ball() -> ObjectModel:
    """Return a white ball with 336 dimples."""
    from scipy.spatial import KDTree

    tree = KDTree(spread(336))

    def radius(away: np.ndarray) -> np.ndarray:
        far, _ = tree.query(away)
        return 0.5 - 0.009 * np.clip(1 - (far / 0.088) ** 2, 0, 1)

    return ObjectModel(
        "golf ball", (ball(Material("ionomer", (0.93, 0.93, 0.91), roughness=0.3), radius, rows=128),)
    )


def soccer_ball() -> ObjectModel:
    """Return a ball of 12 black pentagons and 20 white hexagons."""
    pentagons = _icosahedron()
    hexagons = _face_centers(pentagons)
    # A point belongs to the side of the truncated icosahedron whose plane its ray meets first.
    sides = np.concatenate([pentagons / 0.9393, hexagons / 0.9149])

    def nearest(away: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height = np.sort(away @ sides.T, axis=1)
        return (away @ sides.T).argmax(1), height[:, -1] - height[:, -2]

    def paint(away: np.ndarray) -> np.ndarray:
        side, gap = nearest(away)
        panel = mixed((0.94, 0.94, 0.93), (0.05, 0.05, 0.06), (side < 12).astype(float))
        return mixed((0.25, 0.25, 0.26), panel, step(gap, 0.012, 0.01))

    def radius(away: np.ndarray) -> np.ndarray:
        return 0.5 - 0.008 * (1 - step(nearest(away)[1], 0.02, 0.04))

    mesh = ball(Material("leather", (1, 1, 1), "panels", roughness=0.35), radius, rows=96)
    return ObjectModel("soccer ball", (mesh,), textures={"panels": by_direction(paint, height=400)})


def basketball() -> ObjectModel:
    """Return an orange ball with black seams."""

    def paint(away: np.ndarray) -> np.ndarray:
        x, y, z = away.T
        far = np.minimum(np.abs(x), np.abs(z))
        far = np.minimum(far, np.abs(np.abs(y) - 0.62))
        pebbles = noise(away, 26, octaves=2)
        skin = mixed((0.72, 0.32, 0.10), (0.86, 0.44, 0.16), 0.5 + 0.5 * pebbles)
        return mixed((0.06, 0.05, 0.05), skin, step(far, 0.022, 0.012))

    mesh = ball(Material("rubber", (1, 1, 1), "seams", roughness=0.5), rows=64)
    return ObjectModel("basketball", (mesh,), textures={"seams": by_direction(paint, height=400)})


def volleyball() -> ObjectModel:
    """Return a ball of six times three panels, white, blue and yellow."""

    def paint(away: np.ndarray) -> np.ndarray:
        size = np.abs(away)
        side = size.argmax(1)
        largest = size.max(1)
        across = np.take_along_axis(away, ((side + 1) % 3)[:, None], 1)[:, 0] / largest
        edge = 1 - np.take_along_axis(size, ((side + 1) % 3)[:, None], 1)[:, 0] / largest
        other = 1 - np.take_along_axis(size, ((side + 2) % 3)[:, None], 1)[:, 0] / largest
        seam = np.minimum.reduce([np.abs(np.abs(across) - 1 / 3), edge, other])
        # The middle panel of each three is white, those beside it are blue and yellow.
        panel = mixed((0.95, 0.95, 0.93), (0.95, 0.80, 0.16), (across > 1 / 3).astype(float))
        panel = mixed(panel, (0.10, 0.22, 0.55), (across < -1 / 3).astype(float))
        return mixed((0.35, 0.35, 0.36), panel, step(seam, 0.012, 0.012))

    mesh = ball(Material("leather", (1, 1, 1), "panels", roughness=0.4), rows=64)
    return ObjectModel("volleyball", (mesh,), textures={"panels": by_direction(paint, height=400)})


def _seam(count: int) -> np.ndarray:
    """Return points along the seam of a tennis ball or a baseball, shape (count, 3)."""
    t, a = 2 * np.pi * np.arange(count) / count, 0.72
    b = 1 - a
    points = np.stack(
        [
            a * np.cos(t) + b * np.cos(3 * t),
            a * np.sin(t) - b * np.sin(3 * t),
            2 * (a * b) ** 0.5 * np.sin(2 * t),
        ],
        1,
    )
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _from_seam(away: np.ndarray) -> np.ndarray:
    from scipy.spatial import KDTree

    return KDTree(_seam(800)).query(away)[0]


def _icosahedron() -> np.ndarray:
    corners = [np.roll([0, s, t * GOLDEN], k) for k in range(3) for s in (-1, 1) for t in (-1, 1)]
    return np.array(corners) / np.hypot(1, GOLDEN)


def _face_centers(corners: np.ndarray) -> np.ndarray:
    """Return the middles of the 20 sides of an icosahedron: of each three corners that are next to each other."""
    n = len(corners)
    near = corners @ corners.T > 0.4
    found = [
        corners[[i, j, k]].sum(0)
        for i in range(n)
        for j in range(i)
        for k in range(j)
        if near[i, j] and near[j, k] and near[i, k]
    ]
    return np.array(found) / np.linalg.norm(found, axis=1, keepdims=True)
