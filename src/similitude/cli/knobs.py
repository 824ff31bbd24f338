"""The option that sets knobs of the base: `--knob.embedding 0.5`, `--knob.head.lr 2`, or `--knob head=0.5`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token


def _knobs(type_: Any, tokens: Mapping[str, Any] | Sequence[Token]) -> dict[str, float | dict[str, float]]:
    """Collect knobs by role; which roles and parts there are is for the planner to say."""
    if isinstance(tokens, Mapping):
        return {role: _knob(role, below) for role, below in tokens.items()}
    found: dict[str, float | dict[str, float]] = {}
    for token in tokens:
        role, _, number = token.value.rpartition("=")
        if not role:
            raise ValueError(f"--knob {token.value} names no role. Write e.g. --knob.embedding 0.5.")
        found[role] = _number(role, number)
    return found


def _knob(role: str, below: Any) -> float | dict[str, float]:
    if isinstance(below, Mapping):
        return {part: _number(f"{role}.{part}", tokens[-1].value) for part, tokens in below.items()}
    return _number(role, below[-1].value)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--knob.{name} {text} is not a number. Write e.g. --knob.{name} 0.5.") from None


Knobs = Annotated[dict[str, Any] | None, Parameter(negative="", converter=_knobs)]
"""A number by role (or "query"), or a number for one part (multiplier, lr, init) of a role."""
