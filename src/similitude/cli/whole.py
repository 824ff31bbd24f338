"""Options that take whole numbers, and refuse others instead of rounding them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token


def _whole(type_: Any, tokens: Sequence[Token]) -> int:
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        value = 0.5
    if not value.is_integer():
        raise ValueError(f"{text} is not a whole number")
    return int(value)


Whole = Annotated[int, Parameter(converter=_whole)]
"""A whole number: 20, 20.0 or 2e1, and not 1.5, of which cyclopts would make 2."""
