"""Descend: down from a height without dying; the only harmless way are terraces, all else is sheer."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.land.ring import Ring, axis
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import Site

DROP = 4.75
"""Largest drop from terrace to terrace, in metres: a fall of 5 m does no harm."""
TERRACE = 1.5
"""Depth of a terrace, in metres."""
HIGHEST = 40.0
"""Height at difficulty 1, in metres: a free fall of 37 m kills."""
TOP = 3.0
"""Radius of the rock's top, in metres."""


def obstacle(
    site: Site,
    budget: Budget,
    ring: Ring,
    *,
    prefix: str = "",
    highest: float = HIGHEST,
    high: float | None = None,
) -> float:
    """Lower all land beyond a ring's edge; return the depth at which the terraces end, in metres.

    Args:
        site: Where; beyond the edge the land has to be higher than `highest` if it is not to be sea.
        budget: Sets the height and the width of the terraces.
        ring: The upper edge.
        prefix: Of the parameters' names.
        highest: Height at difficulty 1, in metres.
        high: Height in metres, by default chosen.
    """
    high = budget.scalar(prefix + "height", easy=4.5, hard=highest) if high is None else high
    width = budget.scalar(prefix + "path width", easy=10.0, hard=1.0)
    drops = max(int(-(-high // DROP)), 1)
    budget.note(prefix + "drops", drops)
    extent = drops * (TERRACE + 0.5) - TERRACE
    level = site.height_at(*ring.point(-0.5))
    lane = min(max(0.5 * width, 0.75), max(ring.flat, 0.75))
    site.level(ring.passage(-2.0, extent + 2.0, 2.0 * lane), level)
    number = np.minimum(np.maximum((ring.depth + TERRACE - 0.25) // (TERRACE + 0.5), 0.0), float(drops))
    number = np.where((np.abs(ring.side) <= lane) | (ring.depth <= 0.25), number, float(drops))
    site.z = site.z - high * (number / drops)
    band = (ring.depth > -1.0) & (ring.depth < extent + 1.0)
    site.climbs &= ~ring.cells(band) | ring.cells((np.abs(ring.side) <= lane - 0.5) & band)
    site.bare |= ring.cells((ring.depth > -2.5) & (ring.depth < extent + 2.5))
    for i in range(drops):
        edge = i * (TERRACE + 0.5)
        site.step("walk", [ring.point(edge - 1.0), ring.point(edge)])
        points = []
        for depth in (edge, edge + 1.0):
            x, y = ring.point(depth)
            points.append((x, y, site.height_at(x, y)))
        site.step("drop", points)
    return extent


def build(site: Site, budget: Budget) -> None:
    """Start on a rock, with food at its foot."""
    draws = site.draws
    direction = axis(draws.integer(0, 3))
    high = budget.scalar("height", easy=4.5, hard=HIGHEST, spread=0.05)
    beyond = budget.scalar("beyond", easy=2.0, hard=4.0)
    aside = budget.scalar("aside", easy=0.0, hard=4.0) * draws.pick((-1.0, 1.0))
    arena(site, radius=19.5, relief=1.0 + site.difficulty)
    x, y = (draws.uniform(-2.0, 2.0) - 8.0 * u for u in direction)
    ring = site.ring(x, y, direction, TOP, outward=True, flat=TOP - 0.5)
    site.flatten(ring.x, ring.y, TOP + 1.0)
    site.z = site.z + high  # the obstacle lowers what lies beyond the edge
    extent = obstacle(site, budget, ring, high=high)
    x, y = ring.point(extent + beyond, aside)
    site.flatten(x, y, 0.75, rim=1.0)
    # the way straight from the start to the food leads past the terraces
    site.set_spawn(*ring.point(-TOP + 0.5, 0.5 * aside), direction)
    site.step("walk", [(x, y)])
    add_food(site, x, y, place="ground")
