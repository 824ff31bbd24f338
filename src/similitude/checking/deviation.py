"""Where a given plan differs from what its rule gives, and the same difference at other sizes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from similitude.core.errors import PlanError
from similitude.scaling.records import Plan, PlanRow
from similitude.scaling.sizes import WIDTH

_SAME = 1e-6
_MEASURED = 0.05  # own inits that follow no law are fitted anew, by other seeds, to this accuracy
_FACTORS = {"rescale": "initial scale", "lr": "lr", "eps": "eps", "weight_decay": "weight decay"}
_HOOK = "hook"


@dataclass(frozen=True)
class Deviation:
    """One factor of one tensor that is not what the rule gives.

    Attributes:
        name: The tensor.
        field: "rescale", "lr", "eps", "weight_decay", or "hook" for a multiplier of the forward pass.
        given: The plan's factor.
        ruled: The rule's.
        power: Power of the dial by which the two differ; infinite where there is none (a factor of zero, or
            a plan that does not change the dial).
        dial: "width" or "depth".
    """

    name: str
    field: str
    given: float
    ruled: float
    power: float
    dial: str = WIDTH

    def text(self, rule: str) -> str:
        """Say it in one sentence."""
        if self.field == _HOOK:
            return (
                f"the input of {self.name!r} is multiplied by {self.given:.4g} in the plan; rule {rule} asks for "
                f"{self.ruled:.4g}"
            )
        wrong = (
            f"wrong by {self.dial}^{self.power:+.2f}"
            if math.isfinite(self.power)
            else f"wrong at every {self.dial}"
        )
        return (
            f"the {_FACTORS[self.field]} factor of {self.name!r} is {self.given:.4g} in the plan; rule {rule} gives "
            f"{self.ruled:.4g} ({wrong})"
        )


def deviations(plan: Plan, ruled: Plan, *, dial: str = WIDTH) -> tuple[Deviation, ...]:
    """Compare a plan with what the planner derives for the same sizes.

    Args:
        plan: The user's plan, maybe edited.
        ruled: The planner's.
        dial: Dial of the sizes to which the differences will be carried.

    Raises:
        PlanError: The plan is of another model.
    """
    rows = {row.name: row for row in ruled.rows}
    known = {row.name for row in plan.rows} | {refusal.name for refusal in plan.refused}
    strange = [row.name for row in plan.rows if row.name not in rows]
    lacking = [name for name in rows if name not in known]
    if strange or lacking:
        what = (
            f"the plan has a tensor {strange[0]!r} that make(...) does not build"
            if strange
            else f"make(...) builds {lacking[0]!r}, for which the plan has no row"
        )
        raise PlanError(f"{what}. Pass the factory that the plan was made for, and the whole plan.")
    octaves = math.log(plan.target[dial] / plan.base[dial]) if dial in plan.base else 0.0
    found = []
    for row in plan.rows:
        for name in _FACTORS:
            given, right = getattr(row, name), getattr(rows[row.name], name)
            if not _same(given, right, _MEASURED if name == "rescale" else _SAME):
                found.append(Deviation(row.name, name, given, right, _power(given, right, octaves), dial))
    mine, theirs = ({(h.module, h.side): h.factor for h in p.hooks} for p in (plan, ruled))
    for key in dict.fromkeys((*mine, *theirs)):
        module, given, right = key[0], mine.get(key, 1.0), theirs.get(key, 1.0)
        if not _same(given, right, _SAME):
            found.append(Deviation(module, _HOOK, given, right, _power(given, right, octaves), dial))
    return tuple(found)


def _same(given: float, right: float, tolerance: float) -> bool:
    return given == right or (given > 0 and right > 0 and abs(given / right - 1) <= tolerance)


def _power(given: float, right: float, octaves: float) -> float:
    """Return the power of the width that a wrong factor is off by; infinite where no power gives it."""
    if octaves == 0.0 or given <= 0 or right <= 0:
        return math.inf if given > right else -math.inf
    return math.log(given / right) / octaves


def by_kind(found: tuple[Deviation, ...], kinds: Mapping[str, str]) -> tuple[Deviation, ...]:
    """Write a deviation that all tensors of one kind share once, for the kind.

    Args:
        found: Deviations by tensor.
        kinds: Kind of every tensor of the plan.
    """
    groups: dict[tuple[str, str], list[Deviation]] = {}
    for deviation in found:
        groups.setdefault((kinds.get(deviation.name, deviation.name), deviation.field), []).append(deviation)
    counts = Counter(kinds.values())
    merged: list[Deviation] = []
    for (kind, _), group in groups.items():
        shared = (
            len(group) == counts[kind] and max(d.power for d in group) - min(d.power for d in group) < _SAME
        )
        merged += [replace(group[0], name=kind)] if shared else group
    return tuple(merged)


def carried(
    plan: Plan, found: tuple[Deviation, ...], kinds: Mapping[str, str] | None = None, *, dial: str = WIDTH
) -> Plan:
    """Return a plan for another size with the same deviations, as powers of the dial.

    Args:
        plan: The plan of the other size.
        found: Deviations by tensor, or by kind.
        kinds: Kind of every tensor of the plan, where some are by kind.
        dial: "width" or "depth".
    """
    if not found:
        return plan
    ratio = plan.target[dial] / plan.base[dial]
    kinds = kinds or {}
    by_name: dict[str, list[Deviation]] = {}
    for deviation in found:
        if deviation.field == _HOOK or not math.isfinite(deviation.power):
            continue  # known exactly, and not a power that could be carried over
        by_name.setdefault(deviation.name, []).append(deviation)
    return replace(plan, rows=tuple(_moved(row, _of(row.name, kinds, by_name), ratio) for row in plan.rows))


def _of(name: str, kinds: Mapping[str, str], by_name: Mapping[str, list[Deviation]]) -> list[Deviation]:
    kind = kinds.get(name, name)
    return by_name.get(name, []) + (by_name.get(kind, []) if kind != name else [])


def _moved(row: PlanRow, found: list[Deviation], ratio: float) -> PlanRow:
    changes: Mapping[str, float] = {d.field: getattr(row, d.field) * ratio**d.power for d in found}
    scale = math.prod(ratio**d.power for d in found if d.field == "rescale")
    return replace(row, **changes, init=row.init * scale)
