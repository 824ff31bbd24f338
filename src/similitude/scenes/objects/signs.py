"""Things that show something: a traffic light, a stop sign, a wall clock."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects.lettering import written
from similitude.scenes.objects.outlines import arc, rectangle, regular, rounded
from similitude.scenes.objects.painting import by_place, mixed, strokes
from similitude.scenes.objects.solids import disc, lathed, plate, rod, upright
from similitude.scenes.objects.surfaces import grid, placed
from similitude.scenes.stage import Material

POLE = Material("galvanised", (0.62, 0.64, 0.65), roughness=0.45, metallic=0.7)


def traffic_light() -> ObjectModel:
    """Return a traffic light that shows red, on its pole."""
    black = Material("housing", (0.06, 0.06, 0.06), roughness=0.5)
    body = upright(plate(rectangle(34, 96, radius=4), 20, black, bevel=1.5))
    parts: list[Mesh] = [body, rod([0, 3, -48], [0, 3, -75], 5, POLE)]
    lamps = ((30, (1.0, 0.08, 0.05)), (0, (0.34, 0.24, 0.03)), (-30, (0.03, 0.22, 0.10)))
    for height, color in lamps:
        lens = Material("lens", color, roughness=0.25)
        dome = lathed([(0, 0), *arc((0, -14), 17.5, 0.93, np.pi / 2, steps=10)], lens, sections=48)
        parts.append(placed(dome, (0, -9.5, height), rotation=(np.pi / 2, 0, 0)))
        parts.append(placed(_visor(black), (0, -10, height)))
    return ObjectModel("traffic light", tuple(parts))


def _visor(material: Material) -> Mesh:
    """Return a hood over a lamp: the upper part of a short pipe, cut off aslant."""
    angle = np.linspace(-0.35, np.pi + 0.35, 40)
    reach = 15 * np.clip(0.35 + np.sin(angle), 0.15, 1)
    rings = [
        np.stack([r * np.cos(angle), -y, r * np.sin(angle)], -1)
        for r, y in ((12.8, 0 * reach), (12.8, reach), (12.1, reach), (12.1, 0 * reach))
    ]
    return grid(np.stack(rings)[::-1], material)


def stop_sign() -> ObjectModel:
    """Return a red octagon with a white border and STOP on it, on its post."""

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        x, y = 2 * u - 1, 2 * v - 1
        edge = np.maximum.reduce([np.abs(x), np.abs(y), (np.abs(x) + np.abs(y)) / 2**0.5])
        color = mixed((0.70, 0.05, 0.08), (0.95, 0.95, 0.95), ((edge > 0.89) & (edge < 0.965)).astype(float))
        for line in written("STOP", (0.0, 0.0), width=0.27, height=0.62, gap=0.135):
            color = mixed(color, (0.95, 0.95, 0.95), (strokes(x, y, line) < 0.05).astype(float))
        return color

    half = 38 * np.cos(np.pi / 8)
    octagon = regular(8, 38, phase=np.pi / 8)
    back = upright(plate(octagon, 0.6, POLE))
    face = upright(disc(2 * half, Material("sheeting", (1, 1, 1), "stop", roughness=0.5), outline=octagon))
    post = placed(rod([0, 0, -75], [0, 0, 34], 3.0, POLE), (0, 3.4, 0))
    return ObjectModel(
        "stop sign", (back, placed(face, (0, -0.4, 0)), post), textures={"stop": by_place(paint, 512, 512)}
    )


def wall_clock() -> ObjectModel:
    """Return a round wall clock at ten past ten."""

    def paint(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        x, y = 2 * u - 1, 2 * v - 1
        far, turn = np.hypot(x, y), (np.arctan2(x, y) / (2 * np.pi)) % 1
        color = mixed((0.96, 0.96, 0.94), (0.90, 0.90, 0.88), far)
        for count, inner, width in ((60, 0.88, 0.006), (12, 0.84, 0.014)):
            off = np.abs(((turn * count + 0.5) % 1) - 0.5) / count * 2 * np.pi * far
            color = mixed(
                color, (0.08, 0.08, 0.08), ((off < width) & (far > inner) & (far < 0.94)).astype(float)
            )
        for hour in range(1, 13):
            angle = np.pi / 6 * hour
            middle = (0.69 * np.sin(angle), 0.69 * np.cos(angle))
            for line in written(str(hour), middle, width=0.09, height=0.16, gap=0.04):
                color = mixed(color, (0.06, 0.06, 0.06), (strokes(x, y, line) < 0.019).astype(float))
        return color

    frame = Material("frame", (0.10, 0.10, 0.11), roughness=0.3)
    rim = lathed(
        rounded([(0, -1.6), (15.6, -1.6), (15.6, 1.4), (14.4, 1.7), (14.0, 0.2), (0, 0.2)], 0.5),
        frame,
        sections=96,
    )
    dial = upright(disc(28.2, Material("dial", (1, 1, 1), "dial", roughness=0.6)))
    black = Material("hand", (0.04, 0.04, 0.04), roughness=0.4)
    hands = [_hand(10 / 12 + 10 / 720, 6.8, 0.42, -0.7, black), _hand(10 / 60, 10.6, 0.30, -0.95, black)]
    hands.append(_hand(35 / 60, 11.6, 0.10, -1.15, Material("hand", (0.75, 0.06, 0.05), roughness=0.4)))
    hub = placed(
        lathed(rounded([(0, 0), (0.7, 0), (0.7, 1.3), (0, 1.3)], 0.2), black), rotation=(np.pi / 2, 0, 0)
    )
    return ObjectModel(
        "wall clock",
        (placed(rim, rotation=(np.pi / 2, 0, 0)), placed(dial, (0, -0.35, 0)), *hands, hub),
        textures={"dial": by_place(paint, 448, 448)},
    )


def _hand(turn: float, length: float, half: float, depth: float, material: Material) -> Mesh:
    outline = np.array([(-half, -2.2), (half, -2.2), (half * 0.8, length), (-half * 0.8, length)])
    blade = upright(plate(outline, 0.12, material))
    return placed(placed(blade, (0, depth, 0)), rotation=(0, 2 * np.pi * turn, 0))
