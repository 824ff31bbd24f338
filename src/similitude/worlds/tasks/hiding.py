"""What can be seen from where: lines of sight through a world in the making."""

from __future__ import annotations

import math

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import HEAD_TOP
from similitude.worlds.tasks.site import Site

PACE = 0.25
"""Metres between the points at which the terrain under a line of sight is looked at."""


def sees(site: Site, start: tuple[float, float, float], goal: tuple[float, float, float]) -> bool:
    """Return whether neither land nor solids cut the line between two points.

    Crowns of trees and things that move do not count: what they hide may show.

    Args:
        site: The world in the making.
        start: x, y, z of the eyes in metres.
        goal: x, y, z of what is looked at.
    """
    dx, dy, dz = goal[0] - start[0], goal[1] - start[1], goal[2] - start[2]
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    count = max(int(length / PACE), 1)
    for k in range(1, count):
        t = k / count
        if site.height_at(start[0] + t * dx, start[1] + t * dy) > start[2] + t * dz:
            return False
    return not any(_cuts(solid, start, (dx, dy, dz)) for solid in site.solids)


def seen_from_spawn(site: Site, thing: int) -> bool:
    """Return whether a thing, its middle or its top, can be seen by an agent that stands upright at the spawn."""
    x, y, z, _, _ = site.spawn
    px, py, pz = site.place_of(thing)
    top = pz + site.things[thing][8]
    eyes = (x, y, z + HEAD_TOP)
    return sees(site, eyes, (px, py, pz)) or sees(site, eyes, (px, py, top))


def _cuts(solid: tuple[float, ...], start: tuple[float, float, float], way: tuple[float, ...]) -> bool:
    """Return whether a solid's box cuts the line from `start` along `way` between its ends."""
    if solid[c.SHAPE] == c.CROWN:
        return False
    cos, sin = solid[c.SCOS], solid[c.SSIN]
    rx, ry, rz = start[0] - solid[c.SX], start[1] - solid[c.SY], start[2] - solid[c.SZ]
    origin = rx * cos + ry * sin, ry * cos - rx * sin, rz
    along = way[0] * cos + way[1] * sin, way[1] * cos - way[0] * sin, way[2]
    low, high = 0.0, 1.0
    for place, rate, half in zip(origin, along, solid[c.SEX : c.SEZ + 1], strict=True):
        if rate == 0.0:
            if not -half < place < half:
                return False
            continue
        near, far = (-half - place) / rate, (half - place) / rate
        low, high = max(low, min(near, far)), min(high, max(near, far))
    return low < high
