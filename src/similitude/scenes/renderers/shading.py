"""How bright a surface is under lamps and an environment, without bounces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from similitude.scenes.assets.environments import environment_pixels, radiance
from similitude.scenes.assets.textures import texture_pixels
from similitude.scenes.renderers.optics import linear
from similitude.scenes.stage import Environment, Material, Stage

NEAR = 0.4
"""How far away a surface must be to dim the light of the environment, in units of the scene."""

_OFFSET = 2e-4  # so that a ray does not meet the surface that it leaves
_CORNER_RAYS = 2


@dataclass(frozen=True, eq=False)
class Surface:
    """Points on surfaces, P of them.

    Attributes:
        point: Where, float32, shape (P, 3).
        normal: Smooth normals towards the eye, shape (P, 3).
        facing: Normals of the triangles towards the eye, shape (P, 3).
        incoming: Directions of the rays that found them, shape (P, 3).
        uv: Texture coordinates, shape (P, 2).
        own: Points in the models' own frames, shape (P, 3).
        part: Index into `materials`, shape (P,).
        materials: Materials of the parts, with the textures of their models.
    """

    point: np.ndarray
    normal: np.ndarray
    facing: np.ndarray
    incoming: np.ndarray
    uv: np.ndarray
    own: np.ndarray
    part: np.ndarray
    materials: Sequence[tuple[Material, Mapping[str, np.ndarray]]]


def lit(surface: Surface, stage: Stage, scene: Any, *, sample: int) -> np.ndarray:
    """Return the linear light that surfaces send to the eye, float32, shape (P, 3).

    Diffuse by Lambert, highlights by Cook and Torrance's model with GGX and Schlick's Fresnel term, the environment by
    its second-order harmonics (Ramamoorthi and Hanrahan 2001) and by its picture where surfaces mirror.

    Args:
        surface: Where.
        stage: Lamps and environment.
        scene: Embree's scene, for shadows.
        sample: Number of the sample, from which random numbers follow.
    """
    rng = np.random.default_rng(sample)
    base, rough, metal, clear = _looks(surface)
    view = -surface.incoming
    origin = surface.point + surface.facing * _OFFSET
    facing_eye = np.clip((surface.normal * view).sum(1), 1e-3, 1)
    f0 = (0.04 + (base - 0.04) * metal[:, None]).astype(np.float32)
    diffuse = base * ((1 - metal) * (1 - 0.85 * clear))[:, None]
    out = np.zeros_like(base)
    for lamp in stage.lights:
        spread = rng.normal(size=surface.point.shape).astype(np.float32)
        spread *= lamp.radius / np.linalg.norm(spread, axis=1, keepdims=True)
        to = np.asarray(lamp.position, np.float32) + spread - origin
        distance = np.linalg.norm(to, axis=1)
        to /= distance[:, None]
        cosine = np.clip((surface.normal * to).sum(1), 0, None)
        cosine[(surface.facing * to).sum(1) <= 0] = 0
        wanted = cosine > 0
        clearly = np.zeros(len(cosine), np.float32)
        if wanted.any():
            blocked = scene.run(origin[wanted], to[wanted], distance[wanted] * 0.999, query="OCCLUDED")
            clearly[wanted] = blocked < 0
        arriving = (lamp.power / (4 * np.pi * distance**2) * cosine * clearly)[:, None] * np.float32(
            lamp.color
        )
        out += arriving * (diffuse / np.pi + _highlight(surface.normal, view, to, facing_eye, rough, f0))
    open_ = _openness(surface, origin, scene, rng)
    environment = stage.environment
    out += diffuse / np.pi * _irradiance(environment, surface.normal) * open_[:, None]
    mirrored = surface.incoming + 2 * facing_eye[:, None] * surface.normal
    fresnel = f0 + (np.maximum(1 - rough[:, None], f0) - f0) * (1 - facing_eye[:, None]) ** 5
    out += fresnel * _blurred(environment, mirrored, surface.normal, rough) * open_[:, None]
    return out.astype(np.float32)


def _looks(surface: Surface) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return linear colour (P, 3), roughness, metallic and transmission (P,)."""
    count = len(surface.part)
    base = np.zeros((count, 3), np.float32)
    rough, metal, clear = (np.zeros(count, np.float32) for _ in range(3))
    for k, (material, textures) in enumerate(surface.materials):
        mine = surface.part == k
        if not mine.any():
            continue
        color = linear(np.asarray(material.color, np.float32))
        if material.texture is not None:
            pixels = textures.get(material.texture)
            pixels = texture_pixels(material.texture) if pixels is None else pixels
            color = color * linear(_textured(material, pixels, surface, mine))
        base[mine] = color
        rough[mine], metal[mine], clear[mine] = material.roughness, material.metallic, material.transmission
    return base, np.clip(rough, 0.05, 1), metal, clear


def _textured(material: Material, pixels: np.ndarray, surface: Surface, mine: np.ndarray) -> np.ndarray:
    if material.projection == "uv":
        return bilinear(pixels, surface.uv[mine] * material.scale)
    own = surface.own[mine] * material.scale
    # The side of the box that a point looks to is that of the largest component of its place's own normal.
    side = np.abs(surface.normal[mine]).argmax(1)
    across = np.select(
        [side[:, None] == 0, side[:, None] == 1], [own[:, [1, 2]], own[:, [0, 2]]], own[:, [0, 1]]
    )
    return bilinear(pixels, across + 0.5)


def bilinear(pixels: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Return a texture at coordinates, repeated without end, shape (P, 3); v grows upwards."""
    h, w = pixels.shape[:2]
    x, y = uv[:, 0] * w - 0.5, (1 - uv[:, 1]) * h - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - left)[:, None], (y - top)[:, None]
    a, b = pixels[top % h, left % w, :3], pixels[top % h, (left + 1) % w, :3]
    c, d = pixels[(top + 1) % h, left % w, :3], pixels[(top + 1) % h, (left + 1) % w, :3]
    return (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy


def _highlight(
    normal: np.ndarray,
    view: np.ndarray,
    to: np.ndarray,
    facing_eye: np.ndarray,
    rough: np.ndarray,
    f0: np.ndarray,
) -> np.ndarray:
    half = view + to
    half /= np.maximum(np.linalg.norm(half, axis=1, keepdims=True), 1e-9)
    nh = np.clip((normal * half).sum(1), 0, 1)
    nl = np.clip((normal * to).sum(1), 1e-3, 1)
    vh = np.clip((view * half).sum(1), 0, 1)
    a2 = rough**4
    spread = a2 / (np.pi * (nh**2 * (a2 - 1) + 1) ** 2)
    k = (rough + 1) ** 2 / 8
    masked = 1 / ((facing_eye * (1 - k) + k) * (nl * (1 - k) + k)) / 4
    return (spread * masked)[:, None] * (f0 + (1 - f0) * (1 - vh[:, None]) ** 5)


def _openness(surface: Surface, origin: np.ndarray, scene: Any, rng: np.random.Generator) -> np.ndarray:
    """Return which share of the light of the environment reaches each point, float32, shape (P,)."""
    free = np.zeros(len(origin), np.float32)
    for _ in range(_CORNER_RAYS):
        # Normals with a random unit vector added are spread by the cosine.
        away = rng.normal(size=origin.shape).astype(np.float32)
        away = surface.normal + away / np.linalg.norm(away, axis=1, keepdims=True) * 0.999
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        reach = np.full(len(origin), NEAR, np.float32)
        blocked = scene.run(origin, away, reach, query="OCCLUDED")
        free += blocked < 0
    # What blocks sends a part of the light on itself.
    return 0.25 + 0.75 * free / _CORNER_RAYS


@lru_cache(maxsize=16)
def _harmonics(name: str) -> np.ndarray:
    pixels = environment_pixels(name).astype(np.float64)
    h, w = pixels.shape[:2]
    theta = (np.arange(h) + 0.5) / h * np.pi
    azimuth = np.pi - 2 * np.pi * (np.arange(w) + 0.5) / w
    z = np.cos(theta)[:, None] * np.ones(w)
    x, y = np.sin(theta)[:, None] * np.cos(azimuth), np.sin(theta)[:, None] * np.sin(azimuth)
    area = (np.sin(theta) * np.pi / h * 2 * np.pi / w)[:, None]
    return np.stack([(pixels * (b * area)[..., None]).sum((0, 1)) for b in _basis(x, y, z)])


def _basis(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
    return [
        0.282095 * np.ones_like(z),
        0.488603 * y,
        0.488603 * z,
        0.488603 * x,
        1.092548 * x * y,
        1.092548 * y * z,
        0.315392 * (3 * z * z - 1),
        1.092548 * x * z,
        0.546274 * (x * x - y * y),
    ]


def _turned(environment: Environment, directions: np.ndarray) -> np.ndarray:
    c, s = np.cos(environment.rotation), np.sin(environment.rotation)
    x, y, z = np.moveaxis(directions, -1, 0)
    return np.stack([c * x + s * y, c * y - s * x, z], -1)


def _irradiance(environment: Environment, normals: np.ndarray) -> np.ndarray:
    coefficients = _harmonics(environment.name)
    bands = np.repeat([np.pi, 2 * np.pi / 3, np.pi / 4], [1, 3, 5])
    x, y, z = np.moveaxis(_turned(environment, normals), -1, 0)
    light = sum(a * b[:, None] * c for a, b, c in zip(bands, _basis(x, y, z), coefficients, strict=True))
    return np.clip(light * environment.strength, 0, None).astype(np.float32)


def _blurred(
    environment: Environment, mirrored: np.ndarray, normal: np.ndarray, rough: np.ndarray
) -> np.ndarray:
    """Return what a surface mirrors: the picture itself where it is smooth, its harmonics where it is rough."""
    sharp = radiance(environment, mirrored)
    soft = _irradiance(environment, mirrored) / np.pi
    share = np.clip(rough / 0.6, 0, 1)[:, None]
    return sharp * (1 - share) + soft * share
