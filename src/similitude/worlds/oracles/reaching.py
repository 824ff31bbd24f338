"""What hands of oracles do: take, bring to the mouth, put down, throw to open, hit to open."""

from __future__ import annotations

import math

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import ARM, HEAD_LOW, HEAD_TOP
from similitude.worlds.oracles.avatar import LEFT, Avatar, Deed
from similitude.worlds.oracles.walking import Point, approach, pace_to
from similitude.worlds.oracles.wayfinding import way_around

NEAR = 0.5
"""How near one goes to a thing to take it, in metres."""
HOLD = 0.9
"""How far from the eyes a hand goes to take something, in metres."""


def surface(me: Avatar, k: int, px: float, py: float, pz: float) -> tuple[float, float, float]:
    """Return the point of a thing that is nearest to a given one, a little below its surface, in metres."""
    x, y, z = me.place(k)
    cos, sin = me.facing(k)
    ex, ey, ez = (max(half - 0.05, 0.0) for half in me.half(k))
    dx, dy = px - x, py - y
    u = min(max(dx * cos + dy * sin, -ex), ex)
    v = min(max(dy * cos - dx * sin, -ey), ey)
    w = min(max(pz - z, -ez), ez)
    return x + u * cos - v * sin, y + u * sin + v * cos, z + w


def stoop(me: Avatar, goal: tuple[float, float, float], far: float = HOLD) -> float:
    """Return the height of the eyes over the feet at which a hand reaches a point, in metres."""
    flat = min(me.far(goal[0], goal[1]), far - 0.05)
    below = math.sqrt(far * far - flat * flat)
    return min(max(goal[2] - me.z + 0.8 * below, HEAD_LOW), HEAD_TOP)


def reach_for(me: Avatar, k: int, hand: int, *, at: Point | None = None, frames: int = 40) -> Deed:
    """Move a hand to a thing that is near, and grasp it; creep nearer while it is out of reach."""
    me.grip[hand] = False
    closing = 0
    for _ in range(frames):
        if me.gone(k):
            return False
        if me.held(hand) == k:
            return True
        goal = surface(me, k, me.x, me.y, me.eye) if at is None else (at[0], at[1], at[2])
        row = me.hands[hand]
        gap = math.dist(goal, (row[c.HX], row[c.HY], row[c.HZ]))
        head = stoop(me, goal)
        go = (0.0, 0.0)
        if me.far(goal[0], goal[1]) > NEAR or (not me.reaches(goal, 0.02) and me.far(goal[0], goal[1]) > 0.3):
            go = pace_to(me, goal[0], goal[1], 0.15)
        if me.held(hand) >= 0 and me.held(hand) != k:
            me.grip[hand] = False
        elif gap < 0.3 or closing:
            me.grip[hand] = True
            closing += 1
            if closing > 4:
                me.grip[hand] = False
                closing = 0
        face = me.bearing(goal[0], goal[1]) if me.far(goal[0], goal[1]) > 0.2 else None
        yield me.act(go=go, face=face, head=head, at=goal, hands={hand: goal})
    return me.held(hand) == k


def take(me: Avatar, k: int, *, at: Point | None = None, hand: int | None = None, tries: int = 4) -> Deed:
    """Go to a thing and grasp it.

    Args:
        me: The avatar.
        k: The thing.
        at: Point at which to grasp it, by default the nearest.
        hand: With which hand, by default a free one.
        tries: How often to try.
    """
    if me.hand_with(k) >= 0:
        return True
    for _ in range(tries):
        side = me.free_hand() if hand is None else hand
        x, y, z = (at if at is not None else surface(me, k, me.x, me.y, me.eye))[:3]
        head = max(HEAD_LOW, min(HEAD_TOP, z - me.z + 0.5))
        flat = max(NEAR, math.sqrt(max((ARM - 0.05) ** 2 - (me.z + head - z) ** 2, 0.0)) - 0.1)
        yield from approach(me, x, y, min(flat, 0.7), without=k)
        if (yield from reach_for(me, k, side, at=at)):
            return True
        if me.gone(k):
            return False
        # step aside and try again
        points = way_around(me, (x + 0.6, y + 0.3), within=0.4)
        for _ in range(6):
            yield me.act(go=pace_to(me, *points[0]), face=me.bearing(x, y))
    return False


def bring(me: Avatar, hand: int, off: tuple[float, float, float], frames: int = 6) -> Deed:
    """Move a hand to a place (left, up, ahead) of the eyes."""
    for _ in range(frames):
        if math.dist(me.off(hand), off) < 0.05:
            return True
        yield me.act(poses={hand: off})
    return False


def eat(me: Avatar, k: int) -> Deed:
    """Go to a food, take it, and bring it to the eyes."""
    for _ in range(4):
        if me.gone(k) or me.things[k, c.ENERGY] <= 0.0:
            return True
        if me.role(k) == c.PREY and me.state(k) == c.ALIVE:
            return False
        if me.role(k) == c.FOOD and me.state(k) == c.CLOSED and me.things[k, c.OPENS] > 0.0:
            yield from open_food(me, k)
        if not (yield from take(me, k)):
            continue
        hand = me.hand_with(k)
        if me.role(k) == c.FOOD and me.state(k) == c.BURIED:
            yield from pull_out(me, k, hand)
        for frame in range(24):
            if me.gone(k) or hand < 0 or me.held(hand) != k:
                break
            row = me.hands[hand]
            side = 0.15 if hand == LEFT else -0.15
            up = 0.0 if frame < 12 else -0.2
            wish = (side - row[c.OY], up - row[c.OZ], 0.2 - row[c.OX])
            yield me.act(head=min(me.body[c.HEAD] + 0.3, HEAD_TOP), poses={hand: wish})
        me.grip[hand] = False
        if me.role(k) == c.FOOD and me.state(k) == c.CLOSED:
            yield me.act()
            yield from open_food(me, k)
        if me.gone(k):
            yield me.act()
            return True
    return me.gone(k)


def pull_out(me: Avatar, k: int, hand: int) -> Deed:
    """Pull a food out of the ground, slowly: a jerk tears the hand off it."""
    for _ in range(10):
        if me.held(hand) != k or me.state(k) != c.BURIED:
            break
        row = me.hands[hand]
        goal = (row[c.HX], row[c.HY], row[c.HZ] + 0.2)
        yield me.act(head=me.body[c.HEAD], hands={hand: goal})
    return me.held(hand) == k


def open_food(me: Avatar, k: int, *, tool: int = -1) -> Deed:
    """Open a closed food: throw it at the ground, or hit it with a rock."""
    if int(me.things[k, c.TRAITS]) & c.BREAKS:
        return (yield from smash(me, k))
    rock = tool if tool >= 0 else nearest_rock(me, k)
    if rock < 0:
        return False
    return (yield from hit(me, rock, k))


def nearest_rock(me: Avatar, k: int) -> int:
    """Return the rock that is nearest to a thing, or -1."""
    x, y, _ = me.place(k)
    best, found = math.inf, -1
    for i in range(len(me.things)):
        if me.role(i) == c.TOOL:
            ex, ey, ez = me.half(i)
            if max(ex, ey) < 2.0 * ez:
                far = math.dist(me.place(i)[:2], (x, y))
                if far < best:
                    best, found = far, i
    return found


def smash(me: Avatar, k: int) -> Deed:
    """Throw what a hand holds at the ground before the feet, as hard as it can."""
    for _ in range(4):
        if me.state(k) != c.CLOSED:
            return True
        if not (yield from take(me, k)):
            return False
        hand = me.hand_with(k)
        yield from bring(me, hand, (0.0, 0.7, 0.3))
        # one swift move down; letting go in the same frame gives it the hand's speed
        me.grip[hand] = False
        yield me.act(poses={hand: (0.0, -0.3, 0.35)})
        for _ in range(12):
            if me.gone(k) or me.state(k) != c.CLOSED:
                return True
            yield me.act()
    return me.state(k) != c.CLOSED


def hit(me: Avatar, tool: int, k: int) -> Deed:
    """Take a tool and hit a closed food with it until it is open."""
    for _ in range(3):
        if me.gone(k) or me.state(k) != c.CLOSED:
            return True
        if not (yield from take(me, tool)):
            return False
        x, y, z = me.place(k)
        yield from approach(me, x, y, 0.6, without=k)
        hand = me.hand_with(tool)
        for frame in range(40):
            if me.gone(k) or me.state(k) != c.CLOSED or hand < 0 or me.held(hand) != tool:
                break
            x, y, z = me.place(k)
            row = me.hands[hand]
            aim = (x - row[c.OX], y - row[c.OY], z - row[c.OZ])
            go = pace_to(me, x, y, 0.1) if me.far(x, y) > 0.6 else (0.0, 0.0)
            if frame % 2 == 0:
                aim = (aim[0], aim[1], aim[2] + 0.7)
            yield me.act(
                go=go,
                face=me.bearing(x, y),
                head=stoop(me, (x, y, z)),
                at=(x, y, z),
                hands={hand: aim},
            )
        if me.gone(k) or me.state(k) != c.CLOSED:
            me.grip[hand] = False
            yield me.act()
            return True
    return me.state(k) != c.CLOSED
