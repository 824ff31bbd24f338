"""What can be reached at most: a flood over the corners of the map that is more generous than the engine.

It walks wherever the ground does not rise too steeply in the direction of the walk and can be stood upon, falls any
height, and with `jumps` leaps as far and as high as a jump reaches, through whatever is between. What it does not reach
cannot be reached without climbing, tools or doors.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CELL, HEAD_CLEAR, HEAD_TOP, JUMP, SLOPE, STEP_UP, UNITS
from similitude.worlds.engine.ground import SHALLOW
from similitude.worlds.land.grid import cell_of, coordinates
from similitude.worlds.routes.paths import gentle_cells
from similitude.worlds.world import World

LEAP = 2.3
"""Farthest a jump may reach, in metres; a little more than it does."""
FOOTHOLD = 0.35
"""How much higher than JUMP one comes at a cliff, in metres: standing on the foot of its face gives 0.21 (a body slides
where the ground falls by 0.7 of SLOPE over 0.3 m), and moving on along the face in the air 0.1."""
_NEAR = tuple((i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i != 0 or j != 0)
_FAR = int(LEAP / CELL)
_LEAPS = tuple(
    (i, j)
    for i in range(-_FAR, _FAR + 1)
    for j in range(-_FAR, _FAR + 1)
    if 0 < (i * i + j * j) * CELL * CELL <= LEAP * LEAP
)


def reachable(world: World, *, jumps: bool = True) -> np.ndarray:
    """Return the corners (n, n) that an agent without tools could at most come to from the spawn, without climbing.

    Args:
        world: The world; blocks, doors and animals are left out, boxes that never move are in the way.
        jumps: Whether it may jump.

    Cost: About 0.1 s for a map of 128 corners per side, 30 ms without jumps.
    """
    n = world.size
    z = np.maximum(world.height.astype(np.float64) / UNITS, SHALLOW)
    stood = _stood(z) & ~_boxed(world, z)
    index = np.arange(n * n).reshape(n, n)
    starts, ends = [], []
    for moves, rise in ((_NEAR, SLOPE), (_LEAPS if jumps else (), 0.0)):
        for i, j in moves:
            here = (slice(max(-i, 0), n - max(i, 0)), slice(max(-j, 0), n - max(j, 0)))
            there = (slice(max(i, 0), n - max(-i, 0)), slice(max(j, 0), n - max(-j, 0)))
            run = CELL * math.sqrt(i * i + j * j)
            limit = rise * run + 1e-6 if rise > 0.0 else JUMP + FOOTHOLD
            fine = (z[there] - z[here] <= limit) & stood[there]
            starts.append(index[here][fine])
            ends.append(index[there][fine])
    first, last = np.concatenate(starts), np.concatenate(ends)
    graph = sparse.csr_matrix((np.ones(len(first), dtype=np.int8), (first, last)), shape=(n * n, n * n))
    i, j = cell_of(n, world.spawn[0], world.spawn[1])
    found = csgraph.breadth_first_order(graph, int(index[i, j]), return_predecessors=False)
    reached = np.zeros(n * n, dtype=bool)
    reached[found] = True
    return reached.reshape(n, n)


def reaches(world: World, x: float, y: float, *, jumps: bool = True) -> bool:
    """Return whether `reachable` comes to a corner of the cell of a point (x, y) in metres."""
    i, j = cell_of(world.size, x, y)
    return bool(reachable(world, jumps=jumps)[i : i + 2, j : j + 2].any())


def _stood(z: np.ndarray) -> np.ndarray:
    """Return the corners where at least one of the four cells is not too steep to stand on."""
    gentle = gentle_cells(z)
    stood = gentle.copy()
    stood[1:] |= gentle[:-1]
    stood[:, 1:] |= gentle[:, :-1]
    stood[1:, 1:] |= gentle[:-1, :-1]
    return stood


def _boxed(world: World, z: np.ndarray) -> np.ndarray:
    """Return the corners that are inside walls: higher than a jump above the ground there, and reaching down to it."""
    gx, gy = coordinates(world.size)
    inside = np.zeros(z.shape, dtype=bool)
    for row in world.solids.astype(np.float64):
        if row[c.SHAPE] == c.CROWN:
            continue
        dx, dy = gx - row[c.SX], gy - row[c.SY]
        if row[c.SHAPE] == c.CYLINDER:
            near = dx * dx + dy * dy < row[c.SEX] * row[c.SEX]
        else:
            u, v = dx * row[c.SCOS] + dy * row[c.SSIN], dy * row[c.SCOS] - dx * row[c.SSIN]
            near = (np.abs(u) < row[c.SEX]) & (np.abs(v) < row[c.SEY])
        tall = row[c.SZ] + row[c.SEZ] > z + JUMP + STEP_UP
        inside |= near & tall & (row[c.SZ] - row[c.SEZ] < z + HEAD_TOP + HEAD_CLEAR)
    return inside
