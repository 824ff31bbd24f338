"""Things made of boards and cloth: a crate, a park bench, a bookcase, an envelope, an umbrella."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects.outlines import rectangle, smooth
from similitude.scenes.objects.painting import by_place, mixed, noise
from similitude.scenes.objects.solids import box, picture, plate, rod, tube, upright
from similitude.scenes.objects.surfaces import grid, placed
from similitude.scenes.stage import Material

IRON = Material("iron", (0.10, 0.10, 0.11), roughness=0.5)


def _wood(texture: str) -> Material:
    return Material("wood", (1, 1, 1), texture, roughness=0.75)


def _grain(dark: tuple[float, float, float], light: tuple[float, float, float]) -> np.ndarray:
    """Return the picture of a board whose fibres run along u."""

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        rings = noise(np.stack([0.8 * u, 7 * v], 1), 1.0, seed=3, octaves=4)
        fibres = noise(np.stack([2 * u, 60 * v], 1), 1.0, seed=4, octaves=2)
        return mixed(dark, light, 0.5 + 0.4 * rings + 0.15 * fibres)

    return by_place(paint, 128, 256)


def crate() -> ObjectModel:
    """Return an open crate of pine boards."""
    wood = _wood("pine")
    width, depth, height = 50.0, 34.0, 27.0
    parts: list[Mesh] = []
    for z in (-9.2, 0.0, 9.2):
        board = box(width, 1.2, 7.6, wood, bevel=0.15)
        parts += [placed(board, (0, s * depth / 2, z)) for s in (-1, 1)]
        short = box(depth - 1.3, 1.2, 7.6, wood, bevel=0.15)
        parts += [placed(short, (s * (width / 2 - 0.6), 0, z), rotation=(0, 0, np.pi / 2)) for s in (-1, 1)]
    post = box(4.0, 1.8, height, wood, bevel=0.15)
    parts += [
        placed(post, (x * (width / 2 - 3.5), y * (depth / 2 - 1.5), 0)) for x in (-1, 1) for y in (-1, 1)
    ]
    parts += [
        placed(box(width - 2.6, 6.0, 1.0, wood, bevel=0.1), (0, y, -13.0))
        for y in (-12.6, -6.3, 0, 6.3, 12.6)
    ]
    return ObjectModel(
        "crate", tuple(parts), textures={"pine": _grain((0.45, 0.31, 0.18), (0.72, 0.55, 0.36))}
    )


def park_bench() -> ObjectModel:
    """Return a bench with wooden slats on two feet of cast iron."""
    wood = _wood("teak")
    parts: list[Mesh] = []
    for k in range(5):
        parts.append(placed(box(150, 7.5, 3, wood, bevel=0.5), (0, -20 + 9 * k, 45 - 0.4 * k)))
    for k in range(4):
        slat = placed(box(150, 7.5, 2.6, wood, bevel=0.5), rotation=(np.pi / 2 - 0.22, 0, 0))
        parts.append(placed(slat, (0, 23.5 + 2.1 * k, 54 + 9.4 * k)))
    for x in (-62.0, 62.0):
        legs = [
            smooth([[x, -22, 0], [x, -19, 12], [x, -21, 30], [x, -23, 43]], steps=24),
            smooth([[x, 27, 0], [x, 20, 20], [x, 21, 42], [x, 26, 60], [x, 34, 88]], steps=32),
            np.array([[x, -23, 42.5], [x, 21, 41.0]]),
            smooth([[x, -24, 44], [x, -27, 58], [x, -22, 66], [x, 0, 64], [x, 27, 63]], steps=32),
        ]
        parts += [tube(line, 2.4, IRON) for line in legs]
    return ObjectModel(
        "park bench", tuple(parts), textures={"teak": _grain((0.45, 0.26, 0.12), (0.66, 0.42, 0.22))}
    )


_BINDINGS = (
    (0.55, 0.12, 0.10),
    (0.12, 0.22, 0.42),
    (0.15, 0.35, 0.20),
    (0.75, 0.62, 0.35),
    (0.85, 0.82, 0.75),
    (0.20, 0.18, 0.18),
    (0.62, 0.34, 0.12),
    (0.35, 0.16, 0.34),
)


def bookcase() -> ObjectModel:
    """Return a bookcase of four shelves full of books."""
    wood = _wood("walnut")
    half, deep = 58.0, 30.0
    heights = [-76.0, -38.0, 0.0, 38.0, 75.0]
    parts: list[Mesh] = [placed(box(3, deep, 156, wood, bevel=0.3), (s * half, 0, 0)) for s in (-1, 1)]
    parts += [placed(box(2 * half - 3, deep - 1, 3, wood, bevel=0.3), (0, 0, z)) for z in heights]
    parts.append(placed(box(2 * half, 1, 154, wood), (0, deep / 2 - 0.5, 0)))
    bindings = [Material("book", color, roughness=0.7) for color in _BINDINGS]
    rng = np.random.default_rng(11)
    for z in heights[:-1]:
        x = 2.0 - half
        while True:
            thick, tall, size = rng.uniform(2.4, 6.0), rng.uniform(22, 32), rng.uniform(16, 22)
            if x + thick > half - 2:
                break
            book = box(thick - 0.2, size, tall, bindings[rng.integers(len(bindings))], bevel=0.25)
            parts.append(placed(book, (x + thick / 2, size / 2 - 13, z + 1.5 + tall / 2)))
            x += thick + (9 if rng.uniform() < 0.06 else 0)
    return ObjectModel(
        "bookcase", tuple(parts), textures={"walnut": _grain((0.36, 0.22, 0.12), (0.54, 0.36, 0.21))}
    )


def envelope() -> ObjectModel:
    """Return a closed envelope seen from its back, its flap sealed by red wax."""

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        x, y = u - 0.5, v
        paper = mixed(
            (0.90, 0.84, 0.70), (0.94, 0.89, 0.77), 0.5 + 0.5 * noise(np.stack([3 * u, 2 * v], 1), 4)
        )
        flap = 1 - np.abs(x) * 1.14 - y + 0.0
        low = y - (0.60 - np.abs(x) * 1.20)
        inside = flap - 0.43
        paper = mixed(paper, paper * 0.93, (low < 0).astype(float) * (inside > 0))
        for line, width in ((inside, 0.010), (low + 10.0 * (inside < 0.0), 0.008)):
            paper = mixed(paper, (0.58, 0.50, 0.38), (np.abs(line) < width).astype(float))
        shade = np.clip(1 - inside / 0.05, 0, 1) * (inside > 0)
        return paper * (1 - 0.16 * shade)[:, None]

    sheet = upright(
        plate(
            rectangle(22, 15, radius=0.3),
            0.5,
            Material("paper", (0.93, 0.87, 0.75), roughness=0.9),
            bevel=0.2,
        )
    )
    front = placed(picture(21.6, 14.6, Material("paper", (1, 1, 1), "flap", roughness=0.9)), (0, -0.27, 0))
    return ObjectModel("envelope", (sheet, front), textures={"flap": by_place(paint, 384, 576)})


def umbrella() -> ObjectModel:
    """Return an open umbrella of eight panels with a crook for a handle."""
    cloth = Material("cloth", (0.72, 0.06, 0.10), roughness=0.8)
    steel = Material("steel", (0.60, 0.60, 0.62), roughness=0.35, metallic=1.0)
    around = np.linspace(0, 2 * np.pi, 97)
    around[-1] = 0
    t = np.linspace(0, 1, 25)[:, None]
    phase = (around * 8 / (2 * np.pi)) % 1
    # Between two ribs the cloth is drawn in, the more the farther out.
    hang = 1 - 0.10 * t**2 * np.sin(np.pi * phase)
    radius = 52 * np.sin(t * 1.25) / np.sin(1.25) * hang
    height = 26 * np.cos(t * 1.45) + 2.5 * t**2 * np.sin(np.pi * phase)
    top = np.stack([radius * np.cos(around), radius * np.sin(around), height], -1)
    parts: list[Mesh] = [
        grid(top[::-1], cloth, crease=0.35),
        rod([0, 0, 24], [0, 0, 32], 0.7, steel),
        rod([0, 0, -42], [0, 0, 26], 0.6, steel),
    ]
    crook = smooth([[0, 0, -40], [0, 0, -50], [2, 0, -56], [7, 0, -58], [12, 0, -55], [13, 0, -50]], steps=40)
    parts.append(tube(crook, 1.4, Material("handle", (0.35, 0.19, 0.09), roughness=0.4)))
    for k in range(8):
        a = 2 * np.pi * k / 8
        s = np.linspace(0, 1, 13)
        r, h = 52 * np.sin(s * 1.25) / np.sin(1.25), 26 * np.cos(s * 1.45) - 0.5
        parts.append(tube(np.stack([r * np.cos(a), r * np.sin(a), h], 1), 0.28, steel))
        parts.append(rod([0, 0, 2], [r[6] * np.cos(a), r[6] * np.sin(a), h[6] - 0.3], 0.22, steel))
    return ObjectModel("umbrella", tuple(parts))
