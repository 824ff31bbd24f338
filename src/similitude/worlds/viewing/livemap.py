"""A map of an episode: the world from above, where everything is now, and the way that was gone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CELL
from similitude.worlds.kinds import KINDS
from similitude.worlds.simulation import Simulation
from similitude.worlds.viewing.maps import MARKS, world_map
from similitude.worlds.world import World

MARGIN = 6.0
"""Land that is shown around what matters, in metres."""
SMALLEST = 24.0
"""Shortest side of what is shown, in metres."""


class LiveMap:
    """A square map of the part of a world in which something happens.

    Args:
        world: The world.
        side: Pixels per side.

    Attributes:
        trail: Where the agent has been, (x, y) in metres.
    """

    def __init__(self, world: World, *, side: int = 240) -> None:
        from PIL import Image

        self.side = side
        self.left, self.bottom, width = _region(world)
        cells = width / CELL
        scale = max(1, math.ceil(side / cells))
        whole = world_map(replace(world, things=world.things[:0]), scale=scale, solution=False, spawn=False)
        x0 = (self.left / CELL + world.size / 2) * scale
        y1 = (world.size / 2 - (self.bottom + width) / CELL) * scale
        box = (x0, y1, x0 + cells * scale, y1 + cells * scale)
        self._land = whole.resize((side, side), Image.Resampling.BOX, box=box)
        self._scale = side / width
        self.trail: list[tuple[float, float]] = []

    def note(self, simulation: Simulation, environment: int = 0) -> None:
        """Add the agent's place to its trail."""
        x, y = simulation.body[environment, [c.BX, c.BY]].tolist()
        if not self.trail or math.dist(self.trail[-1], (x, y)) > 0.5 * CELL:
            self.trail.append((x, y))

    def draw(self, simulation: Simulation, environment: int = 0) -> np.ndarray:
        """Draw the state of an environment that plays this world.

        Returns:
            uint8, (side, side, 3), +x to the right and +y up.
        """
        from PIL import ImageDraw

        picture = self._land.copy()
        draw = ImageDraw.Draw(picture, "RGBA")
        if len(self.trail) > 1:
            draw.line([self._at(*point) for point in self.trail], fill=(255, 255, 255, 200), width=2)
        e = environment
        for row in simulation.things[e, : int(simulation.meta[e, c.N_THINGS])].tolist():
            if row[c.ROLE] != c.GONE:
                self._thing(draw, row)
        x, y, yaw = simulation.body[e, [c.BX, c.BY, c.YAW]].tolist()
        tip = max(1.2, 7.0 / self._scale)
        cos, sin = math.cos(yaw) * tip, math.sin(yaw) * tip
        arrow = [(1.0, 0.0), (-0.6, 0.6), (-0.6, -0.6)]
        points = [self._at(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in arrow]
        draw.polygon(points, fill=(255, 255, 255, 255), outline=(0, 0, 0, 255))
        return np.asarray(picture)

    def _at(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) * self._scale, self.side - (y - self.bottom) * self._scale

    def _thing(self, draw: Any, row: Sequence[float]) -> None:
        kind = KINDS[int(row[c.KIND])]
        x, y, cos, sin = row[c.TX], row[c.TY], row[c.COS], row[c.SIN]
        along, across = (max(row[i], 1.0 / self._scale) for i in (c.EX, c.EY))
        corners = [(a * along, b * across) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
        points = [self._at(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners]
        draw.polygon(points, fill=(*kind.color, 255), outline=(0, 0, 0, 160))
        if kind.role in MARKS:
            u, v = self._at(x, y)
            radius = max(3.0, 0.4 * self._scale)
            draw.ellipse((u - radius, v - radius, u + radius, v + radius), outline=MARKS[kind.role], width=2)


def _region(world: World) -> tuple[float, float, float]:
    """Return left and bottom edge and side, in metres, of a square that holds the spawn, all things and the solution."""
    points = [world.spawn[:2]]
    points += [(float(row[1]), float(row[2])) for row in world.things]
    points += [tuple(point[:2]) for step in world.solution for point in step.at]
    x, y = zip(*points, strict=True)
    whole = world.size * CELL
    side = min(max(max(x) - min(x), max(y) - min(y)) + 2 * MARGIN, whole)
    side = min(max(side, SMALLEST), whole)
    low = [min(max(0.5 * (max(v) + min(v) - side), -0.5 * whole), 0.5 * whole - side) for v in (x, y)]
    return low[0], low[1], side
