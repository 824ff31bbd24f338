"""Bottles with their labels, and a barrel."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import ObjectModel
from similitude.scenes.objects.outlines import joined, rounded, smooth
from similitude.scenes.objects.painting import by_place, mixed, noise, step
from similitude.scenes.objects.solids import label, lathed, plate
from similitude.scenes.objects.surfaces import placed
from similitude.scenes.stage import Material

IRON = Material("iron", (0.22, 0.22, 0.23), roughness=0.45, metallic=1.0)


def wine_bottle() -> ObjectModel:
    """Return a closed bottle of green glass with a label and a red capsule."""
    glass = Material("green glass", (0.035, 0.09, 0.04), roughness=0.06)
    shoulder = smooth([(3.75, 18.5), (3.45, 20.3), (2.4, 22.0), (1.55, 23.6), (1.35, 25.5)], steps=24)
    outer = joined(
        [(0, 0.6), (2.6, 0.0)],
        rounded([(2.6, 0), (3.75, 0), (3.75, 18.5)], 0.5),
        shoulder,
        [(1.35, 26.0), (0, 26.0)],
    )
    foil = Material("capsule", (0.42, 0.05, 0.07), roughness=0.35, metallic=0.3)
    cap = [(0, 25.0), (1.42, 25.0), (1.42, 29.0), (1.52, 29.1), (1.52, 30.0), (1.40, 30.2), (0, 30.2)]

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        paper = mixed((0.90, 0.86, 0.76), (0.94, 0.91, 0.83), v)
        border = np.minimum(np.minimum(u, 1 - u) * 1.5, np.minimum(v, 1 - v))
        paper = mixed(paper, (0.60, 0.45, 0.15), (np.abs(border - 0.06) < 0.012).astype(float))
        crest = np.hypot((u - 0.5) * 1.5, v - 0.68)
        paper = mixed(paper, (0.45, 0.08, 0.10), (crest < 0.12).astype(float))
        for height, half, thick in (
            (0.44, 0.30, 0.035),
            (0.33, 0.22, 0.018),
            (0.24, 0.26, 0.012),
            (0.17, 0.18, 0.012),
        ):
            letters = noise(np.stack([u * 40, 0 * v], 1), 0.7, seed=int(100 * height)) > -0.45
            line = (np.abs(v - height) < thick) & (np.abs(u - 0.5) < half) & letters
            paper = mixed(paper, (0.12, 0.10, 0.10), line.astype(float))
        return paper

    paper = label(3.78, 6.0, 15.0, 1.15, Material("label", (1, 1, 1), "label", roughness=0.8))
    return ObjectModel(
        "wine bottle",
        (lathed(outer, glass, sections=96), lathed(cap, foil), paper),
        textures={"label": by_place(paint, 256, 256)},
    )


def beer_bottle() -> ObjectModel:
    """Return a brown bottle with a crown cap and a round label."""
    glass = Material("brown glass", (0.34, 0.15, 0.04), roughness=0.06)
    neck = smooth([(3.0, 12.0), (2.85, 13.6), (1.9, 16.0), (1.45, 18.2), (1.3, 21.5)], steps=24)
    body = joined(
        [(0, 0.5), (2.2, 0)],
        rounded([(2.2, 0), (3.0, 0), (3.0, 12)], 0.4),
        neck,
        rounded([(1.3, 21.5), (1.5, 21.6), (1.5, 22.3), (0, 22.3)], 0.1),
    )
    angle = 2 * np.pi * np.arange(84) / 84
    crimped = (1.58 + 0.07 * np.cos(21 * angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    gold = Material("crown cap", (0.83, 0.66, 0.25), roughness=0.35, metallic=0.8)
    cap = placed(plate(crimped, 0.75, gold, bevel=0.2), (0, 0, 22.35))

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        far = np.hypot((u - 0.5) * 1.02, v - 0.5)
        paper = mixed((0.90, 0.84, 0.66), (0.70, 0.10, 0.10), ((far > 0.34) & (far < 0.46)).astype(float))
        star = np.abs(((np.arctan2(v - 0.5, u - 0.5) / (2 * np.pi) * 5) % 1) - 0.5)
        paper = mixed(paper, (0.75, 0.55, 0.12), (far < 0.12 + 0.16 * star).astype(float))
        band = (np.abs(v - 0.5) < 0.09) & (far < 0.46)
        paper = mixed(paper, (0.10, 0.20, 0.45), band.astype(float))
        letters = band & (np.abs(v - 0.5) < 0.055) & ((u * 22) % 1 < 0.66) & (np.abs(u - 0.5) < 0.36)
        return mixed(paper, (0.95, 0.93, 0.85), letters.astype(float))

    paper = label(3.03, 2.6, 9.8, 1.2, Material("label", (1, 1, 1), "label", roughness=0.7))
    return ObjectModel(
        "beer bottle",
        (lathed(body, glass, sections=96), cap, paper),
        textures={"label": by_place(paint, 256, 256)},
    )


def barrel() -> ObjectModel:
    """Return an oak barrel of 24 staves with six iron hoops."""
    z = np.linspace(0, 90, 41)
    bulge = 28 + 8.5 * (1 - (z / 45 - 1) ** 2)
    shell = joined([(0, 3), (26.5, 3), (26.5, 0)], np.stack([bulge, z], 1), [(26.5, 90), (26.5, 87), (0, 87)])

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        stave = np.floor(u * 24)
        shade = np.random.default_rng(4).uniform(-0.10, 0.10, 24)[stave.astype(int) % 24]
        grain = noise(np.stack([u * 24 + 7 * stave, v * 1.2], 1), 2.2, octaves=4)
        wood = mixed((0.50, 0.31, 0.15), (0.66, 0.44, 0.23), 0.5 + 0.4 * grain) * (1 + shade)[:, None]
        return mixed((0.16, 0.09, 0.05), wood, step(np.minimum(u * 24 % 1, 1 - u * 24 % 1), 0.03, 0.03))

    oak = lathed(shell, Material("oak", (1, 1, 1), "staves", roughness=0.7), sections=96)
    hoops = []
    for low, high in ((1.0, 6.0), (14, 19), (29, 34), (56, 61), (71, 76), (84, 89)):
        edge = [28 + 8.5 * (1 - (h / 45 - 1) ** 2) for h in (low, high)]
        line = [
            (edge[0] - 0.5, low),
            (edge[0] + 0.5, low),
            (edge[1] + 0.5, high),
            (edge[1] - 0.5, high),
            (edge[0] - 0.5, low),
        ]
        hoops.append(lathed(line, IRON, sections=96))
    return ObjectModel("barrel", (oak, *hoops), textures={"staves": by_place(paint, 384, 768)})
