"""A stage in the plain terms of a path tracer: triangles, finishes, pictures, lamps, a camera."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from similitude.scenes.assets.environments import environment_digest, environment_pixels
from similitude.scenes.assets.textures import texture_pixels
from similitude.scenes.frame import OBJECT
from similitude.scenes.meshes import Mesh, ObjectModel
from similitude.scenes.objects.catalog import find_object
from similitude.scenes.renderers.optics import GLOSS_FROM, linear
from similitude.scenes.renderers.turns import Turns
from similitude.scenes.stage import Material, Placed, Stage


@dataclass(frozen=True, eq=False)
class Finish:
    """A material as renderers take it.

    Attributes:
        color: Linear, multiplies the texture.
        texture: Digest of its picture in `Described.textures`; None for plain colour.
        projection: "uv" or "box".
        scale: Factor of its coordinates.
        shift: What is added to them then.
        roughness, metallic, transmission: As in `Material`.
        gloss: Share of a dielectric's gloss that is left: 1, but fading out for matt surfaces.
        cut: Whether its texture's alpha cuts holes.
    """

    color: tuple[float, float, float]
    texture: str | None
    projection: str
    scale: float
    shift: float
    roughness: float
    metallic: float
    transmission: float
    gloss: float
    cut: bool


@dataclass(frozen=True, eq=False)
class Thing:
    """A mesh where it stands.

    Attributes:
        digest: Of the mesh.
        mesh: Its triangles.
        matrix: From its frame to the scene's, shape (4, 4).
        finish: How it looks.
        segment: Its value in the segmentation.
    """

    digest: str
    mesh: Mesh
    matrix: np.ndarray
    finish: Finish
    segment: int


@dataclass(frozen=True, eq=False)
class Described:
    """A stage for a path tracer.

    Attributes:
        things: Meshes.
        textures: Pictures by digest, sRGB, shape (H, W, 3 or 4).
        sky: Digest of the environment's picture and its linear pixels, shape (H, 2H, 3).
    """

    things: list[Thing]
    textures: dict[str, np.ndarray]
    sky: tuple[str, np.ndarray]

    @classmethod
    def of(cls, stage: Stage) -> Described:
        """Describe a stage.

        Raises:
            SceneError: It names what is not there.
        """
        things, textures = [], {}
        for placed in stage.placed:
            model = find_object(placed.model)
            for k, mesh in enumerate(model.meshes):
                finish = _finish(placed, model, mesh, textures)
                things.append(Thing(f"{model.digest}-{k}", mesh, placed.matrix, finish, placed.segment))
        name = stage.environment.name
        return cls(things, textures, (environment_digest(name), environment_pixels(name)))

    def segmentation(self, index: np.ndarray) -> np.ndarray:
        """Return the segmentation for the numbers of things, from 1; 0 for none."""
        table = np.array([0, *(thing.segment for thing in self.things)], np.uint8)
        return table[np.clip(np.rint(index), 0, len(self.things)).astype(int)]

    def coordinates(self, uv: np.ndarray, segmentation: np.ndarray) -> np.ndarray:
        """Return texture coordinates of the object within 0 to 1, nan elsewhere."""
        out = (uv % 1.0).astype(np.float32)
        out[segmentation != OBJECT] = np.nan
        return out


def box_coordinates(mesh: Mesh) -> np.ndarray:
    """Return coordinates from the six sides of the mesh's frame for the corners of its triangles, shape (F, 3, 2).

    Each triangle takes the side that its own normal looks to.
    """
    corners = mesh.vertices[mesh.faces]
    normals = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    side = normals.argmax(1)[:, None, None]
    return np.select(
        [side == 0, side == 1], [corners[..., [1, 2]], corners[..., [0, 2]]], corners[..., [0, 1]]
    ).astype(np.float32)


def _finish(placed: Placed, model: ObjectModel, mesh: Mesh, textures: dict[str, np.ndarray]) -> Finish:
    material: Material = placed.material or mesh.material
    color = linear(np.asarray(material.color, np.float32))
    if placed.material is not None and placed.keep_color:
        color = color * linear(np.asarray(mesh.material.color, np.float32))
    digest, cut = None, False
    if material.texture is not None:
        pixels = model.textures.get(material.texture)
        cut = pixels is not None and pixels.shape[-1] == 4 and material.projection == "uv"
        pixels = texture_pixels(material.texture) if pixels is None else pixels
        digest = _digest(pixels)
        textures[digest] = pixels
        cut = cut and bool((pixels[..., 3] < 0.5).any())
    box = material.projection == "box"
    gloss = max(min(1.0, (1 - material.roughness) / (1 - GLOSS_FROM)), material.metallic)
    return Finish(
        (float(color[0]), float(color[1]), float(color[2])), digest, material.projection, material.scale,
        0.5 if box else 0.0, material.roughness, material.metallic, material.transmission, gloss, cut,
    )  # fmt: skip


_DIGESTS: dict[int, tuple[Any, str]] = {}
_TURNS = Turns()


def _digest(pixels: np.ndarray) -> str:
    held = _DIGESTS.get(id(pixels))
    if held is not None and held[0] is pixels:
        return held[1]
    made = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
    with _TURNS:
        while len(_DIGESTS) >= 64:
            del _DIGESTS[next(iter(_DIGESTS))]
        _DIGESTS[id(pixels)] = (pixels, made)
    return made
