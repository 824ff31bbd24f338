"""Where in the picture the object is seen, by shifting the lens as a view camera does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage
from similitude.tuning.space.dimensions import Linear


class LocationInFrame:
    """Moves the whole picture to the right and up; the view of the object itself does not change.

    The units are those of the original: what was in the middle is at the right edge at x_shift 1. That is half the
    picture's width, so x_shift s moves the object by s / 2 of the width.
    """

    kind = "location_in_frame"
    summary = "moves the object to the side or up in the picture"
    phase = Phase.FRAMING
    settings: Mapping[str, Setting] = {
        "x_shift": Setting(
            Linear(0.0, low=-1.0, high=1.0),
            "to the right, in half widths of the picture: -1 left edge, 1 right edge",
        ),
        "y_shift": Setting(
            Linear(0.0, low=-1.0, high=1.0), "up, in half heights of the picture: -1 lower edge, 1 upper edge"
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the picture shifted from where it was."""
        x, y = stage.camera.shift
        shift = (x + float(values["x_shift"]) / 2, y + float(values["y_shift"]) / 2)
        return replace(stage, camera=replace(stage.camera, shift=shift))
