"""How an object is best looked at: its side, the direction of the camera, what it stands on."""

from __future__ import annotations

from dataclasses import dataclass

from similitude.scenes.scene import Scene
from similitude.scenes.stage import Vector

RESOLUTION = 224
"""Rows and columns of the picture of a view: what most classifiers were trained with."""


@dataclass(frozen=True)
class View:
    """An everyday view of an object, in which a classifier is expected to know it.

    Attributes:
        rotation: Of the object about x, y and z, in radians.
        towards: Direction from the object to the camera; its length does not matter.
        fill: Share of the picture's side that the larger side of the object's outline takes.
        focal_length: In mm, before a sensor 36 mm wide.
        ground: Material of what it stands on; None where it stands on nothing.
    """

    rotation: Vector = (0.0, 0.0, 0.0)
    towards: Vector = (0.35, -1.0, 0.5)
    fill: float = 0.75
    focal_length: float = 50.0
    ground: str | None = "wood"

    @classmethod
    def about(
        cls,
        angle: float,
        *,
        towards: Vector = (0.35, -1.0, 0.5),
        fill: float = 0.75,
        ground: str | None = "wood",
    ) -> View:
        """Return the view of an object that is turned about its upright axis (radians)."""
        return cls((0.0, 0.0, angle), towards, fill, ground=ground)

    @property
    def controls(self) -> dict[str, dict[str, float | str]]:
        """The view as settings of a scene's controls."""
        out: dict[str, dict[str, float | str]] = {
            "orientation": {
                f"rotation_{axis}": angle for axis, angle in zip("xyz", self.rotation, strict=True)
            },
            "camera": {
                **{f"view_point_{axis}": value for axis, value in zip("xyz", self.towards, strict=True)},
                "zoom_factor": self.fill,
                "focal_length": self.focal_length,
            },
        }
        if self.ground is not None:
            out["ground"] = {"material": self.ground}
        return out

    def scene(self, name: str, *, resolution: int = RESOLUTION) -> Scene:
        """Return an object as this view shows it.

        Args:
            name: As in `similitude.scenes.Scene`.
            resolution: Rows and columns.
        """
        return Scene(name, self.controls, resolution=resolution)
