"""What hands do with things: touch, grasp, carry, throw, and bring to the mouth."""

import math

from similitude.worlds.engine.columns import (
    BLOCK,
    BURIED,
    BX,
    BY,
    BZ,
    CARRIED,
    COS,
    DEAD,
    DOOR,
    DYAW,
    EATEN,
    ENERGY,
    EX,
    EY,
    EZ,
    FOOD,
    FREE,
    GONE,
    GRIP,
    HDYAW,
    HEAD,
    HELD,
    HVX,
    HVY,
    HVZ,
    HX,
    HY,
    HZ,
    LOCK,
    MASS,
    N_THINGS,
    OX,
    OY,
    OZ,
    PREY,
    RESTING,
    ROLE,
    SIN,
    STATE,
    TOOL,
    TOUCH,
    TVX,
    TVY,
    TVZ,
    TX,
    TY,
    TZ,
    YAW,
)
from similitude.worlds.engine.constants import CARRY_LIMIT, EAT, GRASP, THROW, THROW_LIMIT
from similitude.worlds.engine.ground import terrain
from similitude.worlds.engine.hands import clear_way


def gap(e, k, x, y, z, things):
    """Return the distance in metres from a point to the surface of thing k, a turned box; 0 inside."""
    dx = x - float(things[e, k, TX])
    dy = y - float(things[e, k, TY])
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    u = max(math.fabs(dx * cos + dy * sin) - float(things[e, k, EX]), 0.0)
    v = max(math.fabs(dy * cos - dx * sin) - float(things[e, k, EY]), 0.0)
    w = max(math.fabs(z - float(things[e, k, TZ])) - float(things[e, k, EZ]), 0.0)
    return math.sqrt(u * u + v * v + w * w)


def takeable(e, k, things):
    """Return 1 if a hand can grasp thing k: food, tools, light blocks, dead prey, doors and locks."""
    role = int(things[e, k, ROLE])
    if role == FOOD or role == TOOL or role == DOOR or role == LOCK:
        return 1
    if role == BLOCK and float(things[e, k, MASS]) <= CARRY_LIMIT:
        return 1
    if role == PREY and int(things[e, k, STATE]) == DEAD:
        return 1
    return 0


def within_reach(e, h, meta, solids, things, hands):
    """Return the index of the nearest thing within GRASP of hand `h` that it can take, or -1; walls hide things."""
    x = float(hands[e, h, HX])
    y = float(hands[e, h, HY])
    z = float(hands[e, h, HZ])
    other = int(hands[e, 1 - h, HELD])
    best = float(GRASP)
    found = int(-1)
    for k in range(int(meta[e, N_THINGS])):
        dx = float(things[e, k, TX]) - x
        dy = float(things[e, k, TY]) - y
        reach = GRASP + float(things[e, k, EX]) + float(things[e, k, EY])
        if dx < reach and dx > -reach and dy < reach and dy > -reach and k != other:
            if takeable(e, k, things) == 1:
                far = gap(e, k, x, y, z, things)
                role = int(things[e, k, ROLE])
                if role == DOOR:
                    far = far + 0.5 * GRASP  # locks and what lies before a door come first
                if far <= best:
                    dz = float(things[e, k, TZ]) - z
                    if clear_way(e, x, y, z, dx, dy, dz, k, meta, solids, things) >= 0.6 or far < 0.05:
                        best = far
                        found = k
    return found


def let_go(e, h, things, hands):
    """Let go of what hand `h` holds: it flies on with THROW times the hand's speed, blocks are only put down."""
    k = int(hands[e, h, HELD])
    hands[e, h, HELD] = -1.0
    role = int(things[e, k, ROLE])
    if role == BLOCK:
        things[e, k, STATE] = float(RESTING)
    if role == FOOD or role == TOOL or role == PREY or role == BLOCK:
        vx = float(hands[e, h, HVX]) * THROW
        vy = float(hands[e, h, HVY]) * THROW
        vz = float(hands[e, h, HVZ]) * THROW
        share = THROW_LIMIT / max(math.sqrt(vx * vx + vy * vy + vz * vz), THROW_LIMIT)
        if role == BLOCK or (role == FOOD and int(things[e, k, STATE]) == BURIED):
            share = 0.0
        things[e, k, TVX] = vx * share
        things[e, k, TVY] = vy * share
        things[e, k, TVZ] = vz * share


def grasp(e, h, k, things, body, hands):
    """Let hand `h` hold thing k: small things come to the hand, others are held where they were touched."""
    x = float(hands[e, h, HX])
    y = float(hands[e, h, HY])
    z = float(hands[e, h, HZ])
    role = int(things[e, k, ROLE])
    dx = float(things[e, k, TX]) - x
    dy = float(things[e, k, TY]) - y
    dz = float(things[e, k, TZ]) - z
    if role == BLOCK:
        things[e, k, STATE] = float(CARRIED)
    if role == TOOL or role == PREY or (role == FOOD and int(things[e, k, STATE]) != BURIED):
        far = math.sqrt(dx * dx + dy * dy + dz * dz)
        share = 1.0 - min(gap(e, k, x, y, z, things) / max(far, 1e-9), 1.0)
        dx = dx * share
        dy = dy * share
        dz = dz * share
    cos = math.cos(float(body[e, YAW]))
    sin = math.sin(float(body[e, YAW]))
    hands[e, h, OX] = dx * cos + dy * sin
    hands[e, h, OY] = dy * cos - dx * sin
    hands[e, h, OZ] = dz
    hands[e, h, HELD] = float(k)
    hands[e, h, GRIP] = 1.0


def carry(e, h, height, meta, things, body, hands):
    """Move what hand `h` holds along with it; doors and locks move by their own rules, and are lost when too far."""
    k = int(hands[e, h, HELD])
    role = int(things[e, k, ROLE])
    x = float(hands[e, h, HX])
    y = float(hands[e, h, HY])
    z = float(hands[e, h, HZ])
    if role == GONE:
        hands[e, h, HELD] = -1.0
        return
    if role == DOOR or role == LOCK:
        if gap(e, k, x, y, z, things) > 2.0 * GRASP:
            hands[e, h, HELD] = -1.0
        return
    buried = int(0)
    if role == FOOD and int(things[e, k, STATE]) == BURIED:
        # It has been put back into the ground unless it came out.
        buried = 1
        if gap(e, k, x, y, z, things) > 3.0 * GRASP:
            hands[e, h, HELD] = -1.0
            return
    # It turns with the body and with the hand.
    turn = float(hands[e, h, HDYAW])
    cos = math.cos(turn)
    sin = math.sin(turn)
    ox = float(hands[e, h, OX])
    oy = float(hands[e, h, OY])
    hands[e, h, OX] = ox * cos - oy * sin
    hands[e, h, OY] = ox * sin + oy * cos
    cos = math.cos(turn + float(body[e, DYAW]))
    sin = math.sin(turn + float(body[e, DYAW]))
    along = float(things[e, k, COS])
    across = float(things[e, k, SIN])
    c = along * cos - across * sin
    s = along * sin + across * cos
    length = math.sqrt(c * c + s * s)
    things[e, k, COS] = c / length
    things[e, k, SIN] = s / length
    cos = math.cos(float(body[e, YAW]))
    sin = math.sin(float(body[e, YAW]))
    ox = float(hands[e, h, OX])
    oy = float(hands[e, h, OY])
    tx = x + ox * cos - oy * sin
    ty = y + ox * sin + oy * cos
    things[e, k, TX] = tx
    things[e, k, TY] = ty
    tz = z + float(hands[e, h, OZ])
    if buried == 0:
        tz = max(tz, terrain(e, tx, ty, height, meta) + float(things[e, k, EZ]))
    things[e, k, TZ] = tz
    things[e, k, TVX] = float(hands[e, h, HVX])
    things[e, k, TVY] = float(hands[e, h, HVY])
    things[e, k, TVZ] = float(hands[e, h, HVZ])


def eat(e, h, things, body, hands):
    """Eat what hand `h` holds if it is food, open, and within EAT of the eyes."""
    k = int(hands[e, h, HELD])
    role = int(things[e, k, ROLE])
    state = int(things[e, k, STATE])
    if (role == FOOD and state == FREE) or (role == PREY and state == DEAD):
        energy = float(things[e, k, ENERGY])
        eye = float(body[e, BZ]) + float(body[e, HEAD])
        if energy > 0.0 and gap(e, k, float(body[e, BX]), float(body[e, BY]), eye, things) <= EAT:
            body[e, EATEN] = float(body[e, EATEN]) + energy
            things[e, k, ENERGY] = 0.0
            things[e, k, ROLE] = float(GONE)
            hands[e, h, HELD] = -1.0


def handle(e, height, meta, solids, things, body, hands, action):
    """Let both hands grasp, carry, let go and eat."""
    for h in range(2):
        closed = float(action[e, 18 + h]) > 0.5
        if int(hands[e, h, HELD]) >= 0:
            carry(e, h, height, meta, things, body, hands)
        if int(hands[e, h, HELD]) >= 0 and not closed:
            let_go(e, h, things, hands)
        near = within_reach(e, h, meta, solids, things, hands)
        if closed and int(hands[e, h, HELD]) < 0 and int(hands[e, h, GRIP]) != 2 and near >= 0:
            grasp(e, h, near, things, body, hands)
            carry(e, h, height, meta, things, body, hands)
        if int(hands[e, h, HELD]) >= 0:
            near = int(hands[e, h, HELD])
            eat(e, h, things, body, hands)
        hands[e, h, TOUCH] = float(near)
