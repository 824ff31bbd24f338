"""Where a given plan differs from what its rule gives, and the same difference at other widths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from similitude.core.errors import PlanError
from similitude.scaling.records import Plan, PlanRow

_SAME = 1e-6
_MEASURED = 0.05  # own inits that follow no law are fitted anew, by other seeds, to this accuracy
_FACTORS = {"rescale": "initial scale", "lr": "lr", "eps": "eps", "weight_decay": "weight decay"}


@dataclass(frozen=True)
class Deviation:
    """One factor of one tensor that is not what the rule gives.

    Attributes:
        name: The tensor.
        field: "rescale", "lr", "eps" or "weight_decay".
        given: The plan's factor.
        ruled: The rule's.
        power: Power of the width by which the two differ.
    """

    name: str
    field: str
    given: float
    ruled: float
    power: float

    def text(self, rule: str) -> str:
        """Say it in one sentence."""
        return (
            f"the {_FACTORS[self.field]} factor of {self.name!r} is {self.given:.4g} in the plan; rule {rule} gives "
            f"{self.ruled:.4g} (wrong by width^{self.power:+.2f})"
        )


def deviations(plan: Plan, ruled: Plan) -> tuple[Deviation, ...]:
    """Compare a plan with what the planner derives for the same sizes.

    Args:
        plan: The user's plan, maybe edited.
        ruled: The planner's.

    Raises:
        PlanError: The plan is of another model.
    """
    rows = {row.name: row for row in ruled.rows}
    strange = [row.name for row in plan.rows if row.name not in rows]
    if strange:
        raise PlanError(
            f"the plan has a tensor {strange[0]!r} that make(...) does not build. Pass the factory that the plan was "
            "made for."
        )
    octaves = math.log(plan.target["width"] / plan.base["width"]) if "width" in plan.base else 0.0
    if octaves == 0.0:
        return ()
    found = []
    for row in plan.rows:
        for name in _FACTORS:
            given, right = getattr(row, name), getattr(rows[row.name], name)
            # Between zero and anything else there is no power of the width.
            if (
                given > 0
                and right > 0
                and abs(given / right - 1) > (_MEASURED if name == "rescale" else _SAME)
            ):
                found.append(Deviation(row.name, name, given, right, math.log(given / right) / octaves))
    return tuple(found)


def carried(plan: Plan, found: tuple[Deviation, ...]) -> Plan:
    """Return a plan for another width with the same deviations, as powers of the width."""
    if not found:
        return plan
    ratio = plan.target["width"] / plan.base["width"]
    by_name: dict[str, list[Deviation]] = {}
    for deviation in found:
        by_name.setdefault(deviation.name, []).append(deviation)
    return replace(plan, rows=tuple(_moved(row, by_name.get(row.name, []), ratio) for row in plan.rows))


def _moved(row: PlanRow, found: list[Deviation], ratio: float) -> PlanRow:
    changes: Mapping[str, float] = {d.field: getattr(row, d.field) * ratio**d.power for d in found}
    scale = math.prod(ratio**d.power for d in found if d.field == "rescale")
    return replace(row, **changes, init=row.init * scale)
