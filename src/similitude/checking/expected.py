"""The growth exponent that a plan promises for every quantity of every tensor (papers 7, 14 and 17)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from similitude.scaling.records import Plan

_OUTPUTS = ("output", "finite")


def promised(plan: Plan, *, by_name: bool) -> Mapping[str, float]:
    """Return for every tensor the exponent of the forward multiplier that it carries.

    A tensor that carries a multiplier m in place of the forward pass gives m times what it would give: that its
    contribution falls with m is the plan at work. A multiplier that cancels a number of the forward pass does
    nothing beyond that number, and promises nothing.

    Args:
        plan: The plan for the largest width.
        by_name: Whether the rule was given by name, so that no plan promised anything but feature learning.
    """
    octaves = math.log(plan.target["width"] / plan.base["width"])
    if octaves == 0.0 or (by_name and plan.rule == "sp"):
        return {}
    kept = {row.name: [text for text in row.carries if not _cancels(text)] for row in plan.rows}
    return {
        row.name: math.log(row.multiplier) / octaves
        for row in plan.rows
        if row.multiplier != 1.0 and len(kept[row.name]) == len(row.carries)
    }


def _cancels(text: str) -> bool:
    """Tell whether a multiplier undoes what is in the forward pass, by the planner's own sentence."""
    return text.startswith(("the inverse of", "weight norm"))


def exponent(
    rule: str, quantity: str, role: str, *, use: str, carries: float, tied: bool, by_name: bool
) -> float | None:
    """Return the expected exponent of one row.

    Features learn alike at every width where every update, every change and every natural norm stays of one size:
    exponent 0. In the kernel regime (ntp) the changes inside the network fall as width^-1/2, and the outputs'
    does not.

    Args:
        rule: The parametrization.
        quantity: One of `similitude.checking.records.QUANTITIES`.
        role: Role of the tensor.
        use: What it does in this operation.
        carries: Exponent of the multiplier that it carries.
        tied: Whether it is an embedding table that is used as the head here.
        by_name: Whether the rule was given by name: 0 is then what feature learning asks.

    Example:
        >>> exponent("mup", "change", "hidden", use="contract", carries=0.0, tied=False, by_name=False)
        0.0
        >>> exponent("ntp", "change", "hidden", use="contract", carries=0.0, tied=False, by_name=False)
        -0.5
    """
    if quantity == "logits":
        return None
    if quantity in ("decay", "evaluation"):
        return 0.0
    if tied:
        # The table keeps its scale as an embedding; the multiplier of the head is on what it reads.
        return None if quantity.endswith("norm") else 0.0
    if rule == "ntp" and not by_name:
        if quantity == "init norm":
            return (0.5 if role == "output" else 0.0) + carries
        if quantity == "logits change" or role in _OUTPUTS:
            return 0.0 if quantity != "change" else None
        return -0.5 + carries
    return carries
