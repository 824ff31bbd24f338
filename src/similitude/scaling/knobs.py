"""Knobs of the base: multipliers of the init and the learning rate of every tensor of one role, or of the queries.

A plan carries the balance of the base over to every size, good or bad; knobs tune that balance, e.g. between an
embedding table and the matrices. An init of 0 starts heads or queries at zero.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.rules import ROLES

ALIASES = {"embedding": "lookup", "head": "output", "matrix": "hidden"}
QUERY = "query"
"""Key of the tensors that make the queries of attention, whatever their role."""
KEYS = (*ROLES, QUERY)

Knobs = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True)
class Knob:
    """How the tensors of one role, or the queries, differ from the base as the user wrote it, at every size.

    Attributes:
        multiplier: A forward multiplier, folded into init, learning rate, eps and weight decay.
        lr: What the learning rate alone is multiplied by, as in a parameter group of its own; the weight
            decay stays the number that it is.
        init: What the initial values alone are multiplied by; 0 starts the tensors at zero.
    """

    multiplier: float = 1.0
    lr: float = 1.0
    init: float = 1.0

    def __mul__(self, other: Knob) -> Knob:
        return Knob(self.multiplier * other.multiplier, self.lr * other.lr, self.init * other.init)


_PARTS = tuple(f.name for f in fields(Knob))


def parse_knobs(knobs: Knobs | None) -> dict[str, Knob]:
    """Read knobs by role as a user writes them.

    Args:
        knobs: By role (or "embedding" for lookup, "head" for output, "matrix" for hidden), or for the tensors that
            make attention's "query", a number, which is a forward multiplier, or a dict with any of "multiplier",
            "lr" and "init".

    Returns:
        A `Knob` for every key that is named.

    Raises:
        PlanError: A role or part does not exist, is named twice, or its value is not a positive number; an init may
            be 0.

    Example:
        >>> parse_knobs({"head": 0.5, "embedding": {"lr": 0.125}})
        {'output': Knob(multiplier=0.5, lr=1.0, init=1.0), 'lookup': Knob(multiplier=1.0, lr=0.125, init=1.0)}
        >>> parse_knobs({"query": {"init": 0}})
        {'query': Knob(multiplier=1.0, lr=1.0, init=0.0)}
    """
    found: dict[str, Knob] = {}
    if knobs is not None and not isinstance(knobs, Mapping):
        raise PlanError(f"knobs={knobs!r} must be a dict by role, e.g. knobs=dict(embedding=1.0, head=1.0).")
    for key, value in (knobs or {}).items():
        role = ALIASES.get(key, key)
        if role not in KEYS:
            raise PlanError(f"knobs names {key!r}, which is no role.{_close(key, (*KEYS, *ALIASES))}")
        if role in found:
            raise PlanError(
                f"knobs names the role {role!r} twice, once as {key!r}. Keep one of them: "
                f"{', '.join(f'{alias} is {name}' for alias, name in ALIASES.items())}."
            )
        parts = dict(value) if isinstance(value, Mapping) else {"multiplier": value}
        for part in parts:
            if part not in _PARTS:
                raise PlanError(f"knobs[{key!r}] has {part!r}, which does not exist.{_close(part, _PARTS)}")
        found[role] = Knob(**{part: _number(key, part, number) for part, number in parts.items()})
    return found


def knob_of(knobs: Mapping[str, Knob], role: str, *, query: bool) -> Knob:
    """Return what turns one tensor: the knob of its role, times that of the queries where it makes them.

    Args:
        knobs: What `parse_knobs` returns.
        role: Role of the tensor.
        query: Whether it makes the queries of attention.

    Example:
        >>> knobs = {"hidden": Knob(lr=0.5), "query": Knob(lr=0.5, init=0.0)}
        >>> knob_of(knobs, "hidden", query=True)
        Knob(multiplier=1.0, lr=0.25, init=0.0)
    """
    return knobs.get(role, Knob()) * (knobs.get(QUERY, Knob()) if query else Knob())


def require_matches(knobs: Mapping[str, Knob], roles: Collection[str], *, tied: Sequence[str] = ()) -> None:
    """Raise where a knob of a role turns no tensor of the model.

    Args:
        knobs: What `parse_knobs` returns.
        roles: Roles that the model has.
        tied: Tables that are also the head, whose knob is then a multiplier on what they read.

    Raises:
        PlanError: A knob that is not 1 is for a role that the model does not have.
    """
    for role, knob in knobs.items():
        if knob == Knob() or role in roles or role == QUERY:
            continue
        if role == "output" and tied:
            if knob.lr == knob.init == 1.0:
                continue
            raise PlanError(
                f"knobs sets lr or init of the head, but the head is the table {some(tied)} itself, and has neither of "
                "its own. Give it a multiplier, knobs={'head': 0.5}, or untie it in make."
            )
        raise PlanError(
            f"knobs names the role {role!r}, but no tensor of the model has it. Its roles are "
            f"{', '.join(sorted(roles))}."
        )


def notes_of(knobs: Mapping[str, Knob], directions: Mapping[str, str]) -> list[str]:
    """Say where a knob does not do what it says.

    Args:
        knobs: What `parse_knobs` returns.
        directions: Role of every tensor that holds the directions of a weight-normalized matrix, by its name.
    """
    idle = [
        name
        for name, role in directions.items()
        if (k := knob_of(knobs, role, query=False)).multiplier * k.init != 1
    ]
    if not idle:
        return []
    return [
        f"knobs of multiplier and init do not scale {some(idle)}: under weight norm the lengths of a matrix are a tensor "
        "of their own, of role vector. Scale them in make"
    ]


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


def _number(key: str, part: str, value: Any) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool) and 0.0 <= float(value) < math.inf
    if not number or (part != "init" and value == 0):
        hint = "; 0 starts the tensors at zero" if part == "init" else ""
        hint += f'. To start at zero write {{{key!r}: {{"init": 0}}}}' if value == 0 and number else ""
        raise PlanError(
            f"knobs[{key!r}] has {part} {value!r}: it multiplies what the base has, so it must be a positive "
            f"number; 1 changes nothing{hint}."
        )
    return float(value)


def _close(word: object, words: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(word), words, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} Choose from {', '.join(words)}."
