"""Falling, landing and sliding down ground that is too steep to stand on."""

import math

from similitude.worlds.engine.columns import BVZ, BX, BY, BZ, FALL, GROUNDED, HEAD
from similitude.worlds.engine.constants import (
    BODY_MASS,
    DT,
    FALL_FACTOR,
    FALL_FREE,
    GRAVITY,
    HEAD_CLEAR,
    SLOPE,
    STEP_UP,
)
from similitude.worlds.engine.ground import SHALLOW, TOUCHING, obstructed, slope_at, terrain
from similitude.worlds.engine.passage import LEDGE, glide, standing

FEEL = 0.3
"""How far ahead a body on steep ground looks for the way down, in metres."""
CREEP = 1.0
"""Slowest way down steep ground, in metres per second."""
EIGHTH = 0.7853981633974483
"""An eighth of a turn, in radians."""


def harm(speed):
    """Return the hit points lost when a fall is stopped at `speed` metres per second."""
    return max(FALL_FACTOR * BODY_MASS * (speed * speed - FALL_FREE * FALL_FREE), 0.0)


def way_down(e, x, y, feet, height, meta):
    """Return the direction (x, y) in which a body at (x, y) slides down, and the fall per metre; 0 where it stands."""
    if terrain(e, x, y, height, meta) < feet - 0.001 or slope_at(e, x, y, height, meta) <= SLOPE + TOUCHING:
        return 0.0, 0.0, 0.0
    best = float(feet)
    cos = float(0.0)
    sin = float(0.0)
    for i in range(8):
        c = math.cos(float(i) * EIGHTH)
        s = math.sin(float(i) * EIGHTH)
        z = max(terrain(e, x + FEEL * c, y + FEEL * s, height, meta), SHALLOW)
        if z < best:
            best = z
            cos = c
            sin = s
    fall = (feet - best) / FEEL
    if fall < 0.7 * SLOPE:
        return 0.0, 0.0, 0.0
    return cos, sin, fall


def slide(e, cos, sin, fall, height, meta, solids, things, body):
    """Let a body slide for one frame down ground that falls by `fall` metres per metre along (cos, sin).

    Friction just holds a body on a slope of SLOPE; along the ground g (fall - SLOPE) / sqrt(1 + fall^2) is left.
    """
    x = float(body[e, BX])
    y = float(body[e, BY])
    feet = float(body[e, BZ])
    speed = float(body[e, BVZ]) - GRAVITY * DT * max(fall - SLOPE, 0.0) * fall / (1.0 + fall * fall)
    speed = min(speed, -CREEP)
    drop = -speed * DT
    ahead = min(drop / fall, FEEL)
    tall = float(body[e, HEAD])
    px, py = glide(
        e, x, y, ahead * cos, ahead * sin, feet, tall, int(0), 0.0, 0.0, height, meta, solids, things
    )
    z = max(feet - drop, standing(e, px, py, feet, int(0), height, meta, solids, things))
    if z >= feet - TOUCHING:
        body[e, BVZ] = 0.0
        body[e, GROUNDED] = 1.0
        return
    body[e, BX] = px
    body[e, BY] = py
    body[e, BZ] = z
    body[e, BVZ] = speed
    if z <= standing(e, px, py, z, int(0), height, meta, solids, things) + TOUCHING:
        land(e, -speed, height, meta, body)


def land(e, speed, height, meta, body):
    """Stop a fall of `speed` metres per second where the body is; on steep ground only what leads into it stops."""
    _cos, _sin, fall = way_down(e, float(body[e, BX]), float(body[e, BY]), float(body[e, BZ]), height, meta)
    if fall == 0.0:
        body[e, FALL] = float(body[e, FALL]) + harm(speed)
        body[e, BVZ] = 0.0
        body[e, GROUNDED] = 1.0
    elif float(body[e, BVZ]) < -speed * fall * fall / (1.0 + fall * fall):
        # It came from the air: the rest goes on along the ground.
        body[e, FALL] = float(body[e, FALL]) + harm(speed / math.sqrt(1.0 + fall * fall))
        body[e, BVZ] = -speed * fall * fall / (1.0 + fall * fall)


def settle(e, height, meta, body):
    """Decide whether a body that stands keeps its feet: on ground that is too steep it begins to slide."""
    _cos, _sin, fall = way_down(e, float(body[e, BX]), float(body[e, BY]), float(body[e, BZ]), height, meta)
    body[e, GROUNDED] = 1.0
    if fall > 0.0:
        body[e, GROUNDED] = 0.0


def tumble(e, height, meta, solids, things, body):
    """Let a body that nothing holds fly, fall or slide for one frame."""
    x = float(body[e, BX])
    y = float(body[e, BY])
    feet = float(body[e, BZ])
    speed = float(body[e, BVZ])
    below = standing(e, x, y, feet, int(0), height, meta, solids, things)
    if feet <= below + TOUCHING and speed <= 0.0:
        body[e, BZ] = below
        cos, sin, fall = way_down(e, x, y, below, height, meta)
        if fall > 0.0:
            slide(e, cos, sin, fall, height, meta, solids, things, body)
        else:
            land(e, -speed, height, meta, body)
        return
    rise = speed * DT - 0.5 * GRAVITY * DT * DT
    after = speed - GRAVITY * DT
    if rise > 0.0:
        top = feet + rise + float(body[e, HEAD]) + HEAD_CLEAR
        if obstructed(e, x, y, feet - STEP_UP + LEDGE, top, int(-1), height, meta, solids, things) == 1:
            rise = 0.0
            after = 0.0
    body[e, BVZ] = after
    if feet + rise <= below + TOUCHING:
        body[e, BZ] = below
        land(e, math.sqrt(max(speed * speed + 2.0 * GRAVITY * (feet - below), 0.0)), height, meta, body)
    else:
        body[e, BZ] = feet + rise
