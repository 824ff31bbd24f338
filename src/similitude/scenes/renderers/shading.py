"""How bright a surface is under lamps and an environment: compiled loops over places, no bounces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from similitude.scenes.renderers.optics import GLOSS_FROM
from similitude.scenes.renderers.skylight import ROUGH, light_of
from similitude.scenes.renderers.surfaces import Looks, Surface
from similitude.scenes.stage import Stage

_LEVELS = np.array((0.0, *ROUGH))


@dataclass(frozen=True, eq=False)
class Shaded:
    """Light that places send to the eye, linear, P of them.

    Attributes:
        direct: From lamps, and of the environment what is not mirrored, float32, shape (P, 3).
        gloss: Share of what they mirror that reaches the eye, shape (P, 3).
        sky: What they mirror of the environment, shape (P, 3).
        clear: Share of what is behind them that shines through, shape (P, 3).
        open_: Share of the mirrored environment that is not hidden by what is near, shape (P,).
        mirrored: Directions in which they mirror the eye, shape (P, 3).
    """

    direct: np.ndarray
    gloss: np.ndarray
    sky: np.ndarray
    clear: np.ndarray
    open_: np.ndarray
    mirrored: np.ndarray


def shade(
    surface: Surface,
    looks: Looks,
    directions: np.ndarray,
    stage: Stage,
    *,
    arriving: np.ndarray,
    openness: np.ndarray,
) -> Shaded:
    """Return the light of surfaces.

    Diffuse by Lambert; highlights by Cook and Torrance's model with GGX and Schlick's Fresnel term, widened by the size
    of the lamp; the environment blurred beforehand;
    corners are dimmed less where surfaces are bright (Jimenez et al., SIGGRAPH 2016).

    Args:
        surface: Where.
        looks: Of what.
        directions: Of the rays that found them, shape (P, 3).
        stage: Lamps and environment.
        arriving: Share of each lamp that is not hidden, shape (L, P).
        openness: Share of the environment that is not hidden by what is near, shape (P,).
    """
    count = len(directions)
    sky = light_of(stage.environment)
    lamps = np.array(
        [(*lamp.position, *lamp.color, lamp.power, lamp.radius) for lamp in stage.lights], np.float64
    ).reshape(-1, 8)
    direct, gloss, mirrors, clear, mirrored = (np.zeros((count, 3), np.float32) for _ in range(5))
    open_ = np.zeros(count, np.float32)
    out = Shaded(direct, gloss, mirrors, clear, open_, mirrored)
    at = np.flatnonzero(surface.instance >= 0)
    _shade(
        at, surface.point, surface.normal, directions, looks.base, looks.finish, lamps, arriving, openness,
        sky.matt, sky.sharp, sky.blurred, _LEVELS, stage.environment.strength, stage.environment.rotation,
        out.direct, out.gloss, out.sky, out.clear, out.open_, out.mirrored,
    )  # fmt: skip
    return out


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _shade(
    at: np.ndarray,
    point: np.ndarray,
    normals: np.ndarray,
    directions: np.ndarray,
    bases: np.ndarray,
    finish: np.ndarray,
    lamps: np.ndarray,
    arriving: np.ndarray,
    openness: np.ndarray,
    matt: np.ndarray,
    sharp: np.ndarray,
    blurred: np.ndarray,
    levels: np.ndarray,
    strength: float,
    rotation: float,
    direct: np.ndarray,
    gloss: np.ndarray,
    sky: np.ndarray,
    clears: np.ndarray,
    open_: np.ndarray,
    mirrored: np.ndarray,
) -> None:
    turn_c, turn_s = math.cos(rotation), math.sin(rotation)
    n, v, m, diffuse, f0, to = np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3)
    around = np.zeros((1, 3))
    for p in at:
        rough, metal, clear = max(finish[p, 0], 0.04), finish[p, 1], finish[p, 2]
        level = min(1.0, (1.0 - finish[p, 0]) / (1.0 - GLOSS_FROM))
        level = max(level, metal)
        nv = 0.0
        for i in range(3):
            n[i], v[i] = normals[p, i], -directions[p, i]
            nv += n[i] * v[i]
        for i in range(3):
            m[i] = 2 * nv * n[i] - v[i]
        nv = min(max(nv, 1e-3), 1.0)
        # Share of a white surrounding that is mirrored: Karis' fit, "Physically based shading on mobile" (2014).
        r0, r1 = 1 - rough, 0.0425 - 0.0275 * rough
        a = min(r0 * r0, 2.0 ** (-9.28 * nv)) * r0 + r1
        scale, bias = 1.04 - 0.572 * rough - 1.04 * a, 0.022 * rough - 0.04 + 1.04 * a
        for i in range(3):
            base = bases[p, i]
            f0[i] = (0.04 * (1 - metal) + base * metal) * level
            share = min(max(f0[i] * scale + bias * level, 0.0), 1.0)
            if clear > 0.5:
                share = f0[i] + (1 - f0[i]) * (1 - nv) ** 5
            gloss[p, i] = share
            clears[p, i] = clear * (1 - share) * math.sqrt(max(base, 0.0)) * (1 - metal)
            diffuse[i] = (
                base * (1 - metal) * (1 - clear) * (1 - min(max(0.04 * scale + bias, 0.0), 1.0) * level)
            )
        # Lamps.
        alpha = rough * rough
        k = (rough + 1) ** 2 / 8
        for j in range(len(lamps)):
            if arriving[j, p] <= 0.0:
                continue
            d2 = 0.0
            for i in range(3):
                to[i] = lamps[j, i] - point[p, i]
                d2 += to[i] * to[i]
            d = math.sqrt(max(d2, 1e-12))
            nl, h2, vl = 0.0, 0.0, 0.0
            for i in range(3):
                to[i] /= d
                nl += n[i] * to[i]
                vl += v[i] * to[i]
            if nl <= 0.0:
                continue
            nh = 0.0
            for i in range(3):
                h = v[i] + to[i]
                h2 += h * h
                nh += n[i] * h
            h1 = math.sqrt(max(h2, 1e-12))
            nh = min(max(nh / h1, 0.0), 1.0)
            vh = min(max((1 + vl) / h1, 0.0), 1.0)
            wide = min(alpha + lamps[j, 7] / (2 * d), 1.0)
            a2 = wide * wide
            lobe = a2 / (math.pi * (nh * nh * (a2 - 1) + 1) ** 2)
            masked = 0.25 / ((nv * (1 - k) + k) * (nl * (1 - k) + k))
            light = lamps[j, 6] / (4 * math.pi * max(d2, 1e-12)) * nl * arriving[j, p]
            fresnel = (1 - vh) ** 5
            for i in range(3):
                shine = lobe * masked * (f0[i] + (level - f0[i]) * fresnel)
                direct[p, i] += light * lamps[j, 3 + i] * (diffuse[i] / math.pi + shine)
        # The environment on the matt part.
        x, y, z = turn_c * n[0] + turn_s * n[1], turn_c * n[1] - turn_s * n[0], n[2]
        free = openness[p]
        around[0, :] = 0.0
        _add(matt, x, y, z, strength, 0, around)
        for i in range(3):
            base = min(bases[p, i], 1.0)
            a = 2.0404 * base - 0.3324
            b = 0.6417 - 4.7951 * base
            c = 2.7552 * base + 0.6903
            dimmed = max(free, ((free * a + b) * free + c) * free)
            direct[p, i] += diffuse[i] * around[0, i] * dimmed
        # The environment in the glossy part.
        open_[p] = min(max((nv + free) ** (2.0 ** (-16 * rough - 1)) - 1 + free, 0.0), 1.0)
        x, y, z = turn_c * m[0] + turn_s * m[1], turn_c * m[1] - turn_s * m[0], m[2]
        for i in range(3):
            mirrored[p, i] = m[i]
        high = 1
        while high < len(levels) - 1 and levels[high] < rough:
            high += 1
        part = min(max((rough - levels[high - 1]) / (levels[high] - levels[high - 1]), 0.0), 1.0)
        if finish[p, 0] <= 0.04:
            part = 0.0
        _add(sharp if high == 1 else blurred[high - 2], x, y, z, (1 - part) * strength, p, sky)
        _add(blurred[high - 1], x, y, z, part * strength, p, sky)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _add(picture: np.ndarray, x: float, y: float, z: float, factor: float, p: int, out: np.ndarray) -> None:
    """Add what an equirectangular picture shows in a direction, between its pixels."""
    if not (factor > 0.0 and abs(x) + abs(y) + abs(z) < 10.0):
        return
    h, w = picture.shape[0], picture.shape[1]
    across = (math.pi - math.atan2(y, x)) / (2 * math.pi) * w - 0.5
    down = min(max(math.acos(min(max(z, -1.0), 1.0)) / math.pi * h - 0.5, 0.0), h - 1.0)
    left, top = math.floor(across), math.floor(down)
    fx, fy = across - left, down - top
    for j in range(2):
        row = min(int(top) + j, h - 1)
        for i in range(2):
            column = (int(left) + i) % w
            weight = factor * (fx if i else 1 - fx) * (fy if j else 1 - fy)
            for c in range(3):
                out[p, c] += weight * picture[row, column, c]
