"""Gather: fruit trees near the start besides the food behind several obstacles; all of it counts."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.land.ring import Ring
from similitude.worlds.tasks.composing import (
    add_predators,
    calm,
    choose_parts,
    course_to_goal,
    goal_in_house,
)
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.navigate import goal_on_hill
from similitude.worlds.tasks.site import ImpossibleSiteError, Site

COAST = 0.7
"""Share of the map's half width beyond which the land falls to the sea."""


def build(site: Site, budget: Budget) -> None:
    """Lay out obstacles around a goal and fruit trees on the land before them."""
    draws = site.draws
    trees = budget.count("fruit trees", easy=1, hard=5)
    reach = budget.scalar("distance of the trees", easy=6.0, hard=24.0)
    course, plan = course_to_goal(site, budget, choose_parts(budget))
    if plan is None:
        goal_on_hill(site, course)
    else:
        goal_in_house(site, budget, course, plan)
    # the trees stand where the land is finished, but their fruit is eaten first
    through = list(site.steps)
    site.steps.clear()
    plant_fruit(site, course.rings[0], trees, reach=reach, draws=draws.child("fruit"))
    site.step("walk", [site.spawn[:2]])
    site.steps.extend(through)
    add_predators(site, budget)


def plant_fruit(site: Site, ring: Ring, count: int, *, reach: float, draws: Draws) -> None:
    """Plant trees with fruit around the spawn, outside a ring, and write the steps that lead from one to the next."""
    x0, y0 = site.spawn[0], site.spawn[1]
    spots: list[tuple[float, float]] = []
    # the land behind the spawn holds no ring: ways between its trees are straight
    for _ in range(200):
        ux, uy = draws.direction()
        far = reach * draws.uniform(0.4, 1.0)
        x, y = x0 + far * ux, y0 + far * uy
        ahead = ux * ring.ux + uy * ring.uy
        apart = all((x - a) * (x - a) + (y - b) * (y - b) > 16.0 for a, b in spots)
        inland = x * x + y * y < (COAST * site.half) * (COAST * site.half) and site.height_at(x, y) > 0.75
        if len(spots) < count and ahead < 0.0 and apart and inland and calm(site, x, y):
            spots.append((x, y))
    if len(spots) < count:
        raise ImpossibleSiteError("no room for fruit trees")
    x, y = x0, y0
    while spots:
        nearest = min(spots, key=lambda spot: (spot[0] - x) * (spot[0] - x) + (spot[1] - y) * (spot[1] - y))
        spots.remove(nearest)
        x, y = nearest
        site.flatten(x, y, 1.5)
        add_food(site, x, y, place="tree", draws=draws)
