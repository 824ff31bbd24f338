"""Throw: prey in a pit, and rocks to kill it with from above."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.tasks.animals import WALKING_PREY, around, one_of
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.site import Site


def dig_pit(site: Site, x: float, y: float, *, radius: float, depth: float) -> None:
    """Dig a round pit with a flat rim around it; hands find holds on its walls.

    Args:
        site: Where.
        x: Of its middle, metres.
        y: Of its middle, metres.
        radius: Of its floor, in metres.
        depth: In metres.
    """
    level = site.flatten(x, y, radius + 2.0)
    gone = site.distance(x, y) <= radius
    site.z = np.where(gone, level - depth, site.z)
    site.bare |= site.distance(x, y) <= radius + 2.0


def build(site: Site, budget: Budget, *, moved: float = 0.0) -> None:
    """Lay out rocks beside the start and a pit with prey.

    Args:
        site: Where.
        budget: What chooses the pit's depth and distance, the prey and the number of rocks.
        moved: How much farther away the rocks lie, in metres.
    """
    draws = site.draws
    count = budget.count("rocks", easy=6, hard=2)
    depth = budget.scalar("pit depth", easy=3.0, hard=10.0)
    radius = budget.scalar("pit radius", easy=2.5, hard=4.0)
    far = max(budget.scalar("distance", easy=7.0, hard=20.0, spread=0.1), radius + 3.5)
    large = not budget.flag("small rocks", easy=0.2, hard=0.8)
    name = one_of(draws, WALKING_PREY, budget.left)
    budget.note("prey", name)
    room = max(0.5 * far + 2.0 + moved, 0.5 * far + radius + 2.0)
    arena(site, radius=room, below=depth, relief=0.5 + site.difficulty)
    site.smooth(2)
    ux, uy = draws.direction()
    x, y = -0.5 * far * ux, -0.5 * far * uy
    gx, gy = 0.5 * far * ux, 0.5 * far * uy
    site.flatten(x, y, 2.0)
    dig_pit(site, gx, gy, radius=radius, depth=depth)
    site.set_spawn(x, y, (ux, uy))
    rocks = []
    for p, q in _spots(site, x, y, count, moved, (gx, gy), radius + 2.0):
        site.flatten(p, q, 0.5, rim=1.0)
        rocks.append(site.add_thing("large rock" if large else "rock", p, q))
    prey = site.add_thing(name, gx, gy, facing=draws.direction())
    away = radius + 0.75
    rx, ry = gx - away * ux, gy - away * uy
    site.step("take", thing=rocks[0])
    site.step("walk", [(rx, ry)])
    site.step("throw", [(rx, ry, site.height_at(rx, ry))], thing=rocks[0], target=prey)
    site.step("drop", [(rx, ry, site.height_at(rx, ry)), (gx, gy, site.height_at(gx, gy))])
    site.step("eat", thing=prey)


def _spots(
    site: Site, x: float, y: float, count: int, moved: float, pit: tuple[float, float], clear: float
) -> list[tuple[float, float]]:
    """Return places of the rocks, together, and not in the pit."""
    for _ in range(40):
        ux, uy = site.draws.direction()
        p, q = x + moved * ux, y + moved * uy
        dx, dy = p - pit[0], q - pit[1]
        if dx * dx + dy * dy > (clear + 2.0) * (clear + 2.0):
            return around(site.draws, p, q, count, 0.75, 2.0)
    return around(site.draws, x, y, count, 0.75, 2.0)
