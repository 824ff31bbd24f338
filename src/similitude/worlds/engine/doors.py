"""Doors and their locks: bars that are lifted or shifted, buttons, doors that swing and doors that slide."""

import math

from similitude.worlds.engine.columns import (
    BOX,
    BVX,
    BVY,
    BX,
    BY,
    BZ,
    COS,
    DOOR,
    DOORS,
    EX,
    EY,
    EZ,
    GONE,
    HDROLL,
    HEAD,
    HELD,
    HOME_X,
    HOME_Y,
    HOME_Z,
    HVX,
    HVY,
    HVZ,
    HX,
    HY,
    HZ,
    LINK,
    LOCK,
    MOVED,
    OPENS,
    PRESSES,
    ROLE,
    SHIFTS,
    SIN,
    SWINGS,
    TRAITS,
    TX,
    TY,
    TZ,
)
from similitude.worlds.engine.constants import BODY_RADIUS, DT, HEAD_MOVE
from similitude.worlds.engine.contact import in_hand
from similitude.worlds.engine.grasping import gap
from similitude.worlds.engine.ground import apart

LIFT_WAY = 0.5
"""How far a turning bar is lifted to open, in metres."""
TURN_WAY = 1.5707963267948966
"""Or how far the hand that holds it rolls: a quarter turn, in radians."""
SHIFT_WAY = 0.6
"""How far a sliding bar is moved to open, in metres."""
PRESS = 0.12
"""A hand presses a button from this distance, in metres."""
PRESS_WAY = 0.02
"""It has to come nearer by this much in the frame, in metres."""
QUARTER = 1.5707963267948966
"""A swing door is open after a quarter turn, in radians."""
OPENED = 0.8
"""What has gone this share of its way goes the rest by itself, and stays open."""
SWING = 0.3
"""Most that a door turns in one frame, in radians."""
LEVER = 0.2
"""Shortest distance from the hinge at which a door can be moved, in metres."""


def unlock(e, k, things, hands):
    """Take lock k away; its door has one lock less."""
    things[e, k, ROLE] = float(GONE)
    for h in range(2):
        if int(hands[e, h, HELD]) == k:
            hands[e, h, HELD] = -1.0
    door = int(things[e, k, LINK])
    if door >= 0:
        things[e, door, OPENS] = max(float(things[e, door, OPENS]) - 1.0, 0.0)


def pressed(e, k, h, things, hands):
    """Return 1 if hand `h` touches button k and came nearer in this frame."""
    x = float(hands[e, h, HX])
    y = float(hands[e, h, HY])
    z = float(hands[e, h, HZ])
    if gap(e, k, x, y, z, things) > PRESS:
        return 0
    x = x - float(things[e, k, TX])
    y = y - float(things[e, k, TY])
    z = z - float(things[e, k, TZ])
    ox = x - float(hands[e, h, HVX]) * DT
    oy = y - float(hands[e, h, HVY]) * DT
    oz = z - float(hands[e, h, HVZ]) * DT
    if math.sqrt(ox * ox + oy * oy + oz * oz) - math.sqrt(x * x + y * y + z * z) >= PRESS_WAY:
        return 1
    return 0


def move_lock(e, k, things, hands):
    """Let the hands work on lock k for one frame."""
    traits = int(things[e, k, TRAITS])
    if traits & PRESSES > 0:
        if pressed(e, k, 0, things, hands) == 1 or pressed(e, k, 1, things, hands) == 1:
            things[e, k, MOVED] = 1.0
    else:
        h = in_hand(e, k, hands) - 1
        if h < 0:
            return
        if traits & SHIFTS > 0:
            cos = float(things[e, k, COS])
            sin = float(things[e, k, SIN])
            at = (float(things[e, k, TX]) - float(things[e, k, HOME_X])) * cos
            at = at + (float(things[e, k, TY]) - float(things[e, k, HOME_Y])) * sin
            at = at + (float(hands[e, h, HVX]) * cos + float(hands[e, h, HVY]) * sin) * DT
            at = min(max(at, -SHIFT_WAY), SHIFT_WAY)
            things[e, k, TX] = float(things[e, k, HOME_X]) + at * cos
            things[e, k, TY] = float(things[e, k, HOME_Y]) + at * sin
            things[e, k, MOVED] = math.fabs(at) / SHIFT_WAY
        else:
            lift = max(float(hands[e, h, HVZ]), 0.0) * DT / LIFT_WAY
            roll = math.fabs(float(hands[e, h, HDROLL])) / TURN_WAY
            moved = min(float(things[e, k, MOVED]) + max(lift, roll), 1.0)
            things[e, k, MOVED] = moved
            things[e, k, TZ] = float(things[e, k, HOME_Z]) + LIFT_WAY * moved
    if float(things[e, k, MOVED]) >= 1.0 - 1e-9:
        unlock(e, k, things, hands)


def meets_body(e, k, x, y, cos, sin, things, body):
    """Return 1 if door k with its middle at (x, y), turned by (cos, sin), would overlap the body."""
    feet = float(body[e, BZ])
    z = float(things[e, k, TZ])
    ez = float(things[e, k, EZ])
    if z + ez <= feet or z - ez >= feet + float(body[e, HEAD]):
        return 0
    dx = float(body[e, BX]) - x
    dy = float(body[e, BY]) - y
    if apart(dx, dy, cos, sin, float(things[e, k, EX]), float(things[e, k, EY]), BOX) < BODY_RADIUS - 1e-6:
        return 1
    return 0


def pose(e, k, moved, things):
    """Return the middle (x, y) and (cos, sin) of swing door k when it has turned by `moved` radians from closed."""
    change = moved - float(things[e, k, MOVED])
    c = math.cos(change)
    s = math.sin(change)
    old_cos = float(things[e, k, COS])
    old_sin = float(things[e, k, SIN])
    cos = old_cos * c - old_sin * s
    sin = old_cos * s + old_sin * c
    size = math.sqrt(cos * cos + sin * sin)
    cos = cos / size
    sin = sin / size
    ex = float(things[e, k, EX])
    x = float(things[e, k, TX]) - ex * old_cos + ex * cos
    y = float(things[e, k, TY]) - ex * old_sin + ex * sin
    return x, y, cos, sin


def shove(e, k, things, body):
    """Return the angle in radians by which a body that walks against swing door k turns it in this frame."""
    feet = float(body[e, BZ])
    z = float(things[e, k, TZ])
    ez = float(things[e, k, EZ])
    if z + ez <= feet or z - ez >= feet + float(body[e, HEAD]):
        return 0.0
    ex = float(things[e, k, EX])
    ey = float(things[e, k, EY])
    dx = float(body[e, BX]) - float(things[e, k, TX])
    dy = float(body[e, BY]) - float(things[e, k, TY])
    far = ex + ey + BODY_RADIUS + HEAD_MOVE
    if math.fabs(dx) > far or math.fabs(dy) > far:
        return 0.0
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin
    if math.fabs(u) > ex + 0.5 * BODY_RADIUS:
        return 0.0
    ahead = (float(body[e, BVY]) * cos - float(body[e, BVX]) * sin) * DT
    space = math.fabs(v) - ey - BODY_RADIUS
    lever = max(u + ex, LEVER)
    if v > 0.0:
        return -min(max(-ahead - space, 0.0) / lever, SWING)
    return min(max(ahead - space, 0.0) / lever, SWING)


def drag(e, k, h, things, hands):
    """Return the angle in radians by which hand `h`, which holds swing door k, turns it in this frame."""
    ex = float(things[e, k, EX])
    rx = float(hands[e, h, HX]) - float(things[e, k, TX]) + ex * float(things[e, k, COS])
    ry = float(hands[e, h, HY]) - float(things[e, k, TY]) + ex * float(things[e, k, SIN])
    turn = (rx * float(hands[e, h, HVY]) - ry * float(hands[e, h, HVX])) * DT
    return min(max(turn / max(rx * rx + ry * ry, LEVER * LEVER), -SWING), SWING)


def turn_door(e, k, things, body, hands):
    """Turn swing door k about its edge at its own -x end, pushed by the body or moved by a hand, either way."""
    turn = shove(e, k, things, body)
    h = in_hand(e, k, hands) - 1
    if turn == 0.0 and h >= 0:
        turn = drag(e, k, h, things, hands)
    if turn == 0.0:
        return
    moved = min(max(float(things[e, k, MOVED]) + turn, -QUARTER), QUARTER)
    if math.fabs(moved) >= OPENED * QUARTER:
        end = float(QUARTER)
        if moved < 0.0:
            end = -QUARTER
        x, y, cos, sin = pose(e, k, end, things)
        if meets_body(e, k, x, y, cos, sin, things, body) == 0:
            moved = end
    x, y, cos, sin = pose(e, k, moved, things)
    if meets_body(e, k, x, y, cos, sin, things, body) == 1:
        return
    things[e, k, TX] = x
    things[e, k, TY] = y
    things[e, k, COS] = cos
    things[e, k, SIN] = sin
    things[e, k, MOVED] = moved


def slide_door(e, k, things, hands):
    """Shift sliding door k along itself with the hand that holds it, either way."""
    h = in_hand(e, k, hands) - 1
    if h < 0:
        return
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    way = 2.0 * float(things[e, k, EX])
    moved = float(things[e, k, MOVED]) + (float(hands[e, h, HVX]) * cos + float(hands[e, h, HVY]) * sin) * DT
    if math.fabs(moved) >= OPENED * way:
        if moved > 0.0:
            moved = way
        else:
            moved = -way
    things[e, k, MOVED] = moved
    things[e, k, TX] = float(things[e, k, HOME_X]) + moved * cos
    things[e, k, TY] = float(things[e, k, HOME_Y]) + moved * sin


def way_of(e, k, things):
    """Return how far door k goes until it is open: radians if it swings, metres if it slides."""
    if int(things[e, k, TRAITS]) & SWINGS > 0:
        return QUARTER
    return 2.0 * float(things[e, k, EX])


def move_doors(e, height, ground, meta, solids, things, body, hands, action):
    """Move all locks and doors of environment `e` by one frame; an open door stays as it is."""
    for k in range(int(meta[e, DOORS])):
        role = int(things[e, k, ROLE])
        if role == LOCK:
            move_lock(e, k, things, hands)
        elif role == DOOR and float(things[e, k, OPENS]) < 0.5:
            if math.fabs(float(things[e, k, MOVED])) < way_of(e, k, things) - 1e-9:
                if int(things[e, k, TRAITS]) & SWINGS > 0:
                    turn_door(e, k, things, body, hands)
                else:
                    slide_door(e, k, things, hands)
