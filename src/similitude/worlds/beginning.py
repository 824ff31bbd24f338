"""The rows of the engine's arrays with which an episode in a world begins."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from similitude.worlds.draws import Draws
from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CELL, HEAD_TOP
from similitude.worlds.kinds import KINDS
from similitude.worlds.parcels import solid_lists
from similitude.worlds.world import World

HARD, ANIMALS, DOORS = (c.BLOCK, c.DOOR), (c.PREY, c.PREDATOR), (c.DOOR, c.LOCK)
"""Roles of what stops bodies, of what moves by itself, and of what opens ways."""

_LEHMER = 2**31 - 2
_KIND = np.array([(k.role, k.speed, k.sense, k.damage, k.rest, k.traits) for k in KINDS], dtype=np.float64)
_OF_KIND = [c.ROLE, c.SPEED, c.SENSE, c.DAMAGE, c.REST, c.TRAITS]
_OF_WORLD = [
    *(c.KIND, c.TX, c.TY, c.TZ, c.COS, c.SIN, c.EX, c.EY, c.EZ),
    *(c.MASS, c.STATE, c.ENERGY, c.POINTS, c.LINK, c.OPENS),
]


@dataclass(frozen=True)
class Beginning:
    """What a simulation copies when it loads a world; nobody writes to it.

    Attributes:
        meta: float64, META columns and the lists of solids; LIMIT and FRAME_PRICE are left to the simulation.
        solids: float64, (s, SOLID).
        things: float64, (k, THING).
        body: float64, (BODY,).
        hands: float64, (2, HAND).
    """

    meta: np.ndarray
    solids: np.ndarray
    things: np.ndarray
    body: np.ndarray
    hands: np.ndarray


def beginning(world: World) -> Beginning:
    """Return how episodes in a world begin; it is kept for as long as the world is."""
    with _LOCK:
        kept = _KEPT.get(world)
    if kept is None:
        kept = _made(world)
        with _LOCK:
            _KEPT[world] = kept
    return kept


_KEPT: WeakKeyDictionary[World, Beginning] = WeakKeyDictionary()
_LOCK = threading.Lock()


def _made(world: World) -> Beginning:
    solids, things = world.solids.astype(np.float64), _things(world)
    roles = things[:, c.ROLE]
    ends = (_end((roles == one) | (roles == other)) for one, other in (HARD, ANIMALS, DOORS))
    lists = solid_lists(solids, things, world.size * CELL)
    meta = np.concatenate([[world.size, len(things), len(solids), 0.0, 0.0, *ends], lists])
    x, y, z, cos, sin = world.spawn
    body = np.zeros(c.BODY)
    body[[c.BX, c.BY, c.BZ]] = x, y, z
    body[c.YAW] = np.arctan2(sin, cos)
    body[[c.HEAD, c.HP, c.GROUNDED]] = HEAD_TOP, 1.0, 1.0
    eats = ((roles == c.FOOD) | (roles == c.PREY)) & (things[:, c.ENERGY] > 0)
    body[c.FOOD_LEFT] = eats.sum()
    hands = np.zeros((2, c.HAND))
    for hand, side in ((0, 1.0), (1, -1.0)):
        ahead, out = 0.4, 0.3 * side
        hands[hand, [c.HX, c.HY, c.HZ]] = (
            *(x + ahead * cos - out * sin, y + ahead * sin + out * cos),
            z + HEAD_TOP - 0.5,
        )
    hands[:, [c.HELD, c.TOUCH]] = -1.0
    return Beginning(meta, solids, things, body, hands)


def _end(which: np.ndarray) -> int:
    """Return one more than the index of the last that is true; 0 if none is."""
    return int(np.flatnonzero(which)[-1]) + 1 if which.any() else 0


def _things(world: World) -> np.ndarray:
    """Return the things of a world at the beginning, float64, (k, THING)."""
    rows = np.zeros((len(world.things), c.THING))
    if not len(rows):
        return rows
    table = np.asarray(world.things, dtype=np.float64)
    rows[:, _OF_WORLD] = table
    rows[:, _OF_KIND] = _KIND[table[:, 0].astype(np.int64)]
    rows[:, [c.HOME_X, c.HOME_Y, c.HOME_Z]] = table[:, 1:4]
    draws = Draws("animals", world.task, world.difficulty, world.seed)
    rows[:, c.RANDOM] = np.floor(draws.array(len(rows)) * _LEHMER) + 1.0
    return rows
