"""What a body stands on and what stands in its way: terrain, boxes and cylinders; all backends compile this source.

Corner (i, j) of the terrain lies at x = (j - SIZE / 2) * CELL, y = (i - SIZE / 2) * CELL; cell (i, j) lies between the
corners (i, j) and (i + 1, j + 1).
"""

import math

from similitude.worlds.engine.columns import (
    BLOCK,
    BOX,
    CARRIED,
    COS,
    CROWN,
    CYLINDER,
    DOOR,
    EX,
    EY,
    EZ,
    HARD,
    LISTS,
    PARCELS,
    PER_METRE,
    ROLE,
    SCOS,
    SEX,
    SEY,
    SEZ,
    SHAPE,
    SIN,
    SIZE,
    SSIN,
    STATE,
    SX,
    SY,
    SZ,
    TX,
    TY,
    TZ,
)
from similitude.worlds.engine.constants import BODY_RADIUS, CELL, CLIMBABLE, STEP_UP, UNITS

OUTSIDE = -8.0
"""Height of the ground beyond the map, in metres."""
SHALLOW = -0.5
"""A body never stands lower than this: in the sea it wades, in metres."""
FOOT = 0.2
"""A box holds a body whose axis is at most this far from it, in metres; a little less than BODY_RADIUS."""
TOUCHING = 1e-6
"""Overlaps smaller than this are none, in metres."""
APART = 1e9
"""Instead of a distance in metres that is too long to matter."""


def terrain(e, x, y, height, meta):
    """Return the height of the terrain at (x, y) in metres, bilinear between corners; OUTSIDE beyond the map."""
    n = int(meta[e, SIZE])
    u = x / CELL + 0.5 * float(n)
    v = y / CELL + 0.5 * float(n)
    if u < 0.0 or v < 0.0 or u >= float(n - 1) or v >= float(n - 1):
        return OUTSIDE
    j = int(u)
    i = int(v)
    a = u - float(j)
    b = v - float(i)
    low = float(height[e, i, j]) * (1.0 - a) + float(height[e, i, j + 1]) * a
    high = float(height[e, i + 1, j]) * (1.0 - a) + float(height[e, i + 1, j + 1]) * a
    return (low * (1.0 - b) + high * b) / UNITS


def gradient(e, x, y, height, meta):
    """Return the rise of the terrain per metre along x and along y; (0, 0) beyond the map."""
    n = int(meta[e, SIZE])
    u = x / CELL + 0.5 * float(n)
    v = y / CELL + 0.5 * float(n)
    if u < 0.0 or v < 0.0 or u >= float(n - 1) or v >= float(n - 1):
        return 0.0, 0.0
    j = int(u)
    i = int(v)
    a = u - float(j)
    b = v - float(i)
    h00 = float(height[e, i, j])
    h01 = float(height[e, i, j + 1])
    h10 = float(height[e, i + 1, j])
    h11 = float(height[e, i + 1, j + 1])
    along = (h01 - h00) * (1.0 - b) + (h11 - h10) * b
    across = (h10 - h00) * (1.0 - a) + (h11 - h01) * a
    return along / (UNITS * CELL), across / (UNITS * CELL)


def slope_at(e, x, y, height, meta):
    """Return the steepness of the terrain at (x, y), rise per run; 1 is 45 degrees."""
    along, across = gradient(e, x, y, height, meta)
    return math.sqrt(along * along + across * across)


def climbable(e, x, y, ground, meta):
    """Return 1 where the cell of (x, y) can be climbed."""
    n = int(meta[e, SIZE])
    u = x / CELL + 0.5 * float(n)
    v = y / CELL + 0.5 * float(n)
    if u < 0.0 or v < 0.0 or u >= float(n - 1) or v >= float(n - 1):
        return 0
    if int(ground[e, int(v), int(u)]) >= CLIMBABLE:
        return 1
    return 0


def apart(dx, dy, cos, sin, ex, ey, shape):
    """Return the distance in metres from a point to the footprint of a box turned by (cos, sin), or of a cylinder.

    (dx, dy) leads from its middle to the point, ex and ey are its half extents; 0 inside.
    """
    if shape == CYLINDER:
        return max(math.sqrt(dx * dx + dy * dy) - ex, 0.0)
    u = max(math.fabs(dx * cos + dy * sin) - ex, 0.0)
    v = max(math.fabs(dy * cos - dx * sin) - ey, 0.0)
    return math.sqrt(u * u + v * v)


def bears(e, k, things):
    """Return 1 if thing k is hard: a body can stand on it and does not pass through it."""
    role = int(things[e, k, ROLE])
    if role == DOOR:
        return 1
    if role == BLOCK and int(things[e, k, STATE]) != CARRIED:
        return 1
    return 0


def nearby(e, x, y, meta):
    """Return the columns of `meta`, first and one past the last, that hold the indices of the solids near (x, y).

    They are rising, and name every solid that something at (x, y) can touch or reach.
    """
    n = int(meta[e, PARCELS])
    if n == 1:
        return int(meta[e, LISTS]), int(meta[e, LISTS + 1])
    last = float(n - 1)
    u = min(max(x * float(meta[e, PER_METRE]) + 0.5 * float(n), 0.0), last)
    v = min(max(y * float(meta[e, PER_METRE]) + 0.5 * float(n), 0.0), last)
    at = LISTS + int(v) * n + int(u)
    return int(meta[e, at]), int(meta[e, at + 1])


def solid_gap(e, k, x, y, margin, solids):
    """Return the distance in metres from (x, y) to the footprint of solid k; APART if that is `margin` or more for sure.

    Crowns stop nothing: they are always APART.
    """
    dx = x - float(solids[e, k, SX])
    dy = y - float(solids[e, k, SY])
    ex = float(solids[e, k, SEX])
    ey = float(solids[e, k, SEY])
    reach = ex + ey + margin
    if dx >= reach or dx <= -reach or dy >= reach or dy <= -reach:
        return APART
    shape = int(solids[e, k, SHAPE])
    if shape == CROWN:
        return APART
    return apart(dx, dy, float(solids[e, k, SCOS]), float(solids[e, k, SSIN]), ex, ey, shape)


def thing_gap(e, k, x, y, margin, things):
    """Return the distance in metres from (x, y) to the footprint of thing k, as `solid_gap`; APART if it is not hard."""
    if bears(e, k, things) == 0:
        return APART
    dx = x - float(things[e, k, TX])
    dy = y - float(things[e, k, TY])
    ex = float(things[e, k, EX])
    ey = float(things[e, k, EY])
    reach = ex + ey + margin
    if dx >= reach or dx <= -reach or dy >= reach or dy <= -reach:
        return APART
    return apart(dx, dy, float(things[e, k, COS]), float(things[e, k, SIN]), ex, ey, int(BOX))


def support(e, x, y, feet, skip, height, meta, solids, things):
    """Return the height in metres of the highest ground under a body at (x, y) that is at most STEP_UP above `feet`.

    The terrain counts however high it is; `skip` is the index of a thing to ignore, or -1.
    """
    best = max(terrain(e, x, y, height, meta), SHALLOW)
    limit = feet + STEP_UP
    first, last = nearby(e, x, y, meta)
    for i in range(first, last):
        k = int(meta[e, i])
        top = float(solids[e, k, SZ]) + float(solids[e, k, SEZ])
        if top > best and top <= limit and solid_gap(e, k, x, y, FOOT, solids) < FOOT:
            best = top
    for k in range(int(meta[e, HARD])):
        top = float(things[e, k, TZ]) + float(things[e, k, EZ])
        if top > best and top <= limit and k != skip and thing_gap(e, k, x, y, FOOT, things) < FOOT:
            best = top
    return best


def obstructed(e, x, y, feet, top, skip, height, meta, solids, things):
    """Return 1 if a box or cylinder stands in the way of a body at (x, y) from `feet` to `top` metres.

    What ends at most STEP_UP above the feet is a step, and not in the way.
    """
    limit = feet + STEP_UP
    wide = BODY_RADIUS - TOUCHING
    first, last = nearby(e, x, y, meta)
    for i in range(first, last):
        k = int(meta[e, i])
        if solid_gap(e, k, x, y, BODY_RADIUS, solids) < wide:
            z = float(solids[e, k, SZ])
            ez = float(solids[e, k, SEZ])
            if z + ez > limit and z - ez < top:
                return 1
    for k in range(int(meta[e, HARD])):
        if k != skip and thing_gap(e, k, x, y, BODY_RADIUS, things) < wide:
            z = float(things[e, k, TZ])
            ez = float(things[e, k, EZ])
            if z + ez > limit and z - ez < top:
                return 1
    return 0
