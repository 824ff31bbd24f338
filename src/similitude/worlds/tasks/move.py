"""Move: walk to food that can be seen; when hard, along a strip above a chasm."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.land.ring import Ring, axis
from similitude.worlds.land.strips import distance_to
from similitude.worlds.tasks.arena import arena, zigzag
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import Site

DEEPEST = 9.6
"""Deepest chasm, in metres."""


def obstacle(
    site: Site, budget: Budget, ring: Ring, *, prefix: str = "", length: float | None = None
) -> float:
    """Dig a chasm with a strip of land across it; return the chasm's width, in metres.

    Args:
        site: Where.
        budget: Sets the strip's width and turns and the chasm's depth.
        ring: The chasm begins at its edge.
        prefix: Of the parameters' names.
        length: Width of the chasm in metres, by default chosen.
    """
    length = budget.scalar(prefix + "chasm width", easy=4.0, hard=9.0) if length is None else length
    width = budget.scalar(prefix + "strip width", easy=10.0, hard=1.75)
    deep = budget.scalar(prefix + "chasm depth", easy=3.2, hard=DEEPEST)
    turns = min(budget.count(prefix + "turns", easy=0, hard=2), int(length / 4.0))
    budget.note(prefix + "turns", turns)
    line = zigzag(site.draws, turns, length, min(0.25 * length, 3.0))
    along = _straight_depth(site, ring)
    across = (site.y - ring.y) * ring.ux - (site.x - ring.x) * ring.uy
    strip = distance_to(along, across, [(-3.0, 0.0), *line, (length + 3.0, 0.0)])
    level = site.height_at(*ring.point(-0.5))
    near = np.minimum(np.maximum((0.5 * width + 4.0 - strip) * 0.5, 0.0), 1.0)
    # what lies before is not its own
    near = np.minimum(near, np.minimum(np.maximum((along + 5.0) * 0.5, 0.0), 1.0))
    site.level(near, level)
    gone = (ring.depth > 0.25) & (ring.depth < length - 0.25) & (strip > 0.5 * width + 0.25)
    site.z = np.where(gone, site.z - deep, site.z)
    site.climbs &= ~ring.cells(gone)
    site.bare |= ring.cells(strip < 0.5 * width + 2.0)
    site.step("walk", [ring.point(*place) for place in [(-1.0, 0.0), *line, (length + 1.0, 0.0)]])
    return length


def _straight_depth(site: Site, ring: Ring) -> np.ndarray:
    """Return the depth of corners as if the ring's edge were straight."""
    along = (site.x - ring.x) * ring.ux + (site.y - ring.y) * ring.uy
    return along - ring.radius if ring.outward else along + ring.radius


def build(site: Site, budget: Budget) -> None:
    """Put food at a distance, with or without a chasm on the way."""
    draws = site.draws
    indirect = budget.flag("indirect", easy=0.05, hard=0.95, cost=0.1)
    distance = budget.scalar("distance", easy=6.0 if indirect else 1.5, hard=40.0, spread=0.1)
    direction = axis(draws.integer(0, 3)) if indirect else draws.direction()
    if not indirect:
        arena(site, radius=0.5 * distance + 4.0)
        x, y = -0.5 * distance * direction[0], -0.5 * distance * direction[1]
        site.set_spawn(x, y, direction)
        goal = (x + distance * direction[0], y + distance * direction[1])
        site.flatten(*goal, 1.0)
        site.step("walk", [goal])
        add_food(site, *goal, place="ground")
        return
    # the goal stands in the middle of the ring
    land = min(max(0.2 * distance, 2.5), 5.0)
    radius = max(distance - 2.0, land + 2.0)
    arena(site, radius=radius + 4.0, below=DEEPEST)
    ring = site.ring(
        draws.uniform(-1.0, 1.0), draws.uniform(-1.0, 1.0), direction, radius, flat=min(land, 3.0)
    )
    obstacle(site, budget, ring, length=ring.radius - land)
    goal = ring.point(ring.radius)
    site.set_spawn(*ring.point(-2.0), direction)
    site.step("walk", [goal])
    add_food(site, *goal, place="ground")
