"""Plain shapes for grounds, occluders and liquids."""

from __future__ import annotations

import numpy as np

from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects import solids
from similitude.scenes.objects.solids import ball, picture
from similitude.scenes.objects.surfaces import grid, placed
from similitude.scenes.stage import Material


def plane() -> ObjectModel:
    """Return a square of side 1 that faces up."""
    points = np.array([[[-0.5, -0.5, 0], [0.5, -0.5, 0]], [[-0.5, 0.5, 0], [0.5, 0.5, 0]]])
    return ObjectModel("plane", (grid(points, Material()),))


def panel() -> ObjectModel:
    """Return an upright square of side 1 that faces the front (-y)."""
    return ObjectModel("panel", (picture(1.0, 1.0, Material()),))


def cube() -> ObjectModel:
    """Return a cube of side 1; each of its sides has texture coordinates from 0 to 1."""
    return ObjectModel("box", tuple(_sides()))


def _sides() -> list[Mesh]:
    front = placed(picture(1.0, 1.0, Material()), (0.0, -0.5, 0.0))
    around = [placed(front, rotation=(0.0, 0.0, k * np.pi / 2)) for k in range(4)]
    return [*around, *(placed(front, rotation=(s * np.pi / 2, 0.0, 0.0)) for s in (-1, 1))]


def sphere() -> ObjectModel:
    """Return a ball of diameter 1."""
    return ObjectModel("ball", (ball(Material()),))


def disc() -> ObjectModel:
    """Return a flat disc of diameter 1 that faces up."""
    return ObjectModel("disc", (solids.disc(1.0, Material()),))
