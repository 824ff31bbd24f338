"""The growth exponent that a plan promises for every quantity of every tensor (papers 7, 14 and 17)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from similitude.scaling.records import Plan
from similitude.scaling.rules import KERNEL

_OUTPUTS = ("output", "finite")
# How the planner's sentences on carried multipliers begin, and what they say where one answers another.
_INVERSE, _HALVES, _UNDONE = "the inverse of", "weight norm", "undone"


@dataclass(frozen=True)
class Promise:
    """What a forward multiplier that a tensor carries does to its exponents.

    Attributes:
        effect: On its own update and the change of its output.
        norm: On its natural norms; None where it depends on what the forward pass does.
    """

    effect: float = 0.0
    norm: float | None = 0.0


def promised(plan: Plan, *, by_name: bool, outer: bool) -> Mapping[str, Promise]:
    """Return what the forward multipliers of a plan do to the exponents of the tensors that carry them.

    A tensor that carries a multiplier m in place of the forward pass gives m times what it would give: that its
    contribution falls with m is the plan at work. A matrix whose multiplier answers one on what it reads gives what
    it would give without both. An output is measured with the numbers of the forward pass that follow it, so a
    multiplier that cancels them promises nothing there.

    Args:
        plan: The plan for the largest width.
        by_name: Whether the rule was given by name, so that no plan promised anything but feature learning.
        outer: Whether the exponents are for outputs.
    """
    octaves = math.log(plan.target["width"] / plan.base["width"])
    if octaves == 0.0 or (by_name and plan.rule == "sp"):
        return {}
    found = {}
    for row in plan.rows:
        if row.multiplier == 1.0 or any(text.startswith(_HALVES) for text in row.carries):
            continue
        power = math.log(row.multiplier) / octaves
        answers = any(text.startswith(_INVERSE) or _UNDONE in text for text in row.carries)
        if answers and (outer or row.role in ("hidden", "bottleneck")):
            found[row.name] = Promise(0.0, None)
        else:
            found[row.name] = Promise(power, power)
    return found


def exponent(
    rule: str, quantity: str, role: str, *, carries: Promise, tied: bool, by_name: bool
) -> float | None:
    """Return the expected exponent of one row.

    Features learn alike at every width where every update, every change and every natural norm stays of one size:
    exponent 0. In the kernel regime (ntp, and rules registered for it) the changes inside the network fall as
    width^-1/2, and the outputs' does not. Tables under u_mup learn slower by width^-1/2.

    Args:
        rule: The parametrization.
        quantity: One of `similitude.checking.records.QUANTITIES`.
        role: Role of the tensor.
        carries: What the multiplier that it carries does.
        tied: Whether it is an embedding table that is used as the head here.
        by_name: Whether the rule was given by name: 0 is then what feature learning asks.

    Example:
        >>> exponent("mup", "change", "hidden", carries=Promise(), tied=False, by_name=False)
        0.0
        >>> exponent("ntp", "change", "hidden", carries=Promise(), tied=False, by_name=False)
        -0.5
    """
    if quantity == "logits":
        return None
    if quantity in ("decay", "evaluation"):
        return 0.0
    if tied:
        # The table keeps its scale as an embedding; the multiplier of the head is on what it reads.
        return None if quantity.endswith("norm") else 0.0
    shift = carries.norm if quantity.endswith("norm") else carries.effect
    if rule == "u_mup" and role == "lookup" and shift is not None and quantity != "init norm":
        return shift - 0.5  # its tables are slower than features, by name too
    if shift is None or rule not in KERNEL or by_name:
        return shift
    if quantity == "init norm":
        return (0.5 if role == "output" else 0.0) + shift
    if quantity == "logits change" or role in _OUTPUTS:
        return 0.0 if quantity != "change" else None
    return -0.5 + shift
