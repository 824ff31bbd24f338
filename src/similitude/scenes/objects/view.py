"""How an object is best looked at: its side, the direction of the camera, what it stands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Camera, Material, Placed, Stage, Vector, ground_at

TABLE = (0.50, 0.36, 0.25)
"""Colour of a wooden table, sRGB."""

LAWN = (0.30, 0.46, 0.20)
"""Colour of grass, sRGB."""


@dataclass(frozen=True)
class View:
    """An everyday view of an object, in which a classifier is expected to know it.

    Attributes:
        rotation: Of the object about x, y and z, in radians.
        towards: Direction from the object to the camera; its length does not matter.
        fill: Share of the picture's side that the larger side of the object's outline takes.
        focal_length: In mm, before a sensor 36 mm wide.
        ground: Colour of what it stands on, sRGB; None where it stands on nothing.
    """

    rotation: Vector = (0.0, 0.0, 0.0)
    towards: Vector = (0.35, -1.0, 0.5)
    fill: float = 0.75
    focal_length: float = 50.0
    ground: Vector | None = TABLE

    @classmethod
    def about(
        cls, angle: float, *, towards: Vector = (0.35, -1.0, 0.5), ground: Vector | None = TABLE
    ) -> View:
        """Return the view of an object that is turned about its upright axis (radians)."""
        return cls((0.0, 0.0, angle), towards, ground=ground)

    def stage(self, name: str, model: ObjectModel) -> Stage:
        """Return the object as this view shows it, under the lamp and in the environment of `Stage`.

        Args:
            name: What renderers find it by (`similitude.scenes.objects.find_object`).
            model: The object.
        """
        subject = Placed(name, rotation=self.rotation)
        points = model.corners(subject.matrix)
        away = np.asarray(self.towards) / np.linalg.norm(self.towards)
        target, distance = np.zeros(3), 3.0
        camera = Camera(focal_length=self.focal_length)
        for _ in range(8):  # the outline's place and size change with the distance, ever less
            position = target + distance * away
            camera = Camera(_vector(position), _vector(target), self.focal_length)
            seen = (points - position) @ camera.axes.T
            flat = seen[:, :2] / seen[:, 2:]
            low, high = flat.min(0), flat.max(0)
            middle = (low + high) / 2
            target = target + distance * (middle @ camera.axes[:2])
            distance *= float((high - low).max()) / (2 * camera.half_width * self.fill)
        camera = Camera(_vector(target + distance * away), _vector(target), self.focal_length)
        props = ()
        if self.ground is not None:
            props = (ground_at(float(points[:, 2].min()), Material("table", self.ground, roughness=0.6)),)
        return Stage(subject, props, camera)


def _vector(values: np.ndarray) -> Vector:
    return (float(values[0]), float(values[1]), float(values[2]))
