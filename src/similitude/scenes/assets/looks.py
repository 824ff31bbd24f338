"""Materials of files as materials of scenes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from similitude.scenes.assets.pictures import pixels_of
from similitude.scenes.assets.textures import MISSING
from similitude.scenes.renderers.optics import shown
from similitude.scenes.stage import Material, Vector


class Looks:
    """Turns trimesh's materials into those of scenes, and gathers their pictures.

    Args:
        where: The model's file, for messages.
        pictures: Pixels of the files that were already read, by name.
        lost: Name of a file of materials that is missing; then every material is one that cannot be drawn.
    """

    def __init__(self, where: str, pictures: Mapping[str, np.ndarray], *, lost: str | None = None) -> None:
        self.where, self.pictures, self.lost = where, pictures, lost
        self.textures: dict[str, np.ndarray] = {}
        self._seen: dict[int, tuple[str, Image.Image]] = {}

    def material(self, part: trimesh.Trimesh, *, textured: bool) -> Material:
        """Return the material of a part of a model.

        Args:
            part: The part.
            textured: Whether it has texture coordinates.
        """
        if self.lost is not None:
            return Material(
                "lost", texture=f"{MISSING}{self.where}: {self.lost}: is missing; put it beside the model."
            )
        own = getattr(part.visual, "material", None)
        projection = "uv" if textured else "box"
        if isinstance(own, PBRMaterial):
            return self._physical(own, projection)
        if isinstance(own, SimpleMaterial):
            return self._simple(own, projection)
        colors = getattr(part.visual, "vertex_colors", None)
        if colors is None or getattr(part.visual, "kind", None) is None:
            return Material()
        return Material("painted", color=_triple(np.asarray(colors, np.float64)[:, :3].mean(0) / 255))

    def _simple(self, own: Any, projection: str) -> Material:
        """Return a material of an MTL file. Its Kd is left out where a picture is, as Blender does."""
        texture = self._texture(own.image)
        given = own.kwargs
        glossy = _number(own.glossiness, 0.0)
        # Blender's reading of the exponent; without a highlight (illum 1 or Ks 0) a surface is matt.
        matt = _number(given.get("illum"), 2.0) < 2 or not np.any(np.asarray(own.specular)[:3])
        rough = 1.0 if matt else 1 - (min(max(glossy, 0.0), 1000.0) / 1000) ** 0.5
        clear = 1 - _number(given.get("d"), 1 - _number(given.get("tr"), 0.0))
        return Material(
            str(own.name or "plain"),
            color=(1.0, 1.0, 1.0) if texture else _seen_through(np.asarray(own.diffuse)[:3] / 255, clear),
            texture=texture,
            projection=projection,
            roughness=_share(_number(given.get("pr"), rough)),
            metallic=_share(_number(given.get("pm"), 0.0)),
            transmission=_share(clear),
        )

    def _physical(self, own: Any, projection: str) -> Material:
        """Return a material of a glTF file; maps of roughness and metal are averaged."""
        texture = self._texture(own.baseColorTexture)
        factor = (
            np.ones(4) if own.baseColorFactor is None else np.asarray(own.baseColorFactor, np.float64) / 255
        )
        clear = 1 - factor[3] if own.alphaMode == "BLEND" else 0.0
        rough, metal = _number(own.roughnessFactor, 1.0), _number(own.metallicFactor, 1.0)
        if isinstance(own.metallicRoughnessTexture, Image.Image):
            mean = pixels_of(own.metallicRoughnessTexture, self.where)[..., :3].mean((0, 1))
            rough, metal = rough * float(mean[1]), metal * float(mean[2])
        return Material(
            str(own.name or "plain"),
            color=_seen_through(shown(factor[:3]), clear),
            texture=texture,
            projection=projection,
            roughness=_share(rough),
            metallic=_share(metal),
            transmission=_share(clear),
        )

    def _texture(self, image: Image.Image | None) -> str | None:
        """Keep a picture and return its name."""
        if not isinstance(image, Image.Image):
            return None
        if MISSING in image.info:
            return f"{MISSING}{self.where}: {image.info[MISSING]}"
        if id(image) not in self._seen:
            name = str(image.info.get("file_path") or f"picture {len(self._seen)}")
            self._seen[id(image)] = (name, image)  # held, so that no other picture gets its id
            if name not in self.textures:
                known = self.pictures.get(name)
                self.textures[name] = pixels_of(image, f"{self.where}: {name}") if known is None else known
        return self._seen[id(image)][0]


def _seen_through(color: np.ndarray, clear: float) -> Vector:
    """Return the tint of a surface of which a share lets light through as it is, by the files' rule of blending."""
    return _triple(color * (1 - _share(clear)) + _share(clear))


def _number(value: Any, other: float) -> float:
    """Return the number in what a file says, or another where it says none."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return other
    return number if np.isfinite(number) else other


def _share(value: float) -> float:
    return float(min(max(value, 0.0), 1.0))


def _triple(color: np.ndarray) -> Vector:
    r, g, b = (round(_share(float(c)), 6) for c in color)
    return (r, g, b)
