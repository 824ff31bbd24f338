"""The object on the ground: set down to a height, and a floor that is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from similitude.scenes.assets.materials import MATERIALS
from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.look import check_material, replacement
from similitude.scenes.controls.names import Names
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Stage, ground_at
from similitude.tuning.space.dimensions import Linear

FLOOR = 20.0
"""Side of the floor that `ground_at` lays, in units of the scene: repetitions of textures are per its side."""


class PinToGround:
    """Moves the object up or down, as it is turned and scaled, until its lowest point is at a height."""

    kind = "pin_to_ground"
    summary = "sets the object's lowest point to a height"
    phase = Phase.GROUNDING
    settings: Mapping[str, Setting] = {
        "z_ground": Setting(
            Linear(0.0, low=0.0, high=1.0), "height of its lowest point, in sizes of the object"
        )
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object set down."""
        x, y, z = stage.subject.position
        return stage.moved(position=(x, y, z + values["z_ground"] - lowest(stage, model)))


class Ground:
    """Lays a floor under the object: it touches the object's lowest point, or lies a gap below it."""

    kind = "ground"
    summary = "a floor under the object, of any material"
    phase = Phase.SURROUNDINGS
    settings: Mapping[str, Setting] = {
        "material": Setting(
            Names(*MATERIALS, center="wood"),
            "name of a material, or the path of a picture",
            known=check_material,
        ),
        "gap": Setting(
            Linear(0.0, low=0.0, high=0.5),
            "how far it lies below the lowest point, in sizes of the object",
            least=0.0,
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with a floor."""
        material = replacement(str(values["material"]))
        # The floor's own frame is the unit square, stretched: a texture keeps its size in units of the scene.
        material = replace(material, projection="uv", scale=material.scale * FLOOR)
        floor = ground_at(lowest(stage, model) - float(values["gap"]), material)
        return replace(stage, props=(*stage.props, floor))


def lowest(stage: Stage, model: ObjectModel) -> float:
    """Return the height of the lowest point of the object as it stands."""
    return float(model.corners(stage.subject.matrix)[:, 2].min())
