"""What the object is made of: another material, or another texture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from similitude.scenes.assets.materials import MATERIALS, material_named
from similitude.scenes.assets.textures import TEXTURES
from similitude.scenes.controls.control import Phase
from similitude.scenes.controls.names import Names
from similitude.scenes.controls.setting import Setting, dimensions_of
from similitude.scenes.known import check_texture
from similitude.scenes.meshes import ObjectModel
from similitude.scenes.stage import Material, Stage
from similitude.tuning.space.dimensions import Choice, Linear

ORIGINAL = "original"
"""The name of what the object is made of anyway."""


def replacement(name: str) -> Material:
    """Return a material by its name, or a matt one that shows the picture of a path from six sides.

    Raises:
        SceneError: There is no such material; whether there is such a picture is seen when it is drawn.
    """
    if _is_picture(name):
        return Material(name, (1.0, 1.0, 1.0), name, "box", roughness=0.85)
    return material_named(name)


def check_material(name: str) -> None:
    """See that a material has a name that is known, or is the path of a picture, which may be missing.

    Raises:
        SceneError: It is neither.
    """
    check_texture(name) if _is_picture(name) else material_named(name)


def _is_picture(name: str) -> bool:
    return name not in MATERIALS and ("/" in name or bool(Path(name).suffix))


class MaterialControl:
    """Makes all of the object of one material. With `keep_color` its own colours tint the new material's."""

    kind = "material"
    summary = "another material in place of the object's own"
    phase = Phase.LOOK
    settings: Mapping[str, Setting] = {
        "replacement": Setting(
            Names(ORIGINAL, *MATERIALS),
            "name of a material, or the path of a picture; original for its own",
            known=check_material,
        ),
        "keep_color": Setting(
            Choice(False, True),
            "whether the object's own plain colours (not its textures) tint the new one",
        ),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object of another material.

        Raises:
            SceneError: There is no such material.
        """
        if values["replacement"] == ORIGINAL:
            return stage
        material = replacement(str(values["replacement"]))
        return stage.moved(material=material, keep_color=bool(values["keep_color"]))


class TextureControl:
    """Wraps the object in a texture, as the studies of texture against shape do; its shape stays what it is."""

    kind = "texture"
    summary = "a texture all over the object"
    phase = Phase.LOOK
    settings: Mapping[str, Setting] = {
        "name": Setting(
            Names(ORIGINAL, *TEXTURES),
            "of a texture, or the path of a picture; original for its own",
            known=check_texture,
        ),
        "repeats": Setting(
            Linear(1.0, low=0.5, high=4.0), "of the texture along the object's size", least=0.0, open=True
        ),
        "roughness": Setting(Linear(0.5, low=0.0, high=1.0), "0 a mirror, 1 matt", least=0.0, most=1.0),
    }
    dimensions = dimensions_of(settings)

    def arrange(self, stage: Stage, values: Mapping[str, Any], model: ObjectModel) -> Stage:
        """Return the stage with the object in its texture; that there is one is seen when it is drawn."""
        if values["name"] == ORIGINAL:
            return stage
        name = str(values["name"])
        material = Material(
            name, (1.0, 1.0, 1.0), name, "box", float(values["repeats"]), float(values["roughness"])
        )
        return stage.moved(material=material, keep_color=False)
