"""Devices: a computer's keyboard and screen, a remote control."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects.outlines import rectangle
from similitude.scenes.objects.painting import by_place, mixed, noise, step
from similitude.scenes.objects.solids import box, lathed, picture, plate, upright
from similitude.scenes.objects.surfaces import placed
from similitude.scenes.stage import Material

BLACK = Material("plastic", (0.05, 0.05, 0.055), roughness=0.4)


def keyboard() -> ObjectModel:
    """Return a computer's keyboard of 104 keys."""
    base = placed(
        box(44, 15, 1.6, Material("plastic", (0.13, 0.13, 0.14), roughness=0.5), bevel=0.4, corner=1.2),
        (0, 0, -0.9),
    )
    key = Material("key", (0.82, 0.82, 0.80), roughness=0.6)
    other = Material("key", (0.55, 0.56, 0.57), roughness=0.6)
    parts: list[Mesh] = [base]
    for row, widths in enumerate(_ROWS):
        y = 5.6 - 2.0 * row - (0.5 if row else 0)
        x = -21.0
        for width in widths:
            if width > 0:
                paint = other if row == 0 or 1.2 < width < 5 else key
                parts.append(placed(_cap(1.92 * width - 0.22, 1.7, paint), (x + 0.96 * width, y, 0)))
            x += 1.92 * abs(width)
    return ObjectModel("keyboard", tuple(parts))


# Widths of keys in keys, row after row from the back; negative ones are gaps.
_ROWS = (
    (1, -1, 1, 1, 1, 1, -0.5, 1, 1, 1, 1, -0.5, 1, 1, 1, 1, -0.25, 1, 1, 1),
    (*(1,) * 13, 2, -0.25, 1, 1, 1, -0.25, 1, 1, 1),
    (1.5, *(1,) * 12, 1.5, -0.25, 1, 1, 1, -0.25, 1, 1, 1),
    (1.75, *(1,) * 11, 2.25, -3.5, 1, 1, 1),
    (2.25, *(1,) * 10, 2.75, -1.25, 1, -1.25, 1, 1, 1),
    (1.25, 1.25, 1.25, 6.25, 1.25, 1.25, 1.25, 1.25, -0.25, 1, 1, 1, -0.25, 2, 1),
)


def _cap(width: float, depth: float, material: Material) -> Mesh:
    return plate(rectangle(width, depth, radius=0.2, steps=2), 0.9, material, bevel=0.22)


def monitor() -> ObjectModel:
    """Return a computer's screen on its foot; it shows hills under a sky."""

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        sky = mixed((0.75, 0.88, 0.98), (0.16, 0.42, 0.82), v)
        clouds = noise(np.stack([3 * u, 7 * v], 1), 0.6, seed=2, octaves=5)
        picture_ = mixed(sky, (0.97, 0.98, 1.0), step(clouds, 0.45, 0.5) * step(v, 0.5, 0.3))
        for k, (height, color) in enumerate(
            (((0.46), (0.36, 0.56, 0.52)), (0.34, (0.25, 0.55, 0.20)), (0.20, (0.36, 0.66, 0.18)))
        ):
            ridge = height + 0.10 * noise(np.stack([u, 0 * u], 1), 0.7 + 0.3 * k, seed=5 + k)
            picture_ = mixed(picture_, color, step(ridge - v, 0.0, 0.006))
        bar = v < 0.055
        picture_ = mixed(picture_, (0.10, 0.12, 0.16), bar.astype(float))
        icon = bar & ((u * 22) % 1 < 0.55) & (np.abs(v - 0.028) < 0.016) & (np.abs(u - 0.5) < 0.2)
        return mixed(picture_, (0.80, 0.86, 0.95), icon.astype(float))

    shell = upright(plate(rectangle(54, 33, radius=0.8), 2.4, BLACK, bevel=0.5))
    screen = placed(
        picture(52, 29.8, Material("screen", (1, 1, 1), "screen", roughness=0.25)), (0, -1.22, 0.7)
    )
    neck = placed(box(7, 2.0, 16, BLACK, bevel=0.4), (0, 2.2, -18))
    foot = placed(box(24, 17, 1.2, BLACK, bevel=0.4, corner=3), (0, 1.0, -25.5))
    return ObjectModel("monitor", (shell, screen, neck, foot), textures={"screen": by_place(paint, 240, 420)})


def remote_control() -> ObjectModel:
    """Return a television's remote control with its rows of buttons."""
    body = placed(box(5.0, 18.5, 1.8, BLACK, bevel=0.6, corner=1.4), (0, 0, 0))
    parts: list[Mesh] = [body]

    def button(x: float, y: float, radius: float, color: tuple[float, float, float]) -> Mesh:
        line = [(0, -0.3), (radius, -0.3), (radius, 0.2), (radius - 0.12, 0.32), (0, 0.32)]
        return placed(lathed(line, Material("button", color, roughness=0.6), sections=24), (x, y, 0.85))

    grey, light = (0.45, 0.46, 0.48), (0.78, 0.78, 0.78)
    parts.append(button(-1.5, 8.0, 0.42, (0.80, 0.08, 0.06)))
    parts.append(button(1.5, 8.0, 0.42, grey))
    parts += [button(1.5 * (k % 3 - 1), 6.4 - 1.25 * (k // 3), 0.45, light) for k in range(12)]
    parts.append(button(0, -0.7, 0.6, light))
    parts += [button(1.5 * np.cos(a), -0.7 + 1.5 * np.sin(a), 0.38, grey) for a in np.pi / 2 * np.arange(4)]
    colors = ((0.8, 0.1, 0.1), (0.1, 0.6, 0.2), (0.9, 0.8, 0.1), (0.1, 0.3, 0.8))
    parts += [button(-1.65 + 1.1 * k, -3.6, 0.32, c) for k, c in enumerate(colors)]
    parts += [button(1.5 * (k % 3 - 1), -5.1 - 1.25 * (k // 3), 0.42, grey) for k in range(9)]
    return ObjectModel("remote control", tuple(parts))
