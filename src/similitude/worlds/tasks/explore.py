"""Explore: food that cannot be seen from the start, behind hills and ridges or in a house of up to three storeys."""

from __future__ import annotations

import math

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.houses.building import House, raise_house
from similitude.worlds.houses.furnishing import beside, put_food, spot
from similitude.worlds.houses.hanging import hang
from similitude.worlds.houses.plan import OUTSIDE, plan_tree, with_entrance, with_loops
from similitude.worlds.houses.wayfinding import before, lead
from similitude.worlds.tasks.hiding import seen_from_spawn
from similitude.worlds.tasks.site import ImpossibleSiteError, Site

RIDGE = 3.0
"""Height of a ridge that hides food, in metres: more than one can jump."""


def build(site: Site, budget: Budget) -> None:
    """Hide food on the land or, in a fifth of the worlds, in a house."""
    if budget.flag("indoors", easy=0.2, hard=0.2):
        _house(site, budget)
    else:
        _land(site, budget)


def _land(site: Site, budget: Budget) -> None:
    draws = site.draws
    radius = budget.scalar("radius", easy=9.0, hard=25.0, spread=0.1)
    if radius > 13.0:
        site.resize(192)
    site.island(relief=budget.scalar("relief", easy=2.0, hard=6.0), base=2.5)
    site.smooth(2)
    x, y = float(draws.integer(-4, 4)), float(draws.integer(-4, 4))
    site.flatten(x, y, 1.5)
    site.set_spawn(x, y, draws.direction())
    for _ in range(8):
        ux, uy = draws.direction()
        far = radius * draws.uniform(0.8, 1.0)
        p, q = x + far * ux, y + far * uy
        if site.height_at(p, q) > 0.75:
            break
    else:
        raise ImpossibleSiteError("no dry place for hidden food")
    site.flatten(p, q, 1.0)
    points = [(x, y), (p - 0.7 * ux, q - 0.7 * uy)]
    food = site.add_thing(draws.pick(("apple", "banana", "orange", "honeycomb")), p, q)
    if seen_from_spawn(site, food):
        around = hide(site, (x, y), (p, q), side=1.0 if draws.chance(0.5) else -1.0)
        points = [(x, y), *around, (p + 0.7 * (around[1][0] - p) / far, q + 0.7 * (around[1][1] - q) / far)]
        site.things.pop()
        food = site.add_thing(draws.pick(("apple", "banana", "orange", "honeycomb")), p, q)
    budget.note("hidden by a ridge", len(points) > 2)
    if seen_from_spawn(site, food):
        raise ImpossibleSiteError("food that should be hidden can be seen")
    site.step("walk", points)
    site.step("eat", thing=food)


def hide(
    site: Site, start: tuple[float, float], goal: tuple[float, float], *, side: float
) -> list[tuple[float, float]]:
    """Raise a ridge across the line from a place to another; return points that lead around one of its ends.

    Args:
        site: The world in the making.
        start: From where the goal shall not be seen.
        goal: What shall not be seen.
        side: Around which end they lead, 1 for the left one, -1 for the right one.
    """
    dx, dy = goal[0] - start[0], goal[1] - start[1]
    length = math.sqrt(dx * dx + dy * dy)
    ux, uy = dx / length, dy / length
    mx, my = start[0] + 0.6 * dx, start[1] + 0.6 * dy
    reach = 2.0 + 0.1 * length
    along = np.abs((site.x - mx) * ux + (site.y - my) * uy)
    across = np.abs((site.y - my) * ux - (site.x - mx) * uy)
    beyond = np.maximum(np.maximum(along - 0.75, across - reach), 0.0)
    top = max(site.height_at(*start), site.height_at(*goal), site.height_at(mx, my)) + RIDGE
    site.z = np.where(beyond < 1.0, np.maximum(site.z, site.z + (top - site.z) * (1.0 - beyond)), site.z)
    far = side * (reach + 2.0)
    return [(mx + a * ux - far * uy, my + a * uy + far * ux) for a in (-2.25, 2.25)]


def _house(site: Site, budget: Budget) -> None:
    draws = site.draws
    site.island(relief=2.0, base=2.0)
    storeys = budget.count("storeys", easy=1, hard=3)
    rooms = budget.count("rooms on a storey", easy=3, hard=5)
    ladders = storeys > 1 and budget.flag("ladders", easy=0.2, hard=0.5)
    plan = plan_tree(draws, rooms, storeys=storeys, ladders=ladders)
    plan = with_entrance(draws, with_loops(draws, plan, 0.2))
    facing = draws.direction() if draws.chance(0.5) else (1.0, 0.0)
    house = raise_house(site, plan, 0.0, 0.0, facing=facing, draws=draws.child("windows"))
    entrance = len(plan.openings) - 1
    inner = plan.openings[entrance].rooms[0]
    if budget.flag("doors", easy=0.0, hard=0.6, cost=0.1):
        _doors(site, house, inner)
    start = before(house, entrance, OUTSIDE, 3.0 + draws.uniform())
    sx, sy = house.at(*start[1:])
    hx, hy = house.at(*before(house, entrance, OUTSIDE, 0.0)[1:])
    length = math.sqrt((hx - sx) * (hx - sx) + (hy - sy) * (hy - sy))
    site.set_spawn(sx, sy, ((hx - sx) / length, (hy - sy) / length))
    goal, _ = plan.farthest(inner)
    altar = draws.chance(0.3)
    for _ in range(8):
        kept = len(site.solids)
        place = spot(house, goal, draws)
        food = put_food(site, house, goal, place, altar=altar, draws=draws)
        if not seen_from_spawn(site, food):
            break
        site.things.pop()
        del site.solids[kept:]
        goal = draws.integer(0, len(plan.rooms) - 1)
    else:
        raise ImpossibleSiteError("no room hides food")
    budget.note("rooms to the food", len(plan.route(inner, goal)) + 1)
    budget.note("storey of the food", plan.rooms[goal].storey)
    lead(site, house, start, (goal, *beside(house, inner, goal, place)))
    site.step("eat", thing=food)


def _doors(site: Site, house: House, inner: int) -> None:
    """Hang unlocked doors in half of the doorways inside."""
    draws = site.draws.child("doors")
    for opening, way in enumerate(house.plan.openings[:-1]):
        if draws.chance(0.5):
            distances = [len(house.plan.route(inner, room)) for room in way.rooms]
            nearer = way.rooms[0] if distances[0] <= distances[1] else way.rooms[1]
            hang(site, house, opening, coming_from=nearer, slides=draws.chance(0.5))
