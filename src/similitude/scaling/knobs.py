"""Knobs of the base: multipliers of the init and the learning rate of every tensor of one role.

A plan carries the balance of the base over to every size, good or bad; knobs tune that balance, e.g. between an
embedding table and the matrices.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from similitude.core.errors import PlanError
from similitude.scaling.rules import ROLES

ALIASES = {"embedding": "lookup", "head": "output", "matrix": "hidden"}

Knobs = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True)
class Knob:
    """How the tensors of one role differ from the base as the user wrote it, at every size.

    Attributes:
        multiplier: A forward multiplier, folded into init, learning rate, eps and weight decay.
        lr: What the learning rate alone is multiplied by, as in a parameter group of its own; the weight
            decay stays the number that it is.
        init: What the initial values alone are multiplied by.
    """

    multiplier: float = 1.0
    lr: float = 1.0
    init: float = 1.0


_PARTS = tuple(f.name for f in fields(Knob))


def parse_knobs(knobs: Knobs | None) -> dict[str, Knob]:
    """Read knobs by role as a user writes them.

    Args:
        knobs: By role (or "embedding" for lookup, "head" for output, "matrix" for hidden) a number, which is a
            forward multiplier, or a dict with any of "multiplier", "lr" and "init".

    Returns:
        A `Knob` for every role that is named.

    Raises:
        PlanError: A role or part does not exist, is named twice, or its value is not a positive number.

    Example:
        >>> parse_knobs({"head": 0.5, "embedding": {"lr": 0.125}})
        {'output': Knob(multiplier=0.5, lr=1.0, init=1.0), 'lookup': Knob(multiplier=1.0, lr=0.125, init=1.0)}
    """
    found: dict[str, Knob] = {}
    if knobs is not None and not isinstance(knobs, Mapping):
        raise PlanError(f"knobs={knobs!r} must be a dict by role, e.g. knobs=dict(embedding=1.0, head=1.0).")
    for key, value in (knobs or {}).items():
        role = ALIASES.get(key, key)
        if role not in ROLES:
            raise PlanError(f"knobs names {key!r}, which is no role.{_close(key, (*ROLES, *ALIASES))}")
        if role in found:
            raise PlanError(
                f"knobs names the role {role!r} twice, once as {key!r}. Keep one of them: "
                f"{', '.join(f'{alias} is {name}' for alias, name in ALIASES.items())}."
            )
        parts = dict(value) if isinstance(value, Mapping) else {"multiplier": value}
        for part in parts:
            if part not in _PARTS:
                raise PlanError(f"knobs[{key!r}] has {part!r}, which does not exist.{_close(part, _PARTS)}")
        found[role] = Knob(**{part: _positive(key, part, number) for part, number in parts.items()})
    return found


def knobs_as_data(knobs: Mapping[str, Knob]) -> dict[str, dict[str, float]]:
    """Write knobs as plain data, as `Plan.knobs` holds them: what differs from 1, by role.

    Example:
        >>> knobs_as_data({"output": Knob(multiplier=0.5)})
        {'output': {'multiplier': 0.5}}
    """
    return {
        role: {part: getattr(knob, part) for part in _PARTS if getattr(knob, part) != 1.0}
        for role, knob in knobs.items()
        if knob != Knob()
    }


def _positive(key: str, part: str, value: Any) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not 0.0 < float(value) < math.inf:
        raise PlanError(
            f"knobs[{key!r}] has {part} {value!r}: it multiplies what the base has, so it must be a positive "
            "number; 1 changes nothing."
        )
    return float(value)


def _close(word: object, words: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(word), words, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} Choose from {', '.join(words)}."
