"""Find: several obstacles on the way to food that cannot be seen from the start."""

from __future__ import annotations

import math

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
from similitude.worlds.tasks.explore import hide
from similitude.worlds.tasks.hiding import seen_from_spawn
from similitude.worlds.tasks.site import ImpossibleSiteError, Site


def build(site: Site, budget: Budget) -> None:
    """Lay out obstacles around food behind a ridge or in a house."""
    course, plan = course_to_goal(site, budget, choose_parts(budget), open_core=OPEN_CORE + 3.0)
    food = goal_behind_ridge(site, course) if plan is None else goal_in_house(site, budget, course, plan)
    if seen_from_spawn(site, food):
        raise ImpossibleSiteError("food that should be hidden can be seen")
    add_predators(site, budget)


def goal_behind_ridge(site: Site, course: Course) -> int:
    """Put food behind a ridge in the middle of the rings, and write the steps that lead there; return the food."""
    x, y = course.middle
    ux, uy = course.direction
    start = (x - course.core * ux, y - course.core * uy)
    goal = (x + 2.5 * ux, y + 2.5 * uy)
    site.level(((course.core - site.distance(x, y)) * 0.5).clip(0.0, 1.0), site.height_at(*start))
    around = hide(site, start, goal, side=1.0 if site.draws.chance(0.5) else -1.0)
    food = site.add_thing(site.draws.pick(LYING), *goal)
    dx, dy = around[1][0] - goal[0], around[1][1] - goal[1]
    length = math.sqrt(dx * dx + dy * dy)
    site.step("walk", [*around, (goal[0] + 0.7 * dx / length, goal[1] + 0.7 * dy / length)])
    site.step("eat", thing=food)
    return food
