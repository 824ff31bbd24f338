"""Vessels: a mug, a teapot, a bucket, a flowerpot, a frying pan."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects.outlines import joined, regular, rounded, smooth
from similitude.scenes.objects.solids import lathed, plate, tube
from similitude.scenes.objects.surfaces import grid, placed
from similitude.scenes.stage import Material

TERRACOTTA = Material("terracotta", (0.72, 0.38, 0.22), roughness=0.9)
STEEL = Material("steel", (0.72, 0.73, 0.75), roughness=0.3, metallic=1.0)


def mug() -> ObjectModel:
    """Return a white mug of 95 by 82 mm, its handle to the right."""
    glaze = Material("glaze", (0.90, 0.90, 0.87), roughness=0.15)
    wall = [
        (0, 0.2),
        (3.2, 0.2),
        (3.5, 0),
        (3.9, 0),
        (4.1, 0.5),
        (4.1, 9.5),
        (3.75, 9.5),
        (3.7, 0.8),
        (0, 0.7),
    ]
    cup = lathed(rounded(wall, 0.18), glaze, sections=96)
    path = smooth(
        [[3.9, 0, 8.0], [5.2, 0, 8.3], [6.6, 0, 7.2], [6.7, 0, 5.0], [5.6, 0, 2.9], [3.9, 0, 2.2]], steps=48
    )
    oval = regular(24, 1.0) * [1.0, 0.62]
    thick = 0.62 + 0.16 * (2 * np.linspace(0, 1, len(path)) - 1) ** 4
    handle = tube(path, thick, glaze, section=oval)
    return ObjectModel("mug", (cup, handle), liquid=(9.5, 3.75))


def teapot() -> ObjectModel:
    """Return a round teapot, its spout to the left and its handle to the right."""
    glaze = Material("glaze", (0.88, 0.88, 0.84), roughness=0.12)
    belly = smooth([(4.2, 0.6), (6.6, 2.2), (7.7, 5.4), (6.8, 9.0), (4.2, 11.3)], steps=40)
    body = joined([(0, 0.3), (3.6, 0), (4.2, 0), (4.2, 0.6)], belly, [(3.9, 11.3), (3.6, 11.0), (0, 11.0)])
    lid = joined(
        [(0, 11.0), (4.0, 11.2), (4.1, 11.5)],
        smooth(
            [
                (4.1, 11.5),
                (3.2, 12.4),
                (1.6, 13.0),
                (0.7, 13.2),
                (0.6, 13.6),
                (1.25, 14.2),
                (1.2, 15.0),
                (0.5, 15.5),
                (0, 15.6),
            ],
            steps=40,
        )[:-1],
        [(0, 15.6)],
    )
    spout = smooth(
        [[-5.8, 0, 4.0], [-8.4, 0, 5.0], [-10.0, 0, 7.6], [-10.8, 0, 10.0], [-12.2, 0, 11.6]], steps=40
    )
    handle = smooth(
        [[5.2, 0, 10.2], [8.0, 0, 11.4], [11.2, 0, 9.6], [11.4, 0, 6.2], [9.4, 0, 3.4], [6.6, 0, 3.0]],
        steps=48,
    )
    return ObjectModel(
        "teapot",
        (
            lathed(body, glaze, sections=96),
            lathed(lid, glaze),
            tube(spout, np.linspace(1, 0, 41) ** 1.4 * 1.5 + 0.85, glaze),
            tube(handle, 0.68, glaze),
        ),
    )


def bucket() -> ObjectModel:
    """Return a bucket of galvanised steel with its bail standing up."""
    zinc = Material("zinc", (0.66, 0.69, 0.71), roughness=0.42, metallic=0.8)
    wall = [
        (0, 0.6),
        (9.6, 0.6),
        (9.7, 0),
        (10.0, 0),
        (10.2, 2.0),
        (10.55, 2.2),
        (10.6, 2.6),
        (10.35, 2.8),
        (13.0, 24.0),
    ]
    rim = [(13.5, 24.2), (13.6, 24.8), (13.1, 25.0), (12.7, 24.6), (9.9, 1.0), (0, 1.0)]
    pail = lathed(rounded(joined(wall, rim), 0.2), zinc, sections=96)
    t = np.linspace(0, np.pi, 49)
    bail = np.stack([13.6 * np.cos(t), -2.0 * np.sin(t), 23.3 + 15.5 * np.sin(t) ** 0.9], 1)
    wire = tube(bail, 0.32, STEEL)
    grip = tube(bail[20:29], 0.95, Material("grip", (0.62, 0.42, 0.24), roughness=0.7))
    ears = [
        placed(plate(regular(24, 1.6), 0.5, zinc, bevel=0.1), (s * 13.4, 0, 23.3), rotation=(0, np.pi / 2, 0))
        for s in (-1, 1)
    ]
    return ObjectModel("bucket", (pail, wire, grip, *ears), liquid=(25.0, 13.0))


def flowerpot() -> ObjectModel:
    """Return a pot of terracotta with earth and a plant of broad leaves."""
    wall = [(0, 0), (4.6, 0), (6.1, 10.0), (6.6, 10.0), (7.0, 13.0), (6.4, 13.0), (6.1, 11.6), (0, 11.6)]
    pot = lathed(rounded(wall, 0.2), TERRACOTTA, sections=96)
    earth = lathed(
        [(6.2, 12.0), (3.0, 12.4), (0, 12.5)], Material("earth", (0.20, 0.13, 0.09), roughness=1.0)
    )
    green = Material("leaf", (0.16, 0.42, 0.12), roughness=0.45)
    rng = np.random.default_rng(6)
    parts: list[Mesh] = [pot, earth]
    for k in range(15):
        turn, lean, length = 2.4 * k, 0.25 + 0.055 * k, rng.uniform(7.5, 9.5) * (1 - 0.02 * k)
        parts += [placed(mesh, (0, 0, 12.2), rotation=(0, 0, turn)) for mesh in _frond(lean, length, green)]
    return ObjectModel("flowerpot", tuple(parts))


def _frond(lean: float, length: float, material: Material) -> tuple[Mesh, Mesh]:
    """Return a stalk from the origin that leans towards x, and the leaf at its end, bent over."""
    t = np.linspace(0, 1, 20)
    angle = np.pi / 2 - lean * (0.4 + 1.5 * t)
    path = np.stack([np.cumsum(np.cos(angle)), 0 * t, np.cumsum(np.sin(angle))], 1) * length / 12
    along, side = np.linspace(0, 1, 12), np.linspace(-1, 1, 9)
    width = 0.27 * length * np.sin(np.pi * (0.04 + 0.96 * along) ** 0.75) + 0.02
    across = width[:, None] * side
    # The halves of a leaf rise to both sides of its middle rib.
    up = np.stack([-np.sin(angle), 0 * t, np.cos(angle)], 1)[8:, None]
    blade = path[8:, None] + across[..., None] * [0, 1, 0] + 0.25 * np.abs(across)[..., None] * up
    return tube(path[:9], 0.16, material), grid(blade, material, crease=0.3)


def frying_pan() -> ObjectModel:
    """Return a black frying pan, its handle to the right."""
    black = Material("coating", (0.06, 0.06, 0.065), roughness=0.35)
    dish = rounded([(0, 0), (10.5, 0), (14, 4.6), (13.6, 4.8), (10.3, 0.6), (0, 0.6)], 0.8, steps=8)
    path = smooth([[12.6, 0, 3.4], [16, 0, 4.6], [21, 0, 5.8], [33, 0, 6.6]], steps=40)
    oval = regular(24, 1.0) * [0.55, 1.0]
    grip = tube(
        path,
        0.9 + 0.6 * np.linspace(0, 1, 41) ** 0.7,
        Material("grip", (0.10, 0.09, 0.09), roughness=0.5),
        section=oval,
    )
    return ObjectModel("frying pan", (lathed(dish, black, sections=96), grip))
