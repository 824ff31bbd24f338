"""Fight: predators in the only way to the food, and weapons where one starts."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.land.ring import Ring, on_grid
from similitude.worlds.tasks.animals import KILLABLE, add_weapons, around, one_of
from similitude.worlds.tasks.lanes import lane, put_goal, raise_wall, ring_island
from similitude.worlds.tasks.site import Site

ROOM = 6.0
"""Metres before the wall that the obstacle needs: where one comes from, and where the weapons lie."""
THICKER = 2.0
"""Metres by which the wall stands out before the ring's edge, so that small rings have walls beside wide corridors."""
HIGH = 4.0
"""Height of the walls of the corridor in metres."""


def obstacle(site: Site, budget: Budget, ring: Ring, *, moved: float = 0.0, prefix: str = "") -> float:
    """Raise a thick wall with a corridor through it, put predators into the corridor and weapons before it.

    Args:
        site: Where.
        budget: What chooses the corridor, the predators and the weapons.
        ring: What is walled in; one comes from `ROOM` metres before its edge.
        moved: How much farther away the weapons lie, in metres.
        prefix: Of the parameters' names.

    Returns:
        The depth where the corridor ends, in metres.
    """
    draws = site.draws
    count = budget.count(prefix + "predators", easy=1, hard=5)
    width = max(on_grid(budget.scalar(prefix + "corridor width", easy=10.0, hard=2.5)), 2.0)
    long = on_grid(budget.scalar(prefix + "corridor length", easy=4.0, hard=12.0))
    level = lane(site, ring, -ROOM - 1.0, long + 1.0, max(width, 5.0))
    raise_wall(site, ring, -THICKER, long, top=level + HIGH, where=np.abs(ring.side) > 0.5 * width)

    x, y = ring.point(-ROOM - 0.5 * moved, moved * draws.pick((-1.0, 1.0)) * 0.75)
    weapons = add_weapons(
        site,
        budget,
        around(draws, x, y, budget.count(prefix + "weapons", easy=4, hard=2), 0.75, 2.0),
        prefix=prefix,
    )
    names = [one_of(draws, KILLABLE, budget.left) for _ in range(count)]
    budget.note(prefix + "kinds", " ".join(sorted(set(names))))
    predators = []
    for i, name in enumerate(names):
        # the first stands at the corridor's end, the others nearer and nearer
        depth = long * (1.0 - 0.6 * i / max(count - 1, 1)) + 1.5
        x, y = ring.point(depth, draws.uniform(-0.5, 0.5) * (width - 1.0))
        predators.append(site.add_thing(name, x, y, facing=(-ring.ux, -ring.uy)))
    site.step("take", thing=weapons[0])
    site.step("walk", [ring.point(-2.0)])
    for predator in reversed(predators):
        site.step("strike", thing=weapons[0], target=predator)
    site.step("walk", [ring.point(long + 0.5)])
    return long


def build(site: Site, budget: Budget) -> None:
    """Lay out an island with food at the end of a corridor."""
    far = budget.scalar("distance", easy=12.0, hard=24.0)
    ring = ring_island(site, far - ROOM, room=ROOM, extent=4.0 + 8.0 * budget.difficulty)
    obstacle(site, budget, ring)
    put_goal(site, ring)
