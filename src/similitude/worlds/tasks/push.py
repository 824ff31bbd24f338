"""Push: a boulder that fills a chasm, makes a step to a cliff, or blocks the only way in."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.houses import halls
from similitude.worlds.land.ring import Ring, on_grid
from similitude.worlds.tasks.lanes import dig, lane, put_goal, raise_inside, raise_wall, ring_island
from similitude.worlds.tasks.site import Site

ROOM = 12.0
"""Metres before the ring that the obstacle needs: where one comes from."""
LIGHT = 600.0
"""Mass in kilograms of the lightest boulder, which moves as fast as the body that pushes it."""


def obstacle(site: Site, budget: Budget, ring: Ring, *, prefix: str = "") -> float:
    """Fill a ring with a chasm, a cliff or a wall, put a boulder before its passage, and write the steps.

    Args:
        site: Where.
        budget: What chooses the kind of obstacle, the boulder's mass and place, and sizes.
        ring: What is fenced in; one comes from `ROOM` metres before its edge.
        prefix: Of the parameters' names.

    Returns:
        The depth behind the obstacle at which one stands in the end, in metres.
    """
    kind = budget.choice(prefix + "kind", ("entrance", "ledge", "chasm"), costs=(0.0, 0.05, 0.1))
    mass = budget.scalar(prefix + "boulder mass", easy=LIGHT, hard=4.0 * LIGHT)
    far = on_grid(budget.scalar(prefix + "boulder distance", easy=0.0, hard=10.0))
    level = lane(site, ring, -ROOM - 1.0, 9.0, 8.0)
    return {"entrance": _entrance, "ledge": _ledge, "chasm": _chasm}[kind](
        site, budget, ring, prefix=prefix, level=level, mass=mass, far=far
    )


def _push(site: Site, ring: Ring, half: float, start: float, mass: float, *, up: float | None = None) -> int:
    """Put a boulder of the half extents `half` and `up` on the axis at a depth, and walk up to it."""
    boulder = site.add_thing("boulder", *ring.point(start), half=(half, half, up or half), mass=mass)
    site.step("walk", [ring.point(start - half - 1.5), ring.point(start - half - 0.5)])
    return boulder


def _chasm(
    site: Site, budget: Budget, ring: Ring, *, prefix: str, level: float, mass: float, far: float
) -> float:
    """A boulder fills the chasm: one jumps onto it and off again."""
    gap, half = 3.5, 1.0
    deep = budget.scalar(prefix + "chasm depth", easy=2.0, hard=2.875)
    dig(site, ring, 0.0, gap, depth=deep, level=level)
    start = -2.0 - 0.75 * far
    boulder = _push(site, ring, half, start, mass)
    rest, top = 0.5 + half, level - deep + 2.0 * half
    site.step(
        "push",
        [ring.point(start), ring.point(0.25), (*ring.point(rest), level - deep + half)],
        thing=boulder,
    )
    site.step("walk", [ring.point(-0.25)])
    site.step("jump", [(*ring.point(-0.25), level), (*ring.point(rest - 0.4), top)])
    site.step("jump", [(*ring.point(rest + 0.75), top), (*ring.point(gap + 0.25), level)])
    return gap + 0.5


def _ledge(
    site: Site, budget: Budget, ring: Ring, *, prefix: str, level: float, mass: float, far: float
) -> float:
    """A boulder makes a step to a cliff that is too high for a jump."""
    half = 0.625
    tall = (budget.scalar(prefix + "cliff height", easy=2.0, hard=2.5) * 8.0) // 1 / 8.0
    raise_inside(site, ring, by=tall, level=level, width=8.0)
    top = level + tall
    raise_wall(site, ring, 0.0, 3.5, top=top + 2.0, where=np.abs(ring.side) > 2.5)
    start = -2.5 - 0.75 * far
    boulder = _push(site, ring, half, start, mass)
    rest = -half
    site.step("push", [ring.point(start), (*ring.point(rest), level + half)], thing=boulder)
    stone = level + 2.0 * half
    site.step("jump", [(*ring.point(rest - half - 0.5), level), (*ring.point(rest), stone)])
    site.step("jump", [(*ring.point(rest), stone), (*ring.point(0.75), top)])
    return 3.5


def _entrance(
    site: Site, budget: Budget, ring: Ring, *, prefix: str, level: float, mass: float, far: float
) -> float:
    """A boulder stands in the only way through a wall, and is pushed out of it on the other side."""
    half, wall = 0.875, 3.0 + 0.25 * far
    budget.note(prefix + "wall thickness", wall)
    raise_wall(site, ring, 0.0, wall, top=level + 4.0, where=np.abs(ring.side) > 1.0)
    start = 1.5
    boulder = _push(site, ring, half, start, mass, up=1.0)  # higher than a jump from the wall's foot
    out = on_grid(wall) + half + 1.5
    site.step("push", [ring.point(start), ring.point(out)], thing=boulder)
    site.step(
        "walk",
        [ring.point(out - half - 0.75), ring.point(out - half - 0.75, 1.75), ring.point(out + 0.5, 1.75)],
    )
    return out + 0.5


def build(site: Site, budget: Budget) -> None:
    """Lay out an island with food behind an obstacle that a boulder overcomes."""
    if budget.flag("indoors", easy=halls.SHARE, hard=halls.SHARE):
        halls.boulder_hall(site, budget)
        return
    ring = ring_island(site, 10.0, room=ROOM, extent=5.5, below=3.0)
    obstacle(site, budget, ring)
    put_goal(site, ring)
