"""The fast renderer: rays against Embree's trees, one picture of everything that a study asks of a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import embreex
import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from similitude.scenes.frame import OBJECT, Frame
from similitude.scenes.objects.catalog import find_object
from similitude.scenes.renderers.optics import rays_of, shown
from similitude.scenes.renderers.shading import Surface, lit
from similitude.scenes.stage import Material, Placed, Stage

SAMPLES = 4
"""Samples per pixel where nothing else is asked for: two across, two down."""

VERSION = "1"


@dataclass(frozen=True, eq=False)
class _Part:
    """One mesh as it stands in the scene."""

    placed: Placed
    material: Material
    textures: dict[str, np.ndarray]
    vertices: np.ndarray  # in the scene's frame, (V, 3)
    faces: np.ndarray
    normals: np.ndarray  # in the scene's frame, (V, 3)
    uv: np.ndarray
    own: np.ndarray  # vertices in the model's frame


class Raster:
    """Draws stages by rays without bounces: lamps with soft shadows, light of the environment dimmed in corners.

    Glass is shown dark and shiny, and mirrors reflect the environment alone.
    """

    name = "raster"
    version = f"{VERSION}, embreex {embreex.__version__ if hasattr(embreex, '__version__') else '?'}"

    def draw(self, stage: Stage, *, resolution: int, samples: int | None = None) -> Frame:
        """Draw a stage; see `Renderer.draw`. Samples are rounded down to a square."""
        parts = [part for placed in stage.placed for part in _parts(placed)]
        scene = rtcore_scene.EmbreeScene()
        for part in parts:
            TriangleMesh(scene, part.vertices.astype(np.float32), part.faces.astype(np.int32))
        n = max(1, int((samples or SAMPLES) ** 0.5))
        colors = np.zeros((resolution * resolution, 3), np.float32)
        cover = np.zeros(resolution * resolution, np.float32)
        for k in range(n * n):
            offsets = ((k % n + 0.5) / n, (k // n + 0.5) / n)
            origins, directions = rays_of(stage.camera, resolution, offsets=offsets)
            origins, directions = _through_lens(stage, origins, directions, k, n * n)
            hit = scene.run(origins, directions, output=True)
            seen = hit["primID"] >= 0
            if seen.any():
                surface = _surface(parts, hit, seen, origins, directions)
                colors[seen] += lit(surface, stage, scene, sample=k)
                cover += seen
        shape = (resolution, resolution)
        alpha = (cover / (n * n)).reshape(shape)
        # Colours are averaged as light and then over black by their share: an edge is as bright as its alpha.
        mean = colors / np.maximum(cover, 1)[:, None]
        rgb = shown(mean).reshape(*shape, 3) * alpha[..., None]
        return Frame(rgb, alpha, *self._middle(stage, parts, scene, resolution))

    def close(self) -> None:
        """Nothing is held."""

    def _middle(
        self, stage: Stage, parts: list[_Part], scene: rtcore_scene.EmbreeScene, resolution: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return depth, segmentation and texture coordinates in the middle of the pixels."""
        shape = (resolution, resolution)
        origins, directions = rays_of(stage.camera, resolution)
        hit = scene.run(origins, directions, output=True)
        seen = hit["primID"] >= 0
        depth = np.full(len(seen), np.inf, np.float32)
        segment = np.zeros(len(seen), np.uint8)
        uv = np.full((len(seen), 2), np.nan, np.float32)
        if seen.any():
            forward = stage.camera.axes[2].astype(np.float32)
            depth[seen] = hit["tfar"][seen] * (directions[seen] @ forward)
            segments = np.array([part.placed.segment for part in parts], np.uint8)
            segment[seen] = segments[hit["geomID"][seen]]
            surface = _surface(parts, hit, seen, origins, directions)
            uv[seen] = surface.uv % 1.0
            uv[segment != OBJECT] = np.nan
        return depth.reshape(shape), segment.reshape(shape), uv.reshape(*shape, 2)


def _parts(placed: Placed) -> list[_Part]:
    model = find_object(placed.model)
    matrix = placed.matrix
    inverse = np.linalg.inv(matrix[:3, :3]).T
    out = []
    for mesh in model.meshes:
        normals = mesh.normals @ inverse.T
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        material = placed.material or mesh.material
        out.append(
            _Part(
                placed,
                material,
                dict(model.textures),
                mesh.vertices @ matrix[:3, :3].T + matrix[:3, 3],
                mesh.faces,
                normals,
                mesh.uv,
                mesh.vertices,
            )
        )
    return out


def _surface(
    parts: list[_Part],
    hit: dict[str, np.ndarray],
    seen: np.ndarray,
    origins: np.ndarray,
    directions: np.ndarray,
) -> Surface:
    geometry, primitive = hit["geomID"][seen], hit["primID"][seen]
    u, v = hit["u"][seen], hit["v"][seen]
    weights = np.stack([1 - u - v, u, v], 1).astype(np.float32)
    count = int(seen.sum())
    normal, facing, own = (np.zeros((count, 3), np.float32) for _ in range(3))
    uv = np.zeros((count, 2), np.float32)
    for k, part in enumerate(parts):
        mine = geometry == k
        if not mine.any():
            continue
        corners = part.faces[primitive[mine]]
        w = weights[mine][:, :, None]
        normal[mine] = (part.normals[corners] * w).sum(1)
        uv[mine] = (part.uv[corners] * w).sum(1)
        own[mine] = (part.own[corners] * w).sum(1)
        a, b, c = (part.vertices[corners[:, j]] for j in range(3))
        facing[mine] = np.cross(b - a, c - a)
    incoming = directions[seen]
    for array in (normal, facing):
        array /= np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)
    # Both sides of a sheet are lit: its normals are turned to the eye.
    facing[(facing * incoming).sum(1) > 0] *= -1
    normal[(normal * facing).sum(1) < 0] *= -1
    point = origins[seen] + hit["tfar"][seen][:, None] * incoming
    return Surface(
        point, normal, facing, incoming, uv, own, geometry, [(p.material, p.textures) for p in parts]
    )


def _through_lens(
    stage: Stage, origins: np.ndarray, directions: np.ndarray, sample: int, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Move the rays of a sample to its place on the lens, all meeting at the distance of the target."""
    camera = stage.camera
    if camera.aperture is None:
        return origins, directions
    right, up, forward = camera.axes.astype(np.float32)
    # Focal lengths are mm for a sensor 36 mm wide; a unit of the scene stands for 100 mm, the size of a cup.
    radius = camera.focal_length / camera.aperture / 2 / 100.0
    angle, reach = 2.399963 * sample, radius * ((sample + 0.5) / samples) ** 0.5
    focus = float(np.linalg.norm(np.subtract(camera.target, camera.position)))
    points = origins + directions * (focus / (directions @ forward))[:, None]
    moved = origins + np.float32(reach) * (np.cos(angle) * right + np.sin(angle) * up)
    turned = points - moved
    return moved.astype(np.float32), (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(
        np.float32
    )
