"""The name that a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.4) -> str:
    """Return a question with the known name that is closest, and a space; nothing where none is close.

    Args:
        name: What was given.
        known: The names that there are.
        cutoff: Least likeness, from 0 to 1 (`difflib.get_close_matches`).

    Example:
        >>> did_you_mean("rater", ["raster", "cycles"]), did_you_mean("x", ["raster"])
        ('Did you mean raster? ', '')
    """
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=cutoff)
    return f"Did you mean {close[0]}? " if close else ""
