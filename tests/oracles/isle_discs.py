"""Where a body can be among boxes on a level floor: a disc of its radius between rectangles, a fine grid, its parts."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BODY_RADIUS, HEAD_CLEAR, HEAD_TOP, STEP_UP
from similitude.worlds.kinds import KINDS
from similitude.worlds.world import World

STEP = 0.125
"""Metres between the points of the grid."""


def joined(world: World, goal: tuple[float, float], *, doors: bool, reach: float = 24.0) -> bool:
    """Return whether a body gets from the spawn to within a metre of a goal on the spawn's level.

    Args:
        world: The world.
        goal: x, y in metres.
        doors: Whether doors are in the way, as they hang.
        reach: Half width of the window around the spawn, in metres.
    """
    feet = world.spawn[2]
    rows = [row[:8] for row in world.solids.astype(float) if row[c.SHAPE] == c.BOX]
    rows += [row[1:9] for row in world.things.astype(float) if doors and KINDS[int(row[0])].role == c.DOOR]
    line = np.arange(-reach, reach, STEP)
    x, y = world.spawn[0] + line[None, :], world.spawn[1] + line[:, None]
    free = np.ones((len(line), len(line)), dtype=bool)
    for px, py, pz, cos, sin, ex, ey, ez in rows:
        if pz + ez > feet + STEP_UP and pz - ez < feet + HEAD_TOP + HEAD_CLEAR:
            u = np.maximum(abs((x - px) * cos + (y - py) * sin) - ex, 0.0)
            v = np.maximum(abs((y - py) * cos - (x - px) * sin) - ey, 0.0)
            free &= np.hypot(u, v) >= BODY_RADIUS
    parts = np.zeros(free.shape, dtype=np.int32)
    ndimage.label(free, output=parts)
    here = parts[len(line) // 2, len(line) // 2]
    near = np.hypot(x - goal[0], y - goal[1]) < 1.0
    return bool(here and (parts[near] == here).any())
