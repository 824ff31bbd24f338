"""Climbing of oracles: hand over hand along a path, onto the edge at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.climbing import hold
from similitude.worlds.engine.constants import HAND_MOVE, HEAD_YAW
from similitude.worlds.engine.ground import gradient, terrain
from similitude.worlds.oracles.avatar import LEFT, RIGHT, Avatar, Deed
from similitude.worlds.oracles.walking import Point, pace_to, walk

STRIDE = 0.4
"""How far the body is pulled in a frame, in metres."""
REACHED = 0.25
"""A point of the path counts as reached within this distance, in metres."""
PATIENCE = 80
"""Frames without coming nearer to the end after which one gives up."""
LONG = 0.93
"""Farthest from the eyes that a hand looks for a hold, in metres."""


def climb(me: Avatar, points: Sequence[Point], *, frames: int = 900) -> Deed:
    """Climb along points (x, y, z), the first at the foot, the last where one stands in the end.

    One hand pulls while the other looks for the next hold; neither lets go before the other holds.
    """
    path = [(float(p[0]), float(p[1]), float(p[2])) for p in points]
    goal = path[-1]
    yield from walk(me, [path[0]], end=0.1, patience=60)
    me.grip = [False, False]
    at, pulls, idle, best = 1, RIGHT, 0, math.inf
    for _ in range(frames):
        near = abs(me.z - goal[2]) < 0.6 and me.far(goal[0], goal[1]) < 0.8
        if near and me.grounded and me.body[c.CLIMBING] < 0.5:
            break
        left = math.dist((me.x, me.y, me.z), goal)
        if left < best - 0.05:
            best, idle = left, 0
        idle += 1
        if idle > PATIENCE:
            break
        while at < len(path) - 1 and passed(me, path, at):
            at += 1
        way = ahead(me, path, at)
        up = uphill(me, path[at])
        holds = [me.hands[hand][c.GRIP] > 1.5 for hand in (LEFT, RIGHT)]
        if not any(holds):
            yield look_for_holds(me, path[at], up, way, idle=idle)
            continue
        if all(holds):
            pulls = LEFT if along(me, LEFT, way) > along(me, RIGHT, way) else RIGHT
        elif not holds[pulls]:
            pulls = 1 - pulls
        yield haul(me, pulls, up, way)
    me.grip = [False, False]
    for _ in range(2):
        yield me.act(face=me.yaw)
    if me.grounded:
        yield from walk(me, [goal], end=0.3, patience=60, replan=False)
    return abs(me.z - goal[2]) < 0.8 and me.far(goal[0], goal[1]) < 1.0


def look_for_holds(
    me: Avatar, goal: Point, up: tuple[float, float], way: tuple[float, float, float], *, idle: int
) -> list[float]:
    """Return the action with which hands that hold nothing go to holds and close there, in turn."""
    step = (0.0, 0.0)
    if me.grounded and idle > 6 and me.far(goal[0], goal[1]) > 0.1:
        step = pace_to(me, goal[0], goal[1], 0.1)  # nearer to the wall
    closed = idle % 2 == 0
    me.grip = [closed, closed]
    hands = {} if closed else {hand: next_hold(me, hand, up, way, (0.0, 0.0, 0.0)) for hand in (LEFT, RIGHT)}
    stay = {hand: me.off(hand) for hand in (LEFT, RIGHT)}
    return me.act(go=step, face=math.atan2(up[1], up[0]), hands=hands, poses=stay)


def haul(me: Avatar, pulls: int, up: tuple[float, float], way: tuple[float, float, float]) -> list[float]:
    """Return the action with which one hand pulls; the other lets go and looks for a hold, or closes and pulls too."""
    pull = (way[0] * STRIDE, way[1] * STRIDE, way[2] * STRIDE)
    other = 1 - pulls
    yaw = math.atan2(up[1], up[0])
    me.grip[pulls] = True
    # closed: it holds and is the lower one, or it found nothing; open: it has been sent to a hold
    me.grip[other] = not me.grip[other]
    if me.grip[other]:
        return pulling(me, yaw, pulls, pull, other, None)
    return pulling(me, yaw, pulls, pull, other, next_hold(me, other, up, way, pull))


def passed(me: Avatar, path: list[tuple[float, float, float]], at: int) -> bool:
    """Return whether a point of the path lies behind the body."""
    a, b = path[at - 1], path[at]
    way = (b[0] - a[0], b[1] - a[1], b[2] - a[2])
    size = math.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2)
    if size < 1e-6:
        return True
    left = ((b[0] - me.x) * way[0] + (b[1] - me.y) * way[1] + (b[2] - me.z) * way[2]) / size
    return left < REACHED


def ahead(me: Avatar, path: list[tuple[float, float, float]], at: int) -> tuple[float, float, float]:
    """Return the unit vector in which the body goes on: along the path, and back to it."""
    a, b = path[at - 1], path[at]
    way = [b[0] - a[0], b[1] - a[1], b[2] - a[2]]
    size = max(math.sqrt(way[0] ** 2 + way[1] ** 2 + way[2] ** 2), 1e-9)
    here = [me.x - a[0], me.y - a[1], me.z - a[2]]
    t = min(max((here[0] * way[0] + here[1] * way[1] + here[2] * way[2]) / size + 0.5, 0.0), size) / size
    to = [a[i] + way[i] * t - (me.x, me.y, me.z)[i] for i in range(3)]
    if way[2] > 0.0:
        to[2] = max(to[2], 0.2)
    length = max(math.sqrt(to[0] ** 2 + to[1] ** 2 + to[2] ** 2), 1e-9)
    return to[0] / length, to[1] / length, to[2] / length


def ladder_near(me: Avatar) -> tuple[float, float] | None:
    """Return the way to the nearest ladder within reach of a step, x and y in metres, or None."""
    sim, e = me.simulation, me.e
    ladders = sim.solids[e, : int(sim.meta[e, c.N_SOLIDS])]
    best, found = 1.6, None
    for row in ladders[ladders[:, c.SOLID_CLIMBS] > 0.5].tolist():
        px, py = beside_ladder(row, me.x, me.y)
        far = me.far(px, py)
        if far < best and row[c.SZ] + row[c.SEZ] > me.z and row[c.SZ] - row[c.SEZ] < me.eye + 0.5:
            best, found = far, (px - me.x, py - me.y)
    return found


def uphill(me: Avatar, goal: Point) -> tuple[float, float]:
    """Return the direction to the wall, a unit vector: to a ladder, up the slope, or to the next point."""
    sim, e = me.simulation, me.e
    found = ladder_near(me)
    if found is None:
        gx, gy = 0.0, 0.0
        dx, dy = goal[0] - me.x, goal[1] - me.y
        size = max(math.hypot(dx, dy), 1e-9)
        for far in (0.0, 0.3, 0.6):
            a, b = gradient(e, me.x + far * dx / size, me.y + far * dy / size, sim.height, sim.meta)
            gx, gy = gx + a, gy + b
        found = (gx, gy) if math.hypot(gx, gy) > 0.5 else (dx, dy)
    size = math.hypot(*found)
    return (found[0] / size, found[1] / size) if size > 1e-9 else (math.cos(me.yaw), math.sin(me.yaw))


def beside_ladder(row: Sequence[float], x: float, y: float) -> tuple[float, float]:
    """Return the point of a ladder's footprint that is nearest to (x, y)."""
    cos, sin = row[c.SCOS], row[c.SSIN]
    dx, dy = x - row[c.SX], y - row[c.SY]
    u = min(max(dx * cos + dy * sin, -row[c.SEX]), row[c.SEX])
    v = min(max(dy * cos - dx * sin, -row[c.SEY]), row[c.SEY])
    return row[c.SX] + u * cos - v * sin, row[c.SY] + u * sin + v * cos


def along(me: Avatar, hand: int, way: tuple[float, float, float]) -> float:
    """Return how far ahead a hand is on the way, in metres."""
    row = me.hands[hand]
    return (row[c.HX] - me.x) * way[0] + (row[c.HY] - me.y) * way[1] + (row[c.HZ] - me.eye) * way[2]


def next_hold(
    me: Avatar,
    hand: int,
    up: tuple[float, float],
    way: tuple[float, float, float],
    pull: tuple[float, float, float],
) -> tuple[float, float, float]:
    """Return where a hand finds the next hold, as far along the way as it reaches after a pull, in metres.

    Args:
        me: The avatar.
        hand: Which hand.
        up: Unit vector towards the wall.
        way: Unit vector of the way.
        pull: How far the body will have moved, in metres.
    """
    sim, e = me.simulation, me.e
    x, y, eye = me.x + pull[0], me.y + pull[1], me.eye + pull[2]
    rungs = ladder_near(me) is not None
    side = 0.15 if hand == LEFT else -0.15
    for angle in (side, -side, 4.0 * side, -4.0 * side):
        cos, sin = math.cos(angle), math.sin(angle)
        ux, uy = up[0] + 0.3 * way[0], up[1] + 0.3 * way[1]
        size = max(math.hypot(ux, uy), 1e-9)
        ux, uy = (ux * cos - uy * sin) / size, (ux * sin + uy * cos) / size
        found = []
        for k in range(11):
            met = 0.15 + 0.1 * k
            far = max(met - 0.2, 0.12)
            if far >= LONG:
                break
            top = eye + math.sqrt(LONG * LONG - far * far)
            ground = terrain(e, x + met * ux, y + met * uy, sim.height, sim.meta)
            for z in (ground + 0.1, ground - 0.1, *((eye + 0.5, eye, eye - 0.4) if rungs else ())):
                low = min(z, top)
                if low > eye - 0.9:
                    gain = far * (ux * way[0] + uy * way[1]) + (low - eye) * way[2] - 0.1 * far
                    found.append((gain, x + far * ux, y + far * uy, low))
        found.sort(reverse=True)
        for _, px, py, z in found[: 20 if rungs else 8]:
            if hold(e, px, py, z, x, y, up[0], up[1], sim.height, sim.ground, sim.meta, sim.solids) == 1:
                return px, py, z
    return x + 0.6 * up[0], y + 0.6 * up[1], eye + 0.3


def pulling(
    me: Avatar,
    yaw: float,
    pulls: int,
    pull: tuple[float, float, float],
    other: int,
    goal: tuple[float, float, float] | None,
) -> list[float]:
    """Return the action with which one hand pulls the body while the other goes to a place, or pulls too (None)."""
    action = me.act(face=yaw, poses={LEFT: me.off(LEFT), RIGHT: me.off(RIGHT)})
    turn = action[4] * HEAD_YAW
    cos, sin = math.cos(me.yaw + turn), math.sin(me.yaw + turn)
    ways = {pulls: (-pull[0], -pull[1], -pull[2]), other: (-pull[0], -pull[1], -pull[2])}
    if goal is not None:
        # the hand moves with the eyes, and turns with the body
        row = me.hands[other]
        rx, ry = row[c.HX] - me.x, row[c.HY] - me.y
        wx, wy = rx * math.cos(turn) - ry * math.sin(turn), rx * math.sin(turn) + ry * math.cos(turn)
        dx, dy = goal[0] - me.x - pull[0] - wx, goal[1] - me.y - pull[1] - wy
        ways[other] = (dx, dy, goal[2] - pull[2] - row[c.HZ])
    for hand, way in ways.items():
        size = math.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2])
        share = 1.0 / max(size, HAND_MOVE)
        first = 6 + 6 * hand
        action[first] = (way[0] * sin - way[1] * cos) * share
        action[first + 1] = way[2] * share
        action[first + 2] = (way[0] * cos + way[1] * sin) * share
    return action
