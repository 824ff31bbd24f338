"""Stack: a cliff too high for a jump, and stones to stand on."""

from __future__ import annotations

import itertools
import math

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.houses import halls
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.land.ring import Ring, on_grid
from similitude.worlds.tasks.lanes import lane, put_goal, raise_inside, raise_wall, ring_island
from similitude.worlds.tasks.site import ImpossibleSiteError, Site

STONE = 2.0 * KINDS[NUMBER["stone"]].half[0]
"""Side of a stone in metres."""
ROOM = 9.0
"""Metres before the cliff that the obstacle needs: where one comes from."""
WALL = 3.5
"""Thickness of the wall around the goal, in metres."""
HIGHER = 5.0
"""Metres by which the wall is higher than the cliff in its passage."""
REACH = 0.9
"""Distance from the body to the middle of a stone that it takes or puts down, in metres."""


def obstacle(site: Site, budget: Budget, ring: Ring, *, moved: float = 0.0, prefix: str = "") -> float:
    """Raise the land within a ring to a cliff, put stones before it, and write the steps that lead up.

    One stone makes a step to a cliff of up to 2.375 m. Three make stairs, one beside two on each other, to one of up to
    3.375 m: a jump reaches 1.5 m, and from a foothold on the cliff's face up to 1.85 m. A fourth stone is to spare.

    Args:
        site: Where.
        budget: What chooses the stones, their places, and the cliff's height and width.
        ring: What is raised; its edge is the cliff's foot, and one comes from `ROOM` metres before it.
        moved: How much farther away the stones lie, in metres.
        prefix: Of the parameters' names.

    Returns:
        The depth where the wall ends, in metres.
    """
    draws = site.draws
    stairs = budget.flag(prefix + "stairs", easy=0.05, hard=0.9, cost=0.3)
    spare = draws.chance(0.5)
    low, high = (2.75, 3.25) if stairs else (2.0, 2.25)
    tall = (budget.scalar(prefix + "cliff height", easy=low, hard=high) * 8.0) // 1 / 8.0
    width = max(on_grid(budget.scalar(prefix + "passage width", easy=10.0, hard=1.0)), 1.0)
    shift = budget.scalar(prefix + "stone distance", easy=0.0, hard=6.0) + moved
    count = (3 if stairs else 1) + (1 if spare else 0)
    budget.note(prefix + "stones", count)
    level = lane(site, ring, -ROOM - 1.0, 0.5, max(width + 3.0, 8.0))
    raise_inside(site, ring, by=tall, level=level, width=width + 1.0)
    raise_wall(site, ring, 0.0, WALL, top=level + tall + HIGHER, where=np.abs(ring.side) > 0.5 * width)
    top = level + tall

    stones = [_stone(site, ring, level, shift, i) for i in range(count)]
    # against the cliff's foot: its face takes up the cell behind it
    places = [(-0.55, 0.5)] if not stairs else [(-0.55, 0.5), (-0.55, 1.5), (-1.6, 0.5)]
    for stone, (depth, up) in zip(stones, places, strict=False):
        # one faces a stone squarely, as it is then held, so that it stands squarely before the cliff
        x, y, z = site.place_of(stone)
        fx, fy = site.things[stone][4:6]
        site.step("walk", [(x - REACH * fx, y - REACH * fy)])
        site.step("take", [(x, y, z)], thing=stone)
        site.step("walk", [ring.point(depth - REACH - 0.75), ring.point(depth - REACH)])
        z = level + up * STONE
        site.step("place", [(*ring.point(depth), z), (*ring.point(depth + 1.0), z)], thing=stone)
        site.step("walk", [ring.point(depth - REACH - 0.75)])
    up = [(*ring.point(places[-1][0] - 1.25), level), (*ring.point(places[-1][0]), level + STONE)]
    if stairs:
        up.append((*ring.point(-0.55), level + 2.0 * STONE))
    up.append((*ring.point(0.75), top))
    for below, above in itertools.pairwise(up):
        site.step("jump", [below, above])
    return WALL


def _stone(site: Site, ring: Ring, level: float, shift: float, number: int) -> int:
    """Put a stone somewhere before the cliff, `shift` metres from where it is needed."""
    draws = site.draws
    for _ in range(40):
        depth = -3.0 - 0.75 * shift * draws.uniform(0.0, 1.0)
        side = (2.25 * number + shift * draws.uniform(0.5, 1.0)) * draws.pick((-1.0, 1.0))
        x, y = ring.point(max(depth, -ROOM - 3.0), side)
        if all((x - row[1]) * (x - row[1]) + (y - row[2]) * (y - row[2]) > 4.0 for row in site.things):
            site.flatten(x, y, 1.25, level, rim=1.5)
            lean = draws.uniform(-0.75, 0.75) * site.difficulty
            length = math.sqrt(1.0 + lean * lean)
            facing = (ring.ux - lean * ring.uy) / length, (ring.uy + lean * ring.ux) / length
            return site.add_thing("stone", x, y, facing=facing)
    raise ImpossibleSiteError("no room for the stones")


def build(site: Site, budget: Budget) -> None:
    """Lay out an island with food on a cliff."""
    if budget.flag("indoors", easy=halls.SHARE, hard=halls.SHARE):
        halls.stone_hall(site, budget)
        return
    ring = ring_island(site, 10.0, room=ROOM, extent=WALL)
    obstacle(site, budget, ring)
    put_goal(site, ring)
