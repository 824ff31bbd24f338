"""Jump: over a gap, or up a ledge when easy."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.houses import halls
from similitude.worlds.land.ring import Ring, axis
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import Site

DEEPEST = 8.0
"""Deepest gap, in metres."""
WIDE = 4.5
"""Width of the gap where nobody is to jump it, in metres."""

BEFORE = 0.0625
"""Distance from an edge at which one leaps off and lands, in metres."""


def obstacle(site: Site, budget: Budget, ring: Ring, *, prefix: str = "") -> float:
    """Dig a gap that can be jumped at one place, or raise a ledge; return the depth where it ends, in metres."""
    width = budget.scalar(prefix + "jumpable width", easy=10.0, hard=3.0)
    ledge = not budget.flag(prefix + "gap", easy=0.3, hard=1.0, cost=0.1)
    level = site.height_at(*ring.point(-0.5))
    if ledge:
        rise = budget.scalar(prefix + "ledge height", easy=1.0, hard=1.3125)
        site.level(ring.passage(-2.0, 3.0, width), level)
        up = ring.depth > 0.25
        site.z = np.where(up, site.z + rise, site.z)
        site.bare |= ring.cells((ring.depth > -3.0) & (ring.depth < 3.0))
        _steps(site, ring, 0.0, 0.5)
        return 0.5
    # whole cells: people stand on corners of the map
    gap = 0.5 * budget.count(prefix + "gap cells", easy=2, hard=4)
    budget.note(prefix + "gap width", gap)
    deep = budget.scalar(prefix + "gap depth", easy=2.5, hard=DEEPEST)
    site.level(ring.passage(-2.0, WIDE + 1.0, width), level)
    # where the edge is round, a gap of one row of corners would have holes
    aside = np.abs(ring.side)
    inside = np.where(
        aside <= min(0.5 * width, ring.flat), gap, np.where(aside <= 0.5 * width, max(gap, 1.5), WIDE)
    )
    gone = (ring.depth > 0.25) & (ring.depth < inside - 0.25)
    site.z = np.where(gone, site.z - deep, site.z)
    site.climbs &= ~ring.cells(gone)
    site.bare |= ring.cells((ring.depth > -3.0) & (ring.depth < WIDE + 2.0))
    _steps(site, ring, 0.0, gap)
    return WIDE


def _steps(site: Site, ring: Ring, start: float, end: float) -> None:
    # a bit before and behind the edges: on the very edge nobody stands
    site.step("walk", [ring.point(start - 2.0), ring.point(start - BEFORE)])
    points = []
    for depth in (start - BEFORE, end + BEFORE):
        x, y = ring.point(depth)
        points.append((x, y, site.height_at(x, y)))
    site.step("jump", points)


def build(site: Site, budget: Budget) -> None:
    """Put food behind a gap or on a ledge."""
    if budget.flag("indoors", easy=halls.SHARE, hard=halls.SHARE):
        halls.gap_hall(site, budget)
        return
    draws = site.draws
    direction = axis(draws.integer(0, 3))
    distance = budget.scalar("distance", easy=7.0, hard=12.0, spread=0.1)
    arena(site, radius=distance + 4.0, below=DEEPEST, relief=1.0 + site.difficulty)
    before = 2.5 + 0.2 * (distance - 7.0)
    radius = max(distance - before, 3.0 + WIDE)
    flat = min(3.0, radius - WIDE - 0.5)
    ring = site.ring(draws.uniform(-2.0, 2.0), draws.uniform(-2.0, 2.0), direction, radius, flat=flat)
    obstacle(site, budget, ring)
    goal = ring.point(ring.radius)
    site.set_spawn(*ring.point(-before), direction)
    site.step("walk", [goal])
    add_food(site, *goal, place="ground")
