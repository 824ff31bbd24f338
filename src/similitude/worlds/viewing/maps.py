"""A world seen from above: land, sea, buildings, things, the spawn and the way of its solution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.worlds.engine.columns import BOX, CROWN, FOOD, PREDATOR, PREY
from similitude.worlds.engine.constants import CELL, UNITS
from similitude.worlds.kinds import COLORS, KINDS
from similitude.worlds.viewing.colors import cell_colors
from similitude.worlds.world import World

if TYPE_CHECKING:
    from PIL.Image import Image

SHALLOW, DEEP = np.array([110.0, 176.0, 205.0]), np.array([44.0, 92.0, 160.0])
"""Colours of the sea at 0 and at 3 m of depth."""
MARKS = {FOOD: (230, 40, 40), PREY: (250, 170, 40), PREDATOR: (120, 0, 140)}
"""Outlines of what matters most."""


def world_map(world: World, *, scale: int = 6, solution: bool = True, spawn: bool = True) -> Image:
    """Draw a world from above, with +x to the right and +y up.

    Args:
        world: The world.
        scale: Pixels per cell of 0.5 m.
        solution: Draw the paths of its solution as a white line.
        spawn: Draw where the agent starts, and which way it looks, as a white arrow.

    Returns:
        A picture of `world.size * scale` pixels a side.
    """
    from PIL import Image, ImageDraw

    side = world.size * scale
    picture = Image.fromarray(_land(world)[::-1]).resize((side, side), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(picture, "RGBA")

    def at(x: float, y: float) -> tuple[float, float]:
        u, v = x / CELL + world.size / 2, y / CELL + world.size / 2
        return u * scale, (world.size - v) * scale

    for row in sorted(world.solids.tolist(), key=lambda row: row[2] + row[7]):  # the highest last
        x, y, _, cos, sin, half_x, half_y, _, shape, color, _ = row
        name, tint = COLORS[int(color)]
        fill = (*tint, 110 if shape == CROWN or name == "roof" else 230)  # what lies below shows through
        _footprint(draw, at, (x, y, cos, sin, half_x, half_y), fill, round_=shape != BOX)
    for row in world.things.tolist():
        kind = KINDS[int(row[0])]
        x, y, cos, sin, half_x, half_y = (row[i] for i in (1, 2, 4, 5, 6, 7))
        _footprint(draw, at, (x, y, cos, sin, half_x, half_y), (*kind.color, 255), round_=False)
        if kind.role in MARKS:
            u, v = at(x, y)
            radius = max(4.0, 0.4 / CELL * scale)
            draw.ellipse((u - radius, v - radius, u + radius, v + radius), outline=MARKS[kind.role], width=2)
    x, y, _, cos, sin = world.spawn
    if solution:
        way = [(x, y)] + [tuple(point[:2]) for step in world.solution for point in step.at]
        draw.line([at(*point) for point in way], fill=(255, 255, 255, 200), width=max(1, scale // 3))
    if spawn:
        tip, left, right = ((1.5, 0.0), (-0.75, 0.75), (-0.75, -0.75))
        arrow = [at(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in (tip, left, right)]
        draw.polygon(arrow, fill=(255, 255, 255, 255), outline=(0, 0, 0, 255))
    return picture


def _land(world: World) -> np.ndarray:
    """Return the colours of land and sea, uint8, (n, n, 3), rows along y."""
    colors = cell_colors(world.height, world.ground).astype(np.float64)
    depth = np.clip(-world.height.astype(np.float64) / UNITS / 3, 0, 1)[..., None]
    sea = SHALLOW + (DEEP - SHALLOW) * depth
    return np.where((world.height < 0)[..., None], sea, colors).astype(np.uint8)


def _footprint(draw: Any, at: Any, place: tuple[float, ...], fill: tuple[int, ...], *, round_: bool) -> None:
    """Draw the footprint of a box or cylinder at (x, y, cos, sin, half x, half y)."""
    x, y, cos, sin, half_x, half_y = place
    if round_:
        (left, top), (right, bottom) = at(x - half_x, y + half_y), at(x + half_x, y - half_y)
        draw.ellipse((left, top, right, bottom), fill=fill)
        return
    corners = [(a * half_x, b * half_y) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    draw.polygon([at(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in corners], fill=fill)
