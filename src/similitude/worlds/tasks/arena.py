"""The land of worlds with one ring: large and high enough for it, and calm where people walk."""

from __future__ import annotations

from similitude.worlds.tasks.site import Site

INLAND = 0.62
"""Share of the map's half width that is surely land."""


def arena(site: Site, *, radius: float, below: float = 0.0, relief: float | None = None) -> None:
    """Make an island on which a ring of this radius fits.

    Args:
        site: An empty site; its map grows as needed.
        radius: Distance in metres from the middle of the map that has to be land.
        below: How far under the plains obstacles will dig, in metres: the plains lie higher by that.
        relief: Height of the hills, by default more with the difficulty.
    """
    size = 128
    while INLAND * site.half < radius:
        size += 32
        site.resize(size)
    relief = 1.0 + 2.0 * site.difficulty if relief is None else relief
    site.island(relief=relief, base=2.5 + below, fading=0.35)
    site.smooth(2)


def zigzag(draws, turns: int, length: float, swing: float) -> list[tuple[float, float]]:
    """Return points (depth, side) of a line that crosses a band of `length` metres with a number of turns.

    Args:
        draws: Where it takes its first turn from.
        turns: 0 for a straight line.
        length: Depth at which it ends, in metres.
        swing: Offset of its turns from the axis, in metres.
    """
    sign = 1.0 if draws.chance(0.5) else -1.0
    points = [(0.0, 0.0)]
    for i in range(turns):
        points.append((length * (i + 1) / (turns + 1), swing * sign))
        sign = -sign
    return [*points, (length, 0.0)]
