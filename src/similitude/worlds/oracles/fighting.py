"""What oracles do about predators: they fight in retreat, just out of the reach of teeth, or keep away."""

from __future__ import annotations

import math

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.body import pace
from similitude.worlds.engine.constants import ARM, BITE, HEAD_MOVE, HEAD_TOP
from similitude.worlds.oracles.reaching import take
from similitude.worlds.oracles.scene import Deed, Scene, angle_between
from similitude.worlds.oracles.walking import pace_to, way_around
from similitude.worlds.routes.paths import Land
from similitude.worlds.routes.state import State

ALERT = 14.0
"""Predators farther than this do not matter, in metres."""
SAFE = 0.2
"""How much farther from teeth than they reach one keeps, in metres."""
NEAR_MISS = 0.05
"""How near to a tool's path an animal has to be beyond their sizes; a little less than the engine's, in metres."""
DIRECTIONS = tuple((math.cos(math.pi * i / 12.0), math.sin(math.pi * i / 12.0)) for i in range(24))


def threats(me: Scene, within: float = ALERT) -> list[int]:
    """Return the living predators within a distance, the nearest first."""
    things = me.things
    found = []
    for k in ((things[:, c.ROLE] == c.PREDATOR) & (things[:, c.STATE] == c.ALIVE)).nonzero()[0].tolist():
        x, y, z = me.place(k)
        far = math.hypot(x - me.x, y - me.y)
        if far < within and abs(z - me.z) < 6.0:
            found.append((far, k))
    return [k for _, k in sorted(found)]


class Ground:
    """Where one can run, as it was when a fight began."""

    def __init__(self, me: Scene) -> None:
        world = me.simulation.worlds[me.e]
        assert world is not None
        state = State(world)
        state.things = me.things[: len(world.things)]
        self.land = Land(state)
        self.half = 0.5 * (world.size - 6) * 0.5

    def free(self, x: float, y: float, px: float, py: float) -> bool:
        """Return whether the stretch between two points can be run along."""
        if abs(px) > self.half or abs(py) > self.half:
            return False
        return self.land.open_line((x, y), (px, py), calm=False)


def flight(me: Scene, ground: Ground, foes: list[int], *, frames: int = 12) -> tuple[float, float]:
    """Return the unit vector in which one runs from predators: where they come least near."""
    places = [me.place(k) for k in foes[:5]]
    speeds = [0.1 * float(me.things[k, c.SPEED]) for k in foes[:5]]
    best, found = -math.inf, (0.0, 0.0)
    for ux, uy in DIRECTIONS:
        far = HEAD_MOVE * frames
        if not ground.free(me.x, me.y, me.x + 0.6 * ux, me.y + 0.6 * uy):
            continue
        while far > 0.6 and not ground.free(me.x, me.y, me.x + far * ux, me.y + far * uy):
            far *= 0.6
        worst = math.inf
        for (x, y, _), speed in zip(places, speeds, strict=True):
            for share in (0.25, 1.0):
                t = frames * share
                run = min(far, HEAD_MOVE * t)
                gap = math.hypot(me.x + run * ux - x, me.y + run * uy - y) - speed * t
                worst = min(worst, gap + 0.2 * (1.0 - share))
        if worst > best:
            best, found = worst, (ux, uy)
    return found


def sweep(me: Scene, tool: int, target: int, head: float) -> tuple[float, tuple[float, float, float]]:
    """Return how far an animal may be to be struck, and where the hand goes, (left, up, ahead) with the animal ahead.

    Args:
        me: The scene.
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


def weapon_at_hand(me: Scene) -> int:
    """Return the best tool in a hand, or -1."""
    best, found = -1.0, -1
    for hand in (0, 1):
        k = me.held(hand)
        if k >= 0 and me.role(k) == c.TOOL:
            worth = me.half(k)[0] + me.things[k, c.DAMAGE]
            if worth > best:
                best, found = worth, k
    return found


def grip_point(me: Scene, k: int) -> tuple[float, float, float] | None:
    """Return the end of a stick that is nearer, where it is held to reach far; None for rocks."""
    ex, ey, ez = me.half(k)
    if max(ex, ey) < 2.0 * ez:
        return None
    x, y, z = me.place(k)
    cos, sin = me.facing(k)
    ends = [(x + s * 0.85 * ex * cos, y + s * 0.85 * ex * sin, z) for s in (-1.0, 1.0)]
    return min(ends, key=lambda end: me.far(end[0], end[1]))


def arm(me: Scene, *, within: float = 25.0) -> Deed:
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


def best_head(me: Scene, tool: int, target: int) -> tuple[float, float]:
    """Return the height of the eyes at which one strikes an animal while one keeps away from it, and the reach."""
    speed = 0.1 * float(me.things[target, c.SPEED])
    best, found = -math.inf, (HEAD_TOP, 0.0)
    for i in range(7):
        head = HEAD_TOP - 0.15 * i
        low = (head - 0.6) / 1.2
        run = HEAD_MOVE * (0.2 + 0.8 * low)
        reach, _ = sweep(me, tool, target, head)
        # reach counts up to a comfortable margin, then speed
        worth = min(reach - BITE, 0.5) - 4.0 * max(speed - run, 0.0)
        if worth > best + 0.02:
            best, found = worth, (head, reach)
    return found


def fight(me: Scene, targets: list[int], *, frames: int = 900) -> Deed:
    """Kill predators with a tool: wait for them, strike at the end of its reach, fall back from their teeth.

    Args:
        me: The scene.
        targets: Predators to seek when none comes by itself.
        frames: After how many to give up.
    """
    end = me.frame + frames
    ground = Ground(me)
    phase = 0
    while me.frame < end:
        foes = threats(me)
        alive = [k for k in targets if me.role(k) == c.PREDATOR and me.state(k) == c.ALIVE]
        if not alive and not [k for k in foes if me.far(*me.place(k)[:2]) < 8.0]:
            return True
        foes = [k for k in foes if not int(me.things[k, c.TRAITS]) & c.UNKILLABLE] or alive
        if not foes:
            return True  # nothing kills those that are left
        foe = foes[0]
        x, y, _ = me.place(foe)
        far = me.far(x, y)
        tool = weapon_at_hand(me)
        if tool < 0:
            if far > 4.0:
                if not (yield from arm(me)):
                    return False
                continue
            ux, uy = flight(me, ground, foes)
            yield me.act(go=(HEAD_MOVE * ux, HEAD_MOVE * uy), face=math.atan2(uy, ux))
            continue
        speed = 0.1 * float(me.things[foe, c.SPEED])
        head, reach = best_head(me, tool, foe)
        _, off = sweep(me, tool, foe, me.body[c.HEAD])
        hand = me.hand_with(tool)
        row = me.hands[hand]
        lean = math.atan2(row[c.OY], row[c.OX]) if math.hypot(row[c.OX], row[c.OY]) > 0.1 else 0.0
        yaw = me.bearing(x, y) - lean
        keep = max(BITE + SAFE, min(reach - 0.1, BITE + 0.5))
        most = pace(0, me.simulation.body[me.e : me.e + 1])
        if float(me.things[foe, c.SENSE]) < far + 0.5:
            # it has not noticed: go and be seen
            points = way_around(me, (x, y), within=5.0)
            for _ in range(4):
                yield me.act(go=pace_to(me, *points[0]), face=me.bearing(*points[0]))
                if len(points) > 1 and me.far(*points[0]) < 0.3:
                    points.pop(0)
            continue
        back = speed + keep - far
        if far > keep + 1.5:
            back = 0.0
        crowd = [k for k in foes[1:4] if me.far(*me.place(k)[:2]) < BITE + 0.6]
        if crowd:
            back = HEAD_MOVE
        go = (0.0, 0.0)
        if back > 0.0:
            ux, uy = flight(me, ground, foes)
            back = min(back, most)
            go = (back * ux, back * uy)
        elif back < -0.05 and far < keep + 1.5 and len(foes) == 1:
            go = pace_to(me, x, y, min(-back, 0.15))
        after = me.far(x, y) + (go[0] * (me.x - x) + go[1] * (me.y - y)) / max(far, 0.1)
        wish = (0.0, -0.2, 0.0)
        if after <= reach + 0.05 and abs(angle_between(yaw, me.yaw)) < 0.6:
            out = math.dist(me.off(hand), turned(off, me.bearing(x, y) - me.yaw)) > 0.45
            wish = turned(off, me.bearing(x, y) - me.yaw) if out else turned((0.0, off[1] * 0.3, 0.0), 0.0)
        phase += 1
        yield me.act(go=go, face=yaw, head=head, **me.hand_off(hand, wish))
    return False


def turned(off: tuple[float, float, float], angle: float) -> tuple[float, float, float]:
    """Return a place (left, up, ahead) turned to the left by an angle."""
    cos, sin = math.cos(angle), math.sin(angle)
    return off[0] * cos + off[2] * sin, off[1], off[2] * cos - off[0] * sin


def on_guard(me: Scene, plan: Deed) -> Deed:
    """Carry out a plan, and fight when a predator comes near and a tool is in a hand."""
    while True:
        near = [k for k in threats(me, 4.0) if not int(me.things[k, c.TRAITS]) & c.UNKILLABLE]
        if near and weapon_at_hand(me) >= 0 and not me.busy:
            me.busy = True
            yield from fight(me, [], frames=300)
            me.busy = False
        try:
            yield next(plan)
        except StopIteration:
            return True


__all__ = ["ARM", "fight", "on_guard"]
