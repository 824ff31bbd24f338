"""Solids by how they are made: turned on a lathe, drawn along a path, cut from a plate, blown to a ball."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from similitude.scenes.meshes import Mesh
from similitude.scenes.objects.outlines import Points, rectangle, regular
from similitude.scenes.objects.surfaces import CREASE, grid, placed
from similitude.scenes.stage import Material

ROUND = 64
"""Sides of what is round."""


def lathed(profile: Points, material: Material, *, sections: int = ROUND, crease: float = CREASE) -> Mesh:
    """Return what a lathe makes of a profile turned about z.

    Args:
        profile: Radius and height, shape (N, 2), so that outside is to the right of the way along it: up the outer side
            and down the inner. One that begins and ends on the axis is closed.
        material: How it looks; u runs around from the back (+y side of -x), v along the profile by length.
        sections: Around.
        crease: See `surfaces.surface`.
    """
    line = np.asarray(profile, np.float64)
    # The seam is at the back (+y), so that pictures have their middle at the front.
    angle = np.pi / 2 + 2 * np.pi * np.arange(sections + 1) / sections
    angle[-1] = angle[0]
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    points = np.concatenate(
        [line[:, None, :1] * ring, np.broadcast_to(line[:, None, 1:], (len(line), sections + 1, 1))], 2
    )
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    v = along / max(along[-1], 1e-12)
    u = np.arange(sections + 1) / sections
    uv = np.stack(np.broadcast_arrays(u[None], v[:, None]), -1)
    return grid(points, material, uv=uv, crease=crease)


def ball(
    material: Material,
    radius: float | Callable[[np.ndarray], np.ndarray] = 0.5,
    *,
    rows: int = 48,
    crease: float = np.pi,
) -> Mesh:
    """Return a ball, or what lies at a radius by direction; uv is equirectangular, u = 1/2 being the front (-y).

    Args:
        material: How it looks.
        radius: A number, or a function from unit directions, shape (N, 3), to radii, shape (N,).
        rows: From pole to pole; around there are twice as many.
        crease: See `surfaces.surface`.
    """
    v, u = np.meshgrid(np.arange(rows + 1) / rows, np.arange(2 * rows + 1) / (2 * rows), indexing="ij")
    uv = np.stack([u, v], -1)
    away = directions(np.stack([u % 1.0, v], -1))
    sizes = radius if not callable(radius) else radius(away.reshape(-1, 3)).reshape(away.shape[:2])[..., None]
    return grid(away * sizes, material, uv=uv, crease=crease)


def directions(uv: np.ndarray) -> np.ndarray:
    """Return unit directions of equirectangular coordinates, shape (..., 3): v = 0 down, v = 1 up, u = 1/2 to -y."""
    angle, height = np.pi / 2 + 2 * np.pi * uv[..., 0], np.pi * (uv[..., 1] - 0.5)
    flat = np.where((uv[..., 1] <= 0) | (uv[..., 1] >= 1), 0.0, np.cos(height))
    return np.stack([flat * np.cos(angle), flat * np.sin(angle), np.sin(height)], -1)


def tube(
    path: Points,
    radius: float | np.ndarray,
    material: Material,
    *,
    section: np.ndarray | None = None,
    closed: bool = False,
    crease: float = CREASE,
) -> Mesh:
    """Return a tube along a path in space, its ends closed by flat caps.

    Args:
        path: Shape (N, 3); a closed one does not repeat its first point.
        radius: One, or one of each point, shape (N,).
        material: How it looks; u runs around and v along.
        section: Outline that the radius multiplies, counterclockwise, shape (K, 2); a circle by default.
        closed: Whether the path goes round.
        crease: See `surfaces.surface`.
    """
    line = np.asarray(path, np.float64)
    outline = regular(24, 1.0) if section is None else section
    outline = np.concatenate([outline, outline[:1]])
    following = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    if not closed:
        following[0], following[-1] = line[1] - line[0], line[-1] - line[-2]
    tangent = following / np.linalg.norm(following, axis=1, keepdims=True)
    side, other = _frames(tangent)
    sizes = np.broadcast_to(np.asarray(radius, np.float64), len(line))[:, None, None]
    rings = line[:, None] + sizes * (outline[:, :1] * side[:, None] + outline[:, 1:] * other[:, None])
    if closed:
        # The frame may come back turned: the last ring meets the first at the nearest of its points.
        first, last = rings[0, :-1], rings[-1, :-1]
        shift = int(
            np.argmin([np.linalg.norm(np.roll(first, -k, 0) - last, axis=1).sum() for k in range(len(first))])
        )
        end = np.roll(first, -shift, 0)
        rings = np.concatenate([rings, np.concatenate([end, end[:1]])[None]])
    else:
        caps = [np.repeat(line[k][None], len(outline), 0)[None] for k in (0, -1)]
        rings = np.concatenate([caps[0], rings, caps[1]])
    return grid(rings, material, crease=crease)


def _frames(tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two unit vectors across each tangent that turn as little as they can along the path."""
    helper = np.eye(3)[np.abs(tangent[0]).argmin()]
    side = np.empty_like(tangent)
    for k, along in enumerate(tangent):
        across = (helper if k == 0 else side[k - 1]) - along * (along @ (helper if k == 0 else side[k - 1]))
        side[k] = across / np.linalg.norm(across)
    return side, np.cross(tangent, side)


def plate(
    outline: np.ndarray, thickness: float, material: Material, *, bevel: float = 0.0, crease: float = CREASE
) -> Mesh:
    """Return what is cut from a plate that lies in x and y: an outline that its center can see all of.

    Args:
        outline: Counterclockwise, shape (N, 2).
        thickness: From -thickness/2 to thickness/2 in z.
        material: How it looks; uv of the top and the bottom are x and y in units of the outline's box.
        bevel: Width of the rounding of the edges; 0 for sharp ones.
        crease: See `surfaces.surface`.
    """
    ring = np.concatenate([outline, outline[:1]])
    low, high = outline.min(0), outline.max(0)
    middle = (low + high) / 2
    half = thickness / 2
    steps = np.linspace(0, np.pi / 2, 4) if bevel > 0 else np.array([np.pi / 2])
    insets = [(bevel * (1 - np.sin(a)), half - bevel + bevel * np.cos(a)) for a in steps]
    levels = [(i, -z) for i, z in insets] + [(i, z) for i, z in insets[::-1]]
    rings = [np.column_stack([_shrunk(ring, i, middle), np.full(len(ring), z)]) for i, z in levels]
    caps = [np.broadcast_to([*middle, z], (len(ring), 3)) for z in (-half, half)]
    points = np.stack([caps[0], *rings, caps[1]])
    uv = (points[..., :2] - low) / (high - low)
    return grid(points, material, uv=np.clip(uv, 0, 1), crease=crease)


def _shrunk(ring: np.ndarray, inset: float, middle: np.ndarray) -> np.ndarray:
    """Return a ring drawn in by about a length along the lines to its middle, along each axis at most to it."""
    if inset <= 0:
        return ring
    away = ring - middle
    reach = np.abs(away).max(0)
    return middle + away * np.clip(1 - inset / np.maximum(reach, 1e-12), 0, 1)


def box(
    width: float, depth: float, height: float, material: Material, *, bevel: float = 0.0, corner: float = 0.0
) -> Mesh:
    """Return a box about the origin: along x, y and z; its upright edges rounded by `corner`, the others by `bevel`."""
    return plate(rectangle(width, depth, radius=max(corner, bevel)), height, material, bevel=bevel)


def picture(width: float, height: float, material: Material) -> Mesh:
    """Return an upright sheet about the origin that faces -y, its texture coordinates from 0 to 1."""
    x, z = width / 2, height / 2
    points = np.array([[[-x, 0, -z], [x, 0, -z]], [[-x, 0, z], [x, 0, z]]])
    return grid(points, material)


def disc(diameter: float, material: Material, *, outline: np.ndarray | None = None) -> Mesh:
    """Return a flat sheet about the origin that faces up, round or of an outline; uv are those of its square box."""
    ring = regular(96, diameter / 2) if outline is None else outline
    ring = np.concatenate([ring, ring[:1]])
    flat = np.stack([ring, 0 * ring])
    points = np.concatenate([flat, np.zeros((*flat.shape[:2], 1))], 2)
    return grid(points, material, uv=flat / diameter + 0.5)


def label(radius: float, low: float, high: float, angle: float, material: Material) -> Mesh:
    """Return a sheet around the front of an upright cylinder, from one height to another, `angle` to each side."""
    around = np.linspace(-angle, angle, 33) - np.pi / 2
    rows = [[radius * np.cos(around), radius * np.sin(around), np.full(33, z)] for z in (low, high)]
    return grid(np.moveaxis(np.array(rows), 1, -1), material)


def rod(
    begin: Sequence[float], end: Sequence[float], radius: float, material: Material, *, sections: int = 24
) -> Mesh:
    """Return a straight round bar between two points, each shape (3,)."""
    return tube(np.array([begin, end], np.float64), radius, material, section=regular(sections, 1.0))


def upright(mesh: Mesh) -> Mesh:
    """Return what lay in x and y standing, its upper side to the front (-y)."""
    return placed(mesh, rotation=(np.pi / 2, 0.0, 0.0))
