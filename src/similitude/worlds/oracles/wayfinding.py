"""Ways over the land as it is now: around trees and walls, blocks and closed doors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from similitude.worlds.engine.constants import CELL
from similitude.worlds.oracles.avatar import Avatar
from similitude.worlds.routes.paths import Land
from similitude.worlds.routes.state import State
from similitude.worlds.world import World

STRIDE = 0.25
"""Metres between the points at which the land is looked at."""

_LANDS: WeakKeyDictionary[World, Land] = WeakKeyDictionary()
"""The land of worlds in play without what moves on it."""


def land_now(me: Avatar, *, without: int = -1) -> Land:
    """Return where one can walk now, blocks and doors as they stand; thing `without` is not in the way."""
    world = me.simulation.worlds[me.e]
    assert world is not None
    base = _LANDS.get(world)
    if base is None:
        state = State(world)
        state.things = np.zeros((0, state.things.shape[1]))
        base = _LANDS[world] = Land(state)
    return base.amid(me.things[: len(world.things)], without=without)


def way_around(
    me: Avatar, goal: Sequence[float], *, within: float = 0.0, without: int = -1
) -> list[tuple[float, float]]:
    """Return the points of a way to a goal; where none is found, the goal alone.

    Args:
        me: The avatar.
        goal: x and y in metres.
        within: How near to the goal the way may end, in metres.
        without: A thing that is not in the way, or -1.
    """
    x, y = float(goal[0]), float(goal[1])
    land = land_now(me, without=without)
    far = me.far(x, y)
    end = (x, y)
    if far > within > 0.0:
        share = 1.0 - 0.95 * within / far
        end = (me.x + share * (x - me.x), me.y + share * (y - me.y))
    if land.open_line((me.x, me.y), end, calm=True):
        return [end]
    path = land.path((me.x, me.y), (x, y), within=within)
    return [(x, y)] if path is None else path[1:] or [(x, y)]


def room_to_run(me: Avatar, land: Land, directions: np.ndarray, most: float) -> np.ndarray:
    """Return how far one can run straight in every direction, in metres.

    Args:
        me: The avatar.
        land: Where one can walk.
        directions: Unit vectors, (n, 2).
        most: How far to look, in metres.
    """
    steps = np.arange(1, math.ceil(most / STRIDE) + 1) * STRIDE
    x = me.x + directions[:, :1] * steps
    y = me.y + directions[:, 1:] * steps
    last = land.size - 1
    j = np.clip(np.floor(x / CELL).astype(np.int64) + land.size // 2, 0, last)
    i = np.clip(np.floor(y / CELL).astype(np.int64) + land.size // 2, 0, last)
    open_so_far = np.logical_and.accumulate(land.free[i, j], axis=1)
    return STRIDE * open_so_far.sum(axis=1)
