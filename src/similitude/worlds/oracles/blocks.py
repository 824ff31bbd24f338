"""Blocks in the hands of oracles: stones and logs are put down, boulders are pushed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import BODY_RADIUS, HEAD_MOVE, STEP_UP
from similitude.worlds.engine.ground import terrain
from similitude.worlds.oracles.avatar import Avatar, Deed, angle_between
from similitude.worlds.oracles.reaching import stoop
from similitude.worlds.oracles.walking import Point, pace_to, turn_to, walk
from similitude.worlds.oracles.wayfinding import way_around

CLOSE = 0.04
"""What is held counts as in its place within this distance, in metres."""


def place(me: Avatar, k: int, at: Sequence[Point], *, frames: int = 120) -> Deed:
    """Put down what a hand holds, its centre at `at[0]`, its own long axis pointing to `at[1]` where that is given."""
    hand = me.hand_with(k)
    if hand < 0:
        return False
    x, y, z = (float(v) for v in at[0])
    if len(at) > 1:
        goal = math.atan2(at[1][1] - y, at[1][0] - x)
        cos, sin = me.facing(k)
        turn = angle_between(goal, math.atan2(sin, cos))
        yaw = best_turn(me, hand, turn, (x, y), symmetric=math.pi / 2 if square(me, k) else math.pi)
        yield from turn_to(me, yaw, tolerance=0.01)
    still = 0
    for _ in range(frames):
        if me.held(hand) != k:
            return False
        row = me.hands[hand]
        cos, sin = math.cos(me.yaw), math.sin(me.yaw)
        ox, oy = row[c.OX] * cos - row[c.OY] * sin, row[c.OX] * sin + row[c.OY] * cos
        px, py, pz = me.place(k)
        wish = (x - ox, y - oy, z - row[c.OZ] + 0.02)
        off = math.hypot(px - x, py - y)
        # the hand stays on its side of the eyes' reach; the body follows where it cannot
        far = me.far(wish[0], wish[1])
        go = (0.0, 0.0)
        if far > 0.8:
            go = pace_to(me, wish[0], wish[1], min(far - 0.75, 0.1))
        if off < CLOSE and pz < z + 0.12:
            still += 1
            if still > 1:
                break
        yield me.act(go=go, head=stoop(me, wish), at=wish, hands={hand: wish})
    me.grip[hand] = False
    yield me.act(head=me.body[c.HEAD], poses={hand: me.off(hand)})
    for _ in range(8):
        yield me.act()
    px, py, _ = me.place(k)
    return math.hypot(px - x, py - y) < 0.4


def square(me: Avatar, k: int) -> bool:
    """Return whether a block is as long as it is wide."""
    ex, ey, _ = me.half(k)
    return abs(ex - ey) < 0.05


def best_turn(me: Avatar, hand: int, turn: float, goal: tuple[float, float], *, symmetric: float) -> float:
    """Return the yaw at which what a hand holds lies right and the hand is nearest to the body."""
    row = me.hands[hand]
    best, found = math.inf, me.yaw
    for k in range(round(2.0 * math.pi / symmetric)):
        yaw = me.yaw + angle_between(turn + k * symmetric, 0.0)
        cos, sin = math.cos(yaw), math.sin(yaw)
        hx = goal[0] - (row[c.OX] * cos - row[c.OY] * sin)
        hy = goal[1] - (row[c.OX] * sin + row[c.OY] * cos)
        far = me.far(hx, hy) + 0.1 * abs(angle_between(yaw, me.yaw))
        if far < best:
            best, found = far, yaw
    return found


def below(me: Avatar, x: float, y: float) -> float:
    """Return how far the land at a point lies below the feet, in metres."""
    return me.z - terrain(me.e, x, y, me.simulation.height, me.simulation.meta)


def get_behind(me: Avatar, at: tuple[float, float], way: tuple[float, float], back: float) -> Deed:
    """Go to where a boulder at a point is pushed along a unit vector from, around it; `back` metres part both middles."""
    (x, y), (ux, uy) = at, way
    rx, ry = me.x - x, me.y - y
    behind, side = -(rx * ux + ry * uy), ry * ux - rx * uy
    spot = (x - (back + 0.3) * ux, y - (back + 0.3) * uy)
    if behind < back and abs(side) < back + 0.2:
        sign, berth = (1.0 if side > 0.0 else -1.0), back + 0.5
        corner = (x - sign * berth * uy, y + sign * berth * ux)
        if behind < 0.0 and abs(side) < back:
            corner = (corner[0] + berth * ux, corner[1] + berth * uy)
        yield from walk(me, way_around(me, spot)[:-1] or [corner], end=0.3, patience=80, replan=False)
    return (yield from walk(me, [spot], end=0.1, patience=80))


def push(me: Avatar, k: int, points: Sequence[Point], *, frames: int = 1500) -> Deed:
    """Push a boulder along points, which its centre follows; the last may lie lower, where it falls."""
    todo = [(float(p[0]), float(p[1])) for p in points]
    x, y, z = me.place(k)
    if len(todo) > 1 and math.hypot(x - todo[0][0], y - todo[0][1]) < 0.2:
        todo.pop(0)
    half = me.half(k)[0]
    start = z
    aligned = False
    last, idle, leg = (x, y), 0, (x, y)
    for _ in range(frames):
        x, y, z = me.place(k)
        if not todo or (len(todo) == 1 and z < start - 0.6):
            break
        gx, gy = todo[0]
        far = math.hypot(gx - x, gy - y)
        passed = (gx - leg[0]) * (gx - x) + (gy - leg[1]) * (gy - y) <= 0.0
        if far < 0.08 or (passed and far < 0.5):
            todo.pop(0)
            aligned, leg = False, (x, y)
            continue
        ux, uy = (gx - x) / far, (gy - y) / far
        back = half + BODY_RADIUS
        # where the body stands in the boulder's frame
        rx, ry = me.x - x, me.y - y
        behind = -(rx * ux + ry * uy)
        side = ry * ux - rx * uy
        if math.hypot(x - last[0], y - last[1]) > 0.02:
            last, idle = (x, y), 0
        else:
            idle += 1
        if idle > 60:
            aligned, idle = False, 0
            yield from walk(me, [(x - (back + 0.8) * ux, y - (back + 0.8) * uy)], end=0.3, patience=60)
        if not aligned and (abs(side) > 0.25 or behind < back - 0.1):
            yield from get_behind(me, (x, y), (ux, uy), back)
            aligned = True
            continue
        aligned = abs(side) < 0.6 * half
        # push along the line, leaning to its side to keep the boulder on it
        lean = min(max(-side, -0.08), 0.08)
        most = min(HEAD_MOVE, max(far, 0.05) + max(behind - back, 0.0))
        go = (most * ux - lean * uy, most * uy + lean * ux)
        if z < start - 0.02 or below(me, me.x + 0.3 * ux, me.y + 0.3 * uy) > STEP_UP:
            # it falls: do not follow
            go = (0.0, 0.0) if behind > back + 0.02 or z < start - 0.02 else (0.05 * ux, 0.05 * uy)
        yield me.act(go=go, face=math.atan2(uy, ux))
    for _ in range(6):
        yield me.act()
    x, y, z = me.place(k)
    return not todo or math.hypot(x - todo[-1][0], y - todo[-1][1]) < 0.3 or z < start - 0.6
