"""Avoid: food past predators, and no weapons."""

from __future__ import annotations

from similitude.worlds.budget import Budget
from similitude.worlds.kinds import PREDATORS
from similitude.worlds.tasks.animals import one_of
from similitude.worlds.tasks.arena import arena
from similitude.worlds.tasks.eat import add_food
from similitude.worlds.tasks.pursuit import chase
from similitude.worlds.tasks.site import ImpossibleSiteError, Site

DETOURS = (0.0, 4.0, -4.0, 8.0, -8.0, 12.0, -12.0)
"""How far to the left of the straight line the middle of a path may lie, in metres, in the order of trying."""
WORST = 0.75
"""Most hit points that the way to the food may cost."""
ROUNDS = 16
"""Times that predators are moved farther off the path, or made milder, before another site is tried."""


def build(site: Site, budget: Budget) -> None:
    """Lay out food far away with predators about the path to it, such that somebody quick gets through."""
    draws = site.draws
    count = budget.count("predators", easy=1, hard=5)
    far = budget.scalar("distance", easy=13.0, hard=52.0, spread=0.1)
    share = budget.scalar("share of the path", easy=0.9, hard=0.1, spread=0.1)
    off = budget.scalar("distance from the path", easy=10.0, hard=1.0, spread=0.1)
    arena(site, radius=0.5 * far + 3.0, relief=0.5 + site.difficulty)
    site.smooth(4)
    ux, uy = draws.direction()
    x, y = -0.5 * far * ux, -0.5 * far * uy
    gx, gy = 0.5 * far * ux, 0.5 * far * uy
    site.flatten(x, y, 1.5)
    site.flatten(gx, gy, 1.5)
    site.set_spawn(x, y, (ux, uy))

    beasts = []
    for _ in range(count):
        along = min(max(share + draws.uniform(-0.1, 0.1), 0.1), 0.9) * far
        aside = (off + draws.uniform(0.0, 2.0)) * draws.pick((-1.0, 1.0))
        beasts.append((one_of(draws, PREDATORS, budget.left), along, aside))
    path: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        placed = [(n, x + a * ux - b * uy, y + a * uy + b * ux) for n, a, b in beasts]
        path = _path((x, y), (gx, gy), (ux, uy), placed)
        if path:
            break
        beasts = [_milder(*beast, far) for beast in beasts]
    else:
        raise ImpossibleSiteError("nobody gets past the predators")
    budget.note("kinds", " ".join(sorted({name for name, _, _ in placed})))
    budget.note("nearest predator to the path", min(abs(b) for _, _, b in beasts))
    for name, p, q in placed:
        site.add_thing(name, p, q, facing=draws.direction())
    site.step("walk", path[1:])
    add_food(site, gx, gy, place="ground")


def _path(
    start: tuple[float, float],
    goal: tuple[float, float],
    u: tuple[float, float],
    predators: list[tuple[str, float, float]],
) -> list[tuple[float, float]]:
    """Return the first path, straight or around, on which a walker survives; nothing if there is none."""
    mx, my = 0.5 * (start[0] + goal[0]), 0.5 * (start[1] + goal[1])
    for detour in DETOURS:
        middle = (mx - detour * u[1], my + detour * u[0])
        path = [start, middle, goal] if detour else [start, goal]
        if chase(path, predators, most=WORST).damage <= WORST:
            return path
    return []


def _milder(name: str, along: float, aside: float, far: float) -> tuple[str, float, float]:
    """Return a predator that is a bit farther away from the start and from the path, and in the end a milder one."""
    aside += 1.0 if aside > 0.0 else -1.0
    if abs(aside) > 9.0:
        at = PREDATORS.index(name)
        return PREDATORS[max(at - 1, 0)], min(along + 0.05 * far, 0.9 * far), aside * 0.75
    return name, min(along + 0.02 * far, 0.9 * far), aside
