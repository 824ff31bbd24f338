"""How a body slides along boxes and slopes: one horizontal move, in two halves."""

import math

from similitude.worlds.engine.columns import (
    BOX,
    COS,
    CROWN,
    CYLINDER,
    EX,
    EY,
    EZ,
    HARD,
    SCOS,
    SEX,
    SEY,
    SEZ,
    SHAPE,
    SIN,
    SIZE,
    SSIN,
    SX,
    SY,
    SZ,
    TX,
    TY,
    TZ,
)
from similitude.worlds.engine.constants import BODY_RADIUS, CELL, HEAD_CLEAR, SLOPE, STEP_UP
from similitude.worlds.engine.ground import (
    SHALLOW,
    TOUCHING,
    bears,
    gradient,
    nearby,
    obstructed,
    support,
    terrain,
)

LEDGE = 0.05
"""In the air, a body lands on boxes that end at most this far above its feet, in metres."""


def way_out(dx, dy, cos, sin, ex, ey, shape):
    """Return the shortest move (x, y) in metres after which a body no longer overlaps a box or cylinder.

    (dx, dy) leads from its middle to the body; (0, 0) if they do not overlap.
    """
    if shape == CYLINDER:
        far = math.sqrt(dx * dx + dy * dy)
        if far >= ex + BODY_RADIUS:
            return 0.0, 0.0
        if far < 1e-9:
            return ex + BODY_RADIUS, 0.0
        share = (ex + BODY_RADIUS - far) / far
        return dx * share, dy * share
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin
    out_u = u - min(max(u, -ex), ex)
    out_v = v - min(max(v, -ey), ey)
    far = math.sqrt(out_u * out_u + out_v * out_v)
    if far >= BODY_RADIUS:
        return 0.0, 0.0
    move_u = float(0.0)
    move_v = float(0.0)
    if far > 1e-9:
        move_u = out_u * (BODY_RADIUS - far) / far
        move_v = out_v * (BODY_RADIUS - far) / far
    elif ex - math.fabs(u) < ey - math.fabs(v):
        move_u = ex - math.fabs(u) + BODY_RADIUS
        if u < 0.0:
            move_u = -move_u
    else:
        move_v = ey - math.fabs(v) + BODY_RADIUS
        if v < 0.0:
            move_v = -move_v
    return move_u * cos - move_v * sin, move_u * sin + move_v * cos


def beside(e, x, y, feet, top, height, meta, solids, things):
    """Return the place (x, y) beside the boxes and cylinders that a body at (x, y) overlaps."""
    limit = feet + STEP_UP
    px = float(x)
    py = float(y)
    i, last = nearby(e, px, py, meta)
    while i < last:
        k = int(meta[e, i])
        i = i + 1
        dx = px - float(solids[e, k, SX])
        dy = py - float(solids[e, k, SY])
        ex = float(solids[e, k, SEX])
        ey = float(solids[e, k, SEY])
        reach = ex + ey + BODY_RADIUS
        if dx < reach and dx > -reach and dy < reach and dy > -reach:
            z = float(solids[e, k, SZ])
            ez = float(solids[e, k, SEZ])
            shape = int(solids[e, k, SHAPE])
            if z + ez > limit and z - ez < top and shape != CROWN:
                mx, my = way_out(dx, dy, float(solids[e, k, SCOS]), float(solids[e, k, SSIN]), ex, ey, shape)
                px = px + mx
                py = py + my
                if mx != 0.0 or my != 0.0:  # on to those behind k that are near where it is now
                    i, last = nearby(e, px, py, meta)
                    while i < last and int(meta[e, i]) <= k:
                        i = i + 1
    for k in range(int(meta[e, HARD])):
        if bears(e, k, things) == 1:
            dx = px - float(things[e, k, TX])
            dy = py - float(things[e, k, TY])
            ex = float(things[e, k, EX])
            ey = float(things[e, k, EY])
            reach = ex + ey + BODY_RADIUS
            if dx < reach and dx > -reach and dy < reach and dy > -reach:
                z = float(things[e, k, TZ])
                ez = float(things[e, k, EZ])
                if z + ez > limit and z - ez < top:
                    mx, my = way_out(
                        dx, dy, float(things[e, k, COS]), float(things[e, k, SIN]), ex, ey, int(BOX)
                    )
                    px = px + mx
                    py = py + my
    return px, py


def standing(e, x, y, feet, firm, height, meta, solids, things):
    """Return the height in metres of the ground under a body at (x, y); a body in the air steps onto no boxes."""
    if firm == 1:
        return support(e, x, y, feet, int(-1), height, meta, solids, things)
    return support(e, x, y, feet - STEP_UP + LEDGE, int(-1), height, meta, solids, things)


def fits(e, x0, y0, x, y, feet, tall, firm, slack, extra, height, meta, solids, things):
    """Return 1 if a body can move from (x0, y0) to (x, y): the ground rises by `slack` per metre and `extra` at most."""
    half = 0.5 * CELL * float(meta[e, SIZE]) - 2.0 * CELL
    if x < -half or x > half or y < -half or y > half:
        return 0
    run = math.sqrt((x - x0) * (x - x0) + (y - y0) * (y - y0))
    if max(terrain(e, x, y, height, meta), SHALLOW) > feet + slack * run + extra + TOUCHING:
        return 0
    z = feet
    if firm == 1:
        z = max(standing(e, x, y, feet, firm, height, meta, solids, things), feet - STEP_UP)
        return 1 - obstructed(e, x, y, z, z + tall + HEAD_CLEAR, int(-1), height, meta, solids, things)
    z = feet - STEP_UP + LEDGE
    return 1 - obstructed(e, x, y, z, feet + tall + HEAD_CLEAR, int(-1), height, meta, solids, things)


def glide(e, x, y, dx, dy, feet, tall, firm, slack, extra, height, meta, solids, things):
    """Return the place (x, y) after a short horizontal move (dx, dy) metres that slides along what is in its way."""
    low = feet
    if firm == 0:
        low = feet - STEP_UP + LEDGE
    top = feet + tall + HEAD_CLEAR
    px, py = beside(e, x + dx, y + dy, low, top, height, meta, solids, things)
    if fits(e, x, y, px, py, feet, tall, firm, slack, extra, height, meta, solids, things) == 1:
        return px, py
    # Along the slope: without the part of the move that leads up.
    gx, gy = gradient(e, px, py, height, meta)
    steep = gx * gx + gy * gy
    if steep > SLOPE * SLOPE:
        share = max((dx * gx + dy * gy) / steep, 0.0)
        px, py = beside(e, x + dx - share * gx, y + dy - share * gy, low, top, height, meta, solids, things)
        if fits(e, x, y, px, py, feet, tall, firm, slack, extra, height, meta, solids, things) == 1:
            return px, py
    px, py = beside(e, x + dx, y, low, top, height, meta, solids, things)
    if fits(e, x, y, px, py, feet, tall, firm, slack, extra, height, meta, solids, things) == 1:
        return px, py
    px, py = beside(e, x, y + dy, low, top, height, meta, solids, things)
    if fits(e, x, y, px, py, feet, tall, firm, slack, extra, height, meta, solids, things) == 1:
        return px, py
    return x, y
