"""Scramble: up a mountain so rough that no straight way leads to its top."""

from __future__ import annotations

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.land.terrain import noise
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import Site


def build(site: Site, budget: Budget) -> None:
    """Put food on the slope of a mountain."""
    draws = site.draws
    distance = budget.scalar("distance", easy=2.5, hard=20.0, spread=0.1)
    slope = budget.scalar("slope", easy=0.6, hard=0.8, spread=0.1)
    rough = budget.scalar("roughness", easy=0.1, hard=0.45)
    arena(site, radius=distance + 5.0, relief=1.0)
    far = site.distance(0.0, 0.0)
    foot = distance + 2.5
    on = np.minimum(np.maximum((foot - far) * 0.5, 0.0), 1.0)
    site.z = site.z + slope * np.maximum(foot - np.maximum(far, 1.5), 0.0)
    site.z = site.z + rough * on * noise(draws.child("rough"), site.size, start=8, fading=0.6)
    ux, uy = draws.direction()
    x, y = -distance * ux, -distance * uy
    site.flatten(x, y, 0.75, rim=1.5)
    site.flatten(0.0, 0.0, 1.0, rim=1.0)
    site.set_spawn(x, y, (ux, uy))
    site.step("walk", [(0.0, 0.0)])
    add_food(site, 0.0, 0.0, place="ground")
