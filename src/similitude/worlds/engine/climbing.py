"""Climbing: hands that hold on to steep ground or to ladders, and pull the body up and onto an edge."""

import math

from similitude.worlds.engine.body import ball
from similitude.worlds.engine.columns import (
    BVZ,
    BX,
    BY,
    BZ,
    CLIMBING,
    GRIP,
    GROUNDED,
    HEAD,
    HELD,
    HX,
    HY,
    HZ,
    SCOS,
    SEX,
    SEY,
    SEZ,
    SOLID_CLIMBS,
    SSIN,
    SX,
    SY,
    SZ,
    TOUCH,
    YAW,
)
from similitude.worlds.engine.constants import ARM, HAND_MOVE, HEAD_CLEAR, SLOPE, STEP_UP
from similitude.worlds.engine.falling import way_down
from similitude.worlds.engine.ground import (
    TOUCHING,
    climbable,
    nearby,
    obstructed,
    slope_at,
    support,
    terrain,
)
from similitude.worlds.engine.passage import LEDGE, glide, standing

MANTLE = 0.8
"""A body pulls itself onto an edge that is at most this far away, in metres."""
SCRAMBLE = 0.4
"""Highest rise of the ground that a body is dragged over when its hands pull, in metres."""
HAUL = 0.4
"""Farthest that hands pull the body in one frame, in metres."""
REACH = 0.3
"""Farthest a hand is from the ground or the ladder that it holds, in metres."""
DEEP = 0.15
"""A hand also holds ground that is at most this far below it, in metres."""
FINGER = 0.1
"""Steps in which the ground is searched for a hold, in metres."""


def mantle(e, x, y, feet, tall, toward_x, toward_y, height, meta, solids, things):
    """Return the place (x, y, z) of an edge onto which a body can pull itself; z is -1000 where there is none.

    Args are in metres; (toward_x, toward_y) is the unit vector to the hand that holds.
    """
    far = float(0.2)
    while far <= MANTLE:
        px = x + far * toward_x
        py = y + far * toward_y
        z = support(e, px, py, feet + tall - STEP_UP, int(-1), height, meta, solids, things)
        if z > feet + tall:
            return x, y, -1000.0
        if obstructed(e, px, py, z, z + tall + HEAD_CLEAR, int(-1), height, meta, solids, things) == 1:
            return x, y, -1000.0
        if z > feet + LEDGE:
            _cos, _sin, fall = way_down(e, px, py, z, height, meta)
            if fall == 0.0:
                return px, py, z
        far = far + 0.1
    return x, y, -1000.0


def climb(e, pull_x, pull_y, pull_z, toward_x, toward_y, height, meta, solids, things, body):
    """Pull the body by (pull_x, pull_y, pull_z) metres, and onto an edge where one is near."""
    x = float(body[e, BX])
    y = float(body[e, BY])
    z = float(body[e, BZ])
    tall = float(body[e, HEAD])
    new = z + pull_z
    if pull_z > 0.0:
        if obstructed(e, x, y, new, new + tall + HEAD_CLEAR, int(-1), height, meta, solids, things) == 1:
            new = z
    for _ in range(2):
        x, y = glide(
            e,
            x,
            y,
            0.5 * pull_x,
            0.5 * pull_y,
            new,
            tall,
            int(0),
            0.0,
            SCRAMBLE,
            height,
            meta,
            solids,
            things,
        )
        new = max(new, standing(e, x, y, new, int(0), height, meta, solids, things))
    body[e, GROUNDED] = 0.0
    if new <= standing(e, x, y, new, int(0), height, meta, solids, things) + TOUCHING:
        body[e, GROUNDED] = 1.0
    if pull_z > 0.0 or pull_x * toward_x + pull_y * toward_y > 0.0:
        px, py, pz = mantle(e, x, y, new, tall, toward_x, toward_y, height, meta, solids, things)
        if pz > -1000.0:
            x = px
            y = py
            new = pz
            body[e, GROUNDED] = 1.0
            body[e, CLIMBING] = 0.0
    body[e, BX] = x
    body[e, BY] = y
    body[e, BZ] = new
    body[e, BVZ] = 0.0


def steep_hold(e, x, y, height, ground, meta):
    """Return 1 if the ground at (x, y) can be climbed and is too steep to walk on."""
    if climbable(e, x, y, ground, meta) == 0 or slope_at(e, x, y, height, meta) <= SLOPE:
        return 0
    return 1


def hold(e, x, y, z, from_x, from_y, cos, sin, height, ground, meta, solids):
    """Return 1 if a hand at (x, y, z) finds a hold: where its arm meets steep climbable ground, or a ladder.

    (from_x, from_y) is where the body is and (cos, sin) where it looks. Ground is met where it crosses the height of the
    hand, going from the body to REACH beyond the hand; going down, a body on an edge finds the face below it.
    """
    level = z - DEEP
    way_x = x - from_x
    way_y = y - from_y
    far = math.sqrt(way_x * way_x + way_y * way_y)
    if far > 0.1:
        way_x = way_x / far
        way_y = way_y / far
    else:
        way_x = cos
        way_y = sin
    above = int(0)
    if terrain(e, from_x, from_y, height, meta) >= level:
        above = 1
    at = float(0.0)
    while at < far + REACH:
        at = at + FINGER
        px = from_x + at * way_x
        py = from_y + at * way_y
        now = int(0)
        if terrain(e, px, py, height, meta) >= level:
            now = 1
        if now != above:
            if steep_hold(e, px, py, height, ground, meta) == 1:
                return 1
            if steep_hold(e, px - FINGER * way_x, py - FINGER * way_y, height, ground, meta) == 1:
                return 1
        above = now
    first, last = nearby(e, x, y, meta)
    for i in range(first, last):
        k = int(meta[e, i])
        if float(solids[e, k, SOLID_CLIMBS]) > 0.5:
            dx = x - float(solids[e, k, SX])
            dy = y - float(solids[e, k, SY])
            c = float(solids[e, k, SCOS])
            s = float(solids[e, k, SSIN])
            u = max(math.fabs(dx * c + dy * s) - float(solids[e, k, SEX]), 0.0)
            v = max(math.fabs(dy * c - dx * s) - float(solids[e, k, SEY]), 0.0)
            w = max(math.fabs(z - float(solids[e, k, SZ])) - float(solids[e, k, SEZ]), 0.0)
            if u * u + v * v + w * w <= REACH * REACH:
                return 1
    return 0


def hold_on(e, height, ground, meta, solids, things, body, hands, action):
    """Decide which hands hold on (GRIP becomes 2), and move the body against them.

    A hand on the ground takes a thing within reach rather than a hold; in the air it takes the hold.
    """
    yaw = float(body[e, YAW])
    cos = math.cos(yaw)
    sin = math.sin(yaw)
    from_x = float(body[e, BX])
    from_y = float(body[e, BY])
    eye = float(body[e, BZ]) + float(body[e, HEAD])
    n = float(0.0)
    pull_x = float(0.0)
    pull_y = float(0.0)
    pull_z = float(0.0)
    hand_x = float(0.0)
    hand_y = float(0.0)
    for h in range(2):
        if float(action[e, 18 + h]) <= 0.5 or int(hands[e, h, HELD]) >= 0:
            hands[e, h, GRIP] = 0.0
            if float(action[e, 18 + h]) > 0.5:
                hands[e, h, GRIP] = 1.0
        else:
            x = float(hands[e, h, HX])
            y = float(hands[e, h, HY])
            z = float(hands[e, h, HZ])
            if int(hands[e, h, GRIP]) != 2:
                hands[e, h, GRIP] = 1.0
                if int(body[e, GROUNDED]) == 0 or int(hands[e, h, TOUCH]) < 0:
                    if hold(e, x, y, z, from_x, from_y, cos, sin, height, ground, meta, solids) == 1:
                        hands[e, h, GRIP] = 2.0
            if int(hands[e, h, GRIP]) == 2:
                b = 6 + 6 * h
                share = HAND_MOVE * ball(e, b, action)
                right = share * float(action[e, b])
                ahead = share * float(action[e, b + 2])
                ox = x - from_x
                oy = y - from_y
                oz = z - eye
                nx = ox + ahead * cos + right * sin
                ny = oy + ahead * sin - right * cos
                nz = oz + share * float(action[e, b + 1])
                far = ARM / max(math.sqrt(nx * nx + ny * ny + nz * nz), ARM)
                pull_x = pull_x - (nx * far - ox)
                pull_y = pull_y - (ny * far - oy)
                pull_z = pull_z - (nz * far - oz)
                hand_x = hand_x + ox
                hand_y = hand_y + oy
                n = n + 1.0
    body[e, CLIMBING] = 0.0
    if n > 0.0:
        body[e, CLIMBING] = 1.0
        length = math.sqrt(pull_x * pull_x + pull_y * pull_y + pull_z * pull_z) / n
        share = min(HAUL / max(length, 1e-9), 1.0) / n
        far = math.sqrt(hand_x * hand_x + hand_y * hand_y)
        if far > 1e-6:
            cos = hand_x / far
            sin = hand_y / far
        climb(e, pull_x * share, pull_y * share, pull_z * share, cos, sin, height, meta, solids, things, body)
