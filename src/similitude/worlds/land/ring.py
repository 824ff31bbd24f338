"""Rings: closed bands around a centre that obstacles fill, so that nobody walks around them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from similitude.worlds.draws import exact
from similitude.worlds.engine.constants import CELL
from similitude.worlds.land.grid import coordinates

FAR_SIDE = 1000.0
"""Offset from the axis, in metres, that stands for the half of a ring without the passage."""


@dataclass(frozen=True)
class Ring:
    """A rounded square around a centre, crossed along one axis of the map.

    Everything is measured in the direction of travel: `depth` is how far one has come past the ring's edge, `side` the
    offset to the left of the passage's axis. The middle of the edge is straight and lies on the grid, so that gaps there
    are as wide as they are meant to be; elsewhere the edge is round and, with `wobble`, uneven.

    Attributes:
        x: Of the centre, metres; a whole number of cells.
        y: Of the centre, metres.
        ux: Direction of travel through the passage, along x or along y, a unit vector.
        uy: The same.
        radius: Distance of the edge, where depth is 0, from the centre, in metres; a whole number of cells.
        size: Corners per side of the map.
        outward: Whether one comes from the centre (and leaves what is fenced in) or goes to it.
        flat: Half width of the straight part of the edge, in metres.
        wobble: Noise in [-1, 1], (size, size), that moves the edge outside the straight part, or None.
    """

    x: float
    y: float
    ux: float
    uy: float
    radius: float
    size: int
    outward: bool = False
    flat: float = 2.0
    wobble: np.ndarray | None = None

    def __post_init__(self) -> None:
        if {abs(self.ux), abs(self.uy)} != {0.0, 1.0}:
            raise ValueError("a ring is crossed along x or along y")

    def point(self, depth: float, side: float = 0.0) -> tuple[float, float]:
        """Return the point (x, y) at a depth and an offset to the left of the passage's axis, in metres."""
        along = depth + self.radius if self.outward else depth - self.radius
        return (
            exact(self.x + along * self.ux - side * self.uy),
            exact(self.y + along * self.uy + side * self.ux),
        )

    @cached_property
    def _fields(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gx, gy = coordinates(self.size)
        dx, dy = gx - self.x, gy - self.y
        along = dx * self.ux + dy * self.uy
        along = along if self.outward else -along  # distance from the centre towards the passage
        side = dy * self.ux - dx * self.uy
        a, b = np.maximum(np.abs(along) - self.flat, 0.0), np.maximum(np.abs(side) - self.flat, 0.0)
        distance = self.flat + np.sqrt(a * a + b * b)
        depth = distance - self.radius if self.outward else self.radius - distance
        # how far a corner lies from the axis, which ends at the centre
        behind = np.maximum(-along, 0.0)
        aside = np.sqrt(side * side + behind * behind)
        side = np.where(along > 0.0, side, FAR_SIDE)
        if self.wobble is not None:
            reach = min(1.5, 0.125 * self.radius)
            share = np.minimum(np.maximum((np.abs(side) - self.flat - 0.5) * 0.25, 0.0), 1.0)
            depth = depth + self.wobble * share * reach
        return depth, side, aside

    @property
    def depth(self) -> np.ndarray:
        """Metres travelled past the edge at every corner of the map, (size, size)."""
        return self._fields[0]

    @property
    def side(self) -> np.ndarray:
        """Offset to the left of the axis at every corner; `FAR_SIDE` beyond the centre."""
        return self._fields[1]

    def cells(self, corners: np.ndarray) -> np.ndarray:
        """Return the cells (size, size) that touch a corner where a mask (size, size) is true."""
        touched = corners.copy()
        touched[:-1] |= corners[1:]
        touched[:, :-1] |= corners[:, 1:]
        touched[:-1, :-1] |= corners[1:, 1:]
        return touched

    def passage(self, start: float, end: float, width: float) -> np.ndarray:
        """Return how much every corner belongs to a lane along the axis, 1 inside, fading to 0 over 2 m.

        Args:
            start: Depth at which the lane begins, in metres.
            end: Depth at which it ends.
            width: Full width of the lane, in metres.
        """
        beyond = np.maximum(np.maximum(start - self.depth, self.depth - end), 0.0)
        aside = np.maximum(self._fields[2] - 0.5 * width, 0.0)
        return np.minimum(np.maximum(1.0 - 0.5 * np.sqrt(beyond * beyond + aside * aside), 0.0), 1.0)

    def inner(self, extent: float) -> float:
        """Return the radius that is left for the next ring after an obstacle of this extent, on the grid."""
        return (self.radius - extent) // CELL * CELL


def axis(number: int) -> tuple[float, float]:
    """Return one of the four directions along the map's axes."""
    return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[number % 4]


def on_grid(value: float) -> float:
    """Return the nearest whole number of cells, in metres."""
    return (value / CELL + 0.5) // 1 * CELL
