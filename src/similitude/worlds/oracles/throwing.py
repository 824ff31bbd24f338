"""Throwing of oracles: rocks and sticks at animals, along the parabola that meets them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import DT, GRAVITY, HAND_MOVE, THROW, THROW_LIMIT
from similitude.worlds.engine.ground import terrain
from similitude.worlds.oracles.avatar import RIGHT, Avatar, Deed, angle_between
from similitude.worlds.oracles.reaching import take
from similitude.worlds.oracles.walking import Point, pace_to, walk
from similitude.worlds.oracles.wayfinding import way_around

SWIFT = 0.95 * min(THROW_LIMIT, THROW * HAND_MOVE / DT)
"""Speed of a hard throw, in metres per second."""
RANGE = 12.0
"""Farthest one throws, in metres."""


def alive(me: Avatar, k: int) -> bool:
    """Return whether an animal lives."""
    return me.role(k) in (c.PREY, c.PREDATOR) and me.state(k) == c.ALIVE


def velocity(me: Avatar, k: int) -> tuple[float, float, float]:
    """Return the velocity of a thing, in metres per second."""
    x, y, z = me.things[k, c.TVX : c.TVZ + 1].tolist()
    return x, y, z


def aim(me: Avatar, k: int) -> tuple[float, float, float] | None:
    """Return the velocity with which to throw at an animal, in metres per second; None: it cannot be hit."""
    sim, e = me.simulation, me.e
    x, y, z = me.place(k)
    vx, vy, vz = velocity(me, k)
    sx, sy, sz = me.x, me.y, me.eye
    for i in range(1, 40):
        t = 0.1 * i
        # it is let go at the end of a frame, and flies on in the same
        px, py, pz = x + vx * t, y + vy * t, z + (vz * t if vz > 0.5 else 0.0)
        ux, uy = (px - sx) / t, (py - sy) / t
        uz = (pz - sz) / t + 0.5 * GRAVITY * t
        if ux * ux + uy * uy + uz * uz > SWIFT * SWIFT:
            continue
        clear = True
        for j in range(1, 3 * i):
            s = t * j / (3.0 * i)
            at = sz + uz * s - 0.5 * GRAVITY * s * s
            if s < t - 0.08 and terrain(e, sx + ux * s, sy + uy * s, sim.height, sim.meta) > at - 0.15:
                clear = False
                break
        if clear:
            return ux, uy, uz
    return None


def swing(me: Avatar, v: tuple[float, float, float], share: float) -> tuple[float, float, float]:
    """Return where the hand is at a share, from -0.5 to 0.5, of the move that throws with a velocity.

    It is a straight way through the eyes; the result is (left, up, ahead) of them in metres.
    """
    speed = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    way = min(speed * DT / THROW, HAND_MOVE) * share / speed
    cos, sin = math.cos(me.yaw), math.sin(me.yaw)
    wx, wy = v[0] * way, v[1] * way
    return wy * cos - wx * sin, v[2] * way, wx * cos + wy * sin


def hurl(me: Avatar, hand: int, v: tuple[float, float, float]) -> Deed:
    """Throw what a hand holds with a velocity, in metres per second: draw back, then one swift move and let go."""
    start = swing(me, v, -0.5)
    if math.dist(me.off(hand), start) > 0.03:
        yield me.act(poses={hand: start})
    me.grip[hand] = False
    yield me.act(poses={hand: swing(me, v, 0.5)})
    return True


def next_tool(me: Avatar) -> int:
    """Return the tool to throw next: the one in a hand, or the nearest one; -1: there is none."""
    held = [me.held(h) for h in (RIGHT, 1 - RIGHT) if me.held(h) >= 0 and me.role(me.held(h)) == c.TOOL]
    if held:
        return held[0]
    best, found = math.inf, -1
    for i in range(len(me.things)):
        if me.role(i) == c.TOOL:
            x, y, z = me.place(i)
            far = me.far(x, y) + 4.0 * abs(z - me.z)
            if far < best and abs(z - me.z) < 2.5:
                best, found = far, i
    return found


def throw(me: Avatar, target: int, at: Sequence[Point], *, frames: int = 1500) -> Deed:
    """Throw tools at an animal until it is dead, from a place where that is given, else from beyond its senses."""
    end = me.frame + frames
    while me.frame < end and alive(me, target):
        tool = next_tool(me)
        if tool < 0 or not (yield from take(me, tool)):
            return False
        if at and len(at[0]) > 2 and me.z < at[0][2] - 1.5:
            at = ()  # down in the pit with it
        if at and me.far(at[0][0], at[0][1]) > 0.5:
            yield from walk(me, way_around(me, at[0]), end=0.2, patience=200)
        if not (yield from stalk(me, tool, target, stay=bool(at))):
            return False
        for _ in range(14):
            if not alive(me, target):
                break
            yield me.act()
    return not alive(me, target)


def stalk(me: Avatar, tool: int, target: int, *, stay: bool, patience: int = 400) -> Deed:
    """Come to where a tool in a hand can be thrown at an animal, wait for the moment, and throw."""
    hand = me.hand_with(tool)
    desired = min(max(float(me.things[target, c.SENSE]) + 0.4, 4.5), RANGE - 1.5)
    for waited in range(1, patience):
        if not alive(me, target) or me.held(hand) != tool:
            return True
        x, y, _ = me.place(target)
        far = me.far(x, y)
        v = aim(me, target)
        if v is not None and far < (RANGE + 2.0 if stay else desired + 1.0) and ready(me, target, waited):
            turned = abs(angle_between(math.atan2(v[1], v[0]), me.yaw)) < 0.1
            yield me.act(face=None if turned else math.atan2(v[1], v[0]), poses={hand: swing(me, v, -0.5)})
            return (yield from hurl(me, hand, aim(me, target) or v))
        if not stay and far > desired + 0.5:
            yield from come_near(me, target, desired, frames=5)
        else:
            nearer = pace_to(me, x, y) if v is None and not stay else (0.0, 0.0)
            yield me.act(go=nearer, face=me.bearing(x, y))
    return False


def come_near(me: Avatar, target: int, within: float, *, frames: int) -> Deed:
    """Walk towards an animal for some frames, not nearer than a distance in metres."""
    x, y, _ = me.place(target)
    points = way_around(me, (x, y), within=within)
    for _ in range(frames):
        x, y, _ = me.place(target)
        if me.far(x, y) < within + 0.3:
            return True
        yield me.act(go=pace_to(me, *points[0]), face=me.bearing(*points[0]))
        if me.far(*points[0]) < 0.3 and len(points) > 1:
            points.pop(0)
    return True


def ready(me: Avatar, k: int, waited: int) -> bool:
    """Return whether this is the moment to throw: the animal stands, or one has waited long, longer if it runs."""
    vx, vy, vz = velocity(me, k)
    speed = math.sqrt(vx * vx + vy * vy + vz * vz)
    return speed < 0.3 or waited > (8 if speed < 1.5 else 20)
