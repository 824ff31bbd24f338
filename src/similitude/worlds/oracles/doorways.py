"""Locks and doors in the hands of oracles."""

from __future__ import annotations

import math

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import HEAD_MOVE
from similitude.worlds.oracles.avatar import RIGHT, Avatar, Deed
from similitude.worlds.oracles.reaching import reach_for, stoop
from similitude.worlds.oracles.walking import pace_to, walk

FREE_END = 0.1
"""Where one walks against a swing door, from its middle away from the hinge, in metres."""
BESIDE = 0.65
"""How near one stands to a lock, in metres."""


def near(me: Avatar, k: int, within: float = BESIDE) -> Deed:
    """Go straight to a lock or door."""
    for _ in range(40):
        x, y, _ = me.place(k)
        if me.far(x, y) <= within:
            return True
        before = (me.x, me.y)
        yield me.act(go=pace_to(me, x, y, 0.15), face=me.bearing(x, y))
        if math.dist(before, (me.x, me.y)) < 0.01 and me.far(x, y) < within + 0.3:
            return True
    return False


def unlock(me: Avatar, k: int) -> Deed:
    """Open a lock: press a button, shift a sliding bar, lift a turning bar."""
    me.grip = [False, False]
    for _ in range(4):
        if me.gone(k):
            return True
        yield from near(me, k)
        traits = int(me.things[k, c.TRAITS])
        if traits & c.PRESSES:
            yield from press(me, k)
        else:
            if not (yield from reach_for(me, k, RIGHT)):
                continue
            cos, sin = me.facing(k)
            row = me.hands[RIGHT]
            # to the side where the hand has more room
            way = 1.0 if (me.x - row[c.HX]) * cos + (me.y - row[c.HY]) * sin >= -0.05 else -1.0
            for _ in range(16):
                if me.held(RIGHT) != k:
                    break
                row = me.hands[RIGHT]
                if traits & c.SHIFTS:
                    goal = (row[c.HX] + 0.15 * way * cos, row[c.HY] + 0.15 * way * sin, row[c.HZ])
                else:
                    goal = (row[c.HX], row[c.HY], row[c.HZ] + 0.15)
                yield me.act(head=stoop(me, goal), at=goal, hands={RIGHT: goal})
            me.grip[RIGHT] = False
        yield me.act()
    return me.gone(k)


def press(me: Avatar, k: int) -> Deed:
    """Move a hand from before a button onto it."""
    x, y, z = me.place(k)
    for frame in range(6):
        if me.gone(k):
            break
        if frame % 2 == 0:
            back = 0.5
            goal = (x + back * (me.x - x), y + back * (me.y - y), z)
        else:
            goal = (x, y, z)
        yield me.act(face=me.bearing(x, y), head=stoop(me, (x, y, z)), at=(x, y, z), hands={RIGHT: goal})
    return me.gone(k)


def is_open(me: Avatar, k: int) -> bool:
    """Return whether a door has gone all its way."""
    way = math.pi / 2.0 if int(me.things[k, c.TRAITS]) & c.SWINGS else 2.0 * me.half(k)[0]
    return abs(me.things[k, c.MOVED]) >= way - 1e-6


def open_door(me: Avatar, k: int) -> Deed:
    """Open a door: walk against one that swings, drag one that slides."""
    for attempt in range(4):
        if is_open(me, k):
            return True
        if int(me.things[k, c.TRAITS]) & c.SWINGS:
            yield from swing(me, k)
        else:
            yield from slide(me, k, 1.0 if attempt % 2 == 0 else -1.0)
    return is_open(me, k)


def swing(me: Avatar, k: int) -> Deed:
    """Walk against a swing door away from its hinge until it is open."""
    # the way through: across the closed door, at the free end
    home = me.things[k, c.HOME_X : c.HOME_Y + 1].tolist()
    cos, sin = me.facing(k)
    moved = float(me.things[k, c.MOVED])
    cos, sin = cos * math.cos(moved) + sin * math.sin(moved), sin * math.cos(moved) - cos * math.sin(moved)
    side = (me.y - home[1]) * cos - (me.x - home[0]) * sin
    sign = -1.0 if side > 0.0 else 1.0
    before = (home[0] + FREE_END * cos + 0.5 * sign * sin, home[1] + FREE_END * sin - 0.5 * sign * cos)
    yield from walk(me, [before], end=0.1, patience=40, replan=False)
    for _ in range(40):
        if is_open(me, k):
            return True
        dx, dy = -sin * sign, cos * sign
        # stay in the doorway
        u = (me.x - home[0]) * cos + (me.y - home[1]) * sin
        lean = min(max(FREE_END - u, -0.1), 0.1)
        yield me.act(go=(HEAD_MOVE * dx + lean * cos, HEAD_MOVE * dy + lean * sin), face=math.atan2(dy, dx))
    yield from walk(me, [before], end=0.2, patience=20, replan=False)
    return is_open(me, k)


def slide(me: Avatar, k: int, sign: float) -> Deed:
    """Grasp a sliding door and drag it along itself, walking along."""
    yield from near(me, k, 0.75)
    if not (yield from reach_for(me, k, RIGHT)):
        return False
    cos, sin = me.facing(k)
    for _ in range(40):
        if is_open(me, k) or me.held(RIGHT) != k:
            break
        row = me.hands[RIGHT]
        goal = (row[c.HX] + 0.2 * sign * cos, row[c.HY] + 0.2 * sign * sin, row[c.HZ])
        ahead = ((row[c.HX] - me.x) * cos + (row[c.HY] - me.y) * sin) * sign
        go = (0.2 * sign * cos, 0.2 * sign * sin) if ahead > 0.2 else (0.0, 0.0)
        yield me.act(go=go, head=stoop(me, goal), hands={RIGHT: goal})
    me.grip[RIGHT] = False
    yield me.act()
    return is_open(me, k)
