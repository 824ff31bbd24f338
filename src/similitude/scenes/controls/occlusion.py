"""Something in front of the object that hides a share of it, measured in the picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.names import Names
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.known import check_object
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage
from similitude.tuning.space.dimensions import Choice, Linear

DIRECTIONS = {
    "bottom right": (1, -1),
    "right": (1, 0),
    "top right": (1, 1),
    "bottom": (0, -1),
    "top": (0, 1),
    "bottom left": (-1, -1),
    "left": (-1, 0),
    "top left": (-1, 1),
}
"""From where an occluder comes, right and up in the picture; in the original's order."""


class Occlusion:
    """Slides an occluder in front of the object until it hides a share of what the camera sees of it.

    The share is that of the object's pixels within the picture, as they are without this occluder, found by rays
    (`covering.covered`); it is exact to about a hundredth. The occluder turns its front to the camera.
    """

    kind = "occlusion"
    summary = "hides a share of the object behind another"
    phase = Phase.COVER
    settings: Mapping[str, Setting] = {
        "ratio": Setting(
            Linear(0.3, low=0.01, high=0.8),
            "share of the object's pixels that is hidden",
            least=0.0,
            most=1.0,
        ),
        "direction": Setting(Choice(*DIRECTIONS, center="left"), "from which side of the picture it comes"),
        "occluder": Setting(
            Names("panel", "box", "ball"),
            "name of an object, or the path of a model; a panel is a flat square",
            known=check_object,
        ),
        "scale": Setting(
            Linear(1.5, low=1.25, high=2.0),
            "its size in the picture, in sizes of the object there",
            least=0.0,
            open=True,
        ),
        "nearness": Setting(
            Linear(0.1, low=0.01, high=0.4),
            "how far it is before the object's nearest point, as a share of the way to the camera",
            least=0.001,
            most=0.9,
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the occluder.

        Raises:
            SceneError: Nothing of the object is in the picture, there is no such occluder, or it is too small to hide so
                much.
        """
        from similitude.scenes.controls.covering import covered

        if values["ratio"] == 0:
            return stage
        occluder = covered(
            stage,
            str(values["occluder"]),
            float(values["ratio"]),
            direction=DIRECTIONS[str(values["direction"])],
            scale=float(values["scale"]),
            nearness=float(values["nearness"]),
        )
        return replace(stage, props=(*stage.props, occluder))
