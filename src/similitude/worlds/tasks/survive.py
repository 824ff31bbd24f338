"""Survive: an open land with fruit, prey, predators and tools; in some worlds prey is all there is to eat."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.kinds import PREDATORS
from similitude.worlds.tasks.animals import WALKING_PREY, add_weapons, around, one_of
from similitude.worlds.tasks.arena import INLAND
from similitude.worlds.tasks.composing import calm
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.site import ImpossibleSiteError, Site

HECTARE = 10000.0
"""Square metres."""
FRUIT = (12.0, 4.0)
"""Fruit per hectare of land around the start, at difficulty 0 and 1."""
GAME = (5.0, 1.0)
"""Prey per hectare, at difficulty 0 and 1."""
DANGER = (0.1, 8.0)
"""Predators per hectare, at difficulty 0 and 1."""
MOST = 16
"""Most animals or fruit of a kind."""

Spot = tuple[float, float]


def build(site: Site, budget: Budget) -> None:
    """Scatter what lives and grows over the land by its densities."""
    draws = site.draws
    site.resize(256 + 64 * int(site.difficulty * 4.0))
    site.trees *= (256.0 / site.size) * (256.0 / site.size)
    site.island(relief=2.0 + 2.0 * site.difficulty, base=2.5, fading=0.35)
    site.smooth(4)
    site.flatten(0.0, 0.0, 2.0)
    site.set_spawn(0.0, 0.0, draws.direction())
    hunter = budget.flag("hunter", easy=0.0, hard=0.5, cost=0.2)
    reach = INLAND * site.half
    land = 3.0 * reach * reach / HECTARE
    reached = budget.scalar("radius", easy=25.0, hard=reach)
    prey = min(max(int(land * budget.scalar("prey per hectare", easy=GAME[0], hard=GAME[1])), 1), MOST)
    weapons = add_weapons(site, budget, around(draws, 0.0, 0.0, 2, 1.5, 2.5))
    fruit = min(max(int(3.0 * reached * reached / HECTARE * _between(FRUIT, budget.left)), 2), MOST // 2)
    spots = _spots(site, min(prey, 4) if hunter else fruit, reached, 8.0, draws.child("food"))
    budget.note("foods", len(spots))
    if hunter:
        _hunt(site, spots, weapons[0], draws.child("prey"))
    else:
        for x, y in in_turn(spots):
            site.flatten(x, y, 1.5)
            add_food(site, x, y, place=draws.pick(("ground", "tree", "tree", "altar", "earth")), draws=draws)
        # these are there to be looked at: without energy they are no food that has to be eaten
        for x, y in _spots(site, min(prey, 6), reached, 10.0, draws.child("game")):
            site.add_thing(
                one_of(draws, WALKING_PREY, budget.left), x, y, energy=0.0, facing=draws.direction()
            )
    danger = land * budget.scalar("predators per hectare", easy=DANGER[0], hard=DANGER[1])
    predators = min(int(danger + draws.uniform()), MOST)
    worst = max(int(budget.left * len(PREDATORS)), 1)
    budget.note("predators", predators)
    for x, y in _spots(site, predators, reach, 18.0, draws.child("predators")):
        site.add_thing(draws.pick(PREDATORS[:worst]), x, y, facing=draws.direction())
    for x, y in _spots(site, 2 + site.size // 128, reached, 6.0, draws.child("tools")):
        site.add_thing(
            draws.pick(("rock", "large rock", "stick", "large stick")), x, y, facing=draws.direction()
        )


def in_turn(spots: list[Spot], start: Spot = (0.0, 0.0)) -> list[Spot]:
    """Return spots in the order in which each is the nearest to the one before."""
    left, (x, y) = list(spots), start
    found: list[Spot] = []
    while left:
        x, y = min(left, key=lambda spot: (spot[0] - x) * (spot[0] - x) + (spot[1] - y) * (spot[1] - y))
        left.remove((x, y))
        found.append((x, y))
    return found


def _hunt(site: Site, spots: list[Spot], weapon: int, draws: Draws) -> None:
    """Put prey there and write the steps that kill and eat it, one after the other."""
    for x, y in in_turn(spots):
        prey = site.add_thing(one_of(draws, WALKING_PREY, site.difficulty), x, y, facing=draws.direction())
        site.step("take", thing=weapon)
        site.step("throw", thing=weapon, target=prey)
        site.step("eat", thing=prey)


def _spots(site: Site, count: int, reach: float, apart: float, draws: Draws) -> list[Spot]:
    """Return dry, level places, at least `apart` metres from the start and half of that from each other."""
    spots: list[Spot] = []
    for _ in range(40 * count):
        ux, uy = draws.direction()
        far = apart + max(reach - apart, 0.0) * draws.uniform()
        x, y = far * ux, far * uy
        gap = 0.25 * apart * apart
        free = all((x - a) * (x - a) + (y - b) * (y - b) > gap for a, b in spots)
        if len(spots) < count and free and site.height_at(x, y) > 0.75 and calm(site, x, y):
            spots.append((x, y))
    if len(spots) < count:
        raise ImpossibleSiteError("too little dry land")
    return spots


def _between(ends: tuple[float, float], share: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * share
