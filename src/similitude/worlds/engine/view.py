"""The camera: image and depth of what the eyes see, column of pixels by column, first the items and then the terrain."""

import math

from similitude.worlds.engine.columns import BOX, CYLINDER, SIZE
from similitude.worlds.engine.constants import CELL, SIGHT
from similitude.worlds.engine.ground import terrain
from similitude.worlds.engine.rays import ground_hit
from similitude.worlds.engine.scene import (
    BANDS,
    CHECKS,
    COL_0,
    COL_1,
    COUNT,
    EYE,
    FOCAL,
    FORM,
    FORWARD,
    FROM,
    HALF,
    NEAR,
    PATTERN,
    PLANKS,
    RANK,
    RED,
    RIGHT,
    ROW_0,
    ROW_1,
    TOP,
    TURN_COS,
    TURN_SIN,
    UP,
    survey,
)
from similitude.worlds.engine.shapes import NEAREST, NONE, away, box_hit, cylinder_hit, round_hit

SUN_X, SUN_Y, SUN_Z = 0.48, 0.36, 0.8
"""Direction to the sun, of length 1."""
HAZE_RED, HAZE_GREEN, HAZE_BLUE = 205.0, 222.0, 236.0
"""Colour of the horizon, into which everything fades at SIGHT."""
SKY_RED, SKY_GREEN, SKY_BLUE = 98.0, 158.0, 222.0
"""Colour of the sky overhead."""
KEEP = 0.93
"""A ray is searched from this share of the depth of the pixel below on, which sees less far over the same ground."""
MARGIN = 0.2
"""And from so many metres nearer."""
STEEP = 0.3
"""Rays that look less far ahead than this (1 is level) are searched from the eyes on."""
DRIFT = 0.5
"""So are those that have drifted this many pixels to the side since the last that was: they see other ground."""


def parity(x, y):
    """Return 1 where a chequered board with fields of one metre is dark, else 0."""
    return (int(math.floor(x)) + int(math.floor(y))) & 1


def marked(pattern, x, y, z, face):
    """Return 1 where an item's pattern is dark at a point of its own axes, in metres."""
    if pattern == CHECKS:
        if face == 0:
            return parity(2.0 * y, 2.0 * z)
        if face == 1:
            return parity(2.0 * x, 2.0 * z)
        return parity(2.0 * x, 2.0 * y)
    if pattern == BANDS:
        return int(math.floor(8.0 * z)) & 1
    if pattern == PLANKS:
        if face == 0:
            return int(math.floor(4.0 * y)) & 1
        return int(math.floor(4.0 * x)) & 1
    return 0


def paint(e, r, c, red, green, blue, t, image):
    """Write a colour, seen through t metres of haze, into a pixel."""
    part = min(1.0, t / SIGHT)
    part = part * part
    image[e, r, c, 0] = int(max(0.0, min(255.0, red + (HAZE_RED - red) * part)))
    image[e, r, c, 1] = int(max(0.0, min(255.0, green + (HAZE_GREEN - green) * part)))
    image[e, r, c, 2] = int(max(0.0, min(255.0, blue + (HAZE_BLUE - blue) * part)))


def draw_item(e, c, n, rows, cols, scene, depth, image):
    """Draw item n of the scene into a column of pixels."""
    focal = scene[e, 0, FOCAL]
    u = (float(c) + 0.5 - 0.5 * float(cols)) / focal
    wx = scene[e, 0, FORWARD] + u * scene[e, 0, RIGHT]
    wy = scene[e, 0, FORWARD + 1] + u * scene[e, 0, RIGHT + 1]
    wz = scene[e, 0, FORWARD + 2] + u * scene[e, 0, RIGHT + 2]
    cos = float(scene[e, n, TURN_COS])
    sin = float(scene[e, n, TURN_SIN])
    base_x = cos * wx + sin * wy
    base_y = cos * wy - sin * wx
    up_x = cos * scene[e, 0, UP] + sin * scene[e, 0, UP + 1]
    up_y = cos * scene[e, 0, UP + 1] - sin * scene[e, 0, UP]
    up_z = float(scene[e, 0, UP + 2])
    ox = float(scene[e, n, FROM])
    oy = float(scene[e, n, FROM + 1])
    oz = float(scene[e, n, FROM + 2])
    hx = float(scene[e, n, HALF])
    hy = float(scene[e, n, HALF + 1])
    hz = float(scene[e, n, HALF + 2])
    form = int(scene[e, n, FORM])
    near = scene[e, n, NEAR]
    sun_x = cos * SUN_X + sin * SUN_Y
    sun_y = cos * SUN_Y - sin * SUN_X
    for r in range(int(scene[e, n, ROW_0]), int(scene[e, n, ROW_1]) + 1):
        if float(depth[e, r, c]) <= near:
            continue
        v = (0.5 * float(rows) - float(r) - 0.5) / focal
        dx = away(base_x + v * up_x)
        dy = away(base_y + v * up_y)
        dz = away(wz + v * up_z)
        t = float(NONE)
        face = int(0)
        if form == BOX:
            t, face = box_hit(ox, oy, oz, dx, dy, dz, hx, hy, hz)
        elif form == CYLINDER:
            t, face = cylinder_hit(ox, oy, oz, dx, dy, dz, hx, hy, hz)
        else:
            t = round_hit(ox, oy, oz, dx, dy, dz, hx, hy, hz)
        if t >= float(depth[e, r, c]):
            continue
        depth[e, r, c] = t
        x = ox + dx * t
        y = oy + dy * t
        z = oz + dz * t
        lit = float(0.0)
        if form == BOX or face == 2:
            if face == 0:
                lit = sun_x
                if x < 0.0:
                    lit = -sun_x
            elif face == 1:
                lit = sun_y
                if y < 0.0:
                    lit = -sun_y
            else:
                lit = SUN_Z
                if z < 0.0:
                    lit = -SUN_Z
        else:
            nx = x / (hx * hx)
            ny = y / (hy * hy)
            nz = z / (hz * hz)
            if form == CYLINDER:
                nz = 0.0
            lit = (nx * sun_x + ny * sun_y + nz * SUN_Z) / math.sqrt(nx * nx + ny * ny + nz * nz)
        light = 0.7 + 0.38 * lit
        light = light - 0.1 * float(marked(int(scene[e, n, PATTERN]), x, y, z, face))
        red = scene[e, n, RED] * light
        green = scene[e, n, RED + 1] * light
        blue = scene[e, n, RED + 2] * light
        paint(e, r, c, red, green, blue, t, image)


def draw_ground(e, r, c, x, y, t, colors, meta, image):
    """Colour a pixel that sees the terrain at (x, y)."""
    n = int(meta[e, SIZE])
    i = max(0, min(n - 1, int(y / CELL + 0.5 * float(n))))
    j = max(0, min(n - 1, int(x / CELL + 0.5 * float(n))))
    red = float(colors[e, i, j, 0])
    green = float(colors[e, i, j, 1])
    blue = float(colors[e, i, j, 2])
    paint(e, r, c, red, green, blue, t, image)


def draw_water(e, r, c, x, y, t, height, meta, image):
    """Colour a pixel that sees the sea at (x, y): lighter where it is shallow, and with faint waves."""
    deep = min(1.0, math.fabs(terrain(e, x, y, height, meta)) * 0.5)
    wave = 5.0 * float(parity(0.5 * x, 0.5 * y))
    red = 104.0 - 52.0 * deep + wave
    green = 170.0 - 60.0 * deep + wave
    blue = 196.0 - 18.0 * deep + wave
    paint(e, r, c, red, green, blue, t, image)


def draw_sky(e, r, c, dx, dy, dz, image):
    """Colour a pixel that sees nothing within SIGHT."""
    high = max(0.0, dz) / math.sqrt(dx * dx + dy * dy + dz * dz)
    high = min(1.0, 1.5 * high)
    image[e, r, c, 0] = int(HAZE_RED + (SKY_RED - HAZE_RED) * high)
    image[e, r, c, 1] = int(HAZE_GREEN + (SKY_GREEN - HAZE_GREEN) * high)
    image[e, r, c, 2] = int(HAZE_BLUE + (SKY_BLUE - HAZE_BLUE) * high)


def draw_column(e, c, height, coarse, colors, meta, scene, depth, image):
    """Draw column c of the image of environment e, whose scene has been surveyed."""
    rows = int(image.shape[1])
    cols = int(image.shape[2])
    for r in range(rows):
        depth[e, r, c] = SIGHT
    for rank in range(1, int(scene[e, 0, COUNT]) + 1):
        n = int(scene[e, rank, RANK])
        if int(scene[e, n, COL_0]) <= c and c <= int(scene[e, n, COL_1]):
            draw_item(e, c, n, rows, cols, scene, depth, image)
    focal = scene[e, 0, FOCAL]
    ex = float(scene[e, 0, EYE])
    ey = float(scene[e, 0, EYE + 1])
    ez = float(scene[e, 0, EYE + 2])
    u = (float(c) + 0.5 - 0.5 * float(cols)) / focal
    base_x = scene[e, 0, FORWARD] + u * scene[e, 0, RIGHT]
    base_y = scene[e, 0, FORWARD + 1] + u * scene[e, 0, RIGHT + 1]
    base_z = scene[e, 0, FORWARD + 2] + u * scene[e, 0, RIGHT + 2]
    level = math.sqrt(
        scene[e, 0, FORWARD] * scene[e, 0, FORWARD] + scene[e, 0, FORWARD + 1] * scene[e, 0, FORWARD + 1]
    )
    cos = scene[e, 0, FORWARD] / level
    sin = scene[e, 0, FORWARD + 1] / level
    # where on the ground the last ray went that was searched from the eyes on: to the side per ahead
    track = float(NONE)
    below = float(0.0)  # depth that the pixel below has seen
    for back in range(rows):
        r = rows - 1 - back
        v = (0.5 * float(rows) - float(r) - 0.5) / focal
        dx = base_x + v * scene[e, 0, UP]
        dy = base_y + v * scene[e, 0, UP + 1]
        dz = base_z + v * scene[e, 0, UP + 2]
        stop = float(depth[e, r, c])
        seen = int(0)  # 0: an item or the sky, 1: the sea, 2: the terrain
        if dz < 0.0 and ez > 0.0 and -ez / dz < stop:
            stop = -ez / dz
            seen = 1
        reach = float(stop)
        if dz > 0.0:
            reach = min(stop, max(0.0, (scene[e, 0, TOP] - ez) / dz + 1e-6))
        start = float(NEAREST)
        ahead = dx * cos + dy * sin
        side = (dx * sin - dy * cos) / max(STEEP, ahead)
        if ahead > STEEP and math.fabs(side - track) * focal < DRIFT:
            start = max(NEAREST, KEEP * below - MARGIN)
        else:
            track = side
        t = ground_hit(e, ex, ey, ez, dx, dy, dz, start, reach, height, coarse, meta)
        if t <= start and start > NEAREST:  # it began inside a hill that the pixel below sees past
            t = ground_hit(e, ex, ey, ez, dx, dy, dz, NEAREST, reach, height, coarse, meta)
        if t < stop:
            stop = t
            seen = 2
            draw_ground(e, r, c, ex + dx * t, ey + dy * t, t, colors, meta, image)
        elif seen == 1:
            draw_water(e, r, c, ex + dx * stop, ey + dy * stop, stop, height, meta, image)
        elif stop >= SIGHT:
            draw_sky(e, r, c, dx, dy, dz, image)
        depth[e, r, c] = stop
        image[e, r, c, 3] = int(255.0 * stop / SIGHT + 0.5)
        below = stop


def view(
    e, height, coarse, colors, meta, solids, things, body, hands, palette, solid_palette, scene, depth, image
):
    """Draw what environment e sees into image (E, rows, columns, 4): red, green, blue, depth with 255 at SIGHT.

    `depth` (E, rows, columns) gets the same depths in metres, along the line of sight of the head; `scene` is room
    for (1 + solids + 2 things + 2, SCENE) numbers per environment.
    """
    rows = int(image.shape[1])
    cols = int(image.shape[2])
    survey(e, coarse, meta, solids, things, body, hands, palette, solid_palette, rows, cols, scene)
    for c in range(cols):
        draw_column(e, c, height, coarse, colors, meta, scene, depth, image)
