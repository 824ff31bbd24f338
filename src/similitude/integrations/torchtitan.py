"""A plan as a list of patterns over tensor names, first match wins: the form in which torchtitan takes groups."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from similitude.core.errors import PlanError
from similitude.scaling.apply import group
from similitude.scaling.axes import some
from similitude.scaling.matching import require_roles
from similitude.scaling.records import Plan

_Name = tuple[str, ...]
_ANY = r"\d+"


@dataclass(frozen=True)
class PatternGroup:
    """One group of an optimizer, by a pattern over tensor names; fields as of torchtitan's `ParamGroupConfig`.

    Attributes:
        pattern: Regular expression, anchored at both ends, over names as `named_parameters` gives them.
        optimizer_name: Class name of the optimizer.
        optimizer_kwargs: Its options for this group, with the plan's factors worked in.
    """

    pattern: str
    optimizer_name: str
    optimizer_kwargs: Mapping[str, Any] = field(default_factory=dict)


def pattern_groups(plan: Plan, *, lr: float, **optimizer_defaults: Any) -> tuple[PatternGroup, ...]:
    """Write a plan's parameter groups as patterns over tensor names.

    One group per set of factors, as of `Plan.groups`. Blocks that are alike share a pattern, `layers\\.\\d+\\.`; the
    patterns of a plan exclude one another, so their order does not matter.

    Args:
        plan: The plan, for an optimizer that trains every tensor.
        lr: Learning rate as tuned at the base.
        **optimizer_defaults: Other options as tuned at the base; what is not given is the optimizer's default.

    Returns:
        Groups that together match every tensor of the plan once, those of most tensors last.

    Raises:
        RoleError: The plan has refused tensors.
        PlanError: An option does not exist or has an impossible value, or the plan trains matrices and the rest by two
            optimizers.

    Example:
        >>> import torch
        >>> from similitude.scaling.plan import plan
        >>> make = lambda n: torch.nn.Sequential(*(torch.nn.Linear(n, n, bias=False) for _ in range(3)))
        >>> p = plan(make, base=8, target=32, sample=lambda n: torch.zeros(4, n))
        >>> pattern_groups(p, lr=0.01)[0].pattern
        '^\\\\d+\\\\.weight$'
    """
    require_roles(plan)
    others = [row.name for row in plan.rows if (row.family or plan.family) != plan.family]
    if others:
        raise PlanError(
            f"{plan.optimizer} trains the matrices of this plan alone, and {some(others)} go to another optimizer. Make "
            "one list per optimizer: similitude.scaling.factors.for_optimizer(plan, torch.optim.AdamW) is the plan of "
            "the rest."
        )
    placeholders = {
        name: torch.nn.Parameter(torch.empty(0)) for row in plan.rows for name in (row.name, *row.aliases)
    }
    names = {id(parameter): name for name, parameter in placeholders.items()}
    found = []
    for options in group(plan, placeholders, lr=lr, options=optimizer_defaults):
        mine = [names[id(parameter)] for parameter in options.pop("params")]
        found.append(
            (len(mine), PatternGroup(compact_pattern(mine, list(placeholders)), plan.optimizer, options))
        )
    return tuple(each for _, each in sorted(found, key=lambda pair: pair[0]))


def compact_pattern(names: Sequence[str], universe: Sequence[str]) -> str:
    """Write one regular expression that matches some names and no others of a set.

    Args:
        names: Names to match.
        universe: All names there are, `names` included.

    Example:
        >>> every = ["a.0.w", "a.1.w", "a.2.w", "b"]
        >>> compact_pattern(["a.0.w", "a.1.w", "a.2.w"], every), compact_pattern(["a.1.w", "a.2.w", "b"], every)
        ('^a\\\\.\\\\d+\\\\.w$', '^(?:a\\\\.(?:1|2)\\\\.w|b)$')
    """
    wanted, everything = _by_shape(names), _by_shape(universe)
    parts = [
        part for shape, found in wanted.items() for part in _alternatives(shape, found, everything[shape])
    ]
    return f"^{parts[0]}$" if len(parts) == 1 else f"^(?:{'|'.join(parts)})$"


def _by_shape(names: Sequence[str]) -> dict[_Name, list[_Name]]:
    """Sort names by what they are without their numbers; return the numbers of each."""
    found: dict[_Name, list[_Name]] = {}
    for name in names:
        parts = name.split(".")
        shape = tuple("" if part.isdigit() else part for part in parts)
        found.setdefault(shape, []).append(tuple(part for part in parts if part.isdigit()))
    return found


def _alternatives(shape: _Name, numbers: list[_Name], everything: list[_Name]) -> list[str]:
    """Write the names of one shape: by one expression per place, or one by one where that would match others."""
    used = [dict.fromkeys(column) for column in zip(*numbers, strict=True)]
    known = [dict.fromkeys(column) for column in zip(*everything, strict=True)]
    if set(itertools.product(*used)) & set(everything) == set(numbers):
        columns = [_column(list(mine), list(all_)) for mine, all_ in zip(used, known, strict=True)]
        return [_expression(shape, columns)]
    return [_expression(shape, list(each)) for each in numbers]


def _column(mine: list[str], everything: list[str]) -> str:
    if len(mine) == 1 and len(everything) == 1:
        return mine[0]
    if len(mine) == len(everything):
        return _ANY
    return mine[0] if len(mine) == 1 else f"(?:{'|'.join(mine)})"


def _expression(shape: _Name, columns: Sequence[str]) -> str:
    rest = iter(columns)
    return r"\.".join(re.escape(part) if part else next(rest) for part in shape)
