"""Obstacles under a roof: a hall whose far end is a deck, with a gap, a ladder, stones or a boulder before it."""

from __future__ import annotations

from dataclasses import dataclass

from similitude.worlds.budget import Budget
from similitude.worlds.draws import exact
from similitude.worlds.houses.plan import WALL
from similitude.worlds.kinds import KINDS, NUMBER
from similitude.worlds.land.ring import axis
from similitude.worlds.tasks.eat import LYING
from similitude.worlds.tasks.site import Site

SHARE = 0.2
"""Share of worlds of these tasks that lie indoors."""
HEADROOM = 4.0
"""Metres from the deck to the roof: heads do not touch it in a jump."""
AHEAD = 0.9
"""Distance in metres from the body to the middle of a stone that it takes or puts down."""


@dataclass(frozen=True)
class Hall:
    """A long room; places are given as in a ring: metres past the deck's edge, and metres to the left of the axis.

    Attributes:
        x: Of the middle of the deck's edge, in metres.
        y: Of the same.
        u: Unit vector along the hall, along an axis of the map.
        level: Height of its floor in metres.
        deck: Height of the deck over the floor in metres.
    """

    x: float
    y: float
    u: tuple[float, float]
    level: float
    deck: float

    def at(self, depth: float, side: float = 0.0) -> tuple[float, float]:
        """Return the place (x, y) of a depth and a side."""
        ux, uy = self.u
        return exact(self.x + depth * ux - side * uy), exact(self.y + depth * uy + side * ux)

    def up(self, depth: float, side: float = 0.0, *, over: float = 0.0) -> tuple[float, float, float]:
        """Return the place (x, y, z) of a depth and a side, `over` metres above the floor."""
        return (*self.at(depth, side), self.level + over)


def gap_hall(site: Site, budget: Budget) -> None:
    """Jump: two decks with a gap between, too deep to get out of."""
    gap = 0.5 * budget.count("gap cells", easy=2, hard=4)
    width = budget.scalar("jumpable width", easy=6.0, hard=3.0)
    before = 3.0 + budget.scalar("distance", easy=1.0, hard=4.0)
    budget.note("gap width", gap)
    deck = 2.25
    hall = _hall(site, before=before + gap, beyond=4.0, width=width, deck=deck)
    _box(site, hall, -gap - before, -gap, width, 0.0, deck)
    x, y, z = hall.up(1.0 - before - gap, over=deck)
    site.spawn = (x, y, z, *hall.u)
    site.step("walk", [hall.up(1.0 - before - gap, over=deck), hall.up(-gap, over=deck)])
    site.step("jump", [hall.up(-gap, over=deck), hall.up(0.0, over=deck)])
    _goal(site, hall)


def ladder_hall(site: Site, budget: Budget) -> None:
    """Climb: a deck with a ladder."""
    deck = (budget.scalar("height", easy=3.25, hard=9.0) * 8.0) // 1 / 8.0
    width = budget.scalar("strip width", easy=4.0, hard=1.0)
    side = budget.scalar("aside", easy=0.0, hard=2.0) * site.draws.pick((-1.0, 1.0))
    hall = _hall(site, before=5.0, beyond=4.0, width=8.0, deck=deck)
    x, y, z = hall.up(-0.0625, side, over=0.5 * deck)
    half = (0.0625, 0.5 * width, 0.5 * deck)
    site.add_solid(x, y, z, half, color="ladder", climbs=True, facing=hall.u)
    _start(site, hall, -4.0)
    foot = hall.up(-0.75, side)
    site.step("walk", [hall.up(-4.0), foot])
    site.step("climb", [foot, hall.up(0.75, side, over=deck)])
    _goal(site, hall)


def stone_hall(site: Site, budget: Budget) -> None:
    """Stack: a deck a jump does not reach, and a stone to stand on, with one to spare."""
    draws = site.draws
    deck = (budget.scalar("cliff height", easy=1.75, hard=2.25) * 8.0) // 1 / 8.0
    far = budget.scalar("stone distance", easy=0.0, hard=4.0)
    spare = draws.integer(0, 1)
    budget.note("stones", 1 + spare)
    hall = _hall(site, before=8.0 + far, beyond=4.0, width=8.0, deck=deck)
    edge = 0.5 * KINDS[NUMBER["stone"]].half[2]
    start, side = -3.0 - 0.75 * far, draws.uniform(-1.5, 1.5)
    stones = [site.add_thing("stone", *hall.at(start, side), facing=hall.u)]
    if spare:
        site.add_thing("stone", *hall.at(start, side - 2.5 if side > 0.0 else side + 2.5), facing=hall.u)
    _start(site, hall, -7.0 - far)
    rest = -2.0 * edge - 0.05
    site.step("walk", [hall.up(start - AHEAD - 0.75, side), hall.up(start - AHEAD, side)])
    site.step("take", [(*hall.at(start, side), hall.level + 2.0 * edge)], thing=stones[0])
    site.step("walk", [hall.up(rest - AHEAD - 0.75), hall.up(rest - AHEAD)])
    site.step(
        "place", [hall.up(rest, over=2.0 * edge), hall.up(rest + 1.0, over=2.0 * edge)], thing=stones[0]
    )
    site.step("walk", [hall.up(rest - 1.5)])
    site.step("jump", [hall.up(rest - 1.25), hall.up(rest, over=4.0 * edge)])
    site.step("jump", [hall.up(rest, over=4.0 * edge), hall.up(0.375, over=deck)])
    _goal(site, hall)


def boulder_hall(site: Site, budget: Budget) -> None:
    """Push: a deck a jump does not reach, and a boulder that makes a step to it."""
    deck = (budget.scalar("cliff height", easy=1.75, hard=2.5) * 8.0) // 1 / 8.0
    mass = budget.scalar("boulder mass", easy=600.0, hard=2400.0)
    far = (0.75 * budget.scalar("boulder distance", easy=0.0, hard=6.0) * 2.0) // 1 / 2.0
    budget.note("kind", "ledge")
    half = 0.625
    hall = _hall(site, before=7.0 + far, beyond=4.0, width=6.0, deck=deck)
    start = -2.5 - far
    boulder = site.add_thing("boulder", *hall.at(start), half=(half, half, half), mass=mass, facing=hall.u)
    _start(site, hall, -6.0 - far)
    behind = half + 0.5
    site.step("walk", [hall.up(start - behind - 1.0), hall.up(start - behind)])
    site.step("push", [hall.at(start), hall.up(-half, over=half)], thing=boulder)
    site.step("jump", [hall.up(-half - behind), hall.up(-half, over=2.0 * half)])
    site.step("jump", [hall.up(-half, over=2.0 * half), hall.up(0.375, over=deck)])
    _goal(site, hall)


def _hall(site: Site, *, before: float, beyond: float, width: float, deck: float) -> Hall:
    """Build floor, walls, roof and deck of a hall; `before` and `beyond` are its lengths before and on the deck."""
    draws = site.draws
    site.island(relief=1.0 + site.difficulty, base=2.0)
    u = axis(draws.integer(0, 3))
    before, beyond, width = (((value * 4.0) // 1 + 1.0) / 4.0 for value in (before, beyond, width))
    shift = 0.5 * (before - beyond)
    x, y = 0.5 * draws.integer(-4, 4) + shift * u[0], 0.5 * draws.integer(-4, 4) + shift * u[1]
    mx, my = x - shift * u[0], y - shift * u[1]
    reach = 0.5 * (before + beyond + width)
    level = site.flatten(mx, my, reach + 1.0, max((site.height_at(mx, my) * 8.0) // 1 / 8.0, 0.5), rim=3.0)
    site.clear.append((mx, my, reach + 1.0))
    hall = Hall(exact(x), exact(y), u, level, deck)
    top = deck + HEADROOM
    _box(site, hall, 0.0, beyond, width, 0.0, deck, "floor")
    for edge in (-before - WALL, beyond + WALL):
        _box(site, hall, edge - WALL, edge + WALL, width + 4.0 * WALL, 0.0, top)
    for edge in (-0.5 * width - WALL, 0.5 * width + WALL):
        _box(site, hall, -before, beyond, 2.0 * WALL, 0.0, top, side=edge)
    _box(site, hall, -before - 0.5, beyond + 0.5, width + 1.0, top, top + 0.25, "roof")
    return hall


def _box(
    site: Site,
    hall: Hall,
    low: float,
    high: float,
    width: float,
    bottom: float,
    top: float,
    color: str = "wall",
    *,
    side: float = 0.0,
) -> None:
    """Add a box between two depths and two heights over the floor; it reaches a bit into the ground."""
    foot = bottom - 0.25 if bottom == 0.0 else bottom
    x, y = hall.at(0.5 * (low + high), side)
    half = (0.5 * (high - low), 0.5 * width, 0.5 * (top - foot))
    site.add_solid(x, y, hall.level + 0.5 * (top + foot), half, color=color, facing=hall.u)


def _start(site: Site, hall: Hall, depth: float) -> None:
    x, y, z = hall.up(depth)
    site.spawn = (x, y, z, *hall.u)


def _goal(site: Site, hall: Hall) -> None:
    """Put food onto the deck and write the steps that lead there."""
    kind = site.draws.pick(LYING)
    side = site.draws.uniform(-1.0, 1.0) * 0.5
    x, y, z = hall.up(3.0, side, over=hall.deck + KINDS[NUMBER[kind]].half[2])
    food = site.add_thing(kind, x, y, z=z)
    site.step("walk", [hall.up(2.25, side, over=hall.deck)])
    site.step("eat", thing=food)
