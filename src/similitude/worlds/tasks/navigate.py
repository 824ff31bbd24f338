"""Navigate: several obstacles on the way to food on a hill, which is seen from afar, or in a house."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.tasks.composing import (
    OPEN_CORE,
    Course,
    add_predators,
    choose_parts,
    course_to_goal,
    goal_in_house,
)
from similitude.worlds.tasks.eat import LYING
from similitude.worlds.tasks.hiding import seen_from_spawn
from similitude.worlds.tasks.site import Site

HILL = 2.5
"""Height of the hill with the food, in metres."""
TOWER = 24.0
"""Height of the tower that shows where food is which obstacles hide, in metres over the goal."""


def build(site: Site, budget: Budget) -> None:
    """Lay out obstacles around a hill or a house."""
    course, plan = course_to_goal(site, budget, choose_parts(budget))
    if plan is None:
        budget.note("food seen", goal_on_hill(site, course))
    else:
        goal_in_house(site, budget, course, plan)
        budget.note("food seen", False)
    add_predators(site, budget)


def goal_on_hill(site: Site, course: Course) -> bool:
    """Put food on a hill, and a tower behind it where it cannot be seen; return whether the food itself is seen."""
    x, y = course.middle
    share = (OPEN_CORE - site.distance(x, y)) / (OPEN_CORE - 2.0)
    share = share.clip(0.0, 1.0)
    site.z = site.z + HILL * share * share * (3.0 - 2.0 * share)
    site.flatten(x, y, 1.0, rim=1.0)
    food = site.add_thing(site.draws.pick(LYING), x, y)
    site.step("eat", thing=food)
    if seen_from_spawn(site, food):
        return True
    ux, uy = course.direction
    tx, ty = x + 1.5 * ux, y + 1.5 * uy
    foot = site.height_at(tx, ty)
    site.add_solid(tx, ty, foot + 0.5 * TOWER - 1.0, (0.375, 0.375, 0.5 * TOWER + 1.0), color="altar")
    return False
