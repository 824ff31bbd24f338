"""What the compositional tasks share: several obstacles in rings around one goal, which may stand in a house.

Rings lie within each other and are crossed along one axis, so that none can be walked around.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import numpy as np

from similitude.worlds.budget import Budget
from similitude.worlds.draws import Draws
from similitude.worlds.houses.building import House, raise_house
from similitude.worlds.houses.furnishing import beside, put_food, spot
from similitude.worlds.houses.hanging import LOCKS, hang
from similitude.worlds.houses.plan import OUTSIDE, Plan, plan_tree, with_entrance
from similitude.worlds.houses.wayfinding import before, lead
from similitude.worlds.kinds import PREDATORS
from similitude.worlds.land.ring import Ring, axis
from similitude.worlds.tasks.arena import INLAND
from similitude.worlds.tasks.site import ImpossibleSiteError, Site

LARGEST = 512
"""Corners per side of the largest map."""
APART = 3.0
"""Metres of calm land between the end of an obstacle and the room that the next one needs."""
LONGEST = 62.0
"""Most metres that obstacles take together: what the largest map holds around a house."""
OPEN_CORE = 8.0
"""Radius of the land around a goal under the open sky, in metres."""


@dataclass(frozen=True)
class Part:
    """An obstacle that can be chained.

    Attributes:
        name: Of the task that it comes from, whose module's `obstacle` builds it.
        room: Metres that it needs before its edge.
        extent: Most metres from its edge to its end.
        digs: Most metres that it digs into the land or lowers it.
        options: What its `obstacle` is given.
    """

    name: str
    room: float
    extent: float
    digs: float = 0.0
    options: tuple[tuple[str, float], ...] = ()

    @property
    def length(self) -> float:
        """Metres that it takes with the land around it."""
        return self.room + self.extent + APART


PARTS = (
    Part("move", 3.0, 7.0, 9.75, (("length", 6.0),)),
    Part("jump", 3.0, 5.0, 8.0),
    Part("climb", 3.0, 6.0, 0.0, (("highest", 8.0),)),
    Part("descend", 3.0, 5.5, 12.0, (("highest", 12.0),)),
    Part("stack", 11.0, 5.0),
    Part("bridge", 14.0, 7.0, 5.0),
    Part("push", 14.0, 9.0, 3.0),
    Part("fight", 8.0, 13.0),
)
"""Obstacles from the easiest to the hardest."""


CARRIED = ("stack", "bridge", "fight")
"""Obstacles whose stones, logs or weapons may lie farther away, as in the task carry."""


@dataclass
class Course:
    """Obstacles laid out around a goal.

    Attributes:
        rings: One for every obstacle, the outermost first.
        parts: The obstacles.
        core: Radius of the land around the goal, in metres.
        middle: Where the goal is.
        direction: Unit vector, along an axis of the map, in which the rings are crossed.
    """

    rings: list[Ring]
    parts: list[Part]
    core: float
    middle: tuple[float, float]
    direction: tuple[float, float]


def choose_parts(budget: Budget, *, most: int = 4) -> list[Part]:
    """Return the obstacles of a course: about four at difficulty 1, one at difficulty 0, no kind twice."""
    wished = budget.draws.normal(4.0, 1.0) * budget.difficulty
    count = min(max(int(wished + 0.5), 1), most)
    budget.note("obstacles", count)
    chosen: list[Part] = []
    last, left = len(PARTS) - 1, LONGEST
    for number in range(1, count + 1):
        # a kind's weight: at difficulty 0 the simple ones, at 1 all alike
        weights = [
            0.0
            if part in chosen or part.length > left
            else max(1.0 - (1.0 - budget.left) * i / last * 1.6, 0.0)
            for i, part in enumerate(PARTS)
        ]
        if not any(weights):
            budget.note("obstacles", number - 1)
            break
        part = budget.draws.pick(PARTS, weights)
        left -= part.length
        budget.note(f"obstacle {number}", part.name)
        chosen.append(part)
    return chosen


def lay_course(site: Site, parts: list[Part], *, core: float, relief: float) -> Course:
    """Make an island that is large and high enough for obstacles around a goal; nothing is built yet.

    Args:
        site: An empty site.
        parts: The obstacles, the outermost first.
        core: Radius of the land around the goal, in metres.
        relief: Height of the hills over the plains, in metres.

    Raises:
        ImpossibleSiteError: No map is large enough.
    """
    draws = site.draws
    start = core + sum(part.length for part in parts)
    size = 128
    while INLAND * size / 4 < start + 2.0:
        size += 64
    if size > LARGEST:
        raise ImpossibleSiteError("the obstacles need more land than a map has")
    site.resize(size)
    site.trees *= min((256.0 / size) * (256.0 / size), 1.0)
    site.island(relief=relief, base=2.5 + sum(part.digs for part in parts), fading=0.25)
    site.smooth(2)
    direction = axis(draws.integer(0, 3))
    middle = (draws.integer(-2, 2) * 0.5, draws.integer(-2, 2) * 0.5)
    return Course([], list(parts), core, middle, direction)


def course_to_goal(
    site: Site, budget: Budget, parts: list[Part], *, open_core: float = OPEN_CORE
) -> tuple[Course, Plan | None]:
    """Lay out and build a course around a goal that stands in a house half of the time.

    Args:
        site: An empty site.
        budget: Where choices come from.
        parts: The obstacles, the outermost first.
        open_core: Radius of the land around a goal under the open sky, in metres.

    Returns:
        The course, and the plan of the house, None under the open sky. The goal itself is not there yet.
    """
    indoors = budget.flag("goal in a house", easy=0.5, hard=0.5)
    plan = plan_goal_house(site.draws, budget) if indoors else None
    core = open_core if plan is None else core_for(plan)
    course = lay_course(site, parts, core=core, relief=1.0 + site.difficulty)
    build_course(site, budget, course)
    return course, plan


def build_course(site: Site, budget: Budget, course: Course) -> None:
    """Set the spawn, build the obstacles from the outside to the inside, and write the steps that lead through them."""
    radius = course.core + sum(part.extent + APART for part in course.parts)
    radius += sum(part.room for part in course.parts[1:])
    first = course.parts[0]
    for number, part in enumerate(course.parts, 1):
        ring = site.ring(*course.middle, course.direction, radius, flat=4.0)
        if number == 1:
            _begin(site, ring, first.room + 1.0)
        obstacle = importlib.import_module(f"similitude.worlds.tasks.{part.name}").obstacle
        options = dict(part.options)
        if part.name in CARRIED and budget.flag(f"{part.name} carried", easy=0.0, hard=0.4, cost=0.1):
            options["moved"] = budget.scalar(f"{part.name} moved", easy=1.0, hard=5.0)
        end = obstacle(site, budget, ring, prefix=f"{part.name} ", **options)
        if end > part.extent + 1.0:
            raise ImpossibleSiteError(f"the obstacle {part.name} is longer than there is room")
        budget.spend(0.1)
        course.rings.append(ring)
        last = number == len(course.parts)
        radius -= part.extent + APART + (0.0 if last else course.parts[number].room)
        site.step("walk", [ring.point(part.extent + 1.0)])


def _begin(site: Site, ring: Ring, room: float) -> None:
    level = site.height_at(*ring.point(-room))
    site.level(ring.passage(-room - 1.0, -1.0, 3.0), level)
    site.set_spawn(*ring.point(-room), course_direction(ring))


def course_direction(ring: Ring) -> tuple[float, float]:
    """Return the unit vector along which a ring is crossed."""
    return ring.ux, ring.uy


def facing_house(course: Course, plan: Plan) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return middle and facing of a house whose entrance lies on the axis and looks towards whoever comes."""
    ux, uy = course.direction
    entrance = plan.openings[-1]
    wall = plan.walls[entrance.wall]
    if wall.along == 1:
        facing = (ux, uy) if wall.line == 0.0 else (-ux, -uy)
        offset = entrance.at - plan.width / 2
        side = (-facing[1], facing[0])
    else:
        facing = (uy, -ux) if wall.line == 0.0 else (-uy, ux)
        offset = entrance.at - plan.length / 2
        side = facing
    return (course.middle[0] - offset * side[0], course.middle[1] - offset * side[1]), facing


def plan_goal_house(draws: Draws, budget: Budget) -> Plan:
    """Return the plan of a house in which food is."""
    return with_entrance(draws, plan_tree(draws, budget.count("rooms", easy=2, hard=4)))


def core_for(plan: Plan) -> float:
    """Return the radius of the land that a house needs around the goal, in metres."""
    return House(plan, 0.0, 0.0, (1.0, 0.0), 0.0).radius + 0.5 * max(plan.length, plan.width) + 3.0


def goal_in_house(site: Site, budget: Budget, course: Course, plan: Plan) -> int:
    """Put up the house in the middle, food in its farthest room, and write the steps that lead there; return the food."""
    draws = site.draws.child("house")
    (x, y), facing = facing_house(course, plan)
    house = raise_house(site, plan, x, y, facing=facing, draws=draws.child("windows"))
    entrance = len(plan.openings) - 1
    inner = plan.openings[entrance].rooms[0]
    goal, _ = plan.farthest(inner)
    here = inner
    for number, (opening, room) in enumerate(plan.route(inner, goal), 1):
        if budget.flag(f"house door {number}", easy=0.1, hard=0.8, cost=0.03):
            locked = budget.flag(f"house door {number} locked", easy=0.0, hard=0.6, cost=0.05)
            locks = [draws.pick(LOCKS)] if locked else []
            hang(site, house, opening, coming_from=here, slides=draws.chance(0.4), locks=locks)
        here = room
    place = spot(house, goal, draws)
    food = put_food(site, house, goal, place, altar=draws.chance(0.3), draws=draws)
    lead(site, house, before(house, entrance, OUTSIDE, 2.5), (goal, *beside(house, inner, goal, place)))
    site.step("eat", thing=food)
    return food


def add_predators(site: Site, budget: Budget, *, hard: int = 16) -> None:
    """Scatter predators over the land, away from the start, more and more dangerous ones with the difficulty."""
    draws = site.draws.child("predators")
    count = budget.count("predators", easy=0, hard=hard)
    worst = max(int(budget.left * len(PREDATORS)), 1)
    x0, y0 = site.spawn[0], site.spawn[1]
    for _ in range(count):
        for _ in range(10):
            ux, uy = draws.direction()
            far = draws.uniform(15.0, INLAND * site.half)
            x, y = far * ux, far * uy
            away = (x - x0) * (x - x0) + (y - y0) * (y - y0) > 225.0
            if away and site.height_at(x, y) > 0.75 and calm(site, x, y):
                site.add_thing(draws.pick(PREDATORS[:worst]), x, y, facing=draws.direction())
                break


def calm(site: Site, x: float, y: float) -> bool:
    """Return whether the land within a metre of a point is nearly level."""
    heights = [site.height_at(x + a, y + b) for a, b in ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))]
    return max(heights) - min(heights) < 1.5 and bool(np.isfinite(heights[0]))
