"""Embree's trees of models, built once in the models' own frames and shared by all pictures that they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from similitude.scenes.meshes import ObjectModel
from similitude.scenes.renderers.textures import pyramid_of, solid_at
from similitude.scenes.renderers.turns import Turns
from similitude.scenes.stage import Placed

_KEPT = 24  # trees held at once
_KEPT_FACES = 4_000_000
_THIN = 1e-6  # least scale of an axis: what is flattened to nothing is a sheet
_PASSES = 24  # cut-outs that a ray may go through
_STEP = 1e-4
_FAR = 1e5  # largest texture coordinate


@dataclass(frozen=True, eq=False)
class Geometry:
    """The triangles of a model, its meshes one after the other.

    Attributes:
        vertices: Shape (V, 3), float32, in the model's own frame.
        faces: Shape (F, 3), int32.
        normals: Of vertices, shape (V, 3), float32.
        uv: Of vertices, shape (V, 2), float32.
        mesh: Which mesh each triangle is of, int32, shape (F,).
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    mesh: np.ndarray

    @classmethod
    def of(cls, model: ObjectModel) -> Geometry:
        """Return the geometry of a model."""
        meshes = model.meshes
        firsts = np.cumsum([0, *(len(m.vertices) for m in meshes)])
        return cls(
            np.concatenate([m.vertices for m in meshes]).astype(np.float32),
            np.concatenate([m.faces + first for m, first in zip(meshes, firsts, strict=False)]).astype(
                np.int32
            ),
            np.concatenate([m.normals for m in meshes]).astype(np.float32),
            # Coordinates that are no numbers or lead out of every picture are those of its corner.
            np.nan_to_num(np.concatenate([m.uv for m in meshes]), posinf=0, neginf=0)
            .clip(-_FAR, _FAR)
            .astype(np.float32),
            np.repeat(np.arange(len(meshes), dtype=np.int32), [len(m.faces) for m in meshes]),
        )

    @cached_property
    def tree(self) -> Any:
        """Embree's tree of all triangles; a triangle's index is its row in `faces`."""
        scene = rtcore_scene.EmbreeScene()  # pyright: ignore[reportAttributeAccessIssue]
        TriangleMesh(scene, self.vertices, self.faces)
        return scene


_GEOMETRIES: dict[str, Geometry] = {}
_TURNS = Turns()


def geometry_of(model: ObjectModel) -> Geometry:
    """Return the geometry of a model, made once for what it consists of."""
    with _TURNS:
        held = _GEOMETRIES.pop(model.digest, None)
        if held is None:
            held = Geometry.of(model)
        faces = len(held.faces) + sum(len(g.faces) for g in _GEOMETRIES.values())
        while _GEOMETRIES and (len(_GEOMETRIES) >= _KEPT or faces > _KEPT_FACES):
            faces -= len(_GEOMETRIES.pop(next(iter(_GEOMETRIES))).faces)
        _GEOMETRIES[model.digest] = held  # the last one used is at the end
        return held


@dataclass(frozen=True, eq=False)
class Hits:
    """What rays meet first, N of them.

    Attributes:
        instance: Which thing, -1 for none, int32, shape (N,).
        face: Which of its triangles, int32, shape (N,).
        weights: Of the triangle's second and third corner, float32, shape (N, 2).
        distance: In lengths of the ray's direction, float32, shape (N,); infinite for none.
    """

    instance: np.ndarray
    face: np.ndarray
    weights: np.ndarray
    distance: np.ndarray


class Instance:
    """A model where it stands.

    Args:
        placed: Where.
        model: What.
    """

    def __init__(self, placed: Placed, model: ObjectModel) -> None:
        self.placed = placed
        self.model = model
        self.geometry = geometry_of(model)
        self.materials = [placed.material or mesh.material for mesh in model.meshes]
        scale = np.asarray(placed.scale, float)
        thick = np.where(np.abs(scale) < _THIN, _THIN, scale)
        self.matrix = placed.matrix
        if (thick != scale).any():
            self.matrix = Placed(placed.model, placed.position, placed.rotation, tuple(thick)).matrix  # pyright: ignore[reportArgumentType]
        self._inverse = np.linalg.inv(self.matrix[:3, :3])
        self.clear = np.array([m.transmission > 0.5 for m in self.materials])
        self._cut = {}
        for k, material in enumerate(self.materials):
            pixels = model.textures.get(material.texture) if material.texture is not None else None
            if pixels is not None and material.projection == "uv":
                solid = pyramid_of(pixels).solid
                if solid is not None:
                    self._cut[k] = (solid, material.scale)

    def own(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return rays in the model's own frame; lengths along them stay what they are."""
        o, d = np.empty((len(origins), 3), np.float32), np.empty((len(origins), 3), np.float32)
        _turn(origins, directions, self._inverse, self.matrix[:3, 3].copy(), o, d)
        return o, d

    def meet(
        self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return face (-1 for none), weights and distance of what rays meet first within their reach."""
        o, d = self.own(origins, directions)
        hit = self.geometry.tree.run(o, d, reach.astype(np.float32), output=True)
        face, weights, distance = hit["primID"], np.stack([hit["u"], hit["v"]], 1), hit["tfar"]
        if not self._cut:
            return face, weights, distance
        for _ in range(_PASSES):
            through = np.flatnonzero(self._holes(face, weights))
            if not len(through):
                break
            gone = distance[through] + np.float32(_STEP)
            hit = self.geometry.tree.run(
                o[through] + gone[:, None] * d[through],
                d[through],
                np.maximum(reach[through] - gone, 0).astype(np.float32),
                output=True,
            )
            face[through] = hit["primID"]
            weights[through] = np.stack([hit["u"], hit["v"]], 1)
            distance[through] = gone + hit["tfar"]
        return face, weights, distance

    def blocks(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Return which share of the light along rays is held up within their reach, float32, shape (N,)."""
        if self._cut or self.clear.any():
            face, _, _ = self.meet(origins, directions, reach)
            glass = self.clear[self.geometry.mesh[np.maximum(face, 0)]]
            return np.where(face < 0, 0.0, np.where(glass, 0.5, 1.0)).astype(np.float32)
        o, d = self.own(origins, directions)
        return (self.geometry.tree.run(o, d, reach, query="OCCLUDED") >= 0).astype(np.float32)

    def _holes(self, face: np.ndarray, weights: np.ndarray) -> np.ndarray:
        out = np.zeros(len(face), bool)
        geometry = self.geometry
        mesh = np.where(face < 0, -1, geometry.mesh[np.maximum(face, 0)])
        for k, (solid, scale) in self._cut.items():
            mine = np.flatnonzero(mesh == k)
            corners = geometry.uv[geometry.faces[face[mine]]]
            u, v = weights[mine, :1], weights[mine, 1:]
            at = corners[:, 0] * (1 - u - v) + corners[:, 1] * u + corners[:, 2] * v
            out[mine] = ~solid_at(solid, at * scale)
        return out


def nearest(instances: list[Instance], origins: np.ndarray, directions: np.ndarray) -> Hits:
    """Return what rays meet first."""
    count = len(origins)
    hits = Hits(
        np.full(count, -1, np.int32),
        np.full(count, -1, np.int32),
        np.zeros((count, 2), np.float32),
        np.full(count, np.inf, np.float32),
    )
    for k, instance in enumerate(instances):
        reach = np.where(np.isinf(hits.distance), np.float32(1e30), hits.distance)
        face, weights, distance = instance.meet(origins, directions, reach)
        nearer = (face >= 0) & (distance < hits.distance)
        hits.instance[nearer] = k
        for mine, found in ((hits.face, face), (hits.weights, weights), (hits.distance, distance)):
            mine[nearer] = found[nearer]
    return hits


def unblocked(
    instances: list[Instance], origins: np.ndarray, directions: np.ndarray, reach: np.ndarray
) -> np.ndarray:
    """Return which share of the light along rays arrives, float32, shape (N,)."""
    out = np.ones(len(origins), np.float32)
    for instance in instances:
        out *= 1 - instance.blocks(origins, directions, reach)
    return out


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _turn(
    origins: np.ndarray,
    directions: np.ndarray,
    matrix: np.ndarray,
    origin: np.ndarray,
    o: np.ndarray,
    d: np.ndarray,
) -> None:
    """Put into `o` the origins, moved and turned, and into `d` the directions, turned."""
    for p in range(len(origins)):
        for i in range(3):
            moved, turned = 0.0, 0.0
            for j in range(3):
                moved += matrix[i, j] * (origins[p, j] - origin[j])
                turned += matrix[i, j] * directions[p, j]
            o[p, i], d[p, i] = moved, turned
