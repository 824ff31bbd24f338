"""Bounds of what stands in a world file: a world within them cannot lead the engine, a camera or an oracle astray."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CELL, CLIMBABLE
from similitude.worlds.kinds import BIOMES, KINDS
from similitude.worlds.world import SOLID_FIELDS, THING_FIELDS, Step, World

SIZES = (1.0 / 1024.0, 64.0)
"""Smallest and largest half extent of what stands in a world, in metres."""
HEIGHTS = (-300.0, 300.0)
"""Lowest and highest place in metres; the terrain ends at 256 m."""
UNIT = 0.01
"""How far the length of a direction may be from 1."""

_THINGS = {
    **dict.fromkeys(("half_x", "half_y", "half_z"), SIZES),
    "z": HEIGHTS,
    "mass": (0.01, 1e5),
    "state": (0.0, 3.0),
    "energy": (0.0, 100.0),
    "points": (0.0, 1e6),
    "opens": (0.0, 1e3),
}
_SOLIDS = {**dict.fromkeys(("half_x", "half_y", "half_z"), SIZES), "z": HEIGHTS, "climbs": (0.0, 1.0)}

_POINTS = {"walk": 1, "jump": 2, "climb": 2, "drop": 2, "place": 1, "push": 1}
_WITH_THING = ("take", "place", "push", "throw", "strike", "unlock", "open", "eat")
_ALONE = ("wait",)


def flaws(world: World) -> Iterator[str]:
    """Yield what lies outside its bounds, each as a sentence without its full stop."""
    half = 0.5 * CELL * world.size
    biomes = world.ground & (CLIMBABLE - 1)
    if int(biomes.max()) >= len(BIOMES):
        yield f"a cell of its ground has the biome {int(biomes.max())}, and there are {len(BIOMES)}"
    x, y, z, cos, sin = world.spawn
    if max(abs(x), abs(y)) > half or not HEIGHTS[0] <= z <= HEIGHTS[1]:
        yield f"its spawn ({x:g}, {y:g}, {z:g}) lies outside the map, which ends at {half:g} m"
    if abs(math.hypot(cos, sin) - 1.0) > UNIT:
        yield f"the direction ({cos:g}, {sin:g}) of its spawn is no unit vector"
    yield from _row_flaws("things", world.things, THING_FIELDS, _THINGS, half)
    yield from _row_flaws("solids", world.solids, SOLID_FIELDS, _SOLIDS, half)
    kinds, links = world.things[:, 0], world.things[:, THING_FIELDS.index("link")]
    for i, link in enumerate(links.tolist()):
        if link >= 0.0 and KINDS[int(kinds[int(link)])].role != c.DOOR:
            yield f"things[{i}] is linked to things[{int(link)}], which is no door"
    for step in world.solution:
        if not _is_known(step):
            yield f"its solution has the step {str(step.to_list())[:80]}, which says too little or is of no known kind"


def _row_flaws(
    name: str, rows: np.ndarray, fields: Sequence[str], bounds: dict[str, tuple[float, float]], half: float
) -> Iterator[str]:
    for field, (low, high) in {"x": (-half, half), "y": (-half, half), **bounds}.items():
        values = rows[:, fields.index(field)]
        for i in np.flatnonzero((values < low) | (values > high))[:1].tolist():
            yield f"{field} of {name}[{i}] is {values[i]:g}, not in [{low:g}, {high:g}]"
    length = np.hypot(rows[:, fields.index("cos")], rows[:, fields.index("sin")])
    for i in np.flatnonzero(np.abs(length - 1.0) > UNIT)[:1].tolist():
        yield f"the direction of {name}[{i}] has the length {length[i]:g}, not 1"
    if "state" in fields:
        states = rows[:, fields.index("state")]
        for i in np.flatnonzero(states != np.floor(states))[:1].tolist():
            yield f"the state of {name}[{i}] is {states[i]:g}, not a whole number"


def _is_known(step: Step) -> bool:
    if step.do not in _POINTS and step.do not in _WITH_THING and step.do not in _ALONE:
        return False
    if len(step.at) < _POINTS.get(step.do, 0) or any(len(point) not in (2, 3) for point in step.at):
        return False
    if step.do in ("jump", "climb", "drop", "place") and any(len(point) != 3 for point in step.at):
        return False
    if min(step.thing, step.target) < -1 or (step.do in _WITH_THING and step.thing < 0):
        return False
    return step.do != "strike" or step.target >= 0
