"""The camera: from where it looks, how much of its picture the object fills, and its lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.fitting import fitted
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Camera, Stage
from similitude.tuning.space.dimensions import Linear

SHARP = 32.0
"""The f-number from which on all is drawn sharp: what blur is left is below a quarter of a pixel at 128 px."""


class CameraControl:
    """Looks at the object from a direction, so near that the object fills a share of the picture.

    At `zoom_factor` 1 the object's outline touches two opposite edges of the picture and is in its middle, whatever its
    pose and the focal length; at 0.5 it is half as large. Above 1 it is cut off. The camera stays outside of the object:
    very short lenses cannot come as near as a large zoom would need.
    """

    kind = "camera"
    summary = "looks at the object from a direction, zoomed so that it fills the picture"
    phase = Phase.CAMERA
    settings: Mapping[str, Setting] = {
        "view_point_x": Setting(
            Linear(0.4, low=-1.0, high=1.0), "direction from the object to the camera, only its ratios matter"
        ),
        "view_point_y": Setting(Linear(-1.0, low=-1.0, high=1.0), "likewise; the object's front is to -y"),
        "view_point_z": Setting(Linear(0.5, low=0.0, high=1.0), "likewise; 1 with x = y = 0 looks down"),
        "zoom_factor": Setting(
            Linear(1.0, low=0.5, high=2.0),
            "share of the picture's side that the object is high or wide",
            least=0.0,
            open=True,
        ),
        "focal_length": Setting(
            Linear(50.0, low=10.0, high=400.0), "in mm, before a sensor 36 mm wide", least=1.0, most=10_000.0
        ),
        "aperture": Setting(
            Linear(SHARP, low=1.0, high=SHARP),
            f"f-number, focused on the object's middle; from {SHARP:g} on all is sharp",
            least=0.1,
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the camera in its place.

        Raises:
            SceneError: The view point is the object itself.
        """
        toward = np.array([float(values[f"view_point_{axis}"]) for axis in "xyz"])
        length = float(np.linalg.norm(toward))
        if length < 1e-6:
            raise SceneError(
                "control 'camera': view_point_x, view_point_y and view_point_z are all 0, which is no direction. Give "
                "one of them another value."
            )
        aim = toward / length
        focal = float(values["focal_length"])
        axes = Camera((float(aim[0]), float(aim[1]), float(aim[2]))).axes
        camera = replace(stage.camera, focal_length=focal)
        points = model.corners(stage.subject.matrix)
        position, distance = fitted(points, axes, camera.half_width * float(values["zoom_factor"]))
        target = position + distance * axes[2]
        aperture = float(values["aperture"])
        camera = replace(
            camera,
            position=(float(position[0]), float(position[1]), float(position[2])),
            target=(float(target[0]), float(target[1]), float(target[2])),
            aperture=None if aperture >= SHARP else aperture,
        )
        return replace(stage, camera=camera)
