"""Whether one gets past predators on foot: the chase on open ground, frame by frame, at its worst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from similitude.worlds.engine.constants import BITE, DT
from similitude.worlds.kinds import KINDS, NUMBER

PACE = 0.27
"""Metres per frame that a walker makes on a path, a bit less than HEAD_MOVE."""
START = 6
"""Frames before it is under way."""
MEAL = 20
"""Frames that it takes to eat what lies on the ground."""


@dataclass(frozen=True)
class Chase:
    """What became of a walker.

    Attributes:
        damage: Hit points lost, of 1.
        bites: Times that it was bitten.
        frames: How long it took.
    """

    damage: float
    bites: int
    frames: int


def chase(
    path: Sequence[tuple[float, float]],
    predators: Sequence[tuple[str, float, float]],
    *,
    roam: float = 3.0,
    most: float = 1.0,
) -> Chase:
    """Let a walker follow a path past predators that come straight at it once they notice it.

    They start `roam` metres nearer than their homes, are not slowed down by the ground, and bite as often as their kind
    can; after a bite they rest, and beyond the reach of their senses they give up.

    Args:
        path: Points (x, y) in metres from the start to the food.
        predators: Kind and home (x, y) of each.
        roam: How far from home they may be, in metres.
        most: Damage beyond which the chase is broken off.
    """
    walker = list(_walk(path))
    kinds = [KINDS[NUMBER[name]] for name, _, _ in predators]
    places = [(x, y) for _, x, y in predators]
    awake, rests = [False] * len(kinds), [0.0] * len(kinds)
    damage, bites = 0.0, 0
    for px, py in walker:
        for i, kind in enumerate(kinds):
            x, y = places[i]
            far = math.sqrt((px - x) * (px - x) + (py - y) * (py - y))
            if far > kind.sense + (0.0 if awake[i] else roam):
                continue
            move = kind.speed * DT if awake[i] else roam
            awake[i] = True
            if rests[i] > 0.0:  # it stands still after a bite
                rests[i] -= 1.0
                continue
            share = min(move / max(far, 0.001), 1.0)
            places[i] = x + share * (px - x), y + share * (py - y)
            if far - move < BITE:
                damage, bites, rests[i] = damage + kind.damage, bites + 1, kind.rest
        if damage > most:
            break
    return Chase(damage, bites, len(walker))


def _walk(path: Sequence[tuple[float, float]]):
    """Yield where the walker is in each frame."""
    x, y = path[0]
    for _ in range(START):
        yield x, y
    for qx, qy in path[1:]:
        while True:
            dx, dy = qx - x, qy - y
            far = math.sqrt(dx * dx + dy * dy)
            if far <= PACE:
                break
            x, y = x + PACE * dx / far, y + PACE * dy / far
            yield x, y
    for _ in range(MEAL):
        yield x, y
