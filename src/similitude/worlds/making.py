"""Making worlds: a builder works on a site, the result is proved to be solvable, else another attempt is made."""

from __future__ import annotations

from similitude.core.errors import WorldError
from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.routes.proof import verify
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.tasks.catalog import builder, checked_task
from similitude.worlds.tasks.site import ImpossibleSiteError, Site
from similitude.worlds.world import World, checked_name

ATTEMPTS = 10
"""Attempts before a world counts as impossible."""


class ImpossibleWorldError(WorldError):
    """No attempt gave a world that can be solved."""


def make_world(task: str, difficulty: float, seed: int) -> World:
    """Make the world that task, difficulty and seed name: the same bytes on every machine, and proved to be solvable.

    Args:
        task: One of `similitude.worlds.TASKS`.
        difficulty: From 0, the easiest, to 1, the hardest.
        seed: Whole number of 0 or more.

    Raises:
        WorldError: There is no such task, the difficulty or the seed is not valid, or no attempt gave a world that can
            be solved.

    Example:
        >>> make_world("eat", 0.0, 7).digest == make_world("eat", 0.0, 7).digest
        True
    """
    build = builder(checked_task(task))
    difficulty, seed = checked_name(difficulty, seed)
    reasons: list[str] = []
    for attempt in range(ATTEMPTS):
        draws = Draws(task, difficulty, seed, attempt)
        site = Site(task, difficulty, seed, draws=draws.child("site"))
        budget = Budget(draws.child("budget"), difficulty)
        try:
            build(site, budget)
            world = verify(site.finish(budget.parameters))
        except (ImpossibleSiteError, Flaw) as flaw:
            reasons.append(str(flaw))
        else:
            return world
    raise ImpossibleWorldError(
        f"impossible world: none of {ATTEMPTS} attempts at {task}, difficulty {difficulty:g}, seed {seed} can be "
        f"solved ({'; '.join(sorted(set(reasons)))}). Take another seed."
    )
