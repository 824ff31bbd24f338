"""Agents for claims of paper 12: oracles that lack a skill or err, and episodes of them frame by frame."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from similitude.claims.needs import check_needs
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CARRY_LIMIT, FRAME_COST, HEAD_YAW

if TYPE_CHECKING:
    from similitude.worlds.simulation import Simulation
    from similitude.worlds.world import World

NEAR = 0.8
"""Metres from its surface at which somebody who cannot push comes to a boulder."""
_LEHMER = 2654435761


class Acting(Protocol):
    """What acts on the true state."""

    def act_on(self, simulation: Simulation, e: int) -> np.ndarray:
        """Return 21 numbers in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Episode:
    """How an episode ended.

    Attributes:
        success: Whether all food was eaten.
        frames: How many it took.
        score: As the environment says.
    """

    success: bool
    frames: int
    score: float


Watch = Callable[["Simulation", np.ndarray], None]


def simulation() -> Simulation:
    """Return a simulation of one environment without images to speak of, the same one in every call."""
    check_needs(("numba",))
    return _simulation()


@functools.cache
def _simulation() -> Simulation:
    from similitude.worlds.simulation import Simulation

    return Simulation(1, resolution=(8, 8))


def oracle_agent() -> Acting:
    """Return the agent that knows the world and its solution, and lacks nothing."""
    from similitude.worlds.oracles.policy import oracle

    return oracle()


def chance_agent(seed: int) -> Acting:
    """Return the agent that acts at random."""
    from similitude.worlds.oracles.policy import random_policy

    return random_policy(seed)


def episode(agent: Acting, world: World, *, limit: int | None = None, watch: Watch | None = None) -> Episode:
    """Play a world once.

    Args:
        agent: Who acts.
        world: The world.
        limit: Frames; those of evaluation where it is None.
        watch: Called before every frame with the simulation and the action.
    """
    from similitude.worlds.tasks.limits import frame_limit

    place = simulation()
    place.load(0, world, limit=frame_limit(world.task, world.difficulty) if limit is None else limit)
    while not place.done(0):
        action = agent.act_on(place, 0)
        if watch is not None:
            watch(place, action)
        place.step(action[None])
    body = place.body[0]
    return Episode(bool(body[c.FOOD_LEFT] == 0), int(body[c.FRAME]), float(body[c.SCORE]))


@dataclass(frozen=True)
class Account:
    """An episode with books kept from what was eaten and felt.

    Attributes:
        rewards: As the environment gave them, (frames,).
        actions: What was done, frame by frame.
        energy: Eaten, read off the foods that are gone.
        damage: Felt by falls and by enemies.
        off: Largest difference of a reward, the hit points or the score from the books.
        limit: Frames of the episode.
        chance: The random numbers of things at the start.
    """

    rewards: np.ndarray
    actions: list[np.ndarray]
    energy: float
    damage: float
    off: float
    limit: int
    chance: np.ndarray


def account(agent: Acting, world: World, *, like: Account | None = None) -> Account:
    """Play a world once and keep the books.

    Args:
        agent: Who acts.
        world: The world.
        like: Take the limit of frames and the animals' random numbers of this episode, which go by the task's name.
    """
    from similitude.worlds.tasks.limits import frame_limit

    place = simulation()
    limit = frame_limit(world.task, world.difficulty, training=True) if like is None else like.limit
    place.load(0, world, limit=limit)
    things, body = place.things[0], place.body[0]
    if like is not None:
        things[: len(like.chance), c.RANDOM] = like.chance
    chance = things[: len(world.things), c.RANDOM].copy()
    edible = np.isin(things[:, c.ROLE], (c.FOOD, c.PREY))
    foods = np.where(edible, things[:, c.ENERGY], 0.0)
    points, score, energy, damage, off = 1.0, 0.0, 0.0, 0.0, 0.0
    rewards, actions = [], []
    hungry = bool((foods > 0).any())
    while not place.done(0):
        actions.append(agent.act_on(place, 0))
        place.step(actions[-1][None])
        left = np.where(edible & (things[:, c.ROLE] != c.GONE), foods, 0.0)
        eaten, felt = float((foods - left).sum()), float(body[c.FALL] + body[c.ENEMY])
        gain = max(eaten - felt, -points)
        foods, points, energy, damage = left, points + gain, energy + eaten, damage + felt
        if hungry:
            score = max(points - 1.0 + (limit - len(actions)) * FRAME_COST, 0.0)
            hungry = bool((foods > 0).any())
        rewards.append(float(body[c.REWARD]))
        wrong = (rewards[-1] - gain + FRAME_COST, float(body[c.HP]) - points, float(body[c.SCORE]) - score)
        off = max(off, *map(abs, wrong))
    return Account(np.array(rewards), actions, energy, damage, off, limit, chance)


def worlds(task: str, difficulty: float, seeds: Iterable[int]) -> list[World]:
    """Make worlds of a task; seeds that give none are left out."""
    from similitude.worlds.making import ImpossibleWorldError, make_world

    found = []
    for seed in seeds:
        try:
            found.append(make_world(task, difficulty, seed))
        except ImpossibleWorldError:
            continue
    return found


class Lacking:
    """An oracle whose body cannot do something; it plans as if it could.

    Args:
        skill: One of `SKILLS`.
    """

    def __init__(self, skill: str) -> None:
        self.oracle, self.limit = oracle_agent(), SKILLS[skill]

    def act_on(self, simulation: Simulation, e: int) -> np.ndarray:
        """Return what the oracle would do, less what this body cannot."""
        action = self.oracle.act_on(simulation, e)
        self.limit(simulation, e, action)
        return action


class Erring:
    """An oracle that stumbles: now and then all its translations and rotations are chance for some frames.

    Args:
        seed: Of its chance.
        share: Share of the frames in which it stumbles.
        frames: How long it does on average.
    """

    def __init__(self, seed: int, *, share: float, frames: float = 5.0) -> None:
        self.oracle = oracle_agent()
        self.random = np.random.default_rng([_LEHMER, seed])
        self.begins = share / (frames * (1.0 - share))
        self.ends = 1.0 / frames
        self.stumbles = False
        self.chance = np.zeros(18)

    def act_on(self, simulation: Simulation, e: int) -> np.ndarray:
        """Return what the oracle would do, or chance."""
        action = self.oracle.act_on(simulation, e)
        was = self.stumbles
        self.stumbles = self.random.random() < (1.0 - self.ends if was else self.begins)
        if self.stumbles:
            if not was:
                self.chance = self.random.uniform(-1.0, 1.0, 18)  # kept: chance that changes goes nowhere
            action[:18] = self.chance
        return action


def _no_jump(simulation: Simulation, e: int, action: np.ndarray) -> None:
    action[20] = 0.0


def _no_climb(simulation: Simulation, e: int, action: np.ndarray) -> None:
    """Close hands only on things that they touch, never on the ground."""
    for hand in (0, 1):
        if max(simulation.hands[e, hand, [c.HELD, c.TOUCH]]) < 0:
            action[18 + hand] = 0.0


def _no_grasp(roles: Sequence[int]) -> Callable[[Simulation, int, np.ndarray], None]:
    """Return a limit: hands never close on things of some roles, and put down what they got hold of."""

    def limit(simulation: Simulation, e: int, action: np.ndarray) -> None:
        for hand in (0, 1):
            held = int(simulation.hands[e, hand, c.HELD])
            k = held if held >= 0 else int(simulation.hands[e, hand, c.TOUCH])
            if k >= 0 and int(simulation.things[e, k, c.ROLE]) in roles:
                action[18 + hand] = 0.0
                if held >= 0:  # it is put down, not thrown
                    action[:3] = action[4] = action[6 + 6 * hand : 9 + 6 * hand] = 0.0

    return limit


def _no_push(simulation: Simulation, e: int, action: np.ndarray) -> None:
    """Walk around what is too heavy to be carried."""
    body, things = simulation.body[e], simulation.things[e]
    heavy = (things[:, c.ROLE] == c.BLOCK) & (things[:, c.MASS] > CARRY_LIMIT)
    yaw = float(body[c.YAW]) + HEAD_YAW * float(action[4])
    cos, sin = math.cos(yaw), math.sin(yaw)
    for k in np.flatnonzero(heavy).tolist():
        dx, dy = float(things[k, c.TX] - body[c.BX]), float(things[k, c.TY] - body[c.BY])
        far = math.hypot(dx, dy)
        if far - float(max(things[k, c.EX], things[k, c.EY])) > NEAR or far == 0.0:
            continue
        dx, dy = dx / far, dy / far
        ahead, right = dx * cos + dy * sin, dx * sin - dy * cos
        toward = float(action[2]) * ahead + float(action[0]) * right
        if toward > 0.0:
            action[2] -= toward * ahead
            action[0] -= toward * right


SKILLS: dict[str, Callable[[Simulation, int, np.ndarray], None]] = {
    "jump": _no_jump,
    "climb": _no_climb,
    "use tools": _no_grasp((c.TOOL,)),
    "carry blocks": _no_grasp((c.BLOCK,)),
    "push": _no_push,
    "open doors": _no_grasp((c.DOOR, c.LOCK)),
}
"""By skill: what the body of somebody who lacks it cannot do; changes an action in place."""
