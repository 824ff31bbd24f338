"""Climb: up a cliff where only one strip has holds."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.houses import halls
from similitude.worlds.land.ring import Ring, axis
from similitude.worlds.land.strips import distance_to
from similitude.worlds.tasks.arena import arena, zigzag
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import Site

SHEER = 4.0
"""Slope of the cliff where it has no holds: rise per run."""


def obstacle(site: Site, budget: Budget, ring: Ring, *, prefix: str = "", highest: float = 20.0) -> float:
    """Raise a cliff with one strip of holds; return the depth of its upper edge, in metres.

    Args:
        site: Where.
        budget: Sets height, slope, the strip's width and its turns.
        ring: The cliff's foot.
        prefix: Of the parameters' names.
        highest: Height at difficulty 1, in metres.
    """
    high = budget.scalar(prefix + "height", easy=3.2, hard=highest)
    slope = budget.scalar(prefix + "slope", easy=1.43, hard=4.0)
    width = budget.scalar(prefix + "strip width", easy=10.0, hard=1.5)
    turns = budget.count(prefix + "turns", easy=0, hard=2)
    extent = max(0.5 * ((2.0 * high / slope + 0.5) // 1), 1.0)
    level = site.height_at(*ring.point(-0.5))
    reach = max(ring.flat, 0.5 * width)
    site.level(ring.passage(-2.0, extent + 1.5, 2.0 * reach), level)
    sheer = min(high / SHEER, extent)
    wall = np.where(np.abs(ring.side) <= reach, ring.depth / extent, (ring.depth - extent + sheer) / sheer)
    share = np.minimum(np.maximum(wall, 0.0), 1.0)
    site.z = site.z + high * share
    swing = 0.0 if turns == 0 else max(min(ring.flat - 0.5 * width - 0.25, 2.0), 0.0)
    if swing < 0.5:
        turns = 0
        budget.note(prefix + "turns", 0)
    line = zigzag(site.draws, turns, extent, swing)
    holds = distance_to(*_middles(ring), [(-1.0, 0.0), *line, (extent + 1.0, 0.0)]) <= 0.5 * width
    band = ring.cells((ring.depth > -1.0) & (ring.depth < extent + 1.0))
    site.climbs &= ~band | holds
    site.bare |= ring.cells((ring.depth > -3.0) & (ring.depth < extent + 2.0))
    site.step("walk", [ring.point(-0.75)])
    points = []
    for depth, side in [(-0.75, 0.0), *line, (extent + 0.75, 0.0)]:
        x, y = ring.point(depth, side)
        points.append((x, y, site.height_at(x, y)))
    site.step("climb", points)
    return extent


def _middles(ring: Ring) -> tuple[np.ndarray, np.ndarray]:
    """Return depth and side of the middles of cells."""
    fields = []
    for field in (ring.depth, ring.side):
        middle = field.copy()
        middle[:-1, :-1] = (field[:-1, :-1] + field[1:, :-1] + field[:-1, 1:] + field[1:, 1:]) * 0.25
        fields.append(middle)
    return fields[0], fields[1]


def build(site: Site, budget: Budget) -> None:
    """Put food onto a plateau."""
    if budget.flag("indoors", easy=halls.SHARE, hard=halls.SHARE):
        halls.ladder_hall(site, budget)
        return
    draws = site.draws
    direction = axis(draws.integer(0, 3))
    top = draws.uniform(3.5, 5.0)
    arena(site, radius=18.0, relief=1.0 + site.difficulty)
    before = budget.scalar("distance", easy=2.5, hard=5.0, spread=0.1)
    ring = site.ring(draws.uniform(-2.0, 2.0), draws.uniform(-2.0, 2.0), direction, 14.0, flat=3.0)
    extent = obstacle(site, budget, ring)
    goal = ring.point(extent + top)
    site.set_spawn(*ring.point(-before), direction)
    site.step("walk", [goal])
    add_food(site, *goal, place="ground")
