"""The option that passes keyword arguments to an optimizer: `--kwarg.momentum 0.9`, `--kwarg.betas 0.9,0.99`."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token


def literal(text: str) -> Any:
    """Read a Python literal; text that is none stays text.

    Example:
        >>> literal("0.9,0.99"), literal("True"), literal("complete_p")
        ((0.9, 0.99), True, 'complete_p')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _keywords(type_: Any, tokens: Mapping[str, Any] | Sequence[Token]) -> dict[str, Any]:
    """Collect options of the optimizer; values are Python literals, and text where they are none."""
    if isinstance(tokens, Mapping):
        return {name: literal(below[-1].value) for name, below in tokens.items()}
    pairs = [token.value.partition("=") for token in tokens]
    for (name, equals, _), token in zip(pairs, tokens, strict=True):
        if not name or not equals:
            raise ValueError(f"--kwarg {token.value} names no option. Write e.g. --kwarg.betas 0.9,0.99.")
    return {name: literal(value) for name, _, value in pairs}


Keywords = Annotated[dict[str, Any] | None, Parameter(negative="", converter=_keywords)]
"""Values by name, e.g. `{"betas": (0.9, 0.99)}`."""
