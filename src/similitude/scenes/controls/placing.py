"""Where the object is: its orientation, position and scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage
from similitude.tuning.space.dimensions import Dimension, Linear


class Orientation:
    """Turns the object about its own middle: about x, then y, then z, in radians."""

    kind = "orientation"
    summary = "turns the object about x, y and z (radians)"
    dimensions: Mapping[str, Dimension] = {
        f"rotation_{axis}": Linear(0.0, low=-math.pi, high=math.pi) for axis in "xyz"
    }

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object turned."""
        return stage.moved(
            rotation=(float(values["rotation_x"]), float(values["rotation_y"]), float(values["rotation_z"]))
        )


class Position:
    """Moves the object, in units of its largest extent."""

    kind = "position"
    summary = "moves the object along x, y and z (in its own sizes)"
    dimensions: Mapping[str, Dimension] = {
        f"offset_{axis}": Linear(0.0, low=-1.0, high=1.0) for axis in "xyz"
    }

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object moved from where it was."""
        x, y, z = stage.subject.position
        return stage.moved(position=(x + values["offset_x"], y + values["offset_y"], z + values["offset_z"]))


class Scale:
    """Makes the object larger or smaller, the camera staying where it is."""

    kind = "scale"
    summary = "makes the object larger or smaller"
    dimensions: Mapping[str, Dimension] = {"factor": Linear(1.0, low=0.25, high=1.0)}

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object scaled."""
        factor = float(values["factor"])
        x, y, z = stage.subject.scale
        return stage.moved(scale=(x * factor, y * factor, z * factor))
