"""Things of a household: a candle, a lamp, a roll of paper, a dumbbell."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import ObjectModel
from similitude.scenes.objects.outlines import arc, joined, regular, rounded, smooth
from similitude.scenes.objects.painting import by_place, mixed, step
from similitude.scenes.objects.solids import lathed, plate, rod, tube
from similitude.scenes.objects.surfaces import grid, placed
from similitude.scenes.stage import Material

STEEL = Material("steel", (0.72, 0.73, 0.75), roughness=0.3, metallic=1.0)


def candle() -> ObjectModel:
    """Return a lit candle of ivory wax on a brass dish."""
    wax = Material("wax", (0.93, 0.88, 0.74), roughness=0.45)
    body = rounded([(0, 0.8), (2.4, 0.8), (2.4, 12.2), (2.1, 12.4), (1.5, 11.7), (0, 11.5)], 0.25)
    brass = Material("brass", (0.80, 0.62, 0.28), roughness=0.25, metallic=1.0)
    dish = rounded([(0, 0), (3.6, 0), (4.6, 1.0), (4.4, 1.1), (3.5, 0.35), (0, 0.35)], 0.15)
    wick = rod([0, 0, 11.4], [0.1, 0, 12.9], 0.1, Material("wick", (0.08, 0.06, 0.05), roughness=1.0))
    flame_line = smooth([(0, 12.5), (0.42, 12.95), (0.55, 13.6), (0.30, 14.8), (0, 16.2)], steps=32)
    flame_line[[0, -1], 0] = 0

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        del u
        low = mixed((0.35, 0.40, 0.85), (1.0, 0.96, 0.75), step(v, 0.16, 0.2))
        return mixed(low, (1.0, 0.72, 0.20), step(v, 0.75, 0.6))

    flame = lathed(flame_line, Material("flame", (1, 1, 1), "flame", roughness=1.0))
    return ObjectModel(
        "candle",
        (lathed(dish, brass), lathed(body, wax), wick, flame),
        textures={"flame": by_place(paint, 64, 4)},
    )


def table_lamp() -> ObjectModel:
    """Return a lamp with a pleated shade on a turned foot."""
    cloth = Material("shade", (0.93, 0.87, 0.72), roughness=0.95)
    angle = np.pi / 2 + 2 * np.pi * np.arange(241) / 240
    angle[-1] = angle[0]
    folds = 1 + 0.012 * np.cos(60 * (angle - np.pi / 2))
    rows = [(r * folds, h) for r, h in ((17.5, 27.0), (10.0, 47.0), (9.7, 47.0), (17.2, 27.0), (17.5, 27.0))]
    shade = grid(
        np.stack([np.stack([r * np.cos(angle), r * np.sin(angle), np.full(241, h)], -1) for r, h in rows]),
        cloth,
    )
    foot = joined(
        [(0, 0), (8, 0)],
        smooth(
            [
                (8, 0),
                (8.2, 1.2),
                (5, 2.6),
                (2.2, 4.4),
                (3.6, 8),
                (6.6, 13),
                (6.2, 18.5),
                (2.4, 22.5),
                (1.6, 25),
            ],
            steps=64,
        ),
        [(1.2, 25), (1.2, 34), (0, 34)],
    )
    glaze = Material("glaze", (0.16, 0.30, 0.42), roughness=0.12)
    bulb = lathed(
        joined([(0, 34)], arc((0, 38.5), 3.4, -1.2, np.pi / 2)), Material("bulb", (1, 1, 0.95), roughness=0.2)
    )
    return ObjectModel("table lamp", (lathed(foot, glaze), shade, bulb))


def toilet_roll() -> ObjectModel:
    """Return a roll of toilet paper that lies on its side, its end hanging down and reaching out to the front."""
    paper = Material("paper", (0.95, 0.95, 0.94), roughness=1.0)
    ring = rounded([(2.1, -5), (5.5, -5), (5.5, 5), (2.1, 5), (2.1, -5)], 0.2)
    core = [(1.95, -4.95), (2.15, -4.95), (2.15, 4.95), (1.95, 4.95), (1.95, -4.95)]
    cardboard = Material("cardboard", (0.62, 0.50, 0.36), roughness=0.9)
    hanging = smooth([(-5.55, 0.6), (-5.75, -3.0), (-6.6, -5.0), (-9.0, -5.5), (-13.0, -5.5)], steps=32)
    drop = joined(arc((0, 0), 5.56, np.pi / 2, np.pi * 0.96, steps=24), hanging)
    sides = [np.stack([np.full(len(drop), x), drop[:, 0], drop[:, 1]], -1) for x in (-4.9, 4.9)]
    sheet = grid(np.stack(sides, 1)[::-1], paper)
    rolled = [lathed(ring, paper, sections=96), lathed(core, cardboard, sections=96)]
    lying = [placed(mesh, rotation=(0, np.pi / 2, 0)) for mesh in rolled]
    return ObjectModel("toilet roll", (*lying, sheet))


def dumbbell() -> ObjectModel:
    """Return a dumbbell with hexagonal heads."""
    rubber = Material("rubber", (0.07, 0.07, 0.075), roughness=0.55)
    heads = [
        placed(plate(regular(6, 4.6), 6.2, rubber, bevel=0.7), (s * 8.5, 0, 0), rotation=(0, np.pi / 2, 0))
        for s in (-1, 1)
    ]
    line = smooth([[x, 0, 0] for x in (-6, -3, 0, 3, 6)], steps=24)
    grip = tube(line, 1.2 + 0.35 * np.cos(line[:, 0] / 6 * np.pi / 2), STEEL)
    return ObjectModel("dumbbell", (*heads, grip))
