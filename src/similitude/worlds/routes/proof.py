"""The proof that a world can be solved: its solution is carried out in thought by the engine's own rules."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise

from similitude.worlds.engine import columns as c
from similitude.worlds.engine import constants as k
from similitude.worlds.engine.ground import terrain
from similitude.worlds.routes import walking
from similitude.worlds.routes.paths import Land
from similitude.worlds.routes.rest import settled
from similitude.worlds.routes.state import State
from similitude.worlds.routes.walking import Flaw
from similitude.worlds.world import Step, World

CLOSE = 0.85
"""One walks this near to a thing to take it, in metres, or up to what it stands on."""
REACH = k.ARM + k.GRASP - 0.1
"""Farthest from the eyes that the surface of a thing is sure to be grasped, in metres."""
BUMP = 0.3
"""Highest rise over which a boulder is pushed, in metres."""


def verify(world: World) -> World:
    """Prove that the solution of a world works, and return the world with the paths of all walks filled in.

    Walks and jumps, climbs and falls are checked against the engine's own functions. That hands do what "take", "place",
    "push", "throw" and "strike" say is checked by reach and by order, not by simulation: that is what oracles show.

    Raises:
        Flaw: A step does not work, or food is left.
    """
    proof = Proof(world)
    for number, step in enumerate(world.solution, 1):
        try:
            proof.take_step(step)
        except Flaw as flaw:
            raise Flaw(f"{flaw} (step {number}, {step.do})") from None
    proof.conclude()
    return dataclasses.replace(world, solution=tuple(proof.steps))


class Proof:
    """A body that carries out a solution in thought.

    Args:
        world: The world.

    Attributes:
        steps: What it has done, walks with all their points.
        harm: Hit points lost by falls.
    """

    def __init__(self, world: World) -> None:
        self.state = State(world)
        self.x, self.y = world.spawn[0], world.spawn[1]
        self.steps: list[Step] = []
        self.harm = 0.0
        self.held = -1
        self._land: Land | None = None
        self._without = -1
        feet = walking.stands(
            self.state.around(self.x, self.y, self.x, self.y), self.x, self.y, world.spawn[2]
        )
        if feet is None or abs(feet - world.spawn[2]) > 0.3:
            raise Flaw("nobody can stand at the spawn")
        self.feet = feet

    def take_step(self, step: Step) -> None:
        """Carry out one step."""
        act = getattr(self, f"_{step.do}", None)
        if act is None:
            raise Flaw(f"nobody knows how to {step.do}")
        act(step)

    def conclude(self) -> None:
        """Ask whether everything was eaten."""
        left = [
            i
            for i in range(len(self.state.things))
            if self.state.role(i) in (c.FOOD, c.PREY) and self.state.things[i, c.ENERGY] > 0.0
        ]
        if left:
            raise Flaw(f"{len(left)} foods are left")

    # ways

    def _walk_to(self, points: Sequence[Sequence[float]]) -> None:
        """Walk along points, around what is in the way."""
        for point in points:
            way = [(self.x, self.y), (point[0], point[1])]
            try:
                feet = walking.walk(self.state, way, self.feet, without=self._without)
            except Flaw as flaw:
                found = self._find(way[1])
                if found is None:
                    raise Flaw(f"{flaw}, and there is no way around") from None
                way = found
                feet = walking.walk(self.state, way, self.feet, without=self._without)
            self._went(way[1:], feet)

    def _find(self, goal: tuple[float, float], within: float = 0.0) -> list[tuple[float, float]] | None:
        if self._land is None:
            self._land = Land(self.state, without=self._without)
        return self._land.path((self.x, self.y), goal, within=within)

    def _went(self, points: Sequence[Sequence[float]], feet: float) -> None:
        """Keep where a walk led, joined to the walk before it."""
        rounded = tuple((float(p[0]), float(p[1])) for p in points)
        if self.steps and self.steps[-1].do == "walk":
            rounded = (*self.steps.pop().at, *rounded)
        self.steps.append(Step("walk", rounded))
        self.x, self.y = rounded[-1]
        self.feet = feet

    def _changed(self) -> None:
        self._land = None

    def _walk(self, step: Step) -> None:
        self._walk_to(step.at)

    def _near(self, x: float, y: float, reach: float) -> bool:
        dx, dy = x - self.x, y - self.y
        return dx * dx + dy * dy <= reach * reach

    def _start(self, step: Step) -> None:
        if not self._near(step.at[0][0], step.at[0][1], 0.01):
            self._walk_to([step.at[0]])

    def _jump(self, step: Step) -> None:
        self._start(step)
        for point in step.at[1:]:
            self.feet = walking.jump(self.state, (self.x, self.y), point, self.feet)
            self.x, self.y = point[0], point[1]
        self.steps.append(step)

    def _climb(self, step: Step) -> None:
        self._start(step)
        self.feet = walking.climb(self.state, step.at, self.feet)
        self.x, self.y = step.at[-1][0], step.at[-1][1]
        self.steps.append(step)

    def _drop(self, step: Step) -> None:
        self._start(step)
        for point in step.at[1:]:
            self.feet, harm = walking.drop(self.state, (self.x, self.y), point, self.feet)
            self.x, self.y = point[0], point[1]
            self.harm += harm
        if self.harm >= 1.0:
            raise Flaw(f"falls cost {self.harm:.2f} hit points, and there is 1")
        self.steps.append(step)

    # hands

    def _approach(self, thing: int, *, at: Sequence[float] | None = None) -> None:
        """Walk up to a thing until hands reach it."""
        x, y, z = self.state.place(thing) if at is None else (at[0], at[1], self.state.place(thing)[2])
        size = min(self.state.things[thing, c.EX : c.EZ + 1].tolist())
        if not self._near(x, y, CLOSE + size):
            self._walk_near(x, y, CLOSE + size)
        eyes = min(max(z, self.feet + k.HEAD_LOW), self.feet + k.HEAD_TOP)
        dx, dy, dz = x - self.x, y - self.y, z - eyes
        gap = math.sqrt(dx * dx + dy * dy + dz * dz) - size
        if gap > REACH:
            raise Flaw(f"thing {thing} is {gap:.2f} m from the eyes, and hands reach {REACH:.2f} m")

    def _walk_near(self, x: float, y: float, close: float) -> None:
        dx, dy = x - self.x, y - self.y
        share = 1.0 - (close - 0.1) / math.sqrt(dx * dx + dy * dy)
        goal = (self.x + share * dx, self.y + share * dy)
        try:
            way = [(self.x, self.y), goal]
            feet = walking.walk(self.state, way, self.feet, without=self._without)
        except Flaw as flaw:
            found = self._find((x, y), within=close) or self._find((x, y), within=close + 0.3)
            if found is None:
                raise Flaw(f"{flaw}, and there is no way around") from None
            way = found
            feet = walking.walk(self.state, way, self.feet, without=self._without)
        if len(way) > 1:
            self._went(way[1:], feet)

    def _take(self, step: Step) -> None:
        if self.state.things[step.thing, c.MASS] > k.CARRY_LIMIT:
            raise Flaw(f"thing {step.thing} weighs more than {k.CARRY_LIMIT:g} kg")
        self._approach(step.thing, at=step.at[0] if step.at else None)
        self.held = self._without = step.thing
        self._changed()
        self.steps.append(step)

    def _holds(self, step: Step) -> None:
        if self.held != step.thing:
            raise Flaw(f"thing {step.thing} is not in a hand")

    def _place(self, step: Step) -> None:
        self._holds(step)
        x, y, z = step.at[0]
        if not self._near(x, y, k.ARM + k.HEAD_MOVE + float(self.state.things[step.thing, c.EX])):
            raise Flaw(f"thing {step.thing} is put down out of reach")
        self.state.put(step.thing, x, y, z)
        if len(step.at) > 1:
            self.state.turn(step.thing, step.at[1][0] - x, step.at[1][1] - y)
        settled(self.state, step.thing)
        self.held = self._without = -1
        self._changed()
        self.steps.append(step)

    def _push(self, step: Step) -> None:
        x, y, z = self.state.place(step.thing)
        half = float(self.state.things[step.thing, c.EX])
        first = math.dist(step.at[0][:2], (x, y))
        path = [(x, y), *step.at] if first > 0.01 else step.at
        bottom = z - float(self.state.things[step.thing, c.EZ])
        self.state.remove(step.thing)
        for (ax, ay, *_), (bx, by, *_) in pairwise(path):
            length = math.dist((ax, ay), (bx, by))
            view = self.state.around(ax, ay, bx, by)
            for i in range(int(length / 0.25) + 1):
                t = 0.25 * i / length
                px, py = ax + (bx - ax) * t, ay + (by - ay) * t
                rise = terrain(0, px, py, view[0], view[1]) - bottom
                if rise > BUMP:
                    raise Flaw(f"thing {step.thing} is pushed against a rise of {rise:.2f} m")
            if len(step.at) > 2 and (bx, by) == step.at[-1][:2] and step.at[-1][2:] < (z - BUMP,):
                break  # it falls there by itself from the point before
            back = (half + k.BODY_RADIUS + 0.05) / max(length, 1e-9)
            self.x, self.y = bx - (bx - ax) * back, by - (by - ay) * back
        end = path[-1]
        self.state.things[step.thing, c.ROLE] = c.BLOCK
        self.state.put(step.thing, end[0], end[1], end[2] if len(end) > 2 else z)
        settled(self.state, step.thing)
        self._settle()
        self._changed()
        self.steps.append(step)

    def _settle(self) -> None:
        """Stand where a push ended, or before the edge over which the boulder fell."""
        view = self.state.around(self.x, self.y, self.x, self.y)
        z = walking.stands(view, self.x, self.y, self.feet)
        if z is not None:
            self.feet = z

    def _throw(self, step: Step) -> None:
        self._holds(step)
        if step.target < 0:
            self._open(step.thing)
        else:
            self._kill(step.target)
        self.held = self._without = -1
        self.steps.append(step)

    def _strike(self, step: Step) -> None:
        self._holds(step)
        if self.state.role(step.target) == c.FOOD:
            self._approach(step.target)
            self._open(step.target)
        else:
            self._kill(step.target)
        self.steps.append(step)

    def _open(self, food: int | Step) -> None:
        if isinstance(food, Step):
            self._open_door(food)
        elif self.state.role(food) != c.FOOD:
            raise Flaw(f"thing {food} is no food")
        else:
            self.state.things[food, c.STATE] = c.FREE

    def _kill(self, target: int) -> None:
        if self.state.role(target) not in (c.PREY, c.PREDATOR):
            raise Flaw(f"thing {target} is no animal")
        if int(self.state.things[target, c.TRAITS]) & c.UNKILLABLE:
            raise Flaw(f"thing {target} cannot be killed")
        self.state.things[target, c.STATE] = c.DEAD

    def _unlock(self, step: Step) -> None:
        self._approach(step.thing)
        door = int(self.state.things[step.thing, c.LINK])
        if self.state.role(step.thing) != c.LOCK or door < 0:
            raise Flaw(f"thing {step.thing} is no lock of a door")
        self.state.things[door, c.OPENS] -= 1.0
        self.state.remove(step.thing)
        self.steps.append(step)

    def _open_door(self, step: Step) -> None:
        if self.state.role(step.thing) != c.DOOR:
            raise Flaw(f"thing {step.thing} is no door")
        if self.state.things[step.thing, c.OPENS] > 0.0:
            raise Flaw(f"door {step.thing} is locked")
        self.state.remove(step.thing)
        self._changed()
        self.steps.append(step)

    def _eat(self, step: Step) -> None:
        things = self.state.things
        role, state = self.state.role(step.thing), int(things[step.thing, c.STATE])
        if role not in (c.FOOD, c.PREY):
            raise Flaw(f"thing {step.thing} cannot be eaten")
        if (role == c.FOOD and state == c.CLOSED) or (role == c.PREY and state != c.DEAD):
            raise Flaw(f"thing {step.thing} is {'closed' if role == c.FOOD else 'alive'}")
        if self.held != step.thing:
            self._approach(step.thing)
        self.held = self._without = -1
        self.state.remove(step.thing)
        self.steps.append(step)

    def _wait(self, step: Step) -> None:
        self.steps.append(step)
