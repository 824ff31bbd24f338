"""Environments that are drawn by code: studios, skies and rooms, as linear radiance from all directions."""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from similitude.scenes.stage import Vector

ROWS = 256
"""Rows of the pictures; they have twice as many columns."""


def directions(rows: int = ROWS) -> np.ndarray:
    """Return the unit directions of the pixels of an equirectangular picture, float64, shape (rows, 2 rows, 3).

    Rows go from straight up to straight down; columns from azimuth pi to -pi, azimuth 0 (the middle) being +x and pi / 2
    (a quarter from the left) +y.
    """
    polar = (np.arange(rows) + 0.5) / rows * np.pi
    azimuth = np.pi - (np.arange(2 * rows) + 0.5) / rows * np.pi
    x, y = np.sin(polar)[:, None] * np.cos(azimuth), np.sin(polar)[:, None] * np.sin(azimuth)
    return np.stack([x, y, np.broadcast_to(np.cos(polar)[:, None], x.shape)], -1)


def _towards(azimuth: float, height: float) -> np.ndarray:
    """Return the unit direction of degrees around (0 is +x, -90 the front, behind the camera) and up."""
    a, e = math.radians(azimuth), math.radians(height)
    return np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])


def _disc(where: np.ndarray, radius: float, soft: float) -> np.ndarray:
    """Return 1 within degrees of a direction and 0 farther away, shape (ROWS, 2 ROWS)."""
    angle = np.degrees(np.arccos(np.clip(directions() @ where, -1, 1)))
    return np.clip((radius + soft / 2 - angle) / soft, 0, 1)


def _panel(where: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return 1 on an upright panel that faces the middle, `width` and `height` at distance 1, and 0 elsewhere."""
    d = directions()
    right = np.cross((0.0, 0.0, 1.0), where)
    right /= np.linalg.norm(right)
    up = np.cross(where, right)
    depth = np.maximum(d @ where, 1e-6)
    across, along = np.abs(d @ right / depth), np.abs(d @ up / depth)
    inside = np.clip((width / 2 - across) / 0.03, 0, 1) * np.clip((height / 2 - along) / 0.03, 0, 1)
    return inside * (d @ where > 0)


def _lit(*parts: tuple[np.ndarray, Vector]) -> np.ndarray:
    return sum(
        (share[..., None] * np.asarray(color) for share, color in parts), np.zeros((ROWS, 2 * ROWS, 3))
    )


def _above(soft: float = 0.02) -> np.ndarray:
    """Return 1 above the horizon and 0 below."""
    return np.clip(directions()[..., 2] / soft + 0.5, 0, 1)


def _clumps(seed: int, width: float) -> np.ndarray:
    """Return smooth noise from about -2 to 2, without a seam behind; finer towards the poles than it looks."""
    rng = np.random.default_rng(seed)
    layer = ndimage.gaussian_filter1d(rng.standard_normal((ROWS, 2 * ROWS)), width, axis=0, mode="nearest")
    layer = ndimage.gaussian_filter1d(layer, width, axis=1, mode="wrap")
    return (layer - layer.mean()) / layer.std()


def studio() -> np.ndarray:
    """A photographer's studio: grey walls, two large soft boxes before the object, a narrow one behind."""
    z = directions()[..., 2]
    walls = 0.34 + 0.12 * z
    return _lit(
        (walls, (1.0, 1.0, 1.0)),
        (_panel(_towards(-135, 40), 1.1, 1.1), (2.2, 2.15, 2.1)),
        (_panel(_towards(-35, 25), 0.9, 1.2), (1.2, 1.25, 1.3)),
        (_panel(_towards(100, 45), 1.4, 0.35), (1.6, 1.6, 1.6)),
    )


def white() -> np.ndarray:
    """The same light from all directions, without a shadow."""
    return np.full((ROWS, 2 * ROWS, 3), 0.8)


def overcast() -> np.ndarray:
    """A sky of even clouds above grey ground, three times as bright overhead as at the horizon (CIE's overcast sky)."""
    z = np.clip(directions()[..., 2], 0, 1)
    sky = _above() * (1 + 2 * z) / 3
    return _lit(
        (1.1 * sky * (1 + 0.05 * _clumps(1, 14)), (0.95, 0.98, 1.0)),
        (0.25 * (1 - _above()), (1.0, 0.98, 0.92)),
    )


def _clear_sky(sun: np.ndarray) -> np.ndarray:
    """Return the brightness of CIE's clear sky (CIE S 011, type 12) where the zenith has 1, shape (ROWS, 2 ROWS)."""
    d = directions()
    z = np.clip(d[..., 2], 0.02, 1)
    gamma = np.arccos(np.clip(d @ sun, -1, 1))

    def scattered(angle: np.ndarray | float) -> np.ndarray:
        return 1 + 10 * (np.exp(-3 * angle) - np.exp(-3 * np.pi / 2)) + 0.45 * np.cos(angle) ** 2

    def depth(height: np.ndarray | float) -> np.ndarray:
        return 1 - np.exp(-0.32 / height)

    zenith = scattered(math.acos(float(sun[2]))) * depth(1.0)
    return scattered(gamma) * depth(z) / zenith


def day() -> np.ndarray:
    """A clear day: blue sky, the sun high at the front left, grass below."""
    sun = _towards(-125, 50)
    sky = np.minimum(_clear_sky(sun), 6.0) * _above()
    pale = np.exp(-np.clip(directions()[..., 2], 0, 1) * 4)[..., None]
    color = (1 - pale) * np.array([0.3, 0.52, 1.0]) + pale * np.array([0.75, 0.87, 1.0])
    ground = _lit((0.22 * (1 - _above()), (0.75, 0.95, 0.45)))
    return 0.35 * sky[..., None] * color + ground + _lit((_disc(sun, 2.5, 1.0), (170.0, 160.0, 140.0)))


def sunset() -> np.ndarray:
    """A low red sun at the right, orange clouds at the horizon, a dark blue zenith."""
    sun = _towards(-20, 6)
    d = directions()
    z = np.clip(d[..., 2], 0, 1)
    near = np.exp(-np.degrees(np.arccos(np.clip(d @ sun, -1, 1))) / 35)
    glow = np.exp(-z * 5)
    clouds = 1 + 0.35 * np.clip(_clumps(2, 9), -1, 2) * np.exp(-(((z - 0.2) / 0.15) ** 2))
    sky = _lit((0.25 * (1 - glow), (0.3, 0.42, 0.8)), (glow * clouds * (0.3 + 1.6 * near), (1.0, 0.5, 0.22)))
    ground = _lit((0.08 * (1 - _above()), (1.0, 0.75, 0.55)))
    return sky * _above()[..., None] + ground + _lit((_disc(sun, 2.5, 1.0), (150.0, 70.0, 22.0)))


def night() -> np.ndarray:
    """A street at night: three lamps, a row of dim windows, hardly any sky."""
    out = _lit((0.012 * np.ones((ROWS, 2 * ROWS)), (0.5, 0.7, 1.3)), (0.02 * (1 - _above()), (1.2, 1.0, 0.8)))
    for azimuth, height in ((-140, 35), (-60, 28), (75, 30)):
        out += _lit((_disc(_towards(azimuth, height), 3.5, 1.5), (55.0, 38.0, 18.0)))
    for k, azimuth in enumerate(range(-170, 180, 20)):
        out += _lit((_panel(_towards(azimuth + 5 * (k % 3), 8 + 4 * (k % 2)), 0.08, 0.12), (1.2, 0.8, 0.35)))
    return out


def room() -> np.ndarray:
    """A room by day: cream walls, a white ceiling, a wooden floor, a tall window at the left."""
    d = directions()
    z, flat = d[..., 2], np.hypot(d[..., 0], d[..., 1])
    ceiling, floor = z > 0.75 * flat, z < -0.55 * flat
    walls = np.where(
        ceiling[..., None],
        (0.62, 0.61, 0.58),
        np.where(floor[..., None], (0.2, 0.13, 0.08), (0.42, 0.38, 0.31)),
    )
    window = _panel(_towards(-165, 12), 0.9, 0.9)
    cross = 1 - 0.85 * (_panel(_towards(-165, 12), 0.04, 0.9) + _panel(_towards(-165, 12), 0.9, 0.04)).clip(
        0, 1
    )
    shelf = _panel(_towards(95, -2), 0.9, 0.5)
    books = 0.16 + 0.1 * np.sign(np.sin(np.arctan2(d[..., 1], d[..., 0]) * 90))
    out = walls * (1 - window[..., None]) + _lit((window * cross, (5.0, 5.4, 6.0)))
    return out * (1 - shelf[..., None]) + _lit((shelf * books, (1.2, 0.8, 0.6)))


def lamplight() -> np.ndarray:
    """A dark room with one warm lamp at the front right."""
    z = directions()[..., 2]
    return _lit((0.05 + 0.02 * z, (1.0, 0.72, 0.48)), (_disc(_towards(-45, 35), 9, 4), (22.0, 14.5, 7.5)))


def forest() -> np.ndarray:
    """Among trees: leaves with gaps of sky, brown trunks, moss below."""
    d = directions()
    z = d[..., 2]
    leaves = 0.12 * np.exp(0.55 * _clumps(3, 2.2) + 0.45 * _clumps(4, 8))
    gaps = np.clip(_clumps(5, 3.5) + 1.3 * z - 1.4, 0, 1)
    azimuth = np.arctan2(d[..., 1], d[..., 0])
    trunks = np.clip((np.sin(azimuth * 9 + np.sin(azimuth * 3) * 2) - 0.86) * 8, 0, 1) * np.exp(
        -(((z - 0.05) / 0.35) ** 4)
    )
    out = _lit((leaves, (0.55, 1.0, 0.3))) * (1 - gaps[..., None]) + _lit((gaps, (2.4, 2.7, 3.0)))
    out = out * (1 - trunks[..., None]) + _lit((trunks * 0.06, (1.2, 0.9, 0.65)))
    moss = _lit((0.1 * np.exp(0.4 * _clumps(6, 3)), (0.7, 0.9, 0.35)))
    above = _above(0.1)[..., None]
    return out * above + moss * (1 - above)


def snow() -> np.ndarray:
    """Snow under a bright, pale sky: nearly as much light from below as from above."""
    z = np.clip(directions()[..., 2], 0, 1)
    return _lit(
        (_above() * (0.75 + 0.3 * z), (0.9, 0.96, 1.0)),
        ((1 - _above()) * 0.7 * (1 + 0.04 * _clumps(7, 5)), (0.92, 0.96, 1.0)),
    )


def neon() -> np.ndarray:
    """Darkness with a magenta tube at the left and a cyan one at the right."""
    return _lit(
        (np.full((ROWS, 2 * ROWS), 0.03), (0.7, 0.7, 1.0)),
        (_panel(_towards(-160, 15), 0.35, 1.6), (9.0, 0.8, 5.0)),
        (_panel(_towards(-20, 15), 0.35, 1.6), (0.6, 6.0, 8.0)),
    )


SKIES = {
    draw.__name__: draw
    for draw in (studio, white, overcast, day, sunset, night, room, lamplight, forest, snow, neon)
}
"""Environments of this module by name."""
