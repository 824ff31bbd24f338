"""Open: food behind doors, which swing or slide and may be locked."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.houses.building import House, raise_house
from similitude.worlds.houses.furnishing import beside, put_agent, put_food, spot
from similitude.worlds.houses.hanging import LOCKS, hang
from similitude.worlds.houses.plan import plan_row, plan_tree
from similitude.worlds.houses.wayfinding import before, lead
from similitude.worlds.tasks.site import Site


def build(site: Site, budget: Budget) -> None:
    """Put the agent at one end of a house and food at the other, with a door in every doorway between."""
    draws = site.draws
    site.island(relief=1.0 + 2.0 * site.difficulty, base=2.0)
    shape = budget.choice("shape", ("row", "tree"), costs=(0.0, 0.05))
    rooms = budget.count("rooms", easy=2, hard=5)
    plan = plan_row(draws, rooms) if shape == "row" else plan_tree(draws, rooms)
    facing = draws.direction() if draws.chance(0.5) else (1.0, 0.0)
    house = raise_house(
        site, plan, draws.integer(-8, 8), draws.integer(-8, 8), facing=facing, draws=draws.child("windows")
    )
    start, goal, doors = _ends(house)
    budget.note("doors", doors)
    hang_doors(site, house, start, goal, budget=budget, draws=draws.child("doors"))
    place = spot(house, goal, draws)
    begin = spot(house, start, draws)
    first = plan.route(start, goal)[0][0]
    put_agent(site, house, start, begin, before(house, first, start)[1:])
    lead(site, house, (start, *begin), (goal, *beside(house, start, goal, place)))
    site.step("eat", thing=put_food(site, house, goal, place, altar=draws.chance(0.3), draws=draws))


def hang_doors(site: Site, house: House, start: int, goal: int, *, budget: Budget, draws: Draws) -> None:
    """Hang doors in all doorways, with locks on the way from one room to another; the choices go into the budget."""
    plan = house.plan
    here, total = start, 0
    for number, (opening, room) in enumerate(plan.route(start, goal), 1):
        if opening < 0:
            here = room
            continue
        locks: list[str] = []
        if budget.flag(f"door {number} locked", easy=0.3, hard=0.95, cost=0.08):
            locks.append(budget.choice(f"door {number} lock", LOCKS, costs=(0.0, 0.03, 0.06)))
            if budget.flag(f"door {number} second lock", easy=0.0, hard=0.5, cost=0.1):
                locks.append(draws.pick([kind for kind in LOCKS if kind not in locks]))
        slides = budget.flag(f"door {number} slides", easy=0.2, hard=0.5)
        hang(site, house, opening, coming_from=here, slides=slides, locks=locks)
        total += len(locks)
        here = room
    budget.note("locks", total)
    for opening, way in enumerate(plan.openings):
        if opening not in house.doors and draws.chance(0.5):
            hang(site, house, opening, coming_from=way.rooms[0], slides=draws.chance(0.5))


def _ends(house: House) -> tuple[int, int, int]:
    """Return the two rooms between which most doorways lie, and how many."""
    plan = house.plan
    best = (0, 0, 0)
    for start in range(len(plan.rooms)):
        goal, doors = plan.farthest(start)
        if doors > best[2]:
            best = (start, goal, doors)
    return best
