"""The body: looking, crouching, walking and jumping."""

import math

from similitude.worlds.engine.columns import (
    BVX,
    BVY,
    BVZ,
    BX,
    BY,
    BZ,
    DHEAD,
    DPITCH,
    DROLL,
    DYAW,
    GROUNDED,
    HEAD,
    PITCH,
    ROLL,
    YAW,
)
from similitude.worlds.engine.constants import (
    AIR,
    CROUCH_SLOWEST,
    DT,
    HEAD_CLEAR,
    HEAD_LOW,
    HEAD_MOVE,
    HEAD_PITCH,
    HEAD_ROLL,
    HEAD_TOP,
    HEAD_YAW,
    PITCH_LIMIT,
    ROLL_LIMIT,
    SLOPE,
    STEP_UP,
)
from similitude.worlds.engine.falling import settle, tumble
from similitude.worlds.engine.ground import TOUCHING, obstructed
from similitude.worlds.engine.passage import glide, standing

LEAP = 5.5
"""Speed of a jump, in metres per second: its feet are highest, exactly JUMP, after five and six frames."""
WADE = 0.5
"""Walking speed in water, as a share of that on land."""
TURN = 6.283185307179586
"""A full turn, in radians."""


def ball(e, i, action):
    """Return the factor that brings the triplet of an action that begins at `i` into the unit ball."""
    x = float(action[e, i])
    y = float(action[e, i + 1])
    z = float(action[e, i + 2])
    return 1.0 / max(math.sqrt(x * x + y * y + z * z), 1.0)


def look(e, body, action):
    """Turn the head, and the body with it."""
    share = ball(e, int(3), action)
    pitch = float(body[e, PITCH])
    roll = float(body[e, ROLL])
    yaw = float(body[e, YAW])
    new_pitch = min(max(pitch + HEAD_PITCH * share * float(action[e, 3]), -PITCH_LIMIT), PITCH_LIMIT)
    new_roll = min(max(roll + HEAD_ROLL * share * float(action[e, 5]), -ROLL_LIMIT), ROLL_LIMIT)
    turn = HEAD_YAW * share * float(action[e, 4])
    new_yaw = yaw + turn
    if new_yaw > 0.5 * TURN:
        new_yaw = new_yaw - TURN
    elif new_yaw < -0.5 * TURN:
        new_yaw = new_yaw + TURN
    body[e, PITCH] = new_pitch
    body[e, ROLL] = new_roll
    body[e, YAW] = new_yaw
    body[e, DPITCH] = new_pitch - pitch
    body[e, DROLL] = new_roll - roll
    body[e, DYAW] = turn


def crouch(e, height, meta, solids, things, body, action):
    """Raise or lower the eyes; a ceiling stops them."""
    old = float(body[e, HEAD])
    new = old + HEAD_MOVE * ball(e, int(0), action) * float(action[e, 1])
    new = min(max(new, HEAD_LOW), HEAD_TOP)
    if new > old:
        x = float(body[e, BX])
        y = float(body[e, BY])
        z = float(body[e, BZ])
        if obstructed(e, x, y, z, z + new + HEAD_CLEAR, int(-1), height, meta, solids, things) == 1:
            new = old
    body[e, HEAD] = new
    body[e, DHEAD] = new - old


def pace(e, body):
    """Return how far a body walks in one frame at most, in metres: less when it crouches, wades or is in the air."""
    low = (float(body[e, HEAD]) - HEAD_LOW) / (HEAD_TOP - HEAD_LOW)
    far = HEAD_MOVE * (CROUCH_SLOWEST + (1.0 - CROUCH_SLOWEST) * low)
    if int(body[e, GROUNDED]) == 0:
        far = far * AIR
    if float(body[e, BZ]) < -TOUCHING:
        far = far * WADE
    return far


def walk(e, height, meta, solids, things, body, action):
    """Walk, jump, fly and fall for one frame: first across, then up or down."""
    if int(body[e, GROUNDED]) == 1 and float(action[e, 20]) > 0.5:
        body[e, GROUNDED] = 0.0
        body[e, BVZ] = LEAP
    firm = int(body[e, GROUNDED])
    x = float(body[e, BX])
    y = float(body[e, BY])
    feet = float(body[e, BZ])
    tall = float(body[e, HEAD])
    far = pace(e, body) * ball(e, int(0), action)
    cos = math.cos(float(body[e, YAW]))
    sin = math.sin(float(body[e, YAW]))
    right = far * float(action[e, 0])
    ahead = far * float(action[e, 2])
    dx = ahead * cos + right * sin
    dy = ahead * sin - right * cos
    body[e, BVX] = dx / DT
    body[e, BVY] = dy / DT
    slack = SLOPE
    if firm == 0:
        if feet <= standing(e, x, y, feet, int(0), height, meta, solids, things) + TOUCHING:
            slack = 0.0  # it slides: no way up
    for _ in range(2):
        x, y = glide(e, x, y, 0.5 * dx, 0.5 * dy, feet, tall, firm, slack, 0.0, height, meta, solids, things)
        if firm == 1:
            z = standing(e, x, y, feet, int(1), height, meta, solids, things)
            if z < feet - STEP_UP - TOUCHING:
                firm = 0
            else:
                feet = z
    body[e, BX] = x
    body[e, BY] = y
    body[e, BZ] = feet
    if firm == 1:
        body[e, BVZ] = 0.0
        settle(e, height, meta, body)
    else:
        body[e, GROUNDED] = 0.0
        tumble(e, height, meta, solids, things, body)
