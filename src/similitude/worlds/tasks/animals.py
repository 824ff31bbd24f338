"""Predators, prey and weapons of a task: which kinds, by difficulty."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.kinds import KINDS, NUMBER, PREDATORS
from similitude.worlds.tasks.site import Site

WEAPONS = ("large rock", "large stick", "rock", "stick")
"""Tools that hurt, the two that hurt more first."""
WALKING_PREY = ("turtle", "frog", "mouse", "rabbit", "deer")
"""Prey that neither flies nor climbs, from the slowest to the fastest."""
PREY = ("turtle", "frog", "mouse", "rabbit", "squirrel", "pigeon", "deer", "crow")
"""All prey, from the easiest to the hardest."""
KILLABLE = tuple(name for name in PREDATORS if not KINDS[NUMBER[name]].traits & c.UNKILLABLE)
"""Predators that weapons kill, from the mildest to the most dangerous."""


def one_of(draws: Draws, names: tuple[str, ...], hardness: float) -> str:
    """Return one of the names, ordered from easy to hard: any up to a place that grows with a hardness in [0, 1]."""
    last = len(names) - 1
    most = int(hardness * last + 0.5)
    # hard worlds leave out the easiest kinds, but not all of them
    return names[draws.integer(most // 2, min(most + 1, last))]


def add_weapons(
    site: Site, budget: Budget, spots: list[tuple[float, float]], *, prefix: str = ""
) -> list[int]:
    """Put weapons at some spots, and return their indices, the best first.

    Args:
        site: Where.
        budget: What chooses whether they are small.
        spots: Points (x, y) in metres, one per weapon.
        prefix: Of the parameters' names.
    """
    draws = site.draws
    small = budget.flag(prefix + "small weapons", easy=0.2, hard=0.8)
    names = [draws.pick(("rock", "stick") if small else ("large rock", "large stick")) for _ in spots]
    weapons = []
    for name, (x, y) in sorted(zip(names, spots, strict=True), key=lambda pair: WEAPONS.index(pair[0])):
        site.flatten(x, y, 0.75, rim=1.0)
        weapons.append(site.add_thing(name, x, y, facing=draws.direction()))
    return weapons


def around(
    draws: Draws, x: float, y: float, count: int, near: float, far: float
) -> list[tuple[float, float]]:
    """Return points (x, y) at distances between `near` and `far` metres from a point, at least 0.8 m apart."""
    spots: list[tuple[float, float]] = []
    while len(spots) < count:
        for _ in range(30):
            ux, uy = draws.direction()
            away = draws.uniform(near, far)
            p, q = x + away * ux, y + away * uy
            if all((p - a) * (p - a) + (q - b) * (q - b) > 0.64 for a, b in spots):
                break
        else:
            far += 0.5
            continue
        spots.append((p, q))
    return spots
