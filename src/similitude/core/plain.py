"""Plain data for JSON, which has no inf and no nan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def finite(data: Any) -> Any:
    """Return data with floats that JSON lacks (inf, nan) as None.

    Example:
        >>> finite({"a": (1.0, float("inf"))})
        {'a': [1.0, None]}
    """
    if isinstance(data, Mapping):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def number(value: float | None) -> float:
    """Return a number that `finite` wrote, nan for None.

    Example:
        >>> number(0.5), number(None)
        (0.5, nan)
    """
    return math.nan if value is None else float(value)
