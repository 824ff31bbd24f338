"""Lines in the plane and in space that solids are made from: rounded corners, arcs, smooth curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Points = Sequence[Sequence[float]] | Sequence[tuple[float, float]] | np.ndarray


def rounded(points: Points, radius: float, *, closed: bool = False, steps: int = 4) -> np.ndarray:
    """Return a line with its corners rounded.

    Args:
        points: Its corners, shape (N, 2).
        radius: How far from a corner the rounding begins, at most half of the shorter side there.
        closed: Whether the last corner is joined to the first.
        steps: Pieces of each corner.

    Returns:
        Shape (M, 2); ends of an open line stay.
    """
    p = np.asarray(points, np.float64)
    out = [] if closed else [p[:1]]
    t = np.linspace(0, 1, steps + 1)[:, None]
    for k in range(0 if closed else 1, len(p) if closed else len(p) - 1):
        before, here, after = p[k - 1], p[k], p[(k + 1) % len(p)]
        a, b = before - here, after - here
        la, lb = np.linalg.norm(a), np.linalg.norm(b)
        reach = min(radius, la / 2, lb / 2)
        start, end = here + a / la * reach, here + b / lb * reach
        out.append((1 - t) ** 2 * start + 2 * t * (1 - t) * here + t**2 * end)
    if not closed:
        out.append(p[-1:])
    return distinct(np.concatenate(out))


def arc(center: Sequence[float], radius: float, begin: float, end: float, *, steps: int = 16) -> np.ndarray:
    """Return an arc of a circle from one angle to another (radians), shape (steps + 1, 2)."""
    angle = np.linspace(begin, end, steps + 1)
    return np.asarray(center) + radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def smooth(points: Points, *, steps: int = 48) -> np.ndarray:
    """Return a smooth curve through points, in steps of equal length of chord; shape (steps + 1, D)."""
    from scipy.interpolate import CubicSpline

    p = np.asarray(points, np.float64)
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1) ** 0.5)])
    return CubicSpline(chord, p, bc_type="natural")(np.linspace(0, chord[-1], steps + 1))


def joined(*lines: Points) -> np.ndarray:
    """Return lines one after the other, points that meet being one."""
    return distinct(np.concatenate([np.asarray(line, np.float64) for line in lines]))


def distinct(line: np.ndarray) -> np.ndarray:
    """Return a line without points that repeat the one before."""
    step = np.linalg.norm(np.diff(line, axis=0), axis=1)
    return line[np.concatenate([[True], step > 1e-9])]


def rectangle(width: float, height: float, *, radius: float = 0.0, steps: int = 4) -> np.ndarray:
    """Return a rectangle about the origin, counterclockwise, its corners rounded, shape (N, 2)."""
    x, y = width / 2, height / 2
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    return rounded(corners, radius, closed=True, steps=steps) if radius > 0 else corners


def regular(sides: int, radius: float, *, phase: float = 0.0) -> np.ndarray:
    """Return a regular polygon about the origin, counterclockwise, shape (sides, 2); many sides make a circle."""
    angle = phase + 2 * np.pi * np.arange(sides) / sides
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)
