"""What only a simulator knows, as numbers for learning without a camera: what is near, and the ground around."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CELL, CLIMBABLE, UNITS
from similitude.worlds.gym.senses import in_frame

if TYPE_CHECKING:
    from similitude.worlds.simulation import Simulation

SELF = 8
"""Numbers of the body: height above the sea, whether it stands, whether it climbs, speed (right, up, forward), height of
the head, foods left."""
SLOTS = ("food", "tool", "block", "prey", "predator", "lock")
"""Of each of these the nearest is given; dead prey counts as food."""
SLOT = 12
"""Numbers of each: 1 where there is one, direction (3), distance, offset from the eyes up to 2 m (3), offset from the
right hand up to 1 m (3), its state (how it is kept, of foods; hit points, of animals). All 0 where there is none."""
GRID = 7
"""Points per side of the grid of ground: from 2 m behind to 4 m ahead, 3 m to either side."""
STATE = SELF + SLOT * len(SLOTS) + 2 * GRID * GRID
"""Numbers in all: `SELF`, the slots, heights of the ground relative to the feet up to 3 m, where it can be climbed."""

_SLOTS = np.arange(len(SLOTS))
_SLOT_OF_ROLE = np.full(8, -1)
_SLOT_OF_ROLE[[c.FOOD, c.TOOL, c.BLOCK, c.PREY, c.PREDATOR, c.LOCK]] = _SLOTS
_FAR = 40.0
_AHEAD = np.arange(GRID) - 2.0
_ASIDE = np.arange(GRID) - (GRID - 1) / 2


def privileged_state(simulation: Simulation) -> np.ndarray:
    """Return what only a simulator knows of every environment, scaled and clipped to [-1, 1].

    Boxes (walls, blocks, floors) are not in the grid of ground.

    Returns:
        float32, (environments, `STATE`).
    """
    body = simulation.body
    turn = (np.cos(body[:, c.YAW]), np.sin(body[:, c.YAW]))
    state = np.concatenate(
        [_self(body, turn), _nearest(simulation, turn), _ground(simulation, turn)],
        axis=1,
    )
    return state.clip(-1.0, 1.0).astype(np.float32)


def _self(body: np.ndarray, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    alone = [body[:, c.BZ] / 10.0, body[:, c.GROUNDED], body[:, c.CLIMBING]]
    speed = in_frame(body[:, c.BVX : c.BVZ + 1], turn) / 10.0
    return np.concatenate(
        [np.stack(alone, axis=1), speed, body[:, c.HEAD, None] - 1.0, body[:, c.FOOD_LEFT, None] / 5.0],
        axis=1,
    )


def _nearest(simulation: Simulation, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the slots, (environments, slots * SLOT)."""
    body, things = simulation.body, simulation.things
    role, dead = things[:, :, c.ROLE].astype(np.intp), things[:, :, c.STATE] == c.DEAD
    slot = _SLOT_OF_ROLE[role]  # a role of -1, gone, is the last entry
    slot = np.where(dead & (role == c.PREY), _SLOT_OF_ROLE[c.FOOD], slot)
    slot = np.where(dead & (role == c.PREDATOR), -1, slot)
    slot = np.where(np.arange(role.shape[1]) < simulation.meta[:, c.N_THINGS, None], slot, -1)
    eyes = body[:, c.BX : c.BZ + 1].copy()
    eyes[:, 2] += body[:, c.HEAD]
    away = things[:, :, c.TX : c.TZ + 1] - eyes[:, None]
    squares = (away * away).sum(axis=2)
    fits = slot[:, None] == _SLOTS[:, None]
    candidates = np.where(fits, squares[:, None], np.inf)
    chosen = candidates.argmin(axis=2)
    every = np.arange(len(body))[:, None]
    there = np.isfinite(candidates.min(axis=2))[..., None]
    offset = in_frame(away[every, chosen], turn)
    distance = np.sqrt(squares[every, chosen])[..., None]
    found = things[every, chosen]
    hand = simulation.hands[:, 1, c.HX : c.HZ + 1]
    reach = in_frame(found[..., c.TX : c.TZ + 1] - hand[:, None], turn)
    # HANGING and BURIED are the largest; of animals the hit points say more than alive or dead.
    how = np.where(_SLOTS == 0, found[..., c.STATE] / 3.0, found[..., c.POINTS] / 2.0)[..., None]
    slots = np.concatenate(
        [
            np.ones_like(distance),
            offset / np.maximum(distance, 1e-6),
            distance / _FAR,
            offset / 2.0,
            reach,
            how,
        ],
        axis=2,
    )
    return np.where(there, slots, 0.0).reshape(len(body), -1)


def _ground(simulation: Simulation, turn: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return heights and climbability of the grid, (environments, 2 * GRID * GRID)."""
    body = simulation.body
    cos, sin = turn[0][:, None, None], turn[1][:, None, None]
    ahead, aside = _AHEAD[:, None], _ASIDE[None, :]
    x = body[:, c.BX, None, None] + ahead * cos + aside * sin
    y = body[:, c.BY, None, None] + ahead * sin - aside * cos
    size = simulation.meta[:, c.SIZE, None, None].astype(int)
    row = np.clip(np.rint(y / CELL).astype(int) + size // 2, 0, size - 1)
    column = np.clip(np.rint(x / CELL).astype(int) + size // 2, 0, size - 1)
    every = np.arange(len(body))[:, None, None]
    heights = simulation.height[every, row, column] / UNITS - body[:, c.BZ, None, None]
    climbs = simulation.ground[every, row, column] >= CLIMBABLE
    parts = (heights / 3.0, climbs)
    return np.concatenate([part.reshape(len(body), -1) for part in parts], axis=1)
