"""What the camera sees besides the terrain: every solid, thing and hand as a box with its rectangle on the image."""

import math

from similitude.worlds.engine.columns import (
    ALIVE,
    BLOCK,
    BOX,
    BX,
    BY,
    BZ,
    CLOSED,
    COLOR,
    COS,
    CROWN,
    CYLINDER,
    DOOR,
    EX,
    EY,
    EZ,
    FOOD,
    GONE,
    GRIP,
    HEAD,
    HX,
    HY,
    HZ,
    KIND,
    LOCK,
    N_SOLIDS,
    N_THINGS,
    PITCH,
    PREDATOR,
    PREY,
    ROLE,
    ROLL,
    SCOS,
    SEX,
    SEY,
    SEZ,
    SHAPE,
    SIN,
    SIZE,
    SOLID_CLIMBS,
    SSIN,
    STATE,
    SX,
    SY,
    SZ,
    TOOL,
    TX,
    TY,
    TZ,
    YAW,
)
from similitude.worlds.engine.constants import CELL, COARSE, HAND_RADIUS, SIGHT
from similitude.worlds.engine.shapes import NEAREST

# scene, row 0: the camera. A picture point (u right, v up) looks along FORWARD + u RIGHT + v UP.
COUNT, FOCAL, EYE, FORWARD, RIGHT, UP, TOP = 0, 1, 2, 5, 8, 11, 14
"""COUNT: items in the rows that follow; FOCAL: pixels per unit of u and v; TOP: highest terrain within sight."""

# scene, other rows: an item; its rectangle's first and last pixels, its least depth
FORM, COL_0, COL_1, ROW_0, ROW_1, NEAR = 0, 1, 2, 3, 4, 5
FROM, TURN_COS, TURN_SIN, HALF, RED, PATTERN = 6, 9, 10, 11, 14, 17  # FROM: the eyes, in the item's own axes
RANK = 18  # of the row k: which item is the k-th nearest
SCENE = 19

PLAIN, CHECKS, BANDS, PLANKS = 0, 1, 2, 3


def aim(e, coarse, meta, body, cols, scene):
    """Write the camera of environment e into row 0 of its scene; a positive roll lowers the right side."""
    ex = float(body[e, BX])
    ey = float(body[e, BY])
    cy = math.cos(body[e, YAW])
    sy = math.sin(body[e, YAW])
    cp = math.cos(body[e, PITCH])
    sp = math.sin(body[e, PITCH])
    cr = math.cos(body[e, ROLL])
    sr = math.sin(body[e, ROLL])
    scene[e, 0, COUNT] = 0.0
    scene[e, 0, FOCAL] = 0.5 * float(cols)
    scene[e, 0, EYE] = ex
    scene[e, 0, EYE + 1] = ey
    scene[e, 0, EYE + 2] = body[e, BZ] + body[e, HEAD]
    scene[e, 0, FORWARD] = cy * cp
    scene[e, 0, FORWARD + 1] = sy * cp
    scene[e, 0, FORWARD + 2] = sp
    scene[e, 0, RIGHT] = sy * cr + cy * sp * sr
    scene[e, 0, RIGHT + 1] = -cy * cr + sy * sp * sr
    scene[e, 0, RIGHT + 2] = -cp * sr
    scene[e, 0, UP] = -cy * sp * cr + sy * sr
    scene[e, 0, UP + 1] = -sy * sp * cr - cy * sr
    scene[e, 0, UP + 2] = cp * cr
    blocks = (int(meta[e, SIZE]) + COARSE - 1) // COARSE
    wide = CELL * float(COARSE)
    half = 0.5 * CELL * meta[e, SIZE]
    reach = 1.5 * SIGHT
    i0 = max(0, int(math.floor((ey - reach + half) / wide)))
    i1 = min(blocks - 1, int(math.floor((ey + reach + half) / wide)))
    j0 = max(0, int(math.floor((ex - reach + half) / wide)))
    j1 = min(blocks - 1, int(math.floor((ex + reach + half) / wide)))
    top = float(0.0)
    for i in range(i0, i1 + 1):
        for j in range(j0, j1 + 1):
            top = max(top, float(coarse[e, i, j]))
    scene[e, 0, TOP] = top


def note(e, form, x, y, z, cos, sin, hx, hy, hz, red, green, blue, pattern, rows, cols, scene):
    """Add an item to the scene, if it is in sight: a box about its middle, its half extents in metres."""
    x = x - scene[e, 0, EYE]
    y = y - scene[e, 0, EYE + 1]
    z = z - scene[e, 0, EYE + 2]
    ahead = x * scene[e, 0, FORWARD] + y * scene[e, 0, FORWARD + 1] + z * scene[e, 0, FORWARD + 2]
    radius = math.sqrt(hx * hx + hy * hy + hz * hz)
    if ahead + radius < NEAREST or ahead - radius > SIGHT:
        return 0
    right = x * scene[e, 0, RIGHT] + y * scene[e, 0, RIGHT + 1] + z * scene[e, 0, RIGHT + 2]
    up = x * scene[e, 0, UP] + y * scene[e, 0, UP + 1] + z * scene[e, 0, UP + 2]
    # the half axes of the box along the camera's axes
    a1 = hx * (cos * scene[e, 0, FORWARD] + sin * scene[e, 0, FORWARD + 1])
    a2 = hy * (cos * scene[e, 0, FORWARD + 1] - sin * scene[e, 0, FORWARD])
    a3 = hz * scene[e, 0, FORWARD + 2]
    r1 = hx * (cos * scene[e, 0, RIGHT] + sin * scene[e, 0, RIGHT + 1])
    r2 = hy * (cos * scene[e, 0, RIGHT + 1] - sin * scene[e, 0, RIGHT])
    r3 = hz * scene[e, 0, RIGHT + 2]
    u1 = hx * (cos * scene[e, 0, UP] + sin * scene[e, 0, UP + 1])
    u2 = hy * (cos * scene[e, 0, UP + 1] - sin * scene[e, 0, UP])
    u3 = hz * scene[e, 0, UP + 2]
    near = ahead - math.fabs(a1) - math.fabs(a2) - math.fabs(a3)
    if ahead + math.fabs(a1) + math.fabs(a2) + math.fabs(a3) < NEAREST or near > SIGHT:
        return 0
    u_low = float(1e9)
    u_high = float(-1e9)
    v_low = float(1e9)
    v_high = float(-1e9)
    for corner in range(8):
        s1 = float(2 * (corner % 2) - 1)
        s2 = float(2 * ((corner // 2) % 2) - 1)
        s3 = float(2 * (corner // 4) - 1)
        w = ahead + s1 * a1 + s2 * a2 + s3 * a3
        u = right + s1 * r1 + s2 * r2 + s3 * r3
        v = up + s1 * u1 + s2 * u2 + s3 * u3
        if w >= NEAREST:
            u_low = min(u_low, u / w)
            u_high = max(u_high, u / w)
            v_low = min(v_low, v / w)
            v_high = max(v_high, v / w)
        else:
            for edge in range(3):  # of the edges that leave it, those that reach the near plane
                da = float(-2.0) * s1 * a1
                dr = float(-2.0) * s1 * r1
                du = float(-2.0) * s1 * u1
                if edge == 1:
                    da = -2.0 * s2 * a2
                    dr = -2.0 * s2 * r2
                    du = -2.0 * s2 * u2
                elif edge == 2:
                    da = -2.0 * s3 * a3
                    dr = -2.0 * s3 * r3
                    du = -2.0 * s3 * u3
                if w + da >= NEAREST:
                    part = (NEAREST - w) / da
                    u_low = min(u_low, (u + part * dr) / NEAREST)
                    u_high = max(u_high, (u + part * dr) / NEAREST)
                    v_low = min(v_low, (v + part * du) / NEAREST)
                    v_high = max(v_high, (v + part * du) / NEAREST)
    focal = scene[e, 0, FOCAL]
    last_col = float(cols - 1)
    last_row = float(rows - 1)
    c0 = max(0.0, math.floor(u_low * focal + 0.5 * last_col))
    c1 = min(last_col, math.floor(u_high * focal + 0.5 * last_col) + 1.0)
    r0 = max(0.0, math.floor(0.5 * last_row - v_high * focal))
    r1_ = min(last_row, math.floor(0.5 * last_row - v_low * focal) + 1.0)
    if c0 > c1 or r0 > r1_:
        return 0
    n = int(scene[e, 0, COUNT]) + 1
    scene[e, 0, COUNT] = float(n)
    scene[e, n, FORM] = float(form)
    scene[e, n, COL_0] = c0
    scene[e, n, COL_1] = c1
    scene[e, n, ROW_0] = r0
    scene[e, n, ROW_1] = r1_
    scene[e, n, NEAR] = near
    scene[e, n, FROM] = -(cos * x + sin * y)
    scene[e, n, FROM + 1] = -(cos * y - sin * x)
    scene[e, n, FROM + 2] = -z
    scene[e, n, TURN_COS] = cos
    scene[e, n, TURN_SIN] = sin
    scene[e, n, HALF] = hx
    scene[e, n, HALF + 1] = hy
    scene[e, n, HALF + 2] = hz
    scene[e, n, RED] = red
    scene[e, n, RED + 1] = green
    scene[e, n, RED + 2] = blue
    scene[e, n, PATTERN] = float(pattern)
    place = int(n)  # nearest first, so that what is hidden is passed over quickly
    while place > 1 and scene[e, int(scene[e, place - 1, RANK]), NEAR] > near:
        scene[e, place, RANK] = scene[e, place - 1, RANK]
        place = place - 1
    scene[e, place, RANK] = float(n)
    return 1


def note_solid(e, k, solids, solid_palette, rows, cols, scene):
    """Add solid k to the scene."""
    shape = int(solids[e, k, SHAPE])
    color = int(solids[e, k, COLOR])
    pattern = int(CHECKS)
    if shape == CROWN:
        pattern = PLAIN
    elif shape == CYLINDER or solids[e, k, SOLID_CLIMBS] > 0.5:
        pattern = BANDS
    red = float(solid_palette[color, 0])
    green = float(solid_palette[color, 1])
    blue = float(solid_palette[color, 2])
    x = float(solids[e, k, SX])
    y = float(solids[e, k, SY])
    z = float(solids[e, k, SZ])
    hx = float(solids[e, k, SEX])
    hy = float(solids[e, k, SEY])
    hz = float(solids[e, k, SEZ])
    cos = float(solids[e, k, SCOS])
    sin = float(solids[e, k, SSIN])
    return note(e, shape, x, y, z, cos, sin, hx, hy, hz, red, green, blue, pattern, rows, cols, scene)


def note_thing(e, k, things, palette, rows, cols, scene):
    """Add thing k to the scene; an animal that lives has a head on the side to which it looks."""
    role = int(things[e, k, ROLE])
    if role == GONE:
        return 0
    kind = int(things[e, k, KIND])
    state = int(things[e, k, STATE])
    x = float(things[e, k, TX])
    y = float(things[e, k, TY])
    z = float(things[e, k, TZ])
    cos = float(things[e, k, COS])
    sin = float(things[e, k, SIN])
    hx = float(things[e, k, EX])
    hy = float(things[e, k, EY])
    hz = float(things[e, k, EZ])
    form = int(CROWN)
    pattern = int(PLAIN)
    light = float(1.0)
    if role in (BLOCK, LOCK):
        form = BOX
        pattern = CHECKS
    elif role == DOOR:
        form = BOX
        pattern = PLANKS
    elif role == TOOL and hx > 2.0 * hy:
        form = BOX
    elif role == FOOD and state == CLOSED:
        pattern = BANDS
        light = 0.75
    elif role in (PREY, PREDATOR) and state != ALIVE:
        light = 0.55
    red = light * float(palette[kind, 0])
    green = light * float(palette[kind, 1])
    blue = light * float(palette[kind, 2])
    seen = note(e, form, x, y, z, cos, sin, hx, hy, hz, red, green, blue, pattern, rows, cols, scene)
    if role in (PREY, PREDATOR) and state == ALIVE:
        size = 0.6 * min(hy, hz)
        x = x + cos * 0.9 * hx
        y = y + sin * 0.9 * hx
        z = z + 0.6 * hz
        red = 0.85 * red
        green = 0.85 * green
        blue = 0.85 * blue
        seen = note(
            e, form, x, y, z, cos, sin, size, size, size, red, green, blue, pattern, rows, cols, scene
        )
    return seen


def note_hand(e, side, body, hands, rows, cols, scene):
    """Add a hand to the scene, redder while it grasps."""
    red = float(232.0)
    green = float(190.0)
    blue = float(160.0)
    if hands[e, side, GRIP] > 0.5:
        red = 214.0
        green = 150.0
        blue = 122.0
    x = float(hands[e, side, HX])
    y = float(hands[e, side, HY])
    z = float(hands[e, side, HZ])
    r = float(HAND_RADIUS)
    return note(e, CROWN, x, y, z, 1.0, 0.0, r, r, r, red, green, blue, PLAIN, rows, cols, scene)


def survey(e, coarse, meta, solids, things, body, hands, palette, solid_palette, rows, cols, scene):
    """Write camera and items of environment e into its scene."""
    aim(e, coarse, meta, body, cols, scene)
    for k in range(int(meta[e, N_SOLIDS])):
        note_solid(e, k, solids, solid_palette, rows, cols, scene)
    for k in range(int(meta[e, N_THINGS])):
        note_thing(e, k, things, palette, rows, cols, scene)
    for side in range(2):
        note_hand(e, side, body, hands, rows, cols, scene)
