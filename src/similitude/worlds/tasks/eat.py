"""Eat: food near the agent, on the ground, on an altar, on a tree or in the ground, some of it closed."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.tasks.site import Site

LYING = ("apple", "banana", "orange", "honeycomb")
HANGING = ("cherry", "mulberry", "apple", "orange", "banana")
CLOSED = ("fig", "avocado", "coconut")


def add_food(
    site: Site, x: float, y: float, *, place: str, closed: bool = False, draws: Draws | None = None
) -> int:
    """Add a food and what holds it, and write the steps that end in eating it; return its index.

    Args:
        site: Where.
        x: Where it is, metres; a tree's trunk or the altar's middle goes by it.
        y: Where it is, metres.
        place: "ground", "altar", "tree" or "earth" (pulled out of it).
        closed: Whether it has to be opened first: dropped or thrown hard, or hit with a rock that lies nearby.
        draws: Where its kind comes from, by default the site's.
    """
    draws = site.draws if draws is None else draws
    if place == "earth":
        food = site.add_thing("carrot", x, y, z=site.height_at(x, y) + 0.03125, state=c.BURIED)
        site.step("eat", thing=food)
        return food
    kind = draws.pick(CLOSED if closed else HANGING if place == "tree" else LYING)
    size = 0.1875 if kind in ("coconut", "honeycomb") else 0.125
    z, state, link = site.height_at(x, y) + size, c.CLOSED if closed else c.FREE, -1
    if place == "altar":
        tall = draws.integer(3, 5) * 0.125
        level = site.flatten(x, y, 1.5)
        site.add_box(x, y, (0.375, 0.375, tall), z=level + tall, color="altar")
        z = level + 2.0 * tall + size
    elif place == "tree":
        ux, uy = draws.direction()
        site.add_tree(x + 0.55 * ux, y + 0.55 * uy, height=draws.integer(24, 32) * 0.125)
        z, state = site.height_at(x, y) + draws.uniform(1.4, 2.1), c.HANGING
    food = site.add_thing(kind, x, y, z=z, state=state, link=link)
    if closed:
        opened(site, food, kind, draws=draws)
    site.step("eat", thing=food)
    return food


def opened(site: Site, food: int, kind: str, *, draws: Draws) -> None:
    """Write the steps that open a closed food: throw it at the ground, or hit it with a rock, which is added."""
    x, y, _ = site.place_of(food)
    ux, uy = draws.direction()
    if kind == "avocado":
        rx, ry = x + 1.25 * ux, y + 1.25 * uy
        rock = site.add_thing("rock", rx, ry)
        site.step("take", thing=rock)
        site.step("strike", thing=rock, target=food)
    else:
        tx, ty = x + 1.5 * ux, y + 1.5 * uy
        site.step("take", thing=food)
        site.step("throw", [(tx, ty, site.height_at(tx, ty))], thing=food)


def build(site: Site, budget: Budget) -> None:
    """Lay out foods around the spawn."""
    draws = site.draws
    site.island(relief=1.0 + 3.0 * site.difficulty, base=2.5)
    site.smooth(2)
    x, y = draws.uniform(-8.0, 8.0), draws.uniform(-8.0, 8.0)
    several = budget.flag("several foods", easy=0.0, hard=0.7, cost=0.1)
    n = 1 + (budget.count("further foods", easy=1, hard=4) if several else 0)
    lifted = budget.flag("off the ground", easy=0.0, hard=0.9, cost=0.1)
    closed = budget.flag("closed", easy=0.0, hard=0.95, cost=0.15)
    reach = budget.scalar("distance", easy=0.75, hard=9.0, spread=0.05)
    ux, uy = draws.direction()
    site.flatten(x, y, 1.5)
    site.set_spawn(x, y, (ux, uy))
    budget.note("foods", n)
    spots: list[tuple[float, float]] = []
    while len(spots) < n:
        far = reach * draws.uniform(0.8, 1.0) if spots else reach
        vx, vy = (ux, uy) if not spots else draws.direction()
        far = max(far, 0.75) + 0.5
        p, q = x + far * vx, y + far * vy
        if all((p - a) * (p - a) + (q - b) * (q - b) > 9.0 for a, b in spots) and site.height_at(p, q) > 0.5:
            spots.append((p, q))
        elif spots:
            reach += 0.25
        else:
            ux, uy = draws.direction()
            site.set_spawn(x, y, (ux, uy))
    for i, (p, q) in enumerate(spots):
        place = (
            draws.pick(("altar", "tree", "earth")) if lifted and (i == 0 or draws.chance(0.5)) else "ground"
        )
        shut = closed and place != "earth" and place != "tree" and (i == 0 or draws.chance(0.5))
        add_food(site, p, q, place=place, closed=shut)
        if i == 0:
            budget.note("place", place)
