"""Foods, tools and dead animals: they fly and fall, foods are opened, plucked and pulled out, tools hurt animals."""

import math

from similitude.worlds.engine.blocks import move_block
from similitude.worlds.engine.columns import (
    ALIVE,
    BLOCK,
    BREAKS,
    BURIED,
    CLOSED,
    DAMAGE,
    DEAD,
    DX,
    DY,
    DZ,
    EX,
    EY,
    EZ,
    FOOD,
    FRAME,
    FREE,
    HANGING,
    HOME_X,
    HOME_Y,
    HOME_Z,
    HVX,
    HVY,
    HVZ,
    N_THINGS,
    OPENS,
    POINTS,
    ROLE,
    STATE,
    TIMER,
    TOOL,
    TRAITS,
    TVX,
    TVY,
    TVZ,
    TX,
    TY,
    TZ,
    UNKILLABLE,
)
from similitude.worlds.engine.constants import DT, HIT_SPEED
from similitude.worlds.engine.contact import animal, around, in_hand, loose
from similitude.worlds.engine.flight import AWAKE, fly

PULL = 0.3
"""How far a buried food is pulled up to come out, in metres."""
LOOK = 32
"""Frames between two looks at what lies below a thing at rest."""
GAP = 0.05
"""A thing farther than this above its floor falls, in metres."""
NEAR_MISS = 0.1
"""A tool strikes what it passes within this distance, in metres."""
PAUSE = 4.0
"""Frames between two strikes with the same tool."""
GLANCE = -0.25
"""Share of its velocity that a thrown tool keeps after it struck."""


def loosen(e, k, things):
    """Free a food from its tree or the ground; it is closed if it needs to be opened."""
    things[e, k, STATE] = float(FREE)
    if float(things[e, k, OPENS]) > 0.0:
        things[e, k, STATE] = float(CLOSED)
    things[e, k, TIMER] = AWAKE


def passes(px, py, pz, x, y, z, cx, cy, cz):
    """Return the distance in metres from (cx, cy, cz) to the way from (px, py, pz) to (x, y, z)."""
    wx = x - px
    wy = y - py
    wz = z - pz
    square = wx * wx + wy * wy + wz * wz
    at = float(0.0)
    if square > 0.0:
        at = min(max(((cx - px) * wx + (cy - py) * wy + (cz - pz) * wz) / square, 0.0), 1.0)
    dx = px + at * wx - cx
    dy = py + at * wy - cy
    dz = pz + at * wz - cz
    return math.sqrt(dx * dx + dy * dy + dz * dz)


def wound(e, k, points, things):
    """Take hit points from an animal; without any left it is dead, and dead prey is food."""
    if int(things[e, k, TRAITS]) & UNKILLABLE > 0:
        return
    things[e, k, POINTS] = float(things[e, k, POINTS]) - points
    if float(things[e, k, POINTS]) <= 0.0:
        things[e, k, STATE] = float(DEAD)
        things[e, k, TIMER] = AWAKE


def strike(e, k, px, py, pz, vx, vy, vz, meta, things):
    """Let tool k, which came from (px, py, pz) at velocity v, hurt animals and open or loosen foods.

    Returns 1 if it did.
    """
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    z = float(things[e, k, TZ])
    size = max(float(things[e, k, EX]), float(things[e, k, EY]))
    rock = int(0)
    if size < 2.0 * float(things[e, k, EZ]):
        rock = 1
    struck = int(0)
    for other in range(int(meta[e, N_THINGS])):
        state = int(things[e, other, STATE])
        lives = int(0)
        food = int(0)
        if state == ALIVE:
            lives = animal(e, other, things)
        elif int(things[e, other, ROLE]) == FOOD and state != BURIED:
            food = 1
        if lives == 1 or food == 1:
            ox = float(things[e, other, TX])
            oy = float(things[e, other, TY])
            oz = float(things[e, other, TZ])
            wide = (
                float(things[e, other, EX]) + float(things[e, other, EY]) + float(things[e, other, EZ])
            ) / 3.0
            if passes(px, py, pz, x, y, z, ox, oy, oz) < size + wide + NEAR_MISS:
                dx = vx - float(things[e, other, TVX])
                dy = vy - float(things[e, other, TVY])
                dz = vz - float(things[e, other, TVZ])
                speed = math.sqrt(dx * dx + dy * dy + dz * dz)
                if lives == 1 and speed >= HIT_SPEED:
                    struck = 1
                    wound(e, other, float(things[e, k, DAMAGE]), things)
                elif food == 1 and state == HANGING and speed >= HIT_SPEED:
                    struck = 1
                    loosen(e, other, things)
                elif food == 1 and state == CLOSED and speed >= float(things[e, other, OPENS]):
                    if rock == 1 or int(things[e, other, TRAITS]) & BREAKS > 0:
                        struck = 1
                        things[e, other, STATE] = float(FREE)
    return struck


def move_loose(e, k, height, meta, solids, things, body, hands):
    """Move a food, a tool or a dead animal by one frame."""
    role = int(things[e, k, ROLE])
    state = int(things[e, k, STATE])
    hand = in_hand(e, k, hands)
    px = float(things[e, k, TX])
    py = float(things[e, k, TY])
    pz = float(things[e, k, TZ])
    vx = float(things[e, k, TVX])
    vy = float(things[e, k, TVY])
    vz = float(things[e, k, TVZ])
    if hand > 0:
        things[e, k, TIMER] = AWAKE
        if role == FOOD and state == HANGING:
            loosen(e, k, things)
        elif role == FOOD and state == BURIED:
            if pz - float(things[e, k, HOME_Z]) >= PULL:
                loosen(e, k, things)
            else:
                things[e, k, TX] = float(things[e, k, HOME_X])
                things[e, k, TY] = float(things[e, k, HOME_Y])
                things[e, k, TZ] = float(things[e, k, HOME_Z])
        vx = float(hands[e, hand - 1, HVX]) - float(body[e, DX]) / DT
        vy = float(hands[e, hand - 1, HVY]) - float(body[e, DY]) / DT
        vz = float(hands[e, hand - 1, HVZ]) - float(body[e, DZ]) / DT
        px = px - vx * DT
        py = py - vy * DT
        pz = pz - vz * DT
    elif role == FOOD and state >= HANGING:  # or buried
        return
    elif float(things[e, k, TIMER]) > 0.0 or vx * vx + vy * vy + vz * vz > 0.0:
        impact = fly(e, k, height, meta, solids, things)
        if role == FOOD and state == CLOSED and impact >= float(things[e, k, OPENS]):
            if int(things[e, k, TRAITS]) & BREAKS > 0:
                things[e, k, STATE] = float(FREE)
    else:
        if (int(body[e, FRAME]) + k) % LOOK == 0:
            low = pz - float(things[e, k, EZ])
            radius = min(float(things[e, k, EX]), float(things[e, k, EY]))
            floor, _wall = around(e, px, py, low + GAP, low, 0.9 * radius, k, height, meta, solids, things)
            if floor < low - GAP or floor > low + GAP:
                things[e, k, TIMER] = AWAKE
        return
    if role == TOOL:
        if state > 0:
            things[e, k, STATE] = float(state - 1)
        elif vx * vx + vy * vy + vz * vz >= 0.25 * HIT_SPEED * HIT_SPEED:
            if strike(e, k, px, py, pz, vx, vy, vz, meta, things) == 1:
                things[e, k, STATE] = PAUSE
                if hand == 0:
                    things[e, k, TVX] = GLANCE * float(things[e, k, TVX])
                    things[e, k, TVY] = GLANCE * float(things[e, k, TVY])
                    things[e, k, TVZ] = GLANCE * float(things[e, k, TVZ])


def dozes(e, k, things, hands):
    """Return 1 if thing k lies still, and nobody holds it: it only has to look now and then."""
    if float(things[e, k, TIMER]) > 0.0 or in_hand(e, k, hands) > 0:
        return 0
    vx = float(things[e, k, TVX])
    vy = float(things[e, k, TVY])
    vz = float(things[e, k, TVZ])
    if vx * vx + vy * vy + vz * vz > 0.0:
        return 0
    return 1


def move_items(e, height, ground, meta, solids, things, body, hands, action):
    """Move foods, tools, dead animals and blocks of environment `e` by one frame."""
    for k in range(int(meta[e, N_THINGS])):
        if int(things[e, k, ROLE]) == BLOCK:
            move_block(e, k, height, meta, solids, things, body, hands)
        elif loose(e, k, things) == 1:
            if dozes(e, k, things, hands) == 0 or (int(body[e, FRAME]) + k) % LOOK == 0:
                move_loose(e, k, height, meta, solids, things, body, hands)
