"""How a loose thing flies, bounces, slides and comes to rest: exact parabolas, Coulomb friction, never more energy."""

import math

from similitude.worlds.engine.columns import EX, EY, EZ, TIMER, TVX, TVY, TVZ, TX, TY, TZ
from similitude.worlds.engine.constants import DT, GRAVITY
from similitude.worlds.engine.contact import bed, deepest, kept
from similitude.worlds.engine.ground import gradient

SUBSTEP = 0.125
"""Longest way between two looks for contacts, in metres: less than the thinnest wall with a thing's radius."""
SUBSTEPS = 24
"""Most looks per frame."""
BOUNCE = 0.3
"""Speed after an impact as a share of the speed before, along the normal."""
SOFT = 1.0
"""Impacts slower than this do not bounce, in metres per second."""
RUB = 0.6
"""Coefficient of friction: things lie still on slopes of up to this rise per run."""
STILL = 0.35
"""What touches something and is slower than this stops, in metres per second."""
CLIFF = 0.3
"""What is deeper than this in the terrain came from the side and falls back, in metres."""
AWAKE = 3.0
"""Frames for which a thing that lies still is looked after."""


def rebound(vx, vy, vz, nx, ny, nz):
    """Return the velocity after an impact on a face with unit normal n, and the impact's speed, in metres per second."""
    into = -(vx * nx + vy * ny + vz * nz)
    if into <= 0.0:
        return vx, vy, vz, 0.0
    share = float(1.0)
    if into > SOFT:
        share = 1.0 + BOUNCE
    tx = vx + into * nx
    ty = vy + into * ny
    tz = vz + into * nz
    along = math.sqrt(tx * tx + ty * ty + tz * tz)
    left = float(0.0)
    if along > RUB * share * into:
        left = 1.0 - RUB * share * into / along
    bounce = (share - 1.0) * into
    return tx * left + bounce * nx, ty * left + bounce * ny, tz * left + bounce * nz, into


def lifted(vx, vy, vz, rise):
    """Return by how much a velocity shrinks when its thing is lifted by `rise` metres at its own cost; -1: too slow."""
    square = vx * vx + vy * vy + vz * vz
    rest = square - 2.0 * GRAVITY * rise
    if rest < -1e-9 or square <= 0.0:
        return -1.0
    return math.sqrt(max(rest, 0.0) / square)


def fly(e, k, height, meta, solids, things):
    """Move a loose thing by one frame and return its hardest impact in metres per second."""
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    z = float(things[e, k, TZ])
    vx = float(things[e, k, TVX])
    vy = float(things[e, k, TVY])
    vz = float(things[e, k, TVZ])
    up = float(things[e, k, EZ])
    radius = min(float(things[e, k, EX]), float(things[e, k, EY]))
    hardest = float(0.0)
    touched = int(0)
    speed = math.sqrt(vx * vx + vy * vy + vz * vz) + GRAVITY * DT
    n = int(speed * DT / SUBSTEP) + 1
    if n > SUBSTEPS:
        n = SUBSTEPS
    h = DT / float(n)
    for _ in range(n):
        ox = x
        oy = y
        x = kept(e, x + vx * h, meta)
        y = kept(e, y + vy * h, meta)
        z = z + vz * h - 0.5 * GRAVITY * h * h
        vz = vz - GRAVITY * h
        depth, nx, ny, nz = deepest(e, x, y, z, radius, up, k, meta, solids, things)
        if depth > 0.0:
            touched = 1
            x = x + depth * nx
            y = y + depth * ny
            z = z + depth * nz
            if nz > 0.0:
                shrink = max(lifted(vx, vy, vz, depth), 0.0)
                vx = vx * shrink
                vy = vy * shrink
                vz = vz * shrink
            vx, vy, vz, hit = rebound(vx, vy, vz, nx, ny, nz)
            hardest = max(hardest, hit)
        floor = bed(e, x, y, height, meta) + up
        if z < floor:
            touched = 1
            along, across = gradient(e, x, y, height, meta)
            if floor - up <= -0.5:  # the bed in the sea is level
                along = 0.0
                across = 0.0
            size = math.sqrt(along * along + across * across + 1.0)
            shrink = lifted(vx, vy, vz, floor - z)
            if floor - z > CLIFF or shrink < 0.0:
                x = ox
                y = oy
                z = max(z, bed(e, x, y, height, meta) + up)
                shrink = max(shrink, 0.0)
            else:
                z = floor
            vx, vy, vz, hit = rebound(
                vx * shrink, vy * shrink, vz * shrink, -along / size, -across / size, 1.0 / size
            )
            hardest = max(hardest, hit)
    if touched == 1 and vx * vx + vy * vy + vz * vz < STILL * STILL:
        vx = 0.0
        vy = 0.0
        vz = 0.0
        things[e, k, TIMER] = float(things[e, k, TIMER]) - 1.0
    else:
        things[e, k, TIMER] = AWAKE
    things[e, k, TX] = x
    things[e, k, TY] = y
    things[e, k, TZ] = z
    things[e, k, TVX] = vx
    things[e, k, TVY] = vy
    things[e, k, TVZ] = vz
    return hardest
