"""What a camera sees in a generated world by brute force in numpy: tiny steps along every ray, nothing skipped."""

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import CELL, HAND_RADIUS, SIGHT

NEAREST = 0.05
SUN = np.array([0.48, 0.36, 0.8])
HAZE = np.array([205.0, 222.0, 236.0])
SKY = np.array([98.0, 158.0, 222.0])


def turned(angle, axis):
    """Return the right-handed rotation about an axis (0 x, 1 y, 2 z)."""
    a, b = [i for i in range(3) if i != axis]
    sign = -1.0 if axis == 1 else 1.0
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -sign * np.sin(angle), sign * np.sin(angle)
    return matrix


def rays(body, rows, cols):
    """Return the eyes (3,) and the directions (rows, cols, 3) whose part along the line of sight is 1."""
    head = turned(body[c.YAW], 2) @ turned(-body[c.PITCH], 1) @ turned(body[c.ROLL], 0)
    left = (cols - 1 - 2 * np.arange(cols)) / cols
    up = (rows - 1 - 2 * np.arange(rows)) / cols
    local = np.stack(
        [np.ones((rows, cols)), np.tile(left, (rows, 1)), np.tile(up[:, None], (1, cols))], axis=-1
    )
    return body[[c.BX, c.BY, c.BZ]] + [0, 0, body[c.HEAD]], local @ head.T


def ground(height, x, y):
    """Return the height of the terrain in metres, -inf beyond the map."""
    n = len(height)
    u, v = x / CELL + n / 2, y / CELL + n / 2
    out = (u < 0) | (v < 0) | (u >= n - 1) | (v >= n - 1)
    u, v = np.where(out, 0, u), np.where(out, 0, v)
    j, i = u.astype(int), v.astype(int)
    a, b = u - j, v - i
    z = (height[i, j] * (1 - a) + height[i, j + 1] * a) * (1 - b)
    z = z + (height[i + 1, j] * (1 - a) + height[i + 1, j + 1] * a) * b
    return np.where(out, -np.inf, z / 128)


def first_below(height, eyes, ways, step):
    """Return the depth at which each ray (p, 3) first is below the terrain, inf where it never is within SIGHT."""
    found = np.full(len(ways), np.inf)
    live = np.arange(len(ways))
    t = NEAREST
    while t < SIGHT and len(live):
        x, y, z = (eyes + ways[live] * t).T
        below = z <= ground(height, x, y)
        found[live[below]] = t
        live = live[~below]
        t += step
    hit = np.flatnonzero(np.isfinite(found))
    low, high = np.maximum(found[hit] - step, NEAREST), found[hit].copy()
    for _ in range(30):
        middle = (low + high) / 2
        x, y, z = (eyes + ways[hit] * middle[:, None]).T
        below = z <= ground(height, x, y)
        low, high = np.where(below, low, middle), np.where(below, middle, high)
    found[hit] = high
    return found


def inside(form, points, half):
    """Return whether points in an item's own axes lie inside it."""
    q = points / half
    if form == c.BOX:
        return (np.abs(q) <= 1).all(-1)
    if form == c.CYLINDER:
        return (q[..., 0] ** 2 + q[..., 1] ** 2 <= 1) & (np.abs(q[..., 2]) <= 1)
    return (q**2).sum(-1) <= 1


def first_inside(item, eyes, ways, samples):
    """Return the depth at which each ray (p, 3) enters an item, inf where it never does or begins in it."""
    form, place, cos, sin, half = item[:5]
    axes = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    origin, local = axes @ (eyes - place), ways @ axes.T
    speed = np.sqrt((local**2).sum(-1))
    radius = np.sqrt((half**2).sum())
    nearest = -(local @ origin) / speed**2
    found = np.full(len(ways), np.inf)
    apart = ((origin + local * nearest[:, None]) ** 2).sum(-1)
    close = np.flatnonzero((apart <= radius**2) & (nearest + radius / speed > NEAREST))
    start = np.maximum(NEAREST, nearest[close] - radius / speed[close])
    end = nearest[close] + radius / speed[close]
    began = inside(form, origin + local[close] * NEAREST, half)
    before = start.copy()
    for k in range(samples + 1):
        t = start + (end - start) * k / samples
        now = inside(form, origin + local[close] * t[:, None], half) & ~np.isfinite(found[close])
        low, high = before[now], t[now]
        way = local[close][now]
        for _ in range(25 if now.any() else 0):
            middle = (low + high) / 2
            at = inside(form, origin + way * middle[:, None], half)
            low, high = np.where(at, low, middle), np.where(at, middle, high)
        found[close[now]] = high
        before = t
    found[close[began]] = np.inf
    return found


def normal_of(form, p, half):
    """Return the outward normal at a point of an item's surface, and the axis of the face (0 for round sides)."""
    if form == c.BOX:
        face = int(np.argmax(np.abs(p) / half - 1 - 1e-9 * np.arange(3)))
        out = np.zeros(3)
        out[face] = np.sign(p[face])
        return out, face
    if form == c.CYLINDER:
        if abs(p[2]) / half[2] >= 1 - 1e-6:
            return np.array([0, 0, np.sign(p[2])]), 2
        out = np.array([p[0] / half[0] ** 2, p[1] / half[1] ** 2, 0])
    else:
        out = p / half**2
    return out / np.sqrt(out @ out), 0


def dark(pattern, p, face):
    """Return whether a pattern is dark at a point of an item's surface."""
    if pattern == "checks":
        across = [q for axis, q in enumerate(p) if axis != face]
        return sum(int(np.floor(2 * q)) for q in across) % 2 == 1
    if pattern == "bands":
        return np.floor(8 * p[2]) % 2 == 1
    if pattern == "planks":
        return np.floor(4 * (p[1] if face == 0 else p[0])) % 2 == 1
    return False


def items_of(solids, things, hands, palette, solid_palette):
    """List (form, place, cos, sin, half, colour, pattern) of everything that is drawn."""
    found = []
    for row in solids:
        form = int(row[c.SHAPE])
        climbs = row[c.SOLID_CLIMBS] > 0.5
        pattern = None if form == c.CROWN else "bands" if form == c.CYLINDER or climbs else "checks"
        color = solid_palette[int(row[c.COLOR])].astype(float)
        half = row[[c.SEX, c.SEY, c.SEZ]]
        found.append((form, row[[c.SX, c.SY, c.SZ]], row[c.SCOS], row[c.SSIN], half, color, pattern))
    for row in things:
        role, state, half = int(row[c.ROLE]), int(row[c.STATE]), row[[c.EX, c.EY, c.EZ]]
        if role == c.GONE:
            continue
        place, cos, sin = row[[c.TX, c.TY, c.TZ]], row[c.COS], row[c.SIN]
        color = palette[int(row[c.KIND])].astype(float)
        animal = role in (c.PREY, c.PREDATOR)
        boxed = role in (c.BLOCK, c.LOCK, c.DOOR) or (role == c.TOOL and half[0] > 2 * half[1])
        pattern = {c.BLOCK: "checks", c.LOCK: "checks", c.DOOR: "planks"}.get(role)
        if role == c.FOOD and state == c.CLOSED:
            color, pattern = color * 0.75, "bands"
        if animal and state != c.ALIVE:
            color = color * 0.55
        found.append((c.BOX if boxed else c.CROWN, place, cos, sin, half, color, pattern))
        if animal and state == c.ALIVE:
            front = place + np.array([cos * 0.9 * half[0], sin * 0.9 * half[0], 0.6 * half[2]])
            size = np.full(3, 0.6 * min(half[1], half[2]))
            found.append((c.CROWN, front, cos, sin, size, color * 0.85, None))
    for row in hands:
        color = np.array([214.0, 150.0, 122.0] if row[c.GRIP] > 0.5 else [232.0, 190.0, 160.0])
        place, half = row[[c.HX, c.HY, c.HZ]], np.full(3, HAND_RADIUS)
        found.append((c.CROWN, place, 1.0, 0.0, half, color, None))
    return found


def picture(
    height, colors, solids, things, body, hands, palette, solid_palette, shape, *, step=0.02, samples=300
):
    """Return image (rows, cols, 4) uint8 and depth (rows, cols) in metres of one environment."""
    rows, cols = shape
    eyes, ways = rays(body, rows, cols)
    ways = ways.reshape(-1, 3)
    items = items_of(solids, things, hands, palette, solid_palette)
    land = first_below(height, eyes, ways, step)
    with np.errstate(divide="ignore"):
        sea = np.where((ways[:, 2] < 0) & (eyes[2] > 0), -eyes[2] / ways[:, 2], np.inf)
    reached = [first_inside(item, eyes, ways, samples) for item in items]
    depths = np.stack([*reached, land, sea, np.full(len(ways), SIGHT)])
    who, depth = depths.argmin(0), depths.min(0)
    image = np.empty((len(ways), 3))
    for p, way in enumerate(ways):
        t, at = depth[p], eyes + ways[p] * depth[p]
        cell = tuple(np.clip((at[[1, 0]] / CELL + len(height) / 2).astype(int), 0, len(height) - 1))
        if who[p] == len(items) + 2:
            high = min(1.0, 1.5 * max(0.0, way[2]) / np.sqrt(way @ way))
            image[p] = HAZE + (SKY - HAZE) * high
            continue
        if who[p] == len(items) + 1:
            under = ground(height, at[:1], at[1:2])[0]
            deep = min(1.0, abs(max(under, -8.0)) * 0.5)
            wave = 5.0 * ((np.floor(at[0] / 2) + np.floor(at[1] / 2)) % 2)
            color = np.array([104.0, 170.0, 196.0]) - np.array([52.0, 60.0, 18.0]) * deep + wave
        elif who[p] == len(items):
            color = colors[cell].astype(float)
        else:
            form, place, cos, sin, half, base, pattern = items[who[p]]
            axes = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
            local = axes @ (at - place)
            out, face = normal_of(form, local, half)
            color = base * (0.7 + 0.38 * (out @ (axes @ SUN)) - 0.1 * dark(pattern, local, face))
        image[p] = np.clip(color + (HAZE - color) * (t / SIGHT) ** 2, 0, 255)
    shown = np.concatenate([image, np.floor(255 * depth / SIGHT + 0.5)[:, None]], axis=1)
    return shown.astype(np.uint8).reshape(rows, cols, 4), depth.reshape(rows, cols)
