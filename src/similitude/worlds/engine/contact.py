"""What things that move by themselves meet: floors below a point, walls around it, the way out of a box."""

import math

from similitude.worlds.engine.columns import (
    BLOCK,
    BOX,
    COS,
    CROWN,
    CYLINDER,
    DEAD,
    EX,
    EY,
    EZ,
    FOOD,
    HARD,
    HELD,
    PREDATOR,
    PREY,
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
from similitude.worlds.engine.constants import CELL
from similitude.worlds.engine.ground import SHALLOW, bears, nearby, solid_gap, terrain, thing_gap

EDGE = 1.0
"""Things stay this far within the map, in metres."""


def bed(e, x, y, height, meta):
    """Return the height in metres on which a thing comes to rest at (x, y) without boxes: terrain or shallow water."""
    return max(terrain(e, x, y, height, meta), SHALLOW)


def kept(e, at, meta):
    """Return a coordinate in metres moved into the map."""
    most = 0.5 * CELL * float(meta[e, SIZE]) - EDGE
    return min(max(at, -most), most)


def around(e, x, y, limit, high, margin, skip, height, meta, solids, things):
    """Return the highest floor at (x, y) that is at most `limit` metres high, and 1 if a box stands there up to `high`.

    A box counts from `margin` metres around its footprint. The terrain counts however high it is. `skip` is the index of
    a thing to ignore, or -1.
    """
    floor = bed(e, x, y, height, meta)
    wall = int(0)
    first, last = nearby(e, x, y, meta)
    for i in range(first, last):
        k = int(meta[e, i])
        if solid_gap(e, k, x, y, margin, solids) <= margin:
            z = float(solids[e, k, SZ])
            ez = float(solids[e, k, SEZ])
            if z + ez > floor and z - ez < high:
                if z + ez <= limit:
                    floor = z + ez
                else:
                    wall = 1
    for k in range(int(meta[e, HARD])):
        if k != skip and thing_gap(e, k, x, y, margin, things) <= margin:
            z = float(things[e, k, TZ])
            ez = float(things[e, k, EZ])
            if z + ez > floor and z - ez < high:
                if z + ez <= limit:
                    floor = z + ez
                else:
                    wall = 1
    return floor, wall


def in_hand(e, k, hands):
    """Return 1 + the hand that holds thing k, or 0."""
    if int(hands[e, 0, HELD]) == k:
        return 1
    if int(hands[e, 1, HELD]) == k:
        return 2
    return 0


def animal(e, k, things):
    """Return 1 if thing k is prey or a predator, alive or dead."""
    role = int(things[e, k, ROLE])
    if role == PREY or role == PREDATOR:
        return 1
    return 0


def loose(e, k, things):
    """Return 1 if thing k falls when nothing holds it: a food, tool, block or dead animal."""
    role = int(things[e, k, ROLE])
    if role >= FOOD and role <= BLOCK:
        return 1
    if animal(e, k, things) == 1 and int(things[e, k, STATE]) == DEAD:
        return 1
    return 0


def exit_of(dx, dy, dz, cos, sin, ex, ey, ez, shape):
    """Return how deep a point lies in a box or cylinder, in metres, and the unit vector of the nearest way out.

    (dx, dy, dz) leads from its middle to the point; a depth of 0 or less says that the point is outside.
    """
    up = ez - math.fabs(dz)
    nz = float(1.0)
    if dz < 0.0:
        nz = -1.0
    if shape == CYLINDER:
        away = math.sqrt(dx * dx + dy * dy)
        side = ex - away
        if side < up and away > 0.0:
            return side, dx / away, dy / away, 0.0
        return min(side, up), 0.0, 0.0, nz
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin
    along = ex - math.fabs(u)
    across = ey - math.fabs(v)
    if along < across and along < up:
        if u < 0.0:
            return along, -cos, -sin, 0.0
        return along, cos, sin, 0.0
    if across < up:
        if v < 0.0:
            return across, sin, -cos, 0.0
        return across, -sin, cos, 0.0
    return up, 0.0, 0.0, nz


def deepest(e, x, y, z, radius, up, skip, meta, solids, things):
    """Return depth and way out (see `exit_of`) of the box that something at (x, y, z) is deepest in; depth 0 in none.

    The thing is `radius` metres wide to its sides and `up` metres to its top and bottom.
    """
    depth = float(0.0)
    nx = float(0.0)
    ny = float(0.0)
    nz = float(0.0)
    first, last = nearby(e, x, y, meta)
    for i in range(first, last):
        k = int(meta[e, i])
        dx = x - float(solids[e, k, SX])
        dy = y - float(solids[e, k, SY])
        ex = float(solids[e, k, SEX]) + radius
        ey = float(solids[e, k, SEY]) + radius
        far = ex + ey
        if dx < far and dx > -far and dy < far and dy > -far:
            dz = z - float(solids[e, k, SZ])
            ez = float(solids[e, k, SEZ]) + up
            shape = int(solids[e, k, SHAPE])
            if dz < ez and dz > -ez and shape != CROWN:
                found, ax, ay, az = exit_of(
                    dx, dy, dz, float(solids[e, k, SCOS]), float(solids[e, k, SSIN]), ex, ey, ez, shape
                )
                if found > depth:
                    depth = found
                    nx = ax
                    ny = ay
                    nz = az
    for k in range(int(meta[e, HARD])):
        if k != skip and bears(e, k, things) == 1:
            dx = x - float(things[e, k, TX])
            dy = y - float(things[e, k, TY])
            ex = float(things[e, k, EX]) + radius
            ey = float(things[e, k, EY]) + radius
            far = ex + ey
            if dx < far and dx > -far and dy < far and dy > -far:
                dz = z - float(things[e, k, TZ])
                ez = float(things[e, k, EZ]) + up
                if dz < ez and dz > -ez:
                    found, ax, ay, az = exit_of(
                        dx, dy, dz, float(things[e, k, COS]), float(things[e, k, SIN]), ex, ey, ez, BOX
                    )
                    if found > depth:
                        depth = found
                        nx = ax
                        ny = ay
                        nz = az
    return depth, nx, ny, nz
