"""The name that a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

CLOSE = 0.5
"""Least likeness of names that are close: half of the letters of both agree in their order."""


def closest_name(name: object, known: Iterable[str], *, cutoff: float = CLOSE) -> str | None:
    """Return the known name that is closest; None where none is close.

    Args:
        name: What was given.
        known: The names that there are.
        cutoff: Least likeness, from 0 to 1 (`difflib.get_close_matches`).

    Example:
        >>> closest_name("rater", ["raster", "cycles"])
        'raster'
    """
    return next(iter(difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(name: object, known: Iterable[str], *, cutoff: float = CLOSE) -> str:
    """Return a question with the known name that is closest, and a space; nothing where none is close.

    Args:
        name: What was given.
        known: The names that there are.
        cutoff: As in `closest_name`.

    Example:
        >>> did_you_mean("rater", ["raster", "cycles"]), did_you_mean("x", ["raster"])
        ('Did you mean raster? ', '')
    """
    close = closest_name(name, known, cutoff=cutoff)
    return "" if close is None else f"Did you mean {close}? "
