"""Tools in the hands of oracles: rocks and sticks are thrown at animals, or swung at them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import GRAVITY, HAND_MOVE, HEAD_MOVE, THROW, THROW_LIMIT
from similitude.worlds.engine.ground import terrain
from similitude.worlds.oracles.reaching import take
from similitude.worlds.oracles.scene import RIGHT, Deed, Scene, angle_between
from similitude.worlds.oracles.walking import Point, pace_to, walk, way_around

SWIFT = 0.95 * min(THROW_LIMIT, THROW * HAND_MOVE / 0.1)
"""Speed of a hard throw, in metres per second."""
RANGE = 12.0
"""Farthest one throws, in metres."""


def alive(me: Scene, k: int) -> bool:
    """Return whether an animal lives."""
    return me.role(k) in (c.PREY, c.PREDATOR) and me.state(k) == c.ALIVE


def velocity(me: Scene, k: int) -> tuple[float, float, float]:
    """Return the velocity of a thing, in metres per second."""
    x, y, z = me.things[k, c.TVX : c.TVZ + 1].tolist()
    return x, y, z


def aim(me: Scene, k: int) -> tuple[float, float, float, float] | None:
    """Return the velocity with which to throw at an animal, and the time of flight in seconds; None: it cannot be hit."""
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
            return ux, uy, uz, t
    return None


def hurl(me: Scene, hand: int, v: tuple[float, float, float]) -> Deed:
    """Throw what a hand holds with a velocity, in metres per second: draw back, then one swift move and let go."""
    speed = math.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2)
    way = min(speed / (THROW / 0.1), HAND_MOVE)
    u = (v[0] / speed, v[1] / speed, v[2] / speed)

    def off(share: float) -> tuple[float, float, float]:
        cos, sin = math.cos(me.yaw), math.sin(me.yaw)
        wx, wy = u[0] * way * share, u[1] * way * share
        return wy * cos - wx * sin, u[2] * way * share, wx * cos + wy * sin

    start = off(-0.5)
    if math.dist(me.off(hand), start) > 0.03:
        yield me.act(**me.hand_off(hand, start))
    me.grip[hand] = False
    yield me.act(**me.hand_off(hand, off(0.5)))
    return True


def draw_back(me: Scene, hand: int, v: tuple[float, float, float]) -> list[float]:
    """Return the action that brings a hand to where a throw with a velocity begins."""
    speed = math.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2)
    way = 0.5 * min(speed / (THROW / 0.1), HAND_MOVE) / speed
    yaw = math.atan2(v[1], v[0])
    cos, sin = math.cos(me.yaw), math.sin(me.yaw)
    wx, wy = -v[0] * way, -v[1] * way
    turn = abs(angle_between(yaw, me.yaw)) < 0.1
    return me.act(
        face=None if turn else yaw,
        **me.hand_off(hand, (wy * cos - wx * sin, -v[2] * way, wx * cos + wy * sin)),
    )


def next_tool(me: Scene, k: int) -> int:
    """Return the tool to throw at an animal next: the one in a hand, or the nearest one."""
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


def throw(me: Scene, k: int, target: int, at: Sequence[Point], *, frames: int = 1500) -> Deed:
    """Throw tools at an animal until it is dead, from a place where that is given."""
    end = me.frame + frames
    while me.frame < end and alive(me, target):
        tool = next_tool(me, target)
        if tool < 0:
            return False
        if not (yield from take(me, tool)):
            return False
        hand = me.hand_with(tool)
        if at and len(at[0]) > 2 and me.z < at[0][2] - 1.5:
            at = ()  # down in the pit with it
        if at and me.far(at[0][0], at[0][1]) > 0.5:
            yield from walk(me, way_around(me, at[0]), end=0.2, patience=200)
        waited = 0
        # from just beyond its senses, where it does not run
        desired = min(max(float(me.things[target, c.SENSE]) + 0.4, 4.5), RANGE - 1.5)
        while alive(me, target) and me.held(hand) == tool and me.frame < end:
            x, y, _ = me.place(target)
            v = aim(me, target)
            waited += 1
            if v is not None and (at or me.far(x, y) < desired + 1.0) and me.far(x, y) < RANGE + 2.0 and ready(me, target, waited):
                action = draw_back(me, hand, v[:3])
                yield action
                v = aim(me, target) or v
                yield from hurl(me, hand, v[:3])
                break
            if not at and me.far(x, y) > desired + 0.5:
                points = way_around(me, (x, y), within=desired)
                for _ in range(5):
                    if me.far(*me.place(target)[:2]) < desired + 0.3:
                        break
                    yield me.act(go=pace_to(me, *points[0]), face=me.bearing(*points[0]))
                    if me.far(*points[0]) < 0.3 and len(points) > 1:
                        points.pop(0)
            elif not at and v is None:
                yield me.act(go=pace_to(me, x, y), face=me.bearing(x, y))
            else:
                yield me.act(face=me.bearing(x, y))
            if waited > 400:
                return False
        for _ in range(14):
            if not alive(me, target):
                break
            yield me.act()
    return not alive(me, target)


def ready(me: Scene, k: int, waited: int) -> bool:
    """Return whether this is the moment to throw: the animal stands, runs straight away, or one has waited long."""
    vx, vy, vz = velocity(me, k)
    speed = math.sqrt(vx * vx + vy * vy + vz * vz)
    return speed < 0.3 or waited > (8 if speed < 1.5 else 20)


def strike(me: Scene, k: int, target: int, *, frames: int = 600) -> Deed:
    """Go to an animal with a tool in the hand, and swing it until the animal is dead."""
    end = me.frame + frames
    while alive(me, target) and me.frame < end:
        if me.hand_with(k) < 0:
            if not (yield from take(me, k)):
                tool = next_tool(me, target)
                if tool < 0:
                    return False
                k = tool
                continue
        x, y, z = me.place(target)
        if me.far(x, y) > 2.5:
            go = pace_to(me, x, y, HEAD_MOVE) if me.far(x, y) > 4.0 else (0.0, 0.0)
            yield me.act(go=go, face=me.bearing(x, y))
        else:
            yield swing(me, k, target)
    return not alive(me, target)


def swing(me: Scene, k: int, target: int) -> list[float]:
    """Return the action of a swing at an animal: the hand goes through it, or draws back."""
    hand = me.hand_with(k)
    x, y, z = me.place(target)
    vx, vy, _ = velocity(me, target)
    x, y = x + 0.1 * vx, y + 0.1 * vy
    far = max(me.far(x, y), 0.1)
    ux, uy = (x - me.x) / far, (y - me.y) / far
    row = me.hands[hand]
    reach = min(0.95, max(far - 0.1, 0.3))
    low = max(z - me.eye, -0.8)
    flat = min(reach, math.sqrt(max(0.95**2 - low**2, 0.05)))
    goal = (me.x + ux * flat - row[c.OX] * 0.0, me.y + uy * flat, me.eye + low)
    if math.dist(goal, (row[c.HX], row[c.HY], row[c.HZ])) < 0.35:
        goal = (me.x + 0.1 * ux, me.y + 0.1 * uy, me.eye + 0.2)
    back = (0.0, 0.0)
    return me.act(
        go=back,
        face=math.atan2(uy, ux),
        head=min(1.8, max(z - me.z + 0.9, 0.9)),
        at=(x, y, z),
        **me.hand_goal(hand, goal),
    )
