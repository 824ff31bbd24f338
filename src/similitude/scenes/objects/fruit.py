"""Fruit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects.outlines import smooth
from similitude.scenes.objects.painting import by_direction, by_place, mixed, noise, spread, step
from similitude.scenes.objects.solids import ball, tube
from similitude.scenes.objects.surfaces import grid, placed
from similitude.scenes.stage import Material

STALK = Material("stalk", (0.33, 0.24, 0.12), roughness=0.9)


def orange() -> ObjectModel:
    """Return an orange with pores in its peel and a green navel where it hung."""

    def radius(away: np.ndarray) -> np.ndarray:
        dent = 0.05 * np.exp(-((1 - away[:, 2]) / 0.02)) + 0.02 * np.exp(-((1 + away[:, 2]) / 0.02))
        return 0.5 * (1 - 0.05 * away[:, 2] ** 2) - 0.6 * dent + 0.0024 * noise(away, 22, octaves=2)

    def paint(away: np.ndarray) -> np.ndarray:
        pores = step(noise(away, 30, seed=1, octaves=2), -0.45, 0.4)
        peel = mixed((0.93, 0.47, 0.04), (0.98, 0.58, 0.08), 0.5 + 0.5 * noise(away, 1.5, seed=2))
        peel = mixed(peel * 0.86, peel, pores)
        return mixed((0.48, 0.52, 0.14), peel, step(1 - away[:, 2], 0.009, 0.012))

    peel = ball(Material("peel", (1, 1, 1), "peel", roughness=0.42), radius, rows=96)
    stalk = placed(ball(STALK, 0.028, rows=12), (0, 0, 0.452), scale=(1, 1, 0.6))
    # It lies with its stalk leaning to the front, where it is seen.
    tilted = [placed(mesh, rotation=(0.75, 0.3, 0.0)) for mesh in (peel, stalk)]
    return ObjectModel("orange", tuple(tilted), textures={"peel": by_direction(paint, height=320)})


def lemon() -> ObjectModel:
    """Return a lemon lying on its side, its tip to the right."""

    def radius(away: np.ndarray) -> np.ndarray:
        x = away[:, 0]
        body = 1 / np.sqrt((x / 0.46) ** 2 + (1 - x**2) / 0.34**2)
        tip = 0.075 * np.exp(-((1 - x) / 0.022)) + 0.035 * np.exp(-((1 + x) / 0.02))
        return body + tip + 0.0022 * noise(away, 16, octaves=2)

    def paint(away: np.ndarray) -> np.ndarray:
        pores = step(noise(away, 24, seed=1, octaves=2), -0.5, 0.4)
        peel = mixed((0.96, 0.76, 0.06), (0.99, 0.84, 0.14), 0.5 + 0.5 * noise(away, 1.2, seed=3))
        peel = mixed(peel * 0.90, peel, pores)
        peel = mixed(peel, (0.76, 0.70, 0.16), 0.6 * step(away[:, 0], 0.99, 0.02))
        return mixed((0.45, 0.40, 0.15), peel, step(1 + away[:, 0], 0.004, 0.004))

    peel = ball(Material("peel", (1, 1, 1), "peel", roughness=0.4), radius, rows=96)
    return ObjectModel("lemon", (peel,), textures={"peel": by_direction(paint, height=320)})


def apple() -> ObjectModel:
    """Return a green apple (Granny Smith) with its stalk."""

    def radius(away: np.ndarray) -> np.ndarray:
        z, angle = away[:, 2], np.arctan2(away[:, 1], away[:, 0])
        lobes = 1 + 0.012 * np.cos(5 * angle) * (1 - z) * 0.5
        body = 0.5 * (1 - 0.04 * z**2 + 0.05 * z) * lobes
        return body - 0.20 * np.exp(-((1 - z) / 0.045)) - 0.10 * np.exp(-((1 + z) / 0.03))

    def paint(away: np.ndarray) -> np.ndarray:
        skin = mixed((0.46, 0.66, 0.12), (0.64, 0.79, 0.24), 0.5 + 0.6 * noise(away, 1.0, seed=2))
        far = _spots(420)(away)
        skin = mixed((0.82, 0.90, 0.60), skin, step(far, 0.009, 0.006))
        return mixed(skin, (0.40, 0.34, 0.14), 0.8 * step(away[:, 2], 0.975, 0.03))

    skin = ball(Material("skin", (1, 1, 1), "skin", roughness=0.22), radius, rows=96, crease=1.0)
    path = smooth([[0, 0, 0.30], [0.01, 0, 0.42], [0.05, 0.01, 0.53]], steps=10)
    stalk = tube(path, np.linspace(0.013, 0.02, 11), STALK)
    return ObjectModel("apple", (skin, stalk), textures={"skin": by_direction(paint, height=320)})


def _spots(count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the distance to the nearest of spots that are spread a little unevenly."""
    from scipy.spatial import KDTree

    spots = spread(count)
    tree = KDTree(spots + 0.02 * np.stack([noise(spots, 3, seed=s) for s in (7, 8, 9)], 1))

    def far(away: np.ndarray) -> np.ndarray:
        return tree.query(away)[0]

    return far


def _banana() -> tuple[Mesh, Mesh]:
    """Return the peel of a banana and its ends; it bends about y and stands on its back."""
    t = np.linspace(0, 1, 72)
    angle = np.pi * (1.14 + 0.72 * t)
    bend = 1.0 + 0.10 * (2 * t - 1) ** 2
    path = np.stack([bend * np.cos(angle), np.zeros_like(t), bend * np.sin(angle)], 1)
    thick = 0.195 * np.clip(
        np.minimum(1, 0.20 + 2.6 * (t + 0.02)) * np.minimum(1, 0.24 + 3.2 * (1 - t)), 0, 1
    )
    thick = np.where(t < 0.12, 0.055 + (thick - 0.055) * (t / 0.12) ** 1.5, thick)
    around = 2 * np.pi * np.arange(40) / 40
    edge = 1 + 0.055 * np.cos(5 * around + 0.3)
    section = np.stack([edge * np.cos(around), edge * np.sin(around)], 1)
    peel = tube(
        path, thick, Material("peel", (1, 1, 1), "banana", roughness=0.5), section=section, crease=1.2
    )
    ends = tube(
        path[:2] + (path[0] - path[2]) * 0.2, 0.058, Material("cut", (0.25, 0.18, 0.09), roughness=0.9)
    )
    return peel, ends


def banana() -> ObjectModel:
    """Return a ripe banana with brown ends and a few flecks."""

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        place = np.stack([np.cos(2 * np.pi * u) * 0.3, np.sin(2 * np.pi * u) * 0.3, 2.4 * v], 1)
        peel = mixed((0.93, 0.74, 0.10), (0.98, 0.85, 0.24), 0.5 + 0.5 * noise(place, 1.2))
        peel = mixed(peel, (0.70, 0.74, 0.22), 0.6 * (1 - step(v, 0.14, 0.14)))
        peel = mixed(peel, peel * 0.86, 0.8 * (1 - step(np.abs((u * 5 + 0.5) % 1 - 0.5), 0.05, 0.06)))
        flecks = step(noise(place * [1, 1, 0.5], 6, seed=5, octaves=3), 0.72, 0.08)
        peel = mixed(peel, (0.42, 0.27, 0.08), 0.8 * flecks)
        return mixed(peel, (0.16, 0.11, 0.06), step(v, 0.975, 0.02) + (1 - step(v, 0.012, 0.02)))

    return ObjectModel("banana", _banana(), textures={"banana": by_place(paint, 512, 256)})


def strawberry() -> ObjectModel:
    """Return a strawberry, its tip down, with seeds in pits and a crown of leaves."""
    from scipy.spatial import KDTree

    tree = KDTree(spread(260))

    def radius(away: np.ndarray) -> np.ndarray:
        z = away[:, 2]
        body = 0.38 * (1 + 0.10 * z - 0.06 * z**2) + 0.17 * np.clip(-z, 0, 1) ** 3
        body -= 0.09 * np.exp(-((1 - z) / 0.06))
        return body - 0.010 * np.clip(1 - (tree.query(away)[0] / 0.045) ** 2, 0, 1)

    def paint(away: np.ndarray) -> np.ndarray:
        skin = mixed((0.70, 0.03, 0.04), (0.86, 0.08, 0.06), 0.5 + 0.5 * noise(away, 1.5))
        skin = mixed(skin, (0.93, 0.72, 0.50), 0.5 * step(away[:, 2], 0.93, 0.14))
        return mixed((0.90, 0.76, 0.30), skin, step(tree.query(away * [1, 1, 0.985])[0], 0.018, 0.008))

    skin = ball(Material("flesh", (1, 1, 1), "seeds", roughness=0.28), radius, rows=88)
    green = Material("leaf", (0.25, 0.50, 0.13), roughness=0.7)
    leaves = [placed(_leaf(green), (0, 0, 0.345), rotation=(0, 0, 2 * np.pi * k / 9)) for k in range(9)]
    stalk = tube(smooth([[0, 0, 0.30], [0.01, 0, 0.40], [0.05, 0, 0.50]], steps=10), 0.014, green)
    return ObjectModel(
        "strawberry", (skin, *leaves, stalk), textures={"seeds": by_direction(paint, height=320)}
    )


def _leaf(material: Material) -> Mesh:
    """Return a narrow leaf from the origin along x that lies on the fruit and lifts its tip."""
    t, s = np.linspace(0, 1, 14), np.linspace(-1, 1, 7)[None]
    spine = smooth([[0.0, 0.0], [0.10, 0.055], [0.20, 0.055], [0.28, 0.015], [0.345, 0.0]], steps=13)
    width = 0.07 * np.sin(np.pi * np.clip(t * 0.95 + 0.045, 0, 1) ** 0.8)[:, None] ** 0.8
    z = spine[:, 1:] - 0.9 * (width * s) ** 2 / 0.07
    return grid(np.stack([spine[:, :1] + 0 * s, width * s, z], -1), material, crease=np.pi)
