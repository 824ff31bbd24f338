"""Lines of sight in a finished world, by looking at points a centimetre apart: slow and plain."""

from __future__ import annotations

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.world import World

CROWN = 2


def seen(world: World, eyes: tuple[float, float, float], goal: tuple[float, float, float]) -> bool:
    """Return whether terrain and solids, crowns of trees left out, leave a line free."""
    ends = np.array([eyes, goal])
    count = max(int(np.linalg.norm(ends[1] - ends[0]) / 0.01), 2)
    share = np.linspace(0.0, 1.0, count)[1:-1, None]
    line = ends[0] + share * (ends[1] - ends[0])
    u = line[:, :2] / 0.5 + world.size // 2
    j, i = np.floor(u[:, 0]).astype(int), np.floor(u[:, 1]).astype(int)
    a, b = u[:, 0] - j, u[:, 1] - i
    z = world.height.astype(float) / 128.0
    low = z[i, j] * (1 - a) + z[i, j + 1] * a
    high = z[i + 1, j] * (1 - a) + z[i + 1, j + 1] * a
    if (low * (1 - b) + high * b > line[:, 2]).any():
        return False
    for row in world.solids.astype(float):
        if row[c.SHAPE] == CROWN:
            continue
        d = line - row[[c.SX, c.SY, c.SZ]]
        along = d[:, 0] * row[c.SCOS] + d[:, 1] * row[c.SSIN]
        across = d[:, 1] * row[c.SCOS] - d[:, 0] * row[c.SSIN]
        inside = (abs(along) < row[c.SEX]) & (abs(across) < row[c.SEY]) & (abs(d[:, 2]) < row[c.SEZ])
        if inside.any():
            return False
    return True
