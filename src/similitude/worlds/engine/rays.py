"""Where a ray meets the terrain, exactly: cell by cell, passing over blocks of cells that lie wholly below it."""

import math

from similitude.worlds.engine.columns import SIZE
from similitude.worlds.engine.constants import CELL, COARSE, UNITS
from similitude.worlds.engine.shapes import NONE

PAST = 1e-6
"""How far beyond the edge of a cell the search goes on, in metres of depth."""


def cell_hit(e, i, j, ox, oy, gx, gy, z, dz, t, leave, height):
    """Return the depth, from t to leave, at which a ray goes below the bilinear surface of cell (i, j), or NONE.

    The ray is at z + dz (t' - t) in units of height and at (ox + gx t', oy + gy t') in cells.
    """
    h00 = float(height[e, i, j])
    h01 = float(height[e, i, j + 1])
    h10 = float(height[e, i + 1, j])
    h11 = float(height[e, i + 1, j + 1])
    span = leave - t
    if min(z, z + dz * span) > max(max(h00, h01), max(h10, h11)):
        return NONE
    a = ox + gx * t - float(j)
    b = oy + gy * t - float(i)
    across = h01 - h00
    along = h10 - h00
    twist = h11 - h10 - across
    c0 = z - (h00 + across * a + along * b + twist * a * b)
    if c0 <= 0.0:
        return t
    # height above the surface: c0 + c1 s + c2 s^2 for s in [0, span]
    c1 = dz - (across * gx + along * gy + twist * (a * gy + b * gx))
    c2 = -twist * gx * gy
    rest = c1 * c1 - 4.0 * c2 * c0
    if rest < 0.0:
        return NONE
    s = float(NONE)
    if c1 < 0.0:
        s = 2.0 * c0 / (math.sqrt(rest) - c1)
    elif c2 < 0.0:
        s = -0.5 * (c1 + math.sqrt(rest)) / c2
    if s <= span:
        return t + s
    return NONE


def ground_hit(e, ex, ey, ez, dx, dy, dz, start, stop, height, coarse, meta):
    """Return the depth at which the ray (ex, ey, ez) + t (dx, dy, dz) first is at or below the terrain, or NONE.

    Only t from start to stop are searched; a ray that starts below the terrain meets it at the first t over the map.
    """
    n = int(meta[e, SIZE])
    gx = dx / CELL
    gy = dy / CELL
    if math.fabs(gx) < 1e-9:  # so nearly along an axis that it stays in its row of cells
        gx = 1e-9
    if math.fabs(gy) < 1e-9:
        gy = 1e-9
    per_x = 1.0 / gx
    per_y = 1.0 / gy
    ox = ex / CELL + 0.5 * float(n)
    oy = ey / CELL + 0.5 * float(n)
    edge = float(n - 1)
    t = max(start, max(min(-ox * per_x, (edge - ox) * per_x), min(-oy * per_y, (edge - oy) * per_y)))
    end = min(stop, min(max(-ox * per_x, (edge - ox) * per_x), max(-oy * per_y, (edge - oy) * per_y)))
    side_x = int(0)  # 1: cells are left at their higher edge
    side_y = int(0)
    if gx > 0.0:
        side_x = 1
    if gy > 0.0:
        side_y = 1
    step_x = math.fabs(per_x)
    step_y = math.fabs(per_y)
    while t < end:
        j = max(0, min(n - 2, int(ox + gx * t)))
        i = max(0, min(n - 2, int(oy + gy * t)))
        bj = j // COARSE
        bi = i // COARSE
        next_x = (float((bj + side_x) * COARSE) - ox) * per_x
        next_y = (float((bi + side_y) * COARSE) - oy) * per_y
        leave = max(t, min(end, min(next_x, next_y)))
        if min(ez + dz * t, ez + dz * leave) <= float(coarse[e, bi, bj]):
            next_x = (float(j + side_x) - ox) * per_x
            next_y = (float(i + side_y) - oy) * per_y
            j_end = min(n - 2, bj * COARSE + COARSE - 1)
            i_end = min(n - 2, bi * COARSE + COARSE - 1)
            j_start = bj * COARSE
            i_start = bi * COARSE
            while t < leave and j >= j_start and j <= j_end and i >= i_start and i <= i_end:
                out = max(t, min(leave, min(next_x, next_y)))
                z = (ez + dz * t) * UNITS
                found = cell_hit(e, i, j, ox, oy, gx, gy, z, dz * UNITS, t, out, height)
                if found < NONE:
                    return found
                if next_x < next_y:
                    next_x = next_x + step_x
                    j = j + 2 * side_x - 1
                else:
                    next_y = next_y + step_y
                    i = i + 2 * side_y - 1
                t = out
        t = leave + PAST
    return NONE
