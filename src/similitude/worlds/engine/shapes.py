"""Where a ray enters a box, an ellipsoid or an upright cylinder about the origin; lengths in metres."""

import math

NONE = 1e9
"""A depth that no ray reaches."""
NEAREST = 0.05
"""Nothing nearer than this is drawn, in metres along the line of sight."""


def slab(origin, way, half):
    """Return the depths at which a ray enters and leaves |coordinate| <= half; way must not be 0."""
    one = (-half - origin) / way
    two = (half - origin) / way
    return min(one, two), max(one, two)


def box_hit(ox, oy, oz, dx, dy, dz, hx, hy, hz):
    """Return depth and face (0 x, 1 y, 2 z) at which a ray enters a box about the origin; NONE if it does not."""
    x0, x1 = slab(ox, dx, hx)
    y0, y1 = slab(oy, dy, hy)
    z0, z1 = slab(oz, dz, hz)
    t = float(x0)
    face = int(0)
    if y0 > t:
        t = y0
        face = 1
    if z0 > t:
        t = z0
        face = 2
    if t > min(x1, min(y1, z1)) or t < NEAREST:
        return NONE, 0
    return t, face


def round_hit(ox, oy, oz, dx, dy, dz, hx, hy, hz):
    """Return the depth at which a ray enters an ellipsoid about the origin; NONE if it does not."""
    ox = ox / hx
    oy = oy / hy
    oz = oz / hz
    dx = dx / hx
    dy = dy / hy
    dz = dz / hz
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    rest = b * b - a * (ox * ox + oy * oy + oz * oz - 1.0)
    if rest <= 0.0:
        return NONE
    t = -(b + math.sqrt(rest)) / a
    if t < NEAREST:
        return NONE
    return t


def cylinder_hit(ox, oy, oz, dx, dy, dz, hx, hy, hz):
    """Return depth and face (0 side, 2 end) at which a ray enters an upright cylinder; NONE if it does not."""
    ax = ox / hx
    ay = oy / hy
    bx = dx / hx
    by = dy / hy
    a = max(1e-12, bx * bx + by * by)
    b = ax * bx + ay * by
    rest = b * b - a * (ax * ax + ay * ay - 1.0)
    if rest <= 0.0:
        return NONE, 0
    rest = math.sqrt(rest)
    t = -(b + rest) / a
    face = int(0)
    z0, z1 = slab(oz, dz, hz)
    if z0 > t:
        t = z0
        face = 2
    if t > min((rest - b) / a, z1) or t < NEAREST:
        return NONE, 0
    return t, face


def away(x):
    """Return x, moved away from 0 by as much as a division needs."""
    if math.fabs(x) < 1e-9:
        return 1e-9
    return x
