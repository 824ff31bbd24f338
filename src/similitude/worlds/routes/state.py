"""The state of one world while its solution is carried out in thought: the engine's arrays for one environment."""

from __future__ import annotations

import math

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.kinds import KINDS
from similitude.worlds.parcels import one_list
from similitude.worlds.world import World

# (height, meta, solids, things): what the engine's functions of the ground take
View = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

MARGIN = 1.5
"""What is farther from a stretch of the way does not touch it, in metres."""
_KEPT = (c.KIND, c.TX, c.TY, c.TZ, c.COS, c.SIN, c.EX, c.EY, c.EZ, c.MASS, c.STATE)


class State:
    """Where everything is.

    Args:
        world: The world as it begins.

    Attributes:
        height: int16, (1, n, n).
        ground: uint8, (1, n, n).
        solids: float64, (s, SOLID).
        things: float64, (k, THING); the columns that rules of the ground read, and roles.
    """

    def __init__(self, world: World) -> None:
        self.height = world.height[None]
        self.ground = world.ground[None]
        self.size = world.size
        self.solids = world.solids.astype(np.float64)
        self.things = np.zeros((len(world.things), c.THING))
        rows = world.things.astype(np.float64)
        for k in range(len(rows)):
            kind = KINDS[int(rows[k, 0])]
            self.things[k, list(_KEPT)] = rows[k, :11]
            self.things[k, c.ROLE] = kind.role
            self.things[k, c.TRAITS] = kind.traits
            self.things[k, c.ENERGY : c.POINTS + 1] = rows[k, 11:13]
            self.things[k, c.LINK] = rows[k, 13]
            self.things[k, c.OPENS] = rows[k, 14]

    def around(self, x0: float, y0: float, x1: float, y1: float, *, without: int = -1) -> View:
        """Return the engine's arrays with only what stands near a stretch, and without one of the things."""
        low_x, high_x, low_y, high_y = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)

        def near(rows: np.ndarray, x: int, y: int, half_x: int, half_y: int) -> np.ndarray:
            reach = rows[:, half_x] + rows[:, half_y] + MARGIN
            out_x = np.maximum(low_x - rows[:, x], rows[:, x] - high_x)
            out_y = np.maximum(low_y - rows[:, y], rows[:, y] - high_y)
            return (out_x < reach) & (out_y < reach)

        kept = near(self.solids, c.SX, c.SY, c.SEX, c.SEY) & (self.solids[:, c.SHAPE] != c.CROWN)
        moves = near(self.things, c.TX, c.TY, c.EX, c.EY)
        moves &= (self.things[:, c.ROLE] == c.BLOCK) | (self.things[:, c.ROLE] == c.DOOR)
        if without >= 0:
            moves[without] = False
        solids, things = self.solids[None, kept], self.things[None, moves]
        lists = one_list(solids.shape[1])
        meta = np.zeros((1, c.PARCELS + len(lists)))
        meta[0, c.SIZE], meta[0, c.N_SOLIDS], meta[0, c.N_THINGS] = (
            self.size,
            solids.shape[1],
            things.shape[1],
        )
        meta[0, c.HARD] = things.shape[1]
        meta[0, c.PARCELS :] = lists
        return self.height, meta, solids, things

    def role(self, thing: int) -> int:
        """Return what a thing is to the engine."""
        return int(self.things[thing, c.ROLE])

    def place(self, thing: int) -> tuple[float, float, float]:
        """Return the centre of a thing in metres."""
        x, y, z = self.things[thing, c.TX : c.TZ + 1].tolist()
        return x, y, z

    def put(self, thing: int, x: float, y: float, z: float) -> None:
        """Move a thing's centre."""
        self.things[thing, c.TX : c.TZ + 1] = x, y, z

    def remove(self, thing: int) -> None:
        """Take a thing out of the world."""
        self.things[thing, c.ROLE] = c.GONE

    def turn(self, thing: int, dx: float, dy: float) -> None:
        """Let a thing's long axis point along (dx, dy)."""
        length = math.sqrt(dx * dx + dy * dy)
        if length > 0.0:
            self.things[thing, c.COS], self.things[thing, c.SIN] = dx / length, dy / length
