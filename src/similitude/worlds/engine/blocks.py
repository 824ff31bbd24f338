"""Stones, logs and boulders: they rest level on the highest of their footing, topple off edges, and are pushed."""

import math

from similitude.worlds.engine.columns import (
    BVX,
    BVY,
    BX,
    BY,
    BZ,
    CLIMBING,
    COS,
    EX,
    EY,
    EZ,
    GROUNDED,
    HEAD,
    MASS,
    N_THINGS,
    SIN,
    SIZE,
    TIMER,
    TVX,
    TVY,
    TVZ,
    TX,
    TY,
    TZ,
)
from similitude.worlds.engine.constants import (
    BODY_MASS,
    BODY_RADIUS,
    CARRY_LIMIT,
    CELL,
    DT,
    GRAVITY,
    HEAD_CLEAR,
    HEAD_MOVE,
    PUSH,
    STEP_UP,
)
from similitude.worlds.engine.contact import EDGE, around, in_hand, loose
from similitude.worlds.engine.flight import AWAKE

SPACING = 0.6
"""Largest distance between two of the points on which a block stands, in metres."""
INSET = 0.02
"""The outermost of these points lie this far within the block's sides, in metres."""
RISE = 0.3
"""A block is pushed up, or settles on, rises of at most this much, in metres."""
LEAN = 0.6
"""A block stands on what is at most this many half widths below its highest footing (0.3 m or more)."""
TOPPLE = 0.1
"""What hangs over or overlaps moves aside by this much per frame, in metres."""
DROP = 0.25
"""Longest fall between two looks at the footing, in metres."""


def points_along(half):
    """Return how many steps of at most SPACING lie between the middle and an end of a block, at least 1."""
    return int(half / SPACING - 1e-9) + 1


def under(e, k, x, y, u, v, limit, high, height, meta, solids, things):
    """Return floor and wall (see `around`) at the point (u, v) of block k's own axes, with its middle at (x, y)."""
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    px = x + u * cos - v * sin
    py = y + u * sin + v * cos
    floor, wall = around(e, px, py, limit, high, 0.0, k, height, meta, solids, things)
    return floor, wall


def footing(e, k, x, y, limit, high, height, meta, solids, things):
    """Return what block k has below it at (x, y): its highest floor in metres, and 1 if a wall or rise is in its way.

    Floors of boxes up to `limit` metres count; what is higher and begins below `high` is in the way.
    """
    ex = float(things[e, k, EX]) - INSET
    ey = float(things[e, k, EY]) - INSET
    nu = points_along(ex)
    nv = points_along(ey)
    best = float(-100.0)
    stopped = int(0)
    for i in range(2 * nu + 1):
        u = ex * float(i - nu) / float(nu)
        for j in range(2 * nv + 1):
            v = ey * float(j - nv) / float(nv)
            floor, wall = under(e, k, x, y, u, v, limit, high, height, meta, solids, things)
            if wall == 1 or floor > limit:
                stopped = 1
            elif floor > best:
                best = floor
    return best, stopped


def tilt(e, k, x, y, level, limit, high, height, meta, solids, things):
    """Return which way block k at (x, y) leaves its place, along and across itself: -1, 0 or 1 each.

    Where walls or rises overlap it, it moves away from those (and the third number is 1); else off its footing, if all
    points that hold it, those with a floor of at least `level` metres, lie on one side of its middle.
    """
    ex = float(things[e, k, EX]) - INSET
    ey = float(things[e, k, EY]) - INSET
    nu = points_along(ex)
    nv = points_along(ey)
    low_u = int(99)
    high_u = int(-99)
    low_v = int(99)
    high_v = int(-99)
    push_u = int(0)
    push_v = int(0)
    hit = int(0)
    for i in range(2 * nu + 1):
        u = ex * float(i - nu) / float(nu)
        for j in range(2 * nv + 1):
            v = ey * float(j - nv) / float(nv)
            floor, wall = under(e, k, x, y, u, v, limit, high, height, meta, solids, things)
            if wall == 1 or floor > limit:
                hit = 1
                push_u = push_u - (i - nu)
                push_v = push_v - (j - nv)
            if floor >= level:
                low_u = min(low_u, i - nu)
                high_u = max(high_u, i - nu)
                low_v = min(low_v, j - nv)
                high_v = max(high_v, j - nv)
    if hit == 0:
        if low_u > high_u:  # nothing holds it
            return 0, 0, 0
        if low_u > 0:
            push_u = -1
        if high_u < 0:
            push_u = 1
        if low_v > 0:
            push_v = -1
        if high_v < 0:
            push_v = 1
    else:  # the straighter way out only
        if push_u * push_u * nv * nv >= push_v * push_v * nu * nu:
            push_v = 0
        else:
            push_u = 0
    return max(min(push_u, 1), -1), max(min(push_v, 1), -1), hit


def within(e, k, x, y, meta, things):
    """Return 1 if the middle of block k may lie at (x, y), so that all of it stays within the map."""
    most = 0.5 * CELL * float(meta[e, SIZE]) - EDGE
    cos = math.fabs(float(things[e, k, COS]))
    sin = math.fabs(float(things[e, k, SIN]))
    ex = float(things[e, k, EX])
    ey = float(things[e, k, EY])
    if math.fabs(x) + ex * cos + ey * sin > most or math.fabs(y) + ex * sin + ey * cos > most:
        return 0
    return 1


def shift(e, k, along, across, rise, height, meta, solids, things):
    """Move block k along and across itself, in metres, and return 1, or 0 where a wall or a rise of `rise` stops it."""
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    x = float(things[e, k, TX]) + along * cos - across * sin
    y = float(things[e, k, TY]) + along * sin + across * cos
    z = float(things[e, k, TZ])
    ez = float(things[e, k, EZ])
    if within(e, k, x, y, meta, things) == 0:
        return 0
    floor, stopped = footing(e, k, x, y, z - ez + rise, z + ez, height, meta, solids, things)
    if stopped == 1:
        return 0
    things[e, k, TX] = x
    things[e, k, TY] = y
    things[e, k, TZ] = max(z, floor + ez)
    return 1


def in_body(e, k, things, body):
    """Return the way along and across itself, in metres, by which block k leaves the body that it overlaps, or (0, 0)."""
    feet = float(body[e, BZ])
    z = float(things[e, k, TZ])
    ez = float(things[e, k, EZ])
    if z + ez <= feet + STEP_UP or z - ez >= feet + float(body[e, HEAD]) + HEAD_CLEAR:
        return 0.0, 0.0
    dx = float(body[e, BX]) - float(things[e, k, TX])
    dy = float(body[e, BY]) - float(things[e, k, TY])
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin
    along = float(things[e, k, EX]) + BODY_RADIUS - math.fabs(u)
    across = float(things[e, k, EY]) + BODY_RADIUS - math.fabs(v)
    if along <= 1e-6 or across <= 1e-6:
        return 0.0, 0.0
    if along < across:
        if u > 0.0:
            along = -along
        return min(max(along, -TOPPLE), TOPPLE), 0.0
    if v > 0.0:
        across = -across
    return 0.0, min(max(across, -TOPPLE), TOPPLE)


def pushed(e, k, things, body):
    """Return the way along and across itself, in metres, that a body walking against block k pushes it in this frame."""
    feet = float(body[e, BZ])
    z = float(things[e, k, TZ])
    ez = float(things[e, k, EZ])
    if z + ez <= feet + STEP_UP or z - ez >= feet + float(body[e, HEAD]) or float(body[e, GROUNDED]) < 0.5:
        return 0.0, 0.0
    if float(body[e, CLIMBING]) > 0.5:
        return 0.0, 0.0
    ex = float(things[e, k, EX])
    ey = float(things[e, k, EY])
    dx = float(body[e, BX]) - float(things[e, k, TX])
    dy = float(body[e, BY]) - float(things[e, k, TY])
    far = ex + ey + BODY_RADIUS + HEAD_MOVE
    if math.fabs(dx) > far or math.fabs(dy) > far:
        return 0.0, 0.0
    sx = float(body[e, BVX]) * DT
    sy = float(body[e, BVY]) * DT
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin
    su = sx * cos + sy * sin
    sv = sy * cos - sx * sin
    factor = min(PUSH * BODY_MASS / float(things[e, k, MASS]), 1.0)
    if math.fabs(u) - ex >= math.fabs(v) - ey:
        space = max(math.fabs(u) - ex - BODY_RADIUS, 0.0)
        if u > 0.0:
            return -min(max(-su - space, 0.0), max(-su, 0.0) * factor), 0.0
        return min(max(su - space, 0.0), max(su, 0.0) * factor), 0.0
    space = max(math.fabs(v) - ey - BODY_RADIUS, 0.0)
    if v > 0.0:
        return 0.0, -min(max(-sv - space, 0.0), max(-sv, 0.0) * factor)
    return 0.0, min(max(sv - space, 0.0), max(sv, 0.0) * factor)


def rouse(e, k, meta, things):
    """Wake what may rest on block k, because it moves."""
    for other in range(int(meta[e, N_THINGS])):
        if other != k and loose(e, other, things) == 1:
            far = float(things[e, k, EX]) + float(things[e, k, EY]) + float(things[e, other, EX])
            dx = math.fabs(float(things[e, other, TX]) - float(things[e, k, TX]))
            dy = math.fabs(float(things[e, other, TY]) - float(things[e, k, TY]))
            if dx < far and dy < far:
                things[e, other, TIMER] = max(float(things[e, other, TIMER]), AWAKE)


def sink(e, k, height, meta, solids, things):
    """Let block k fall for one frame; return 1 if it landed, 2 if a wall or a rise overlaps it and holds it, else 0.

    It falls straight down: it is too heavy to be thrown.
    """
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    ez = float(things[e, k, EZ])
    low = float(things[e, k, TZ]) - ez
    speed = min(float(things[e, k, TVZ]), 0.0)
    n = int((GRAVITY * DT - speed) * DT / DROP) + 1
    h = DT / float(n)
    end = int(0)
    for _ in range(n):
        if end == 0:
            level, stopped = footing(e, k, x, y, low + RISE, low + 2.0 * ez, height, meta, solids, things)
            fall = low + speed * h - 0.5 * GRAVITY * h * h
            speed = speed - GRAVITY * h
            if stopped == 1:
                end = 2
            elif fall <= level:
                end = 1
                low = level
            else:
                low = fall
    if end > 0:
        speed = 0.0
    things[e, k, TZ] = low + ez
    things[e, k, TVX] = 0.0
    things[e, k, TVY] = 0.0
    things[e, k, TVZ] = speed
    return end


def settle_block(e, k, height, meta, solids, things):
    """Let block k fall, come to rest or topple."""
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    z = float(things[e, k, TZ])
    end = sink(e, k, height, meta, solids, things)
    if end > 0:
        half = float(things[e, k, EZ])
        low = float(things[e, k, TZ]) - half
        lean = max(LEAN * min(float(things[e, k, EX]), float(things[e, k, EY])), RISE)
        u, v, hit = tilt(e, k, x, y, low - lean, low + RISE, low + 2.0 * half, height, meta, solids, things)
        along = TOPPLE * float(u)
        across = TOPPLE * float(v)
        if hit == 1:
            cos = float(things[e, k, COS])
            sin = float(things[e, k, SIN])
            px = x + along * cos - across * sin
            py = y + along * sin + across * cos
            if within(e, k, px, py, meta, things) == 1:
                things[e, k, TX] = px
                things[e, k, TY] = py
        elif u != 0 or v != 0:
            shift(e, k, along, across, RISE, height, meta, solids, things)
    if (
        float(things[e, k, TX]) != x
        or float(things[e, k, TY]) != y
        or float(things[e, k, TZ]) != z
        or end == 0
    ):
        things[e, k, TIMER] = AWAKE
        rouse(e, k, meta, things)
    else:
        things[e, k, TIMER] = float(things[e, k, TIMER]) - 1.0


def move_block(e, k, height, meta, solids, things, body, hands):
    """Move block k by one frame: carried, pushed, falling or at rest."""
    if in_hand(e, k, hands) > 0:
        things[e, k, TIMER] = AWAKE
        rouse(e, k, meta, things)
        return
    if float(things[e, k, MASS]) > CARRY_LIMIT:
        along, across = pushed(e, k, things, body)
        if along != 0.0 or across != 0.0:
            if shift(e, k, along, across, RISE, height, meta, solids, things) == 1:
                things[e, k, TIMER] = AWAKE
    if float(things[e, k, TIMER]) > 0.0:
        along, across = in_body(e, k, things, body)
        if along != 0.0 or across != 0.0:
            shift(e, k, along, across, RISE, height, meta, solids, things)
        settle_block(e, k, height, meta, solids, things)
