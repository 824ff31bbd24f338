"""Materials by name: everyday stuffs, and every texture as a coat projected from the six sides of a box."""

from __future__ import annotations

from similitude.core.closest import did_you_mean
from similitude.core.errors import SceneError
from similitude.scenes.assets.textures import TEXTURES
from similitude.scenes.stage import Material

# Colours of metals are their reflectances at normal incidence, sRGB: Akenine-Moeller et al., Real-Time Rendering,
# 4th edition, table 9.2; the others are judged by eye.
_STUFFS = (
    Material("plastic", (0.75, 0.16, 0.14), roughness=0.35),
    Material("rubber", (0.06, 0.06, 0.065), roughness=0.8),
    Material("ceramic", (0.92, 0.91, 0.88), roughness=0.15),
    Material("clay", (0.68, 0.36, 0.24), roughness=0.95),
    Material("plaster", (0.92, 0.91, 0.89), roughness=1.0),
    Material("concrete", (0.55, 0.55, 0.53), roughness=0.95),
    Material("paper", (0.95, 0.94, 0.91), roughness=1.0),
    Material("wax", (0.93, 0.86, 0.68), roughness=0.4),
    Material("leather", (0.34, 0.18, 0.1), roughness=0.6),
    Material("chocolate", (0.22, 0.11, 0.06), roughness=0.45),
    Material("glass", (0.95, 0.97, 0.97), roughness=0.02, transmission=0.95),
    Material("frosted glass", (0.93, 0.96, 0.95), roughness=0.45, transmission=0.8),
    Material("ice", (0.84, 0.92, 0.97), roughness=0.15, transmission=0.7),
    Material("gold", (1.0, 0.86, 0.57), roughness=0.2, metallic=1.0),
    Material("silver", (0.98, 0.97, 0.96), roughness=0.15, metallic=1.0),
    Material("copper", (0.98, 0.82, 0.76), roughness=0.25, metallic=1.0),
    Material("brass", (0.96, 0.89, 0.67), roughness=0.3, metallic=1.0),
    Material("aluminium", (0.96, 0.96, 0.97), roughness=0.35, metallic=1.0),
    Material("steel", (0.77, 0.78, 0.78), roughness=0.3, metallic=1.0),
    Material("chrome", (0.76, 0.77, 0.77), roughness=0.03, metallic=1.0),
    Material("iron", (0.45, 0.44, 0.43), roughness=0.7, metallic=1.0),
    Material("black", (0.02, 0.02, 0.02), roughness=0.9),
    Material("grey", (0.5, 0.5, 0.5), roughness=0.9),
    Material("white", (0.95, 0.95, 0.95), roughness=0.9),
)

_SHINE = {
    "glaze": 0.1,
    "marble": 0.2,
    "tiles": 0.2,
    "granite": 0.4,
    "planks": 0.5,
    "wood": 0.6,
    "brushed": 0.35,
}
_METALLIC = {"brushed": 1.0}
_SCALE = {"wood": 1.5, "brick": 1.5, "planks": 1.5, "cow": 1.2}


def _coat(texture: str) -> Material:
    return Material(
        texture,
        (1.0, 1.0, 1.0),
        texture,
        projection="box",
        scale=_SCALE.get(texture, 1.0),
        roughness=_SHINE.get(texture, 0.85),
        metallic=_METALLIC.get(texture, 0.0),
    )


MATERIALS: dict[str, Material] = {m.name: m for m in (*_STUFFS, *map(_coat, TEXTURES))}
"""Materials by name: stuffs of one colour, then every texture of `similitude.scenes.assets.textures.TEXTURES`."""

ANIMAL_COATS = ("cow", "zebra", "tiger", "leopard", "cheetah", "giraffe", "elephant", "crocodile", "snake")
"""Those of animals, for texture against shape."""


def material_named(name: str) -> Material:
    """Return a material.

    Raises:
        SceneError: There is none of that name; the close one is said.

    Example:
        >>> material_named("gold").metallic, material_named("zebra").texture
        (1.0, 'zebra')
    """
    if name in MATERIALS:
        return MATERIALS[name]
    raise SceneError(
        f"there is no material {name!r}. "
        + did_you_mean(name, MATERIALS)
        + f"There are: {', '.join(MATERIALS)}."
    )
