"""Walking of oracles: along points, around what is in the way, across gaps, down drops."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.worlds.engine.constants import HEAD_MOVE
from similitude.worlds.oracles.avatar import Avatar, Deed, angle_between
from similitude.worlds.oracles.wayfinding import way_around

Point = Sequence[float]
STUCK = 12
"""Frames without coming nearer after which a walk looks for another way."""
PASSED = 0.3
"""A point of a path counts as reached within this distance, in metres."""


def pace_to(me: Avatar, x: float, y: float, most: float = HEAD_MOVE) -> tuple[float, float]:
    """Return the way of this frame that leads straight to a point, in metres."""
    dx, dy = x - me.x, y - me.y
    far = math.hypot(dx, dy)
    if far <= 1e-9:
        return 0.0, 0.0
    share = min(far, most) / far
    return dx * share, dy * share


def walk(
    me: Avatar, points: Sequence[Point], *, end: float = 0.15, replan: bool = True, patience: int = 400
) -> Deed:
    """Walk along points (x, y); where that leads nowhere, find another way to the last.

    Args:
        me: The avatar.
        points: Where to, one after the other.
        end: The last counts as reached within this distance, in metres.
        replan: Whether to look for another way when stuck.
        patience: Frames without coming nearer to the last point after which it gives up.
    """
    todo = [(float(p[0]), float(p[1])) for p in points]
    best, since, tries, waited = math.inf, 0, 0, 0
    nearest = math.inf
    while todo:
        x, y = todo[0]
        far = me.far(x, y)
        if far <= (end if len(todo) == 1 else PASSED):
            todo.pop(0)
            best, since = math.inf, 0
            continue
        final = me.far(*todo[-1])
        if final < nearest - 0.05:
            nearest, waited = final, 0
        waited += 1
        if waited > patience:
            return False
        if far < best - 0.05:
            best, since = far, 0
        since += 1
        if since > STUCK:
            tries += 1
            best, since = math.inf, 0
            if replan and tries <= 6:
                if tries > 1:
                    yield from sidestep(me, x, y, left=tries % 2 == 0)
                todo = way_around(me, todo[-1])
            else:
                return False
            continue
        yield me.act(go=pace_to(me, x, y), face=me.bearing(x, y) if far > 0.3 else None)
    return True


def sidestep(me: Avatar, x: float, y: float, *, left: bool) -> Deed:
    """Step back from a point and to one side, then hop on."""
    yaw = me.bearing(x, y)
    side = yaw + (2.2 if left else -2.2)
    for i in range(6):
        yield me.act(go=(HEAD_MOVE * math.cos(side), HEAD_MOVE * math.sin(side)), face=yaw, jump=i == 0)
    for _ in range(4):
        yield me.act(go=pace_to(me, x, y), face=yaw, jump=True)
    return True


def approach(me: Avatar, x: float, y: float, within: float, *, without: int = -1) -> Deed:
    """Go to within a distance of a point, around what is in the way."""
    if me.far(x, y) <= within:
        return True
    straight = me.far(x, y) < 2.0  # whoever led here saw to it that the rest is open
    points = [(x, y)] if straight else way_around(me, (x, y), within=max(within - 0.1, 0.3), without=without)
    best, since, tries = math.inf, 0, 0
    while me.far(x, y) > within:
        px, py = points[0] if points else (x, y)
        far = me.far(px, py)
        if points and far < PASSED:
            points.pop(0)
            best, since = math.inf, 0
            continue
        if far < best - 0.05:
            best, since = far, 0
        since += 1
        if since > STUCK:
            tries += 1
            best, since = math.inf, 0
            if tries > 4:
                return False
            yield from sidestep(me, px, py, left=tries % 2 == 0)
            points = way_around(me, (x, y), within=within, without=without)
            continue
        yield me.act(go=pace_to(me, px, py), face=me.bearing(px, py))
    return True


def settle(me: Avatar, frames: int = 30) -> Deed:
    """Wait until the body stands."""
    for _ in range(frames):
        if me.grounded:
            return True
        yield me.act()
    return me.grounded


def turn_to(me: Avatar, yaw: float, *, tolerance: float = 0.05, frames: int = 40) -> Deed:
    """Turn on the spot."""
    for _ in range(frames):
        if abs(angle_between(yaw, me.yaw)) < tolerance:
            return True
        yield me.act(face=yaw)
    return False


def jump(me: Avatar, start: Point, goal: Point, *, tries: int = 5) -> Deed:
    """Jump from one point to another: turn, leap from the spot, steer in the air; the last may have a height."""
    yaw = math.atan2(goal[1] - start[1], goal[0] - start[0])
    ux, uy = math.cos(yaw), math.sin(yaw)
    long = math.hypot(goal[0] - start[0], goal[1] - start[1])
    floor = (float(start[2]) if len(start) > 2 else me.z) - 0.6
    if len(goal) > 2:
        floor += min(goal[2] - floor - 0.6, 0.0)
    for _ in range(tries):
        yield from walk(me, [start], end=0.06, patience=60)
        yield from turn_to(me, yaw)
        for frame in range(16):
            if frame > 0 and me.grounded:
                break
            dx, dy = goal[0] - me.x, goal[1] - me.y
            ahead, side = dx * ux + dy * uy, dy * ux - dx * uy
            # a little beyond the goal is as good, far beyond it is not
            go = HEAD_MOVE if ahead > 0.0 or frame == 0 else max(ahead, -HEAD_MOVE) if ahead < -0.4 else 0.0
            drift = min(max(side, -0.1), 0.1)
            yield me.act(go=(go * ux - drift * uy, go * uy + drift * ux), face=yaw, jump=frame == 0)
        yield from settle(me)
        across = (me.x - start[0]) * ux + (me.y - start[1]) * uy >= 0.6 * long and me.z >= floor
        if across or me.far(goal[0], goal[1]) < 0.4:
            return True
    return False


def drop(me: Avatar, start: Point, goal: Point) -> Deed:
    """Step off an edge and land near a point below, steering in the air."""
    if len(goal) > 2 and me.z < goal[2] + 0.5:
        return True  # it is down already
    yaw = math.atan2(goal[1] - start[1], goal[0] - start[0])
    yield from walk(me, [start], end=0.08, patience=60)
    yield from turn_to(me, yaw, tolerance=0.2)
    low = (float(start[2]) if len(start) > 2 else me.z) - 0.5
    for _ in range(80):
        if me.grounded and me.z < low and me.far(goal[0], goal[1]) < 0.5:
            return True
        slow = 0.12 if me.grounded else HEAD_MOVE
        yield me.act(go=pace_to(me, goal[0], goal[1], slow), face=yaw)
        if me.grounded and me.far(goal[0], goal[1]) < 0.1:
            return True
    return me.z < low
