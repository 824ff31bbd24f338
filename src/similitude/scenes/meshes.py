"""Meshes of triangles and the models that they make up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.stage import Material


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles of one material.

    Attributes:
        vertices: float32, shape (V, 3).
        faces: Indices of vertices, counterclockwise from outside, int32, shape (F, 3).
        normals: Unit normals of the vertices, float32, shape (V, 3).
        uv: Texture coordinates of the vertices, float32, shape (V, 2); v grows upwards.
        material: How it looks.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: Material = field(default_factory=Material)

    def __post_init__(self) -> None:
        v, f = len(self.vertices), self.faces
        shapes = {"vertices": (v, 3), "normals": (v, 3), "uv": (v, 2), "faces": (len(f), 3)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise SceneError(
                    f"a mesh has {name} of shape {getattr(self, name).shape}, and {v} vertices and {len(f)} faces need "
                    f"{shape}. Give one row each."
                )
        if not len(f) or f.min() < 0 or f.max() >= v:
            raise SceneError(
                f"a mesh has {len(f)} faces whose corners go from {f.min() if len(f) else '-'} to "
                f"{f.max() if len(f) else '-'}, and it has the vertices 0 to {v - 1}. The file is corrupt: export it."
            )
        if not (np.isfinite(self.vertices).all() and np.isfinite(self.normals).all()):
            raise SceneError(
                "a mesh has coordinates that are not finite. The file is corrupt; export it again."
            )


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """Something that can be looked at: meshes about the origin, largest extent 1, z up, its front to -y.

    Attributes:
        name: Its name.
        meshes: Its parts.
        labels: Names of ImageNet classes that are right for it; empty for props.
        textures: Pixels of its own pictures by the name that materials use, sRGB float32, shape (H, W, 3 or 4).
        liquid: Height of the brim and inner radius there, for vessels that liquid can be poured into; None otherwise.
    """

    name: str
    meshes: tuple[Mesh, ...]
    labels: tuple[str, ...] = ()
    textures: Mapping[str, np.ndarray] = field(default_factory=dict)
    liquid: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.meshes:
            raise SceneError(f"the object '{self.name}' has no triangles. Give it at least one mesh.")

    @cached_property
    def bounds(self) -> np.ndarray:
        """Least and greatest coordinates, float64, shape (2, 3)."""
        points = np.concatenate([mesh.vertices for mesh in self.meshes]).astype(np.float64)
        return np.stack([points.min(0), points.max(0)])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that a picture of it depends on."""
        hashed = hashlib.sha256()
        for mesh in self.meshes:
            for array in (mesh.vertices, mesh.faces, mesh.normals, mesh.uv):
                hashed.update(np.ascontiguousarray(array).tobytes())
            hashed.update(repr(sorted(asdict(mesh.material).items())).encode())
        for name in sorted(self.textures):
            hashed.update(name.encode() + np.ascontiguousarray(self.textures[name]).tobytes())
        return hashed.hexdigest()

    def corners(self, matrix: np.ndarray) -> np.ndarray:
        """Return the vertices in the scene's frame, float64, shape (V, 3)."""
        points = np.concatenate([mesh.vertices for mesh in self.meshes]).astype(np.float64)
        return points @ matrix[:3, :3].T + matrix[:3, 3]

    def normalised(self) -> ObjectModel:
        """Return the model with its middle at the origin and its largest extent 1."""
        low, high = self.bounds
        middle, extent = (low + high) / 2, float((high - low).max())
        if extent <= 0:
            raise SceneError(
                f"the object '{self.name}' is a point: all its vertices are one. The file is corrupt."
            )
        meshes = tuple(
            replace(m, vertices=((m.vertices - middle) / extent).astype(np.float32)) for m in self.meshes
        )
        if not any(_has_area(m) for m in meshes):
            raise SceneError(
                f"the object '{self.name}' has no surface: each of its triangles is a line. The file is corrupt; export "
                "it again."
            )
        if self.liquid is None:
            return replace(self, meshes=meshes)
        brim = ((self.liquid[0] - float(middle[2])) / extent, self.liquid[1] / extent)
        return replace(self, meshes=meshes, liquid=brim)


def _has_area(mesh: Mesh) -> bool:
    """Whether a triangle of a mesh of extent 1 can be seen from anywhere; what rounding leaves of a line cannot."""
    a, b, c = (mesh.vertices[mesh.faces[:, corner]].astype(np.float64) for corner in range(3))
    return bool((np.linalg.norm(np.cross(b - a, c - a), axis=1) > _SMALLEST).any())


_SMALLEST = 1e-12  # twice the area of a triangle, in squares of the object's extent
