"""What oracles do about predators: they fight in retreat, just out of the reach of teeth, or keep away."""

from __future__ import annotations

import math

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.body import pace
from similitude.worlds.engine.constants import BITE, CROUCH_SLOWEST, DT, HEAD_LOW, HEAD_MOVE, HEAD_TOP
from similitude.worlds.oracles.avatar import Avatar, Deed, angle_between
from similitude.worlds.oracles.fleeing import can_be_killed, threats, way_out
from similitude.worlds.oracles.reaching import take
from similitude.worlds.oracles.walking import pace_to
from similitude.worlds.oracles.wayfinding import way_around

SAFE = 0.2
"""How much farther from teeth than they reach one keeps, in metres."""
ELBOW_ROOM = 0.5
"""How much farther than teeth reach one keeps at most, in metres."""
CONCERN = 8.0
"""A fight goes on while a predator is nearer than this, in metres."""
PATIENCE = 40
"""A predator that stands still for as many frames though it has noticed somebody cannot come."""
NEAR = 4.0
"""A plan is put off while a predator is nearer than this, in metres."""
NEAR_MISS = 0.05
"""How near to a tool's path an animal has to be beyond their sizes; a little less than the engine's, in metres."""


def sweep(me: Avatar, tool: int, target: int, head: float) -> tuple[float, tuple[float, float, float]]:
    """Return how far an animal may be to be struck, and where the hand goes, (left, up, ahead) with the animal ahead.

    Args:
        me: The avatar.
        tool: What a hand holds.
        target: The animal.
        head: Height of the eyes over the feet, in metres.
    """
    hand = me.hand_with(tool)
    row = me.hands[hand]
    long = math.hypot(row[c.OX], row[c.OY])
    ex, ey, _ = me.half(tool)
    wide = sum(me.half(target)) / 3.0
    size = max(ex, ey) + wide + NEAR_MISS
    below = me.place(target)[2] - (me.z + head) - row[c.OZ]
    best, found = 0.0, (0.0, -0.5, 0.8)
    for i in range(19):
        up = -0.05 * i
        flat = math.sqrt(0.95 * 0.95 - up * up)
        gap = abs(below - up)
        if gap < size:
            reach = flat + long + math.sqrt(size * size - gap * gap)
            if reach > best:
                best, found = reach, (0.0, up, flat)
    return best, found


def weapon_at_hand(me: Avatar) -> int:
    """Return the best tool in a hand, or -1."""
    best, found = -1.0, -1
    for hand in (0, 1):
        k = me.held(hand)
        if k >= 0 and me.role(k) == c.TOOL:
            worth = me.half(k)[0] + me.things[k, c.DAMAGE]
            if worth > best:
                best, found = worth, k
    return found


def grip_point(me: Avatar, k: int) -> tuple[float, float, float] | None:
    """Return the end of a stick that is nearer, where it is held to reach far; None for rocks."""
    ex, ey, ez = me.half(k)
    if max(ex, ey) < 2.0 * ez:
        return None
    x, y, z = me.place(k)
    cos, sin = me.facing(k)
    ends = [(x + s * 0.85 * ex * cos, y + s * 0.85 * ex * sin, z) for s in (-1.0, 1.0)]
    return min(ends, key=lambda end: me.far(end[0], end[1]))


def arm(me: Avatar, *, within: float = 25.0) -> Deed:
    """Take the best tool that lies near, held so that it reaches far."""
    if weapon_at_hand(me) >= 0:
        return True
    tools = []
    for k in range(len(me.things)):
        if me.role(k) == c.TOOL:
            x, y, z = me.place(k)
            if me.far(x, y) < within and abs(z - me.z) < 2.0:
                tools.append((me.far(x, y) - 12.0 * me.half(k)[0] - 2.0 * float(me.things[k, c.DAMAGE]), k))
    for _, k in sorted(tools)[:2]:
        if (yield from take(me, k, at=grip_point(me, k), tries=2)):
            return True
    return False


def best_head(me: Avatar, tool: int, target: int) -> tuple[float, float]:
    """Return the height of the eyes at which one strikes an animal while one keeps away from it, and the reach."""
    speed = DT * float(me.things[target, c.SPEED])
    best, found = -math.inf, (HEAD_TOP, 0.0)
    for i in range(5):
        head = HEAD_TOP - 0.2 * i
        run = HEAD_MOVE * (
            CROUCH_SLOWEST + (1.0 - CROUCH_SLOWEST) * (head - HEAD_LOW) / (HEAD_TOP - HEAD_LOW)
        )
        reach, _ = sweep(me, tool, target, head)
        # what is more than a comfortable margin does not count, being too slow does
        worth = min(reach - BITE, ELBOW_ROOM) - 4.0 * max(speed - run, 0.0)
        if worth > best + 0.02:
            best, found = worth, (head, reach)
    return found


def fight(me: Avatar, targets: list[int], *, frames: int = 900) -> Deed:
    """Kill predators with a tool: wait for them, strike at the end of its reach, fall back from their teeth.

    Args:
        me: The avatar.
        targets: Predators to seek when none comes by itself.
        frames: After how many to give up.
    """
    end = me.frame + frames
    still = 0
    while me.frame < end:
        foes = [k for k in threats(me) if can_be_killed(me, k)]
        alive = [k for k in targets if me.role(k) == c.PREDATOR and me.state(k) == c.ALIVE]
        if not alive and not [k for k in foes if me.far(*me.place(k)[:2]) < CONCERN]:
            return True
        foes = foes or [k for k in alive if can_be_killed(me, k)]
        if not foes:
            return True  # nothing kills those that are left
        x, y, _ = me.place(foes[0])
        far = me.far(x, y)
        tool = weapon_at_hand(me)
        if tool < 0 and far > 4.0:
            if not (yield from arm(me)):
                return False
        elif tool < 0:
            ux, uy = way_out(me, foes)
            yield me.act(go=(HEAD_MOVE * ux, HEAD_MOVE * uy), face=math.atan2(uy, ux))
        elif float(me.things[foes[0], c.SENSE]) < far + 0.5:
            # it has not noticed: go and be seen
            yield from go_towards(me, x, y, frames=4)
        elif still > PATIENCE:
            # it has noticed, and cannot come
            me.ignored[foes[0]] = me.frame + 200
            still = 0
            if foes[0] in alive:
                yield from go_towards(me, x, y, frames=10)
        else:
            comes = float(np.abs(me.things[foes[0], c.TVX : c.TVZ + 1]).sum()) > 0.05
            still = 0 if comes or far < 3.0 else still + 1
            yield spar(me, tool, foes)
    return False


def go_towards(me: Avatar, x: float, y: float, *, frames: int) -> Deed:
    """Walk towards a point for some frames."""
    points = way_around(me, (x, y), within=5.0)
    for _ in range(frames):
        yield me.act(go=pace_to(me, *points[0]), face=me.bearing(*points[0]))
        if len(points) > 1 and me.far(*points[0]) < 0.3:
            points.pop(0)
    return True


def spar(me: Avatar, tool: int, foes: list[int]) -> list[float]:
    """Return the action of a frame: keep the nearest foe between the reach of teeth and the tool's, and strike."""
    foe = foes[0]
    x, y, _ = me.place(foe)
    far = max(me.far(x, y), 0.1)
    head, reach = best_head(me, tool, foe)
    keep = max(BITE + SAFE, min(reach - 0.1, BITE + ELBOW_ROOM))
    back = DT * float(me.things[foe, c.SPEED]) + keep - far
    if far > keep + 1.5:
        back = 0.0
    if any(me.far(*me.place(k)[:2]) < BITE + 0.6 for k in foes[1:4]):
        back = HEAD_MOVE
    go = (0.0, 0.0)
    if back > 0.0:
        ux, uy = way_out(me, foes)
        back = min(back, pace(0, me.simulation.body[me.e : me.e + 1]))
        go = (back * ux, back * uy)
    elif back < -0.05 and len(foes) == 1 and far < keep + 1.5:
        go = pace_to(me, x, y, min(-back, 0.15))
    # a stick is held at its end and points at the foe
    hand = me.hand_with(tool)
    row = me.hands[hand]
    lean = math.atan2(row[c.OY], row[c.OX]) if math.hypot(row[c.OX], row[c.OY]) > 0.1 else 0.0
    yaw = me.bearing(x, y) - lean
    wish = (0.0, -0.2, 0.0)
    after = far + (go[0] * (me.x - x) + go[1] * (me.y - y)) / far
    if after <= reach + 0.05 and abs(angle_between(yaw, me.yaw)) < 0.6:
        _, off = sweep(me, tool, foe, me.body[c.HEAD])
        out = turned(off, me.bearing(x, y) - me.yaw)
        wish = out if math.dist(me.off(hand), out) > 0.45 else (0.0, off[1] * 0.3, 0.0)
    return me.act(go=go, face=yaw, head=head, poses={hand: wish})


def turned(off: tuple[float, float, float], angle: float) -> tuple[float, float, float]:
    """Return a place (left, up, ahead) turned to the left by an angle."""
    cos, sin = math.cos(angle), math.sin(angle)
    return off[0] * cos + off[2] * sin, off[1], off[2] * cos - off[0] * sin


def on_guard(me: Avatar, plan: Deed) -> Deed:
    """Carry out a plan, and fight when a predator comes near while a tool is in a hand."""
    while True:
        if not me.busy and weapon_at_hand(me) >= 0 and any(matters(me, k) for k in threats(me, NEAR)):
            me.busy = True
            won = yield from fight(me, [], frames=200)
            me.busy = False
            if not won:
                me.ignored |= dict.fromkeys(threats(me), me.frame + 300)
        try:
            yield next(plan)
        except StopIteration:
            return True


def matters(me: Avatar, k: int) -> bool:
    """Return whether a predator is to be fought: tools hurt it, and no fight with it has just come to nothing."""
    return can_be_killed(me, k) and me.ignored.get(k, 0) <= me.frame
