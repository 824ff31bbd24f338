"""Meshes out of points: normals that are smooth except across sharp edges, grids of points, and placing parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from similitude.scenes.meshes import Mesh
from similitude.scenes.stage import Material, Vector, turned

CREASE = 0.7
"""Angle between two faces in radians from which their edge is sharp (40 degrees)."""

GRAIN = 2.0**-14
"""Coordinates of objects, their largest extent being 1, are whole multiples of it (`settled`)."""

_FLAT = 1e-12  # area below which a triangle is none, in squared units of the object


def surface(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, material: Material, *, crease: float = CREASE
) -> Mesh:
    """Return a mesh with normals: at each corner those of the faces around it that bend less than the crease.

    Args:
        vertices: Points, float64, shape (V, 3); equal points are one when normals are averaged, so that a seam of
            texture coordinates is not seen.
        faces: Counterclockwise from outside, shape (F, 3); those without area are left out.
        uv: Texture coordinates of the vertices, shape (V, 2).
        material: How it looks.
        crease: In radians; 0 gives flat faces, pi smooths everything.
    """
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(cross, axis=1)
    kept = double > _FLAT
    faces, corners, flat = faces[kept], corners[kept], cross[kept] / double[kept, None]
    edges = [corners[:, (k + 1) % 3] - corners[:, k] for k in range(3)]
    edges = [e / np.maximum(np.linalg.norm(e, axis=1, keepdims=True), 1e-300) for e in edges]
    angles = np.stack([np.arccos(np.clip(-(edges[k] * edges[k - 1]).sum(1), -1, 1)) for k in range(3)], 1)
    weighted = (flat[:, None] * angles[..., None]).reshape(-1, 3)  # by corner, face after face
    normals = _gathered(_welded(vertices)[faces].ravel(), np.repeat(flat, 3, 0), weighted, np.cos(crease))
    flat_faces = faces.ravel()
    # Corners of one vertex and one normal are one; all of it in a whole number of 64 bits, which sorts fast.
    steps = np.round((normals + 1) * 2047).astype(np.int64)
    keys = ((flat_faces.astype(np.int64) << 12 | steps[:, 0]) << 12 | steps[:, 1]) << 12 | steps[:, 2]
    _, first, corner = np.unique(keys, return_index=True, return_inverse=True)
    origin = flat_faces[first]
    return Mesh(
        vertices[origin].astype(np.float32),
        corner.reshape(-1, 3).astype(np.int32),
        normals[first].astype(np.float32),
        uv[origin].astype(np.float32),
        material,
    )


def _welded(vertices: np.ndarray) -> np.ndarray:
    """Return a number for each vertex that equal points share."""
    size = max(float(np.ptp(vertices, axis=0).max()), 1e-12)
    steps = np.round((vertices - vertices.min(0)) / (size * 1e-6)).astype(np.int64)
    keys = (steps[:, 0] << 21 | steps[:, 1]) << 21 | steps[:, 2]
    return np.unique(keys, return_inverse=True)[1].ravel()


def _gathered(welded: np.ndarray, flat: np.ndarray, weighted: np.ndarray, least: float) -> np.ndarray:
    """Return for each corner the unit sum of the weighted normals of its neighbours that point nearly as it does."""
    order = np.argsort(welded, kind="stable")
    counts = np.bincount(welded)
    starts = np.cumsum(counts) - counts
    out = np.zeros_like(flat)
    for count in np.unique(counts[counts > 0]):
        groups = order[starts[counts == count][:, None] + np.arange(count)]  # (groups, count)
        alike = np.einsum("gik,gjk->gij", flat[groups], flat[groups]) >= least - 1e-9
        out[groups] = np.einsum("gij,gjk->gik", alike, weighted[groups])
    length = np.linalg.norm(out, axis=1, keepdims=True)
    return np.where(length > 1e-9, out / np.maximum(length, 1e-300), flat)


def grid(
    points: np.ndarray, material: Material, *, uv: np.ndarray | None = None, crease: float = CREASE
) -> Mesh:
    """Return the surface through a grid of points.

    Args:
        points: Shape (R, C, 3); outside is where the cross product of a step along a row and one along a column points.
            A surface that is closed repeats its first column, or row, at the end.
        material: How it looks.
        uv: Shape (R, C, 2); by default u runs along the rows and v along the columns, from 0 to 1.
        crease: See `surface`.
    """
    rows, columns = points.shape[:2]
    if uv is None:
        v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
        uv = np.stack([u, v], -1)
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    return surface(points.reshape(-1, 3), faces, uv.reshape(-1, 2), material, crease=crease)


def placed(
    mesh: Mesh,
    position: Vector = (0.0, 0.0, 0.0),
    *,
    rotation: Vector = (0.0, 0.0, 0.0),
    scale: float | Vector = 1.0,
) -> Mesh:
    """Return a mesh scaled, then turned about x, y and z (radians), then moved."""
    factors = np.broadcast_to(np.asarray(scale, np.float64), 3)
    matrix = turned(rotation)
    normals = (mesh.normals / factors) @ matrix.T
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = (mesh.vertices * factors) @ matrix.T + np.asarray(position)
    faces = mesh.faces if np.prod(factors) > 0 else mesh.faces[:, ::-1]  # a mirror turns the faces round
    return replace(mesh, vertices=points.astype(np.float32), normals=normals.astype(np.float32), faces=faces)


def united(meshes: Iterable[Mesh]) -> tuple[Mesh, ...]:
    """Return meshes with all parts of one material as one, in the order of the first of each: faster to draw."""
    groups: dict[Material, list[Mesh]] = {}
    for mesh in meshes:
        groups.setdefault(mesh.material, []).append(mesh)
    out = []
    for material, parts in groups.items():
        offsets = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
        faces = [part.faces + offset for part, offset in zip(parts, offsets, strict=True)]
        out.append(
            Mesh(
                np.concatenate([part.vertices for part in parts]),
                np.concatenate(faces).astype(np.int32),
                np.concatenate([part.normals for part in parts]),
                np.concatenate([part.uv for part in parts]),
                material,
            )
        )
    return tuple(out)


def settled(mesh: Mesh) -> Mesh:
    """Return a mesh with its numbers rounded to `GRAIN`, so that digests are the same on nearly every machine.

    The last bits of sines and cosines differ between libraries for mathematics. A number that lies within such a bit of
    the middle between two multiples can still be rounded either way.
    """
    changed = {
        name: (np.round(getattr(mesh, name) / GRAIN) * GRAIN).astype(np.float32)
        for name in ("vertices", "normals", "uv")
    }
    return replace(mesh, **changed)
