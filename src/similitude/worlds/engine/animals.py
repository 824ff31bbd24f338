"""Animals: they roam around their home, prey flees, predators chase and bite."""

import math

from similitude.worlds.engine.columns import (
    ALIVE,
    ANIMALS,
    BX,
    BY,
    BZ,
    CLIMBS,
    COS,
    DAMAGE,
    ENEMY,
    EX,
    EY,
    EZ,
    FLIES,
    HEAD,
    HOME_X,
    HOME_Y,
    PREY,
    RANDOM,
    REST,
    ROLE,
    SENSE,
    SIN,
    SPEED,
    STATE,
    SWIMS,
    TIMER,
    TRAITS,
    TVX,
    TVY,
    TVZ,
    TX,
    TY,
    TZ,
)
from similitude.worlds.engine.constants import BITE, DT, FREEZE, STEP_UP
from similitude.worlds.engine.contact import animal, around, bed, kept
from similitude.worlds.engine.ground import slope_at
from similitude.worlds.engine.hands import clear_way

FACTOR = 16807.0
"""Multiplier of the animals' random numbers (Lehmer's generator, exact in float64)."""
MODULUS = 2147483647.0
"""Their modulus, 2**31 - 1."""
STROLL = 0.4
"""Speed of roaming, as a share of the animal's own."""
CHANGE = 0.05
"""Chance per frame that an animal that roams stops, or one that stands sets off."""
ROAMING = 4.0
"""Farther than this from its home an animal that roams turns back, in metres."""
TOO_STEEP = 1.2
"""Steepest ground for animals that do not climb: rise per run."""
SCALE = 0.25
"""Most that a climber rises in one frame, in metres."""
LEAP_DOWN = 1.5
"""Highest ledge that an animal goes down that neither climbs nor flies, in metres."""
FORESEE = 1.5
"""How far ahead it looks where steep ground leads down, in metres."""
DROP_RATE = 0.5
"""Most that an animal falls in one frame, in metres."""
LIFT = 0.2
"""Most that a flier rises or sinks in one frame, in metres."""
HOVER = 2.0
"""Height at which flying predators roam, in metres above the ground."""
ESCAPE = 3.5
"""Height to which scared birds rise, in metres above the ground."""
FLIGHT = 100.0
"""Frames between two flights of a bird."""
TIRED = 60.0
"""A bird with fewer frames than this before its next flight comes down, and runs at half its speed."""
LONG_REST = 20.0
"""Fliers that rest longer than this between two attacks rise out of reach meanwhile, in frames."""
HIGH_REACH = 0.9
"""A predator bites a body that is at most this far above or below it, in metres."""
CLOSE = 0.7
"""A predator stops at this share of BITE."""
HALF_SQUARE = 0.7071067811865476
"""Sine and cosine of 45 degrees."""


def draw(e, k, things):
    """Return the next of animal k's random numbers, in (0, 1)."""
    product = FACTOR * max(float(things[e, k, RANDOM]), 1.0)
    state = product - MODULUS * float(math.floor(product / MODULUS))
    if state < 1.0:
        state = state + MODULUS
    elif state >= MODULUS:
        state = state - MODULUS
    things[e, k, RANDOM] = state
    return state / MODULUS


def whim(e, k, things):
    """Return a random direction of animal k, a unit vector."""
    for _ in range(8):
        u = 2.0 * draw(e, k, things) - 1.0
        v = 2.0 * draw(e, k, things) - 1.0
        square = u * u + v * v
        if square <= 1.0 and square >= 0.01:
            size = math.sqrt(square)
            return u / size, v / size
    return 1.0, 0.0


def place(e, k, x, y, low, things):
    """Put animal k with its feet at (x, y, low), and keep its velocity and heading."""
    dx = x - float(things[e, k, TX])
    dy = y - float(things[e, k, TY])
    run = math.sqrt(dx * dx + dy * dy)
    if run > 1e-9:
        things[e, k, COS] = dx / run
        things[e, k, SIN] = dy / run
    z = low + float(things[e, k, EZ])
    things[e, k, TVX] = dx / DT
    things[e, k, TVY] = dy / DT
    things[e, k, TVZ] = (z - float(things[e, k, TZ])) / DT
    things[e, k, TX] = x
    things[e, k, TY] = y
    things[e, k, TZ] = z


def tread(e, k, mx, my, height, meta, solids, things):
    """Move animal k on its feet by (mx, my) metres; return 0 where walls, steep ground, ledges or water stop it."""
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    ez = float(things[e, k, EZ])
    low = float(things[e, k, TZ]) - ez
    traits = int(things[e, k, TRAITS])
    side = min(float(things[e, k, EX]), float(things[e, k, EY]))
    nx = kept(e, x + mx, meta)
    ny = kept(e, y + my, meta)
    ground = bed(e, nx, ny, height, meta)
    run = math.sqrt(mx * mx + my * my)
    rise = ground - low
    if traits & CLIMBS > 0:
        if rise > SCALE:
            nx = x + mx * SCALE / rise
            ny = y + my * SCALE / rise
            ground = bed(e, nx, ny, height, meta)
    elif rise > TOO_STEEP * run + 0.02:
        return 0
    elif rise < -TOO_STEEP * run - 0.02 and run > 1e-9:
        if bed(e, x + mx * FORESEE / run, y + my * FORESEE / run, height, meta) < low - LEAP_DOWN:
            return 0
    elif rise > 0.02 and slope_at(e, nx, ny, height, meta) > TOO_STEEP:
        return 0  # nor does it go up across the slope
    if traits & SWIMS == 0 and ground < 0.0 and ground < bed(e, x, y, height, meta):
        return 0
    floor, wall = around(e, nx, ny, low + STEP_UP, low + 2.0 * ez, side, k, height, meta, solids, things)
    if wall == 1:
        return 0
    if floor < low - LEAP_DOWN and traits & CLIMBS == 0:
        return 0
    place(e, k, nx, ny, max(floor, low - DROP_RATE), things)
    return 1


def soar(e, k, mx, my, aim, over, height, meta, solids, things):
    """Move flier k by (mx, my) metres towards a height of `aim` metres and `over` metres above the ground; 0: stopped."""
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    ez = float(things[e, k, EZ])
    low = float(things[e, k, TZ]) - ez
    top = low + 2.0 * ez
    side = min(float(things[e, k, EX]), float(things[e, k, EY]))
    nx = kept(e, x + mx, meta)
    ny = kept(e, y + my, meta)
    went = int(1)
    want = float(aim)
    floor, wall = around(e, nx, ny, low + LIFT, top, side, k, height, meta, solids, things)
    if wall == 1 or floor > low + LIFT:
        went = 0
        if wall == 0:
            want = max(want, low + LIFT)  # over the cliff
        nx = x
        ny = y
        floor, wall = around(e, nx, ny, low + LIFT, top, side, k, height, meta, solids, things)
    move = min(max(max(want, floor + over) - low, -LIFT), LIFT)
    if move > 0.0:
        _floor, wall = around(e, nx, ny, low, top + move, side, k, height, meta, solids, things)
        if wall == 1:
            move = 0.0
    place(e, k, nx, ny, max(low + move, floor), things)
    return went


def go(e, k, cos, sin, far, aim, over, height, meta, solids, things):
    """Move animal k by `far` metres along (cos, sin), or up to 90 degrees beside; return 0 where it cannot go at all."""
    side = HALF_SQUARE
    if k % 2 == 1:
        side = -HALF_SQUARE
    for turn in range(5):
        c = float(cos)
        s = float(sin)
        if turn == 1:
            c = HALF_SQUARE * cos - side * sin
            s = side * cos + HALF_SQUARE * sin
        elif turn == 2:
            c = HALF_SQUARE * cos + side * sin
            s = HALF_SQUARE * sin - side * cos
        elif turn == 3:
            c = -side * sin / HALF_SQUARE
            s = side * cos / HALF_SQUARE
        elif turn == 4:
            c = side * sin / HALF_SQUARE
            s = -side * cos / HALF_SQUARE
        if int(things[e, k, TRAITS]) & FLIES > 0:
            if soar(e, k, c * far, s * far, aim, over, height, meta, solids, things) == 1:
                return 1
        elif tread(e, k, c * far, s * far, height, meta, solids, things) == 1:
            return 1
    return 0


def stay(e, k, aim, over, height, meta, solids, things):
    """Let animal k stand, or hover; it goes on falling."""
    if int(things[e, k, TRAITS]) & FLIES > 0:
        soar(e, k, 0.0, 0.0, aim, over, height, meta, solids, things)
    elif float(things[e, k, TVZ]) < -0.99 * DROP_RATE / DT:
        tread(e, k, 0.0, 0.0, height, meta, solids, things)
    else:
        things[e, k, TVX] = 0.0
        things[e, k, TVY] = 0.0
        things[e, k, TVZ] = 0.0


def roam(e, k, over, height, meta, solids, things):
    """Let animal k stroll around its home, with pauses."""
    walks = int(0)
    if float(things[e, k, TVX]) != 0.0 or float(things[e, k, TVY]) != 0.0:
        walks = 1
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    if draw(e, k, things) < CHANGE:
        walks = 1 - walks
        if walks == 1:
            cos, sin = whim(e, k, things)
    if walks == 0:
        stay(e, k, -1000.0, over, height, meta, solids, things)
        return
    hx = float(things[e, k, HOME_X]) - float(things[e, k, TX])
    hy = float(things[e, k, HOME_Y]) - float(things[e, k, TY])
    home = math.sqrt(hx * hx + hy * hy)
    if home > ROAMING:
        cos = hx / home
        sin = hy / home
    far = STROLL * float(things[e, k, SPEED]) * DT
    if go(e, k, cos, sin, far, -1000.0, over, height, meta, solids, things) == 0:
        stay(e, k, -1000.0, over, height, meta, solids, things)


def apart_up(e, k, things, body):
    """Return the vertical distance in metres between animal k and the body; 0 where they are at one height."""
    feet = float(body[e, BZ])
    z = float(things[e, k, TZ])
    ez = float(things[e, k, EZ])
    return max(max(feet - z - ez, z - ez - feet - float(body[e, HEAD])), 0.0)


def flee(e, k, dx, dy, flat, height, meta, solids, things):
    """Let prey k run, or fly for a while, from a body that is (dx, dy) away."""
    far = float(things[e, k, SPEED]) * DT
    over = float(0.0)
    if int(things[e, k, TRAITS]) & FLIES > 0:
        if float(things[e, k, TIMER]) <= 0.0:
            things[e, k, TIMER] = FLIGHT
        if float(things[e, k, TIMER]) > TIRED:
            over = ESCAPE
        else:
            far = 0.5 * far
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    if flat > 1e-6:
        cos = -dx / flat
        sin = -dy / flat
    if go(e, k, cos, sin, far, -1000.0, over, height, meta, solids, things) == 0:
        stay(e, k, -1000.0, over, height, meta, solids, things)


def hunt(e, k, dx, dy, flat, height, meta, solids, things, body):
    """Let predator k chase and bite a body that is (dx, dy) away."""
    over = float(0.0)
    aim = float(body[e, BZ]) + 0.6 * float(body[e, HEAD]) - float(things[e, k, EZ])
    rests = float(things[e, k, TIMER])
    if int(things[e, k, TRAITS]) & FLIES > 0 and rests > 0.0 and float(things[e, k, REST]) > LONG_REST:
        stay(e, k, aim, ESCAPE, height, meta, solids, things)
        return
    stop = CLOSE * BITE
    if flat > stop and rests <= 0.0:
        far = min(float(things[e, k, SPEED]) * DT, flat - stop)
        if go(e, k, dx / flat, dy / flat, far, aim, over, height, meta, solids, things) == 0:
            stay(e, k, aim, over, height, meta, solids, things)
    else:
        stay(e, k, aim, over, height, meta, solids, things)
    if rests > 0.0:
        return
    bx = float(body[e, BX]) - float(things[e, k, TX])
    by = float(body[e, BY]) - float(things[e, k, TY])
    if math.sqrt(bx * bx + by * by) > BITE or apart_up(e, k, things, body) > HIGH_REACH:
        return
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    z = float(things[e, k, TZ])
    bz = float(body[e, BZ]) + 0.5 * float(body[e, HEAD]) - z
    if clear_way(e, x, y, z, bx, by, bz, k, meta, solids, things) >= 1.0:
        body[e, ENEMY] = float(body[e, ENEMY]) + float(things[e, k, DAMAGE])
        things[e, k, TIMER] = float(things[e, k, REST]) + 1.0


def move_animals(e, height, ground, meta, solids, things, body, hands, action):
    """Move all living animals of environment `e` by one frame."""
    for k in range(int(meta[e, ANIMALS])):
        if animal(e, k, things) == 1 and int(things[e, k, STATE]) == ALIVE:
            if float(things[e, k, TIMER]) > 0.0:
                things[e, k, TIMER] = float(things[e, k, TIMER]) - 1.0
            dx = float(body[e, BX]) - float(things[e, k, TX])
            dy = float(body[e, BY]) - float(things[e, k, TY])
            flat = math.sqrt(dx * dx + dy * dy)
            if flat > FREEZE:
                things[e, k, TVX] = 0.0
                things[e, k, TVY] = 0.0
                things[e, k, TVZ] = 0.0
            else:
                up = apart_up(e, k, things, body)
                sense = float(things[e, k, SENSE])
                senses = int(0)
                if flat * flat + up * up < sense * sense:
                    senses = 1
                if int(things[e, k, ROLE]) == PREY:
                    over = float(0.0)
                    if int(things[e, k, TRAITS]) & FLIES > 0 and float(things[e, k, TIMER]) > TIRED:
                        over = ESCAPE
                    if senses == 1:
                        flee(e, k, dx, dy, flat, height, meta, solids, things)
                    else:
                        roam(e, k, over, height, meta, solids, things)
                elif senses == 1:
                    hunt(e, k, dx, dy, flat, height, meta, solids, things, body)
                else:
                    roam(e, k, HOVER, height, meta, solids, things)
