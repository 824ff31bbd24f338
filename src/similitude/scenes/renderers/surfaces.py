"""What is known of the places that rays meet: where, which way they look, and what they are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from similitude.scenes.assets.textures import texture_pixels
from similitude.scenes.renderers.optics import linear
from similitude.scenes.renderers.textures import pyramid_of, sample
from similitude.scenes.renderers.trees import Hits, Instance


@dataclass(frozen=True, eq=False)
class Surface:
    """Places on surfaces, P of them; rows of rays that met nothing are zero.

    Attributes:
        instance: Which thing each is on, -1 for none, int32, shape (P,).
        point: Where, float32, shape (P, 3).
        lifted: Where shadow rays start: on the curved surface that the triangles stand for (Hanika, Ray Tracing Gems
            II, 2021, chapter 4), shape (P, 3).
        normal: Smooth normals towards the eye, shape (P, 3).
        facing: Normals of the triangles towards the eye, shape (P, 3).
        uv: Texture coordinates, shape (P, 2).
        box: Coordinates from the six sides of the model's own frame, by the triangle's own normal, shape (P, 2).
        stretch: Texture coordinates and own lengths per length of the scene, shape (P, 2).
        mesh: Which mesh of its model, int32, shape (P,).
    """

    instance: np.ndarray
    point: np.ndarray
    lifted: np.ndarray
    normal: np.ndarray
    facing: np.ndarray
    uv: np.ndarray
    box: np.ndarray
    stretch: np.ndarray
    mesh: np.ndarray


@dataclass(frozen=True, eq=False)
class Looks:
    """Colours and finish of places, P of them.

    Attributes:
        base: Linear colour, float32, shape (P, 3).
        finish: Roughness, metallic and transmission, float32, shape (P, 3).
    """

    base: np.ndarray
    finish: np.ndarray


def surface_of(instances: list[Instance], hits: Hits, directions: np.ndarray) -> Surface:
    """Return the places that rays met."""
    count = len(directions)
    point, lifted, normal, facing = (np.zeros((count, 3), np.float32) for _ in range(4))
    uv, box, stretch = (np.zeros((count, 2), np.float32) for _ in range(3))
    mesh = np.zeros(count, np.int32)
    for k, instance in enumerate(instances):
        at = np.flatnonzero(hits.instance == k)
        if not len(at):
            continue
        g = instance.geometry
        mesh[at] = g.mesh[hits.face[at]]
        matrix = instance.matrix
        turned = np.linalg.inv(matrix[:3, :3]).T
        _interpolate(
            at, hits.face, hits.weights, g.vertices, g.faces, g.normals, g.uv, matrix, turned, directions,
            point, lifted, normal, facing, uv, box, stretch,
        )  # fmt: skip
    return Surface(hits.instance, point, lifted, normal, facing, uv, box, stretch, mesh)


def looks_of(instances: list[Instance], surface: Surface, spread: np.ndarray) -> Looks:
    """Return what places look like.

    Args:
        instances: The things they are on.
        surface: The places.
        spread: Width in the scene of what each stands for, shape (P,); textures are averaged over it.
    """
    count = len(surface.point)
    base = np.zeros((count, 3), np.float32)
    finish = np.zeros((count, 3), np.float32)
    for k, instance in enumerate(instances):
        at = np.flatnonzero(surface.instance == k)
        if not len(at):
            continue
        colors = np.stack([linear(np.asarray(m.color, np.float32)) for m in instance.materials])
        finishes = np.array([(m.roughness, m.metallic, m.transmission) for m in instance.materials])
        mesh = surface.mesh[at]
        base[at] = colors[mesh]
        if instance.placed.material is not None and instance.placed.keep_color:
            own = np.stack([linear(np.asarray(m.material.color, np.float32)) for m in instance.model.meshes])
            base[at] *= own[mesh]
        finish[at] = finishes.astype(np.float32)[mesh]
        for j, material in enumerate(instance.materials):
            if material.texture is None:
                continue
            pixels = instance.model.textures.get(material.texture)
            pyramid = pyramid_of(texture_pixels(material.texture) if pixels is None else pixels)
            mine = at[mesh == j] if len(instance.materials) > 1 else at
            flat = material.projection == "uv"
            coordinates = surface.uv * np.float32(material.scale)
            if not flat:
                coordinates = surface.box * np.float32(material.scale) + np.float32(0.5)
            width = spread * surface.stretch[:, 0 if flat else 1] * np.float32(material.scale)
            sample(pyramid.pixels, pyramid.levels, mine, coordinates, width, base)
    return Looks(base, finish)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _interpolate(
    at: np.ndarray,
    face: np.ndarray,
    weights: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    coordinates: np.ndarray,
    matrix: np.ndarray,
    turned: np.ndarray,
    directions: np.ndarray,
    point: np.ndarray,
    lifted: np.ndarray,
    normal: np.ndarray,
    facing: np.ndarray,
    uv: np.ndarray,
    box: np.ndarray,
    stretch: np.ndarray,
) -> None:
    """Fill the rows `at` of the last seven; `matrix` places points in the scene and `turned` normals."""
    corner = np.zeros((3, 3))
    smooth = np.zeros((3, 3))
    share = np.zeros(3)
    own = np.zeros(3)
    side = np.zeros(3)
    bend = np.zeros(3)
    for p in at:
        share[1], share[2] = weights[p, 0], weights[p, 1]
        share[0] = 1.0 - share[1] - share[2]
        own[:] = 0.0
        bend[:] = 0.0
        a, b, c = faces[face[p], 0], faces[face[p], 1], faces[face[p], 2]
        uv[p] = 0.0
        for k in range(3):
            v = faces[face[p], k]
            for i in range(3):
                own[i] += share[k] * vertices[v, i]
                corner[k, i] = matrix[i, 3]
                smooth[k, i] = 0.0
                for j in range(3):
                    corner[k, i] += matrix[i, j] * vertices[v, j]
                    smooth[k, i] += turned[i, j] * normals[v, j]
            length = math.sqrt(smooth[k, 0] ** 2 + smooth[k, 1] ** 2 + smooth[k, 2] ** 2)
            for i in range(3):
                if length > 1e-9:
                    smooth[k, i] /= length
                bend[i] += share[k] * smooth[k, i]
            for i in range(2):
                uv[p, i] += share[k] * coordinates[v, i]
        # Normals of the triangle, in its own frame and in the scene's, twice its area long.
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            side[i] = (vertices[b, j] - vertices[a, j]) * (vertices[c, k] - vertices[a, k])
            side[i] -= (vertices[b, k] - vertices[a, k]) * (vertices[c, j] - vertices[a, j])
            facing[p, i] = (corner[1, j] - corner[0, j]) * (corner[2, k] - corner[0, k]) - (
                corner[1, k] - corner[0, k]
            ) * (corner[2, j] - corner[0, j])
        area = math.sqrt(facing[p, 0] ** 2 + facing[p, 1] ** 2 + facing[p, 2] ** 2)
        inside = math.sqrt(side[0] ** 2 + side[1] ** 2 + side[2] ** 2)
        if area > 0.0:
            flat = (coordinates[b, 0] - coordinates[a, 0]) * (coordinates[c, 1] - coordinates[a, 1])
            flat -= (coordinates[b, 1] - coordinates[a, 1]) * (coordinates[c, 0] - coordinates[a, 0])
            stretch[p, 0] = math.sqrt(abs(flat) / area)
            stretch[p, 1] = math.sqrt(inside / area)
        away = 0.0
        for i in range(3):
            away += facing[p, i] * directions[p, i]
        for i in range(3):
            # A triangle without area looks to the eye.
            facing[p, i] = facing[p, i] / area if area > 0.0 else -directions[p, i]
            if area > 0.0 and away > 0.0:
                facing[p, i] = -facing[p, i]
        length = math.sqrt(bend[0] ** 2 + bend[1] ** 2 + bend[2] ** 2)
        same = bend[0] * facing[p, 0] + bend[1] * facing[p, 1] + bend[2] * facing[p, 2]
        sign = 1.0 if same >= 0.0 else -1.0
        for i in range(3):
            normal[p, i] = sign * bend[i] / length if length > 1e-6 else facing[p, i]
            point[p, i] = share[0] * corner[0, i] + share[1] * corner[1, i] + share[2] * corner[2, i]
            lifted[p, i] = point[p, i]
        for k in range(3):
            under = 0.0
            for i in range(3):
                under += (point[p, i] - corner[k, i]) * smooth[k, i] * sign
            if under < 0.0:
                for i in range(3):
                    lifted[p, i] -= share[k] * under * sign * smooth[k, i]
        x, y, z = abs(side[0]), abs(side[1]), abs(side[2])
        if x >= y and x >= z:
            box[p, 0], box[p, 1] = own[1], own[2]
        elif y >= z:
            box[p, 0], box[p, 1] = own[0], own[2]
        else:
            box[p, 0], box[p, 1] = own[0], own[1]
