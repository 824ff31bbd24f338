"""Hunt: prey to be killed with sticks and stones, in the open or in a pit."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.tasks.animals import PREY, WALKING_PREY, add_weapons, around, one_of
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.site import Site
from similitude.worlds.tasks.throw import dig_pit


def build(site: Site, budget: Budget) -> None:
    """Lay out weapons beside the start and prey farther away."""
    draws = site.draws
    pit = budget.flag("pit", easy=0.2, hard=0.5, cost=0.1)
    far = budget.scalar("distance", easy=draws.uniform(5.0, 10.0), hard=draws.uniform(20.0, 40.0))
    count = budget.count("weapons", easy=5, hard=2)
    name = one_of(draws, WALKING_PREY if pit else PREY, budget.left)
    budget.note("prey", name)
    arena(site, radius=0.5 * far + 4.0, below=3.0 if pit else 0.0, relief=0.75 + 1.5 * site.difficulty)
    site.smooth(2)
    ux, uy = draws.direction()
    x, y = -0.5 * far * ux, -0.5 * far * uy
    gx, gy = 0.5 * far * ux, 0.5 * far * uy
    site.flatten(x, y, 2.0)
    site.set_spawn(x, y, (ux, uy))
    weapons = add_weapons(site, budget, around(draws, x, y, count, 1.0, 2.0))
    if pit:
        dig_pit(site, gx, gy, radius=3.0, depth=2.5)
    else:
        site.flatten(gx, gy, 1.0)
    prey = site.add_thing(name, gx, gy, facing=draws.direction())
    site.step("take", thing=weapons[0])
    if pit:
        away = 3.0 + 0.75
        rx, ry = gx - away * ux, gy - away * uy
        site.step("walk", [(rx, ry)])
        site.step("throw", [(rx, ry, site.height_at(rx, ry))], thing=weapons[0], target=prey)
        site.step("drop", [(rx, ry, site.height_at(rx, ry)), (gx, gy, site.height_at(gx, gy))])
    else:
        site.step("walk", [(gx - 6.0 * ux, gy - 6.0 * uy)])
        site.step("throw", thing=weapons[0], target=prey)
    site.step("eat", thing=prey)
