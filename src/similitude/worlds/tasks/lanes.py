"""What obstacles of blocks share: level lanes, trenches that lead back but not on, walls without holds."""

from __future__ import annotations

import numpy as np

from similitude.worlds.land.ring import Ring, axis
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import Site

INWARD = 3.5
"""Metres by which a ring's centre lies behind the middle of the map, to leave room before it."""


def ring_island(
    site: Site, radius: float, *, room: float, extent: float, below: float = 0.0, spare: float = 0.0
) -> Ring:
    """Make an island with one ring on it, and let the agent start before the ring, looking along its axis.

    Args:
        site: An empty site.
        radius: Distance of the ring's edge from its centre, in metres.
        room: Distance of the start from the ring's edge, in metres.
        extent: Depth where the obstacle that fills it ends, in metres.
        below: How deep will be dug, in metres.
        spare: Metres of land around the start that things need besides.
    """
    draws = site.draws
    ux, uy = axis(draws.integer(0, 3))
    arena(site, radius=radius + room - INWARD + spare, below=below, relief=0.75 + site.difficulty)
    site.smooth(2)
    x, y = INWARD * ux + draws.uniform(-1.0, 1.0), INWARD * uy + draws.uniform(-1.0, 1.0)
    ring = site.ring(x, y, (ux, uy), radius, flat=max(min(3.0, radius - extent - 1.5), 0.5))
    lane(site, ring, -room - 1.0, 0.0, 3.0)
    site.set_spawn(*ring.point(-room), (ux, uy))
    return ring


def lane(site: Site, ring: Ring, start: float, end: float, width: float) -> float:
    """Make a lane along the ring's axis level, and return its height, a multiple of 1/8 m.

    Args:
        site: Where.
        ring: The ring that is crossed; the lane has the height that the land has at its edge.
        start: Depth at which the lane begins, in metres.
        end: Depth at which it ends.
        width: In metres.
    """
    level = (site.height_at(*ring.point(0.0)) * 8.0) // 1 / 8.0
    site.level(ring.passage(start, end, width), level)
    return level


def dig(
    site: Site, ring: Ring, near: np.ndarray | float, far: np.ndarray | float, *, depth: float, level: float
) -> None:
    """Sink the band between two depths of a ring, so that nobody who is in it gets on, though one gets back.

    Args:
        site: Where.
        ring: The ring.
        near: Depth of its first rim in metres, a number or one for every corner (size, size).
        far: Depth of its last rim.
        depth: How far its floor lies below `level`, or below the land where that is lower, in metres.
        level: Height of the passage in metres.
    """
    sunk = (ring.depth > near + 0.25) & (ring.depth < far - 0.25)
    site.z = np.where(sunk, np.minimum(site.z, level) - depth, site.z)
    touched = ring.cells(sunk)
    # hands find holds on the wall towards where one came from only
    back = ring.cells(ring.depth <= near + 0.25) & ~ring.cells(ring.depth >= far - 0.25)
    site.climbs = np.where(touched, back, site.climbs)
    site.bare |= ring.cells((ring.depth > near - 2.0) & (ring.depth < far + 2.0))


def raise_wall(
    site: Site, ring: Ring, near: float, far: float, *, top: float, where: np.ndarray | None = None
) -> None:
    """Raise the band between two depths of a ring to a wall without holds.

    Args:
        site: Where.
        ring: The ring.
        near: Depth of the last corner before it, in metres.
        far: Depth of the first corner behind it.
        top: Height of its crest in metres, at least.
        where: Corners (size, size) that it is made of, by default all.
    """
    high = (ring.depth > near + 0.25) & (ring.depth < far - 0.25)
    high = high if where is None else high & where
    site.z = np.where(high, np.maximum(site.z + top - level_of(site, ring), top), site.z)
    site.climbs &= ~ring.cells(high)
    site.bare |= ring.cells((ring.depth > near - 2.0) & (ring.depth < far + 2.0))


def raise_inside(site: Site, ring: Ring, *, by: float, level: float, width: float) -> None:
    """Raise what a ring surrounds to a plateau without holds at its edge.

    Args:
        site: Where.
        ring: Its edge is the foot of the cliff.
        by: Height of the cliff in metres.
        level: Height of the passage before the cliff in metres.
        width: Width of the lane behind the edge that is level, in metres.
    """
    inside = ring.depth > 0.25
    site.z = np.where(inside, np.maximum(site.z, level) + by, site.z)
    site.level(ring.passage(0.5, 4.0, width) * inside, level + by)
    site.climbs &= ~(ring.cells(inside) & ring.cells(~inside))
    site.bare |= ring.cells((ring.depth > -3.0) & (ring.depth < 4.0))


def level_of(site: Site, ring: Ring) -> float:
    """Return the height of the land at the edge of a ring, in metres."""
    return site.height_at(*ring.point(0.0))


def put_goal(site: Site, ring: Ring) -> int:
    """Put food into the middle of a ring and write the steps to it from behind the obstacle; return its index."""
    goal = ring.point(ring.radius)
    site.flatten(*goal, 1.0)
    site.step("walk", [goal])
    return add_food(site, *goal, place="ground")
