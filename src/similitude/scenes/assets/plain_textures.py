"""Textures of rules and of grown or made things: checks, bricks, wood, cloth, metals."""

from __future__ import annotations

import numpy as np

from similitude.scenes.assets.patterns import SIZE, cells, grid, mixed, noise, shaded, step


def checker() -> np.ndarray:
    """Light and dark squares, eight along an edge."""
    u, v = grid()
    return mixed((np.floor(u * 8) + np.floor(v * 8)) % 2, (0.1, 0.1, 0.1), (0.9, 0.9, 0.9))


def stripes() -> np.ndarray:
    """Red and white upright stripes."""
    u, _ = grid()
    return mixed(step(np.sin(2 * np.pi * 8 * u), soft=0.15), (0.75, 0.12, 0.12), (0.95, 0.94, 0.9))


def dots() -> np.ndarray:
    """White dots on blue, in shifted rows."""
    u, v = grid()
    row = np.floor(v * 8)
    away = np.hypot((u * 8 + row % 2 / 2) % 1 - 0.5, v * 8 % 1 - 0.5)
    return mixed(step(away, 0.28, soft=0.03), (0.95, 0.95, 0.95), (0.14, 0.28, 0.62))


def brick() -> np.ndarray:
    """A wall of red bricks with light joints."""
    u, v = grid()
    row = np.floor(v * 12)
    x, y = u * 5 + row % 2 / 2, v * 12
    column = np.floor(x) % 5
    joint = np.minimum(np.minimum(x % 1, 1 - x % 1) * 12 / 5, np.minimum(y % 1, 1 - y % 1))
    tone = np.random.default_rng(1).uniform(0.75, 1.15, (12, 5))[row.astype(int), column.astype(int)]
    bricks = shaded(mixed(noise(2, 40) * 0.2 + 0.5, (0.52, 0.2, 0.14), (0.68, 0.32, 0.22)), tone)
    return mixed(
        step(joint, 0.09, soft=0.03), shaded(np.full((SIZE, SIZE, 3), 0.72), 1 + 0.06 * noise(3, 60)), bricks
    )


def tiles() -> np.ndarray:
    """White square tiles with grey joints."""
    u, v = grid()
    joint = np.minimum(np.minimum(u * 6 % 1, 1 - u * 6 % 1), np.minimum(v * 6 % 1, 1 - v * 6 % 1))
    tile = shaded(np.full((SIZE, SIZE, 3), (0.9, 0.92, 0.93)), 1 + 0.015 * noise(4, 8))
    return mixed(step(joint, 0.03, soft=0.015), (0.5, 0.5, 0.5), tile)


def wood() -> np.ndarray:
    """Sawn wood: rings cut lengthwise, with fibres."""
    u, _ = grid()
    phase = 7 * u + 0.55 * noise(10, 2, across=1.2) + 0.12 * noise(11, 5, octaves=2)
    ring = (phase % 1.0) ** 2.2
    late = ring * step(1 - phase % 1.0, 0.06, soft=0.06)  # a ring ends suddenly, as winters do
    fibres = noise(12, 12, across=12)
    return shaded(mixed(late, (0.74, 0.53, 0.33), (0.5, 0.31, 0.16)), 1 + 0.045 * fibres)


def planks() -> np.ndarray:
    """Boards of a floor, each of its own wood."""
    u, v = grid()
    board = np.floor(u * 6).astype(int)
    rng = np.random.default_rng(13)
    tone, offset = rng.uniform(0.8, 1.12, 6)[board], rng.integers(0, SIZE, 6)[board]
    rows, columns = np.indices((SIZE, SIZE))
    grain = wood()[(rows + offset) % SIZE, (columns * 3 + offset) % SIZE]
    end = (v + rng.uniform(0, 1, 6)[board]) % 1.0
    gap = np.minimum(np.minimum(u * 6 % 1, 1 - u * 6 % 1) / 6, np.minimum(end, 1 - end))
    return mixed(step(gap, 0.004, soft=0.002), (0.16, 0.1, 0.06), shaded(grain, tone))


def marble() -> np.ndarray:
    """White marble with grey veins."""
    u, v = grid()
    folded = 2 * np.pi * (u + 2 * v) + 1.3 * noise(20, 3, octaves=5)
    vein = np.exp(-np.abs(np.sin(folded)) * 9)
    cloud = 0.5 + 0.2 * noise(21, 3, octaves=3)
    return mixed(0.75 * vein + 0.25 * cloud, (0.94, 0.93, 0.91), (0.36, 0.37, 0.4))


def granite() -> np.ndarray:
    """Speckled grey and black stone."""
    _, _, which, _ = cells(22, 90)
    tone = np.random.default_rng(23).choice([0.22, 0.5, 0.62, 0.75], which.max() + 1, p=[0.2, 0.3, 0.3, 0.2])
    return shaded(np.full((SIZE, SIZE, 3), (1.0, 0.97, 0.95)), tone[which])


def pebbles() -> np.ndarray:
    """Round stones in many greys and browns."""
    _, edge, which, _ = cells(24, 11)
    rng = np.random.default_rng(25)
    tone, warm = (
        rng.uniform(0.35, 0.8, which.max() + 1)[which],
        rng.uniform(-0.02, 0.07, which.max() + 1)[which],
    )
    stone = tone[..., None] + warm[..., None] * np.array([1, 0.2, -0.8]) + 0.02 * noise(26, 80)[..., None]
    return shaded(stone, 0.25 + 0.75 * step(edge, 0.14, soft=0.14))


def sand() -> np.ndarray:
    """Fine sand with ripples."""
    _, v = grid()
    ripple = np.sin(2 * np.pi * 9 * v + 1.2 * noise(27, 3, octaves=2))
    return shaded(np.full((SIZE, SIZE, 3), (0.8, 0.69, 0.5)), 1 + 0.06 * ripple + 0.05 * noise(28, 120))


def grass() -> np.ndarray:
    """A lawn: blades, light above dark."""
    blades = noise(30, 14, across=8) + 0.6 * noise(31, 30, across=4)
    dry = noise(32, 4)
    return shaded(
        mixed(0.5 + 0.2 * dry, (0.17, 0.38, 0.1), (0.42, 0.5, 0.16)), np.clip(1 + 0.26 * blades, 0.25, 1.8)
    )


def knitted() -> np.ndarray:
    """Stocking stitch in red wool: columns of small Vs."""
    u, v = grid()
    x = u * 16 % 1 - 0.5
    y = (v * 20 - np.abs(x) * 0.9) % 1 - 0.5
    strand = np.exp(-(((np.abs(x) - 0.26) / 0.17) ** 2)) * np.exp(-((y / 0.36) ** 2))
    fibre = 1 + 0.09 * noise(40, 90)
    return shaded(mixed(strand, (0.24, 0.03, 0.05), (0.78, 0.16, 0.18)), fibre)


def denim() -> np.ndarray:
    """Blue twill: slanting ribs with worn places."""
    u, v = grid()
    twill = np.sin(2 * np.pi * (64 * u + 64 * v))
    worn = noise(41, 5, octaves=3)
    thread = noise(42, 128, across=0.15)
    return mixed(0.38 + 0.12 * twill + 0.1 * worn + 0.08 * thread, (0.1, 0.16, 0.32), (0.48, 0.58, 0.74))


def plaid() -> np.ndarray:
    """A tartan of red, green and yellow bands."""
    u, v = grid()
    bands = [step(np.abs((axis * 4) % 1 - 0.5), 0.28, soft=0.01) for axis in (u, v)]
    lines = [step(-np.abs((axis * 4) % 1 - 0.06), -0.03, soft=0.008) for axis in (u, v)]
    ground = mixed((bands[0] + bands[1]) / 2, (0.7, 0.1, 0.12), (0.06, 0.24, 0.14))
    return mixed((lines[0] + lines[1]) / 2, ground, (0.92, 0.8, 0.25))


def rust() -> np.ndarray:
    """Old iron: flakes of orange and brown."""
    patch = noise(50, 4, octaves=5)
    pits = noise(51, 50, octaves=2)
    oxide = mixed(0.5 + 0.3 * pits, (0.3, 0.13, 0.06), (0.7, 0.35, 0.13))
    return mixed(step(patch, -0.9, soft=0.7), (0.34, 0.32, 0.31), oxide)


def brushed() -> np.ndarray:
    """Metal with fine scratches from left to right."""
    scratches = noise(52, 200, across=0.02) + 0.5 * noise(53, 60, across=0.03)
    return shaded(np.full((SIZE, SIZE, 3), (0.72, 0.73, 0.75)), 1 + 0.07 * scratches)


def cardboard() -> np.ndarray:
    """Brown corrugated board with fibres."""
    u, _ = grid()
    flutes = np.sin(2 * np.pi * 28 * u)
    fibres = noise(54, 100, across=0.3)
    return shaded(
        np.full((SIZE, SIZE, 3), (0.72, 0.56, 0.38)), 1 + 0.03 * flutes + 0.04 * fibres + 0.03 * noise(55, 4)
    )


def glaze() -> np.ndarray:
    """Celadon: pale green glaze with a net of fine cracks."""
    _, edge, _, _ = cells(56, 9)
    pooled = noise(57, 3, octaves=2)
    body = mixed(0.5 + 0.18 * pooled, (0.66, 0.78, 0.7), (0.8, 0.87, 0.78))
    return mixed(step(edge, 0.016, soft=0.012), (0.4, 0.46, 0.38), body)


def camouflage() -> np.ndarray:
    """Patches of green, brown and black."""
    colors = np.array([(0.42, 0.42, 0.25), (0.2, 0.29, 0.15), (0.32, 0.22, 0.13), (0.08, 0.09, 0.07)])
    out = np.broadcast_to(colors[0], (SIZE, SIZE, 3))
    for k, (edge, seed) in enumerate(((0.2, 60), (0.6, 61), (1.0, 62)), 1):
        out = mixed(step(noise(seed, 4, octaves=2), edge, soft=0.02), out, colors[k])
    return out


PLAIN = {
    draw.__name__: draw
    for draw in (
        checker,
        stripes,
        dots,
        brick,
        tiles,
        wood,
        planks,
        marble,
        granite,
        pebbles,
        sand,
        grass,
        knitted,
        denim,
        plaid,
        rust,
        brushed,
        cardboard,
        glaze,
        camouflage,
    )
}
"""Textures of this module by name."""
