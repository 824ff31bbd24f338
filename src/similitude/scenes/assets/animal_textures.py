"""Coats and skins of animals, those with which texture is told apart from shape (Geirhos et al. 2019)."""

from __future__ import annotations

import numpy as np

from similitude.scenes.assets.patterns import SIZE, cells, grid, mixed, noise, shaded, step


def cow() -> np.ndarray:
    """White with large black patches."""
    patch = noise(100, 3.6, across=1.3) + 0.1 * noise(101, 12, octaves=2)
    hair = 1 + 0.03 * noise(102, 90, across=2)
    return shaded(mixed(step(patch, 0.15, soft=0.05), (0.93, 0.91, 0.87), (0.07, 0.06, 0.06)), hair)


def zebra() -> np.ndarray:
    """Black and white stripes that bend and fork."""
    u, _ = grid()
    wave = np.sin(2 * np.pi * 9 * u + 2.1 * noise(103, 2.5) + 0.25 * noise(104, 9))
    return mixed(step(wave, 0.0, soft=0.2), (0.06, 0.05, 0.05), (0.95, 0.93, 0.88))


def tiger() -> np.ndarray:
    """Orange with black stripes that taper and break off."""
    u, _ = grid()
    wave = np.sin(2 * np.pi * 8 * u + 2.4 * noise(105, 3) + 0.4 * noise(106, 10))
    width = 0.25 + 0.55 * noise(107, 4)
    coat = mixed(0.5 + 0.3 * noise(108, 3), (0.85, 0.46, 0.12), (0.95, 0.66, 0.3))
    hair = 1 + 0.05 * noise(109, 60, across=2)
    return shaded(
        mixed(step(wave, 0.35, soft=0.1) * step(width, 0.0, soft=0.2), coat, (0.07, 0.05, 0.04)), hair
    )


def leopard() -> np.ndarray:
    """Tawny with broken rings of black around darker middles."""
    near, _, which, angle = cells(110, 9)
    size = np.random.default_rng(111).uniform(0.8, 1.15, which.max() + 1)[which]
    away = near / size + 0.06 * noise(112, 14)
    ring = step(away, 0.2, soft=0.04) * step(-away, -0.4, soft=0.04)
    start = np.random.default_rng(113).uniform(0, 2 * np.pi, which.max() + 1)[which]
    broken = step(np.sin(3 * angle + start) + 0.5 * noise(114, 16), -0.55, soft=0.15)
    coat = mixed(0.5 + 0.2 * noise(115, 3), (0.8, 0.6, 0.32), (0.9, 0.74, 0.48))
    coat = mixed(step(-away, -0.25, soft=0.05), coat, (0.66, 0.43, 0.2))
    return mixed(ring * broken, coat, (0.09, 0.06, 0.04))


def cheetah() -> np.ndarray:
    """Sandy yellow with small solid spots."""
    near, _, which, _ = cells(116, 14, even=True)
    size = np.random.default_rng(117).uniform(0.75, 1.15, which.max() + 1)[which]
    coat = mixed(0.5 + 0.2 * noise(118, 3), (0.84, 0.66, 0.38), (0.92, 0.78, 0.54))
    spot = step(-(near / size + 0.04 * noise(119, 24)), -0.28, soft=0.04)
    return shaded(mixed(spot, coat, (0.1, 0.07, 0.05)), 1 + 0.04 * noise(120, 70, across=2))


def giraffe() -> np.ndarray:
    """Brown plates between pale lines."""
    _, edge, which, _ = cells(121, 6)
    tone = np.random.default_rng(122).uniform(0.85, 1.15, which.max() + 1)[which]
    plate = shaded(np.full((SIZE, SIZE, 3), (0.55, 0.32, 0.14)), tone)
    return mixed(step(edge + 0.012 * noise(123, 20), 0.07, soft=0.03), (0.91, 0.82, 0.64), plate)


def elephant() -> np.ndarray:
    """Grey skin with a net of wrinkles, deep and fine."""
    deep = np.exp(-np.abs(noise(124, 9, across=0.5, octaves=2)) * 9)
    fine = np.exp(-np.abs(noise(125, 26, across=0.7)) * 7)
    _, edge, _, _ = cells(126, 34, across=0.7)
    light = 1 - 0.4 * deep - 0.2 * fine - 0.16 * np.exp(-edge * 18) + 0.05 * noise(127, 3)
    return shaded(np.full((SIZE, SIZE, 3), (0.52, 0.49, 0.47)), np.clip(light, 0.2, 1.3))


def crocodile() -> np.ndarray:
    """Olive scales in rows, dark between them."""
    near, edge, which, _ = cells(128, 12, across=0.7, even=True)
    tone = np.random.default_rng(129).uniform(0.7, 1.2, which.max() + 1)[which]
    scale = shaded(mixed(0.5 + 0.25 * noise(130, 4), (0.25, 0.27, 0.14), (0.42, 0.4, 0.22)), tone)
    raised = 0.35 + 0.65 * step(edge, 0.12, soft=0.12) + 0.35 * np.exp(-((near / 0.22) ** 2))
    return shaded(scale, raised + 0.04 * noise(131, 70))


def snake() -> np.ndarray:
    """Small scales in a net of diamonds, with brown saddles."""
    u, v = grid()
    a, b = (u + v) * 20, (u - v) * 20
    edge = np.minimum(np.minimum(a % 1, 1 - a % 1), np.minimum(b % 1, 1 - b % 1))
    saddle = step(np.sin(2 * np.pi * 4 * v) + np.cos(2 * np.pi * 2 * u) + 0.3 * noise(132, 8), 0.4, soft=0.1)
    skin = mixed(saddle, (0.72, 0.64, 0.42), (0.33, 0.2, 0.1))
    return shaded(skin, 0.5 + 0.5 * step(edge, 0.1, soft=0.1))


ANIMALS = {
    draw.__name__: draw for draw in (cow, zebra, tiger, leopard, cheetah, giraffe, elephant, crocodile, snake)
}
"""Textures of this module by name."""
