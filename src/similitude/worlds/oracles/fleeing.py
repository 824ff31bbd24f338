"""Predators that are near, and where oracles run from them."""

from __future__ import annotations

import math

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import DT, HEAD_MOVE
from similitude.worlds.oracles.avatar import Avatar
from similitude.worlds.oracles.wayfinding import land_now, room_to_run

ALERT = 14.0
"""Predators farther than this do not matter, in metres."""
LEVEL = 6.0
"""Nor do those that are this much higher or lower, in metres."""
CLOSE = 2.5
"""Predators that cannot come matter within this distance, in metres."""
AHEAD = 12
"""Frames that one looks ahead when running."""
DIRECTIONS = np.array([(math.cos(math.pi * i / 12.0), math.sin(math.pi * i / 12.0)) for i in range(24)])
"""Unit vectors in which one may run."""


def threats(me: Avatar, within: float = ALERT) -> list[int]:
    """Return the living predators within a distance in metres, the nearest first."""
    predators = me.predators
    if not len(predators):
        return []
    rows = me.things[predators]
    far = np.hypot(rows[:, c.TX] - me.x, rows[:, c.TY] - me.y)
    near = (far < within) & (rows[:, c.STATE] == c.ALIVE) & (np.abs(rows[:, c.TZ] - me.z) < LEVEL)
    order = np.argsort(np.where(near, far, np.inf), kind="stable")[: int(near.sum())]
    found = predators[order].tolist()
    if me.ignored:
        return [k for k in found if me.ignored.get(k, 0) <= me.frame or me.far(*me.place(k)[:2]) < CLOSE]
    return found


def can_be_killed(me: Avatar, k: int) -> bool:
    """Return whether tools hurt an animal."""
    return not int(me.things[k, c.TRAITS]) & c.UNKILLABLE


def way_out(me: Avatar, foes: list[int]) -> tuple[float, float]:
    """Return the unit vector in which one runs from predators: where they come least near; (0, 0) if nowhere."""
    room = room_to_run(me, land_now(me), DIRECTIONS, HEAD_MOVE * AHEAD)
    foes = foes[:5]
    rows = me.things[foes]
    speed = DT * rows[:, c.SPEED]
    worst = np.full(len(DIRECTIONS), np.inf)
    for frames in (AHEAD // 4, AHEAD):
        run = np.minimum(room, HEAD_MOVE * frames)[:, None] * DIRECTIONS
        dx = me.x + run[:, :1] - rows[:, c.TX]
        dy = me.y + run[:, 1:] - rows[:, c.TY]
        gap = (np.hypot(dx, dy) - speed * frames).min(axis=1)
        worst = np.minimum(worst, gap)
    worst[room < 2.0 * HEAD_MOVE] = -np.inf
    best = int(worst.argmax())
    if not np.isfinite(worst[best]):
        return 0.0, 0.0
    return float(DIRECTIONS[best, 0]), float(DIRECTIONS[best, 1])
