"""Bridge: a gap too wide for a jump, and a log that reaches across."""

from __future__ import annotations

import math

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.engine.constants import CELL
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.land.ring import Ring, on_grid
from similitude.worlds.tasks.lanes import dig, lane, put_goal, ring_island
from similitude.worlds.tasks.site import Site

LOG = KINDS[NUMBER["log"]].half
"""Half extents of the log in metres: length, width, height."""
WIDER = 2.0
"""Metres by which the chasm is wider on either side where no log is meant to reach across."""
GRIP = 0.3
"""Distance from the log's end at which it is grasped, in metres."""
HOLD = 0.7
"""Distance from the body to the hand that holds the log, in metres."""
EXTENT = 6.5
"""Depth in metres where the widest chasm ends."""
ROOM = 12.0
"""Metres before the chasm that the obstacle needs: where one comes from."""


def obstacle(site: Site, budget: Budget, ring: Ring, *, moved: float = 0.0, prefix: str = "") -> float:
    """Dig a chasm around a ring, put a log before it, and write the steps that lead across.

    Args:
        site: Where.
        budget: What chooses the gap, its depth, the width of the passage and the log's place.
        ring: What the chasm surrounds; its edge is the outer rim, and one comes from `ROOM` metres before it.
        moved: How much farther away the log lies, in metres.
        prefix: Of the parameters' names.

    Returns:
        The depth where the chasm ends, in metres.
    """
    draws = site.draws
    gap = budget.count(prefix + "gap in cells", easy=6, hard=9) * CELL
    deep = budget.scalar(prefix + "chasm depth", easy=2.5, hard=5.0)
    width = max(on_grid(budget.scalar(prefix + "passage width", easy=10.0, hard=2.0)), 2.0)
    far = budget.scalar(prefix + "log distance", easy=2.0, hard=6.0) + moved
    budget.note(prefix + "gap", gap)
    level = lane(site, ring, -ROOM - 1.0, gap + 2.0, 8.0)

    # one end of the log lies `far` metres from where one comes from; it points towards the ring, more or less
    ahead = draws.uniform(0.0, 1.0) * min(2.5, far)
    aside = math.sqrt(far * far - ahead * ahead) * draws.pick((-1.0, 1.0))
    lean = draws.uniform(-1.0, 1.0) * site.difficulty
    length = math.sqrt(1.0 + lean * lean)
    fx, fy = (ring.ux - lean * ring.uy) / length, (ring.uy + lean * ring.ux) / length
    gx, gy = ring.point(-ROOM + ahead, aside)
    x, y = gx + (LOG[0] - GRIP) * fx, gy + (LOG[0] - GRIP) * fy
    site.flatten(x, y, LOG[0] + 1.0, level, rim=1.5)

    narrow = np.abs(ring.side) <= 0.5 * width
    near, beyond = np.where(narrow, 0.0, -WIDER), np.where(narrow, gap, gap + WIDER)
    dig(site, ring, near, beyond, depth=deep, level=level)
    log = site.add_thing("log", x, y, facing=(fx, fy))

    z = level + LOG[2]
    stand = ring.point(0.5 * gap - LOG[0] + GRIP - HOLD)
    site.step("walk", [(gx - HOLD * fx, gy - HOLD * fy)])
    site.step("take", [(gx, gy, z)], thing=log)
    site.step("walk", [stand])
    site.step("place", [(*ring.point(0.5 * gap), z), (*ring.point(0.5 * gap + LOG[0]), z)], thing=log)
    site.step("walk", [ring.point(gap + 1.0)])
    return gap + WIDER


def build(site: Site, budget: Budget) -> None:
    """Lay out an island with food that a chasm surrounds."""
    ring = ring_island(site, 11.0, room=ROOM, extent=EXTENT, below=5.0)
    obstacle(site, budget, ring)
    put_goal(site, ring)
