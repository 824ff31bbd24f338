"""Where the object is: its orientation, position and scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage
from similitude.tuning.space.dimensions import Linear


class Orientation:
    """Turns the object about its own middle: about x, then y, then z, in radians."""

    kind = "orientation"
    summary = "turns the object about x, y and z (radians)"
    phase = Phase.POSE
    settings: Mapping[str, Setting] = {
        f"rotation_{axis}": Setting(
            Linear(0.0, low=-math.pi, high=math.pi), f"angle about the scene's {axis}, in radians"
        )
        for axis in "xyz"
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object turned."""
        return stage.moved(
            rotation=(float(values["rotation_x"]), float(values["rotation_y"]), float(values["rotation_z"]))
        )


class Position:
    """Moves the object, in units of its largest extent."""

    kind = "position"
    summary = "moves the object along x, y and z (in its own sizes)"
    phase = Phase.POSE
    settings: Mapping[str, Setting] = {
        f"offset_{axis}": Setting(
            Linear(0.0, low=-1.0, high=1.0), f"way along {axis}, in sizes of the object"
        )
        for axis in "xyz"
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object moved from where it was."""
        x, y, z = stage.subject.position
        return stage.moved(position=(x + values["offset_x"], y + values["offset_y"], z + values["offset_z"]))


class Scale:
    """Makes the object larger or smaller; a camera that is no control of the scene stays where it is."""

    kind = "scale"
    summary = "makes the object larger or smaller"
    phase = Phase.POSE
    settings: Mapping[str, Setting] = {
        "factor": Setting(Linear(1.0, low=0.25, high=1.0), "of all its extents", least=0.0, open=True)
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object scaled."""
        factor = float(values["factor"])
        x, y, z = stage.subject.scale
        return stage.moved(scale=(x * factor, y * factor, z * factor))
