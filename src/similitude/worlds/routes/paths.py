"""Paths over land: which cells can be walked on in every direction, and the shortest way over them (A*)."""

from __future__ import annotations

import copy
import heapq
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from scipy import ndimage

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BODY_RADIUS, CELL, HEAD_CLEAR, HEAD_TOP, SLOPE, STEP_UP, UNITS
from similitude.worlds.engine.ground import SHALLOW
from similitude.worlds.land.grid import cell_of, coordinates
from similitude.worlds.routes.state import State

ROOT = math.sqrt(2.0)
BESIDE = ((0, 1, 1.0), (1, 0, 1.0), (0, -1, 1.0), (-1, 0, 1.0))
CORNER = ((1, 1, ROOT), (1, -1, ROOT), (-1, 1, ROOT), (-1, -1, ROOT))
EDGE_PRICE = 1.5
"""How much longer a cell counts that touches one where nobody walks: paths keep away from edges where they can."""


def gentle_cells(z: np.ndarray) -> np.ndarray:
    """Return the cells (n, n) whose ground is nowhere steeper than what can be walked up, from heights in metres."""
    z = np.maximum(z, SHALLOW)
    along, across = (z[:, 1:] - z[:, :-1]) / CELL, (z[1:] - z[:-1]) / CELL
    steep_x = np.maximum(np.abs(along[:-1]), np.abs(along[1:]))
    steep_y = np.maximum(np.abs(across[:, :-1]), np.abs(across[:, 1:]))
    gentle = np.zeros(z.shape, dtype=bool)
    gentle[:-1, :-1] = steep_x * steep_x + steep_y * steep_y <= SLOPE * SLOPE
    gentle[:2], gentle[-3:], gentle[:, :2], gentle[:, -3:] = False, False, False, False
    return gentle


class Land:
    """The cells of a world on which one walks freely, with what stands in the way left out.

    Args:
        state: The world; boxes and blocks are taken as they stand now.
        without: Index of a thing that does not count, or -1.

    Attributes:
        free: Cells (n, n) that can be walked on and left in every direction.
    """

    def __init__(self, state: State, *, without: int = -1) -> None:
        self.size = state.size
        self.z = np.maximum(state.height[0].astype(np.float64) / UNITS, SHALLOW)
        self.free = gentle_cells(self.z)
        gx, gy = coordinates(self.size)
        self._x, self._y = gx[0] + 0.5 * CELL, gy[:, 0] + 0.5 * CELL
        for row in state.solids[state.solids[:, c.SHAPE] != c.CROWN]:
            self._block(row[: c.SHAPE + 1].tolist())
        self.free = self.amid(state.things, without=without).free

    def _block(self, row: Sequence[float]) -> None:
        x, y, z, cos, sin, ex, ey, ez, shape = row
        reach = BODY_RADIUS + 0.05
        wide = math.sqrt(ex * ex + ey * ey) + reach
        i0, j0 = cell_of(self.size, x - wide, y - wide)
        i1, j1 = cell_of(self.size, x + wide, y + wide)
        window = slice(i0, i1 + 1), slice(j0, j1 + 1)
        dx, dy = self._x[None, j0 : j1 + 1] - x, self._y[i0 : i1 + 1, None] - y
        if shape == c.CYLINDER:
            near = np.sqrt(dx * dx + dy * dy) < ex + reach
        else:
            u = np.maximum(np.abs(dx * cos + dy * sin) - ex, 0.0)
            v = np.maximum(np.abs(dy * cos - dx * sin) - ey, 0.0)
            near = u * u + v * v < reach * reach
        ground = self.z[window]
        tall = (z + ez > ground + STEP_UP) & (z - ez < ground + HEAD_TOP + HEAD_CLEAR)
        self.free[window] &= ~(near & tall)

    def amid(self, things: np.ndarray, *, without: int = -1) -> Land:
        """Return this land with the blocks and doors of `things` in the way, but for one of them."""
        roles = things[:, c.ROLE]
        in_way = ((roles == c.BLOCK) | (roles == c.DOOR)).nonzero()[0].tolist()
        if not in_way:
            return self
        land = copy.copy(self)
        for cached in ("calm", "regions"):
            land.__dict__.pop(cached, None)
        land.free = self.free.copy()
        for k in in_way:
            if k != without:
                row = things[k]
                land._block([*row[c.TX : c.TZ + 1], row[c.COS], row[c.SIN], *row[c.EX : c.EZ + 1], c.BOX])
        return land

    @cached_property
    def calm(self) -> np.ndarray:
        """Free cells all of whose neighbours are free."""
        calm = self.free.copy()
        for i, j, _ in (*BESIDE, *CORNER):
            calm &= np.roll(self.free, (i, j), (0, 1))
        return calm

    @cached_property
    def regions(self) -> np.ndarray:
        """Number of the connected region of every free cell, (n, n); 0 elsewhere. One walks within a region."""
        labels = np.zeros(self.free.shape, dtype=np.int32)
        ndimage.label(self.free, output=labels)
        return labels

    def _regions_at(self, cell: tuple[int, int], reach: int) -> set[int]:
        i, j = cell
        low_i, low_j = max(i - reach, 0), max(j - reach, 0)
        found = set(np.unique(self.regions[low_i : i + reach + 1, low_j : j + reach + 1]).tolist())
        return found - {0}

    def middle(self, i: int, j: int) -> tuple[float, float]:
        """Return the middle of a cell in metres."""
        return float(self._x[j]), float(self._y[i])

    def path(
        self, start: Sequence[float], goal: Sequence[float], *, within: float = 0.0
    ) -> list[tuple[float, float]] | None:
        """Return the points of a short path from start to goal, or None.

        Args:
            start: x, y in metres.
            goal: x, y in metres.
            within: The path may end this near the goal, in metres.
        """
        first, last = cell_of(self.size, start[0], start[1]), cell_of(self.size, goal[0], goal[1])

        def arrived(cell: tuple[int, int]) -> bool:
            if within == 0.0:
                return cell == last
            x, y = self.middle(*cell)
            return (x - goal[0]) * (x - goal[0]) + (y - goal[1]) * (y - goal[1]) <= within * within

        if not self._regions_at(first, 1) & self._regions_at(last, 1 + math.ceil(within / CELL)):
            return None
        cells = self._search(first, last, arrived, within / CELL)
        if cells is None:
            return None
        points = [(float(start[0]), float(start[1]))]
        points += [self.middle(*cell) for cell in cells[1:]]
        if within == 0.0:
            points[1:] = [*points[1:-1], (float(goal[0]), float(goal[1]))]
        return self._tight(points)

    def _search(
        self,
        first: tuple[int, int],
        last: tuple[int, int],
        arrived: Callable[[tuple[int, int]], bool],
        slack: float,
    ) -> list[tuple[int, int]] | None:
        free, calm = self.free, self.calm
        best = {first: 0.0}
        came: dict[tuple[int, int], tuple[int, int]] = {}
        heap = [(0.0, 0.0, first)]
        while heap:
            _, cost, cell = heapq.heappop(heap)
            if cost > best[cell]:
                continue
            if arrived(cell):
                cells = [cell]
                while cell in came:
                    cell = came[cell]
                    cells.append(cell)
                return cells[::-1]
            i, j = cell
            for a, b, length in (*BESIDE, *CORNER):
                near = (i + a, j + b)
                if not free[near] and not (near == last and slack == 0.0):
                    continue
                if a != 0 and b != 0 and not (free[i + a, j] and free[i, j + b]):
                    continue
                total = cost + length * (1.0 if calm[near] else EDGE_PRICE)
                if total < best.get(near, math.inf):
                    best[near] = total
                    came[near] = cell
                    u, v = abs(near[0] - last[0]), abs(near[1] - last[1])
                    guess = max(u, v) + (ROOT - 1.0) * min(u, v) - slack
                    heapq.heappush(heap, (total + max(guess, 0.0), total, near))
        return None

    def open_line(self, start: Sequence[float], end: Sequence[float], *, calm: bool) -> bool:
        """Return whether the straight stretch between two points stays on free (or calm) cells."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        n = max(int(math.sqrt(dx * dx + dy * dy) / (0.25 * CELL)), 1)
        cells = self.calm if calm else self.free
        t = np.arange(n + 1) / n
        j = np.floor((start[0] + dx * t) / CELL).astype(np.int64) + self.size // 2
        i = np.floor((start[1] + dy * t) / CELL).astype(np.int64) + self.size // 2
        return bool(np.all(cells[i, j]))

    def _tight(self, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Leave out points between which one can walk straight."""
        kept = [points[0]]
        i = 0
        while i < len(points) - 1:
            j = i + 1
            step = 1
            while j + step < len(points) and self._straight(points, i, j + step):
                j += step
                step *= 2
            step //= 2
            while step >= 1:
                if j + step < len(points) and self._straight(points, i, j + step):
                    j += step
                step //= 2
            kept.append(points[j])
            i = j
        return kept

    def _straight(self, points: list[tuple[float, float]], i: int, j: int) -> bool:
        return self.open_line(points[i], points[j], calm=True)
