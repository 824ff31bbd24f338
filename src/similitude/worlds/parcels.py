"""The map in square parcels: which solids stand near each of them, so that nothing has to ask all solids."""

from __future__ import annotations

import functools

import numpy as np

from similitude.worlds.engine import columns as c
from similitude.worlds.engine.constants import ARM

PARCEL = 8.0
"""Length of a parcel's side in metres, unless large solids would fill the lists of too many."""
MOST = 8
"""Entries of the lists per parcel, on average, above which parcels get larger."""
SLACK = 1.05
"""Factor on what solids reach: directions in world files are unit vectors within 1 %, and sums are rounded."""


def solid_lists(solids: np.ndarray, things: np.ndarray, metres: float) -> np.ndarray:
    """Return the columns of `meta` from PARCELS on.

    A solid is in the list of every parcel within ARM of it, or within the width of the widest thing, counted generously
    from the square around it. Crowns stop nothing and are in no list, unless hands can climb them.

    Args:
        solids: float64, (s, SOLID).
        things: float64, (k, THING).
        metres: Length of the map's side.

    Returns:
        float64: PARCELS, PER_METRE; for every parcel, row by row along y, the column of `meta` at which its list begins,
        and the end of the last; the lists, indices of solids in rising order.
    """
    wide = np.minimum(things[:, c.EX], things[:, c.EY]).max(initial=0.0)
    asked = np.flatnonzero((solids[:, c.SHAPE] != c.CROWN) | (solids[:, c.SOLID_CLIMBS] > 0.5))
    rows = solids[asked]
    reach = SLACK * (rows[:, c.SEX] + rows[:, c.SEY] + max(ARM, 2.0 * wide))
    n = max(int(np.ceil(metres / PARCEL)), 1)
    while True:
        x0, x1, y0, y1 = (
            np.clip(np.floor((at + side * reach) * (n / metres) + 0.5 * n), 0, n - 1).astype(np.int64)
            for at in (rows[:, c.SX], rows[:, c.SY])
            for side in (-1.0, 1.0)
        )
        across = x1 - x0 + 1
        counts = across * (y1 - y0 + 1)
        if n == 1 or counts.sum() <= MOST * n * n:
            break
        n = (n + 1) // 2
    ends = counts.cumsum()
    of = np.repeat(np.arange(len(rows)), counts)
    place = np.arange(len(of)) - (ends - counts)[of]
    parcel = (y0[of] + place // across[of]) * n + x0[of] + place % across[of]
    order = np.argsort(parcel, kind="stable")  # solids stay in rising order
    begin = c.LISTS + n * n + 1
    starts = begin + np.concatenate([[0], np.bincount(parcel, minlength=n * n).cumsum()])
    return np.concatenate([[n, n / metres], starts, asked[of[order]]])


@functools.lru_cache(maxsize=1024)
def one_list(count: int) -> np.ndarray:
    """Return the same columns with all of `count` solids in one list, for those who chose them already."""
    first = c.LISTS + 2
    columns = np.concatenate([[1.0, 0.0, first, first + count], np.arange(count)])
    columns.setflags(write=False)
    return columns
