"""The hands: they follow the eyes, move within an arm's length of them, and stop at walls and doors."""

import math

from similitude.worlds.engine.body import ball
from similitude.worlds.engine.columns import (
    BOX,
    BX,
    BY,
    BZ,
    COS,
    DHEAD,
    DOOR,
    DOORS,
    DX,
    DY,
    DYAW,
    DZ,
    EX,
    EY,
    EZ,
    GRIP,
    HDPITCH,
    HDROLL,
    HDYAW,
    HEAD,
    HPITCH,
    HROLL,
    HVX,
    HVY,
    HVZ,
    HX,
    HY,
    HYAW,
    HZ,
    ROLE,
    SCOS,
    SEX,
    SEY,
    SEZ,
    SHAPE,
    SIN,
    SSIN,
    SX,
    SY,
    SZ,
    TX,
    TY,
    TZ,
    YAW,
)
from similitude.worlds.engine.constants import ARM, DT, HAND_MOVE, HAND_TURN
from similitude.worlds.engine.ground import nearby

SLIP = 0.05
"""A hold is lost when the hand would be this much farther away than an arm is long, in metres."""
SKIN = 0.01
"""A hand stops this far before a wall, in metres."""
HALF_TURN = 3.141592653589793
"""Half a turn, in radians."""


def entry(dx, dy, dz, mx, my, mz, cos, sin, ex, ey, ez):
    """Return the share of the way (mx, my, mz) after which it enters a turned box; 2 if it does not, or begins inside.

    (dx, dy, dz) leads from the middle of the box to the beginning of the way.
    """
    u = dx * cos + dy * sin
    v = dy * cos - dx * sin
    mu = mx * cos + my * sin
    mv = my * cos - mx * sin
    near = float(-1.0)
    far = float(2.0)
    for axis in range(3):
        at = float(u)
        move = float(mu)
        half = float(ex)
        if axis == 1:
            at = v
            move = mv
            half = ey
        elif axis == 2:
            at = dz
            move = mz
            half = ez
        if math.fabs(move) < 1e-9:
            if math.fabs(at) >= half:
                return 2.0
        else:
            a = (-half - at) / move
            b = (half - at) / move
            near = max(near, min(a, b))
            far = min(far, max(a, b))
    if near < 0.0 or near >= far:
        return 2.0
    return near


def clear_way(e, x, y, z, mx, my, mz, skip, meta, solids, things):
    """Return the share of the way from (x, y, z) by (mx, my, mz) metres that no wall and no door but `skip` stops."""
    share = float(1.0)
    first, last = nearby(e, x, y, meta)
    for i in range(first, last):
        k = int(meta[e, i])
        dx = x - float(solids[e, k, SX])
        dy = y - float(solids[e, k, SY])
        ex = float(solids[e, k, SEX])
        ey = float(solids[e, k, SEY])
        reach = ex + ey + ARM
        if dx < reach and dx > -reach and dy < reach and dy > -reach and int(solids[e, k, SHAPE]) == BOX:
            dz = z - float(solids[e, k, SZ])
            ez = float(solids[e, k, SEZ])
            if math.fabs(dz) < ez + ARM:
                share = min(
                    share,
                    entry(
                        dx,
                        dy,
                        dz,
                        mx,
                        my,
                        mz,
                        float(solids[e, k, SCOS]),
                        float(solids[e, k, SSIN]),
                        ex,
                        ey,
                        ez,
                    ),
                )
    for k in range(int(meta[e, DOORS])):
        if int(things[e, k, ROLE]) == DOOR and k != skip:
            dx = x - float(things[e, k, TX])
            dy = y - float(things[e, k, TY])
            ex = float(things[e, k, EX])
            ey = float(things[e, k, EY])
            reach = ex + ey + ARM
            if dx < reach and dx > -reach and dy < reach and dy > -reach:
                dz = z - float(things[e, k, TZ])
                ez = float(things[e, k, EZ])
                share = min(
                    share,
                    entry(
                        dx, dy, dz, mx, my, mz, float(things[e, k, COS]), float(things[e, k, SIN]), ex, ey, ez
                    ),
                )
    return share


def turned(angle, change):
    """Return angle + change in (-pi, pi]."""
    new = angle + change
    if new > HALF_TURN:
        new = new - 2.0 * HALF_TURN
    elif new <= -HALF_TURN:
        new = new + 2.0 * HALF_TURN
    return new


def move_hand(e, h, meta, solids, things, body, hands, action):
    """Move hand `h` with the eyes and by its action; a hand that holds on stays where it is."""
    b = 6 + 6 * h
    share = HAND_TURN * ball(e, b + 3, action)
    hands[e, h, HDPITCH] = share * float(action[e, b + 3])
    hands[e, h, HDYAW] = share * float(action[e, b + 4])
    hands[e, h, HDROLL] = share * float(action[e, b + 5])
    hands[e, h, HPITCH] = turned(float(hands[e, h, HPITCH]), float(hands[e, h, HDPITCH]))
    hands[e, h, HYAW] = turned(float(hands[e, h, HYAW]), float(hands[e, h, HDYAW]))
    hands[e, h, HROLL] = turned(float(hands[e, h, HROLL]), float(hands[e, h, HDROLL]))
    x = float(body[e, BX])
    y = float(body[e, BY])
    eye = float(body[e, BZ]) + float(body[e, HEAD])
    old_x = float(hands[e, h, HX])
    old_y = float(hands[e, h, HY])
    old_z = float(hands[e, h, HZ])
    if int(hands[e, h, GRIP]) == 2:
        dx = old_x - x
        dy = old_y - y
        dz = old_z - eye
        if dx * dx + dy * dy + dz * dz <= (ARM + SLIP) * (ARM + SLIP):
            hands[e, h, HVX] = 0.0
            hands[e, h, HVY] = 0.0
            hands[e, h, HVZ] = 0.0
            return
        hands[e, h, GRIP] = 1.0
    # Where it was as seen from the eyes, turned with the body.
    rx = old_x - (x - float(body[e, DX]))
    ry = old_y - (y - float(body[e, DY]))
    rz = old_z - (eye - float(body[e, DZ]) - float(body[e, DHEAD]))
    cos = math.cos(float(body[e, DYAW]))
    sin = math.sin(float(body[e, DYAW]))
    wx = rx * cos - ry * sin
    wy = rx * sin + ry * cos
    share = HAND_MOVE * ball(e, b, action)
    right = share * float(action[e, b])
    ahead = share * float(action[e, b + 2])
    cos = math.cos(float(body[e, YAW]))
    sin = math.sin(float(body[e, YAW]))
    wx = wx + ahead * cos + right * sin
    wy = wy + ahead * sin - right * cos
    wz = rz + share * float(action[e, b + 1])
    far = math.sqrt(wx * wx + wy * wy + wz * wz)
    if far > ARM:
        wx = wx * ARM / far
        wy = wy * ARM / far
        wz = wz * ARM / far
        far = ARM
    if far > SKIN:
        share = clear_way(e, x, y, eye, wx, wy, wz, int(-1), meta, solids, things)
        if share < 1.0:
            share = max(share - SKIN / far, 0.0)
            wx = wx * share
            wy = wy * share
            wz = wz * share
    hands[e, h, HX] = x + wx
    hands[e, h, HY] = y + wy
    hands[e, h, HZ] = eye + wz
    hands[e, h, HVX] = (x + wx - old_x) / DT
    hands[e, h, HVY] = (y + wy - old_y) / DT
    hands[e, h, HVZ] = (eye + wz - old_z) / DT
