"""Walking, jumping and falling along given points, sample by sample, by the engine's own rules of the ground."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.worlds.engine import constants as k
from similitude.worlds.engine.body import LEAP
from similitude.worlds.engine.falling import harm, way_down
from similitude.worlds.engine.ground import SHALLOW, climbable, obstructed, slope_at, support, terrain
from similitude.worlds.engine.passage import LEDGE
from similitude.worlds.routes.state import State, View

PACE = 0.1
"""Metres between the places where a way is looked at."""
LOWEST_STEP = 0.6
"""A walk comes down at most this much from one place to the next, in metres: more is a fall."""
FRAMES = 30
"""A jump that has not landed after this many frames is a fall."""
AIR_STEP = k.AIR * k.HEAD_MOVE
"""Metres a body moves per frame in the air."""
SLACK = 0.05
"""A jump has to reach this much farther than it is wide, in metres: nobody leaps off at the very edge."""


class Flaw(Exception):  # noqa: N818
    """A step of a solution that does not work."""


def _at(x: float, y: float) -> str:
    return f"({x:.2f}, {y:.2f})"


def stands(view: View, x: float, y: float, feet: float) -> float | None:
    """Return the height of the ground if a body whose feet come from `feet` can stand at (x, y), or None."""
    height, meta, solids, things = view
    z = support(0, x, y, feet, -1, height, meta, solids, things)
    if way_down(0, x, y, z, height, meta)[2] > 0.0:
        return None
    top = z + k.HEAD_TOP + k.HEAD_CLEAR
    return None if obstructed(0, x, y, z, top, -1, height, meta, solids, things) == 1 else z


def walk(state: State, points: Sequence[Sequence[float]], feet: float, *, without: int = -1) -> float:
    """Walk from the first point to the last, and return the height of the feet there, in metres.

    Args:
        state: The world.
        points: (x, y) in metres, joined by straight stretches.
        feet: Height of the feet at the first point.
        without: Index of a thing that does not count, or -1.

    Raises:
        Flaw: Something is in the way, the ground is too steep, or it ends.
    """
    x, y = points[0][0], points[0][1]
    half = k.CELL * (state.size // 2 - 2)
    for point in points[1:]:
        dx, dy = point[0] - x, point[1] - y
        length = math.sqrt(dx * dx + dy * dy)
        if length == 0.0:
            continue
        view = state.around(x, y, point[0], point[1], without=without)
        height, meta, _, _ = view
        n = max(math.ceil(length / PACE), 1)
        rise = k.SLOPE * length / n + 1e-6
        for i in range(1, n + 1):
            px, py = x + dx * i / n, y + dy * i / n
            if abs(px) > half or abs(py) > half:
                raise Flaw(f"a walk leaves the map at {_at(px, py)}")
            if max(terrain(0, px, py, height, meta), SHALLOW) > feet + rise:
                raise Flaw(f"a walk meets ground that is too steep at {_at(px, py)}")
            z = stands(view, px, py, feet)
            if z is None:
                raise Flaw(f"a walk is blocked or slides down at {_at(px, py)}")
            if z < feet - LOWEST_STEP:
                raise Flaw(f"a walk falls at {_at(px, py)}, by {feet - z:.2f} m")
            feet = z
        x, y = point[0], point[1]
    return feet


def rise(frame: int) -> float:
    """Return the height of a jump's feet above where it began, in metres, after a number of frames.

    The body moves up by 0.5 m in the first frame, and by g DT^2 = 0.1 m less in each that follows.
    """
    return 0.5 * k.GRAVITY * k.DT * k.DT * frame * (2.0 * LEAP * k.DT / (k.GRAVITY * k.DT * k.DT) - frame)


def jump(state: State, start: Sequence[float], end: Sequence[float], feet: float) -> float:
    """Jump from one point to another, and return the height of the feet there, in metres.

    Raises:
        Flaw: It is too far, too high, or something is in the way.
    """
    x, y = start[0], start[1]
    dx, dy = end[0] - x, end[1] - y
    length = math.sqrt(dx * dx + dy * dy)
    height, meta, solids, things = view = state.around(x, y, end[0], end[1])
    ux, uy = (dx / length, dy / length) if length > 0.0 else (0.0, 0.0)
    half, need, gone, z = 0.5 * AIR_STEP, length + SLACK, 0.0, feet
    for frame in range(1, FRAMES):
        low, top = z - k.STEP_UP + LEDGE, z + k.HEAD_TOP + k.HEAD_CLEAR
        for _ in range(2):  # first across, in two halves, then up or down: as the engine does
            far = min(gone + half, need)
            px, py = x + ux * min(far, length), y + uy * min(far, length)
            if terrain(0, px, py, height, meta) > z + k.SLOPE * half:
                break
            if obstructed(0, px, py, low, top, -1, height, meta, solids, things) == 1:
                break
            gone = far
        before, z = z, feet + rise(frame)
        px, py = x + ux * min(gone, length), y + uy * min(gone, length)
        low = max(before, z) - k.STEP_UP + LEDGE
        ground = support(0, px, py, low, -1, height, meta, solids, things)
        if z <= ground:
            landed = stands(view, px, py, ground)
            if gone >= need and landed is not None:
                return landed
            if landed is not None:
                break
            z = max(z, ground)
    raise Flaw(
        f"a jump of {length:.2f} m from {_at(x, y)} to {_at(end[0], end[1])} reaches only {gone:.2f} m"
    )


def climb(state: State, points: Sequence[Sequence[float]], feet: float) -> float:
    """Climb along points (x, y, z), and return the height of the feet at the last, in metres.

    Raises:
        Flaw: Somewhere there is nothing to hold on to.
    """
    x, y, z = points[0][0], points[0][1], feet
    for point in points[1:]:
        height, meta, solids, things = state.around(x, y, point[0], point[1])
        dx, dy, dz = point[0] - x, point[1] - y, point[2] - z
        n = max(math.ceil(math.sqrt(dx * dx + dy * dy + dz * dz) / 0.25), 1)
        for i in range(1, n + 1):
            px, py, pz = x + dx * i / n, y + dy * i / n, z + dz * i / n
            if _holds(solids, px, py, pz):
                continue
            ground = terrain(0, px, py, height, meta)
            steep = slope_at(0, px, py, height, meta) > k.SLOPE
            if steep and climbable(0, px, py, state.ground, meta) == 0:
                raise Flaw(f"a climb finds no hold at {_at(px, py)}")
            if not steep and support(0, px, py, pz, -1, height, meta, solids, things) < pz - 2.5:
                raise Flaw(f"a climb hangs in the air at {_at(px, py)}, {pz - ground:.2f} m above the ground")
        x, y, z = point[0], point[1], point[2]
    view = state.around(x, y, x, y)
    landed = stands(view, x, y, z)
    if landed is None or abs(landed - z) > 1.0:
        raise Flaw(f"a climb ends where nobody can stand, at {_at(x, y)}")
    return landed


def _holds(solids, x: float, y: float, z: float) -> bool:
    """Return whether a ladder is within reach of the hands of a body at (x, y, z)."""
    from similitude.worlds.engine import columns as c

    for row in solids[0]:
        if row[c.SOLID_CLIMBS] > 0.5:
            dx, dy = x - row[c.SX], y - row[c.SY]
            u = max(abs(dx * row[c.SCOS] + dy * row[c.SSIN]) - row[c.SEX], 0.0)
            v = max(abs(dy * row[c.SCOS] - dx * row[c.SSIN]) - row[c.SEY], 0.0)
            low, high = row[c.SZ] - row[c.SEZ], row[c.SZ] + row[c.SEZ]
            if u * u + v * v <= 1.0 and low - 1.0 <= z <= high + 0.5:
                return True
    return False


def drop(state: State, start: Sequence[float], end: Sequence[float], feet: float) -> tuple[float, float]:
    """Step off an edge, and return the height of the feet below, in metres, and the hit points that it costs.

    Raises:
        Flaw: There is something in the way, or nobody can stand below.
    """
    x, y = start[0], start[1]
    view = state.around(x, y, end[0], end[1])
    height, meta, solids, things = view
    dx, dy = end[0] - x, end[1] - y
    n = max(math.ceil(math.sqrt(dx * dx + dy * dy) / PACE), 1)
    for i in range(1, n + 1):
        px, py = x + dx * i / n, y + dy * i / n
        if terrain(0, px, py, height, meta) > feet + 0.1:
            raise Flaw(f"a drop meets ground at {_at(px, py)}")
        top = feet + k.HEAD_TOP + k.HEAD_CLEAR
        if obstructed(0, px, py, feet, top, -1, height, meta, solids, things) == 1:
            raise Flaw(f"a drop is blocked at {_at(px, py)}")
    landed = stands(view, end[0], end[1], feet)
    if landed is None:
        raise Flaw(f"a drop ends where nobody can stand, at {_at(end[0], end[1])}")
    fallen = max(feet - landed, 0.0)
    return landed, harm(math.sqrt(2.0 * k.GRAVITY * fallen) + k.GRAVITY * k.DT)
