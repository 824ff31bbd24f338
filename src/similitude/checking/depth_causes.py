"""Why exponents of the depth are off: a depth rule that is missing, or a sum of branches that piles up."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.checking.causes import Cause, moves
from similitude.checking.deviation import Deviation
from similitude.checking.records import CheckRow
from similitude.scaling.depth import DEPTH_RULES, depth_powers
from similitude.scaling.records import Plan
from similitude.scaling.sizes import DEPTH


def depth_causes(
    bad: Sequence[CheckRow],
    ranked: Sequence[Cause],
    *,
    plan: Plan,
    rows: Sequence[CheckRow],
    wrong: Sequence[Deviation] = (),
) -> list[Cause]:
    """Put what only a check in depth can tell before, or in place of, the causes that were ranked by tensor.

    Args:
        bad: Rows that are off, in the order of the pass.
        ranked: Causes as in a check of widths.
        plan: The plan of the deepest network, with one row per kind.
        rows: All rows.
        wrong: Deviations of the plan from its rule.
    """
    exact = {deviation.name for deviation in wrong}
    first = [cause for cause in ranked if cause.name in exact]
    rest = [cause for cause in ranked if cause.name not in exact]
    worst = max(
        (row for row in bad if row.quantity == "stream change"), key=lambda row: abs(row.off), default=None
    )
    if plan.depth_rule is None and worst is not None and worst.off > 0:
        # What else is off may follow from the sum of the branches.
        return [
            Cause(worst.name, _missing(worst, plan, rows), worst.off),
            *first,
            *(c for c in rest if not c.power),
        ]
    piled = next((row for row in bad if row.quantity == "stream"), None)
    if piled is None:
        return list(ranked)
    text = f"the stream at the start, where {piled.name!r} is added, {moves(piled, DEPTH)}"
    if piled.off > 0:
        text += (
            ": branches whose mean is not zero, or whose initial scale depends on the depth, pile up; the plan's notes "
            "name them"
        )
    return [*first, Cause(piled.name, text, piled.off), *rest]


def _missing(stream: CheckRow, plan: Plan, rows: Sequence[CheckRow]) -> str:
    """Say which exponents a plan without a depth rule lacks."""
    inside = {name for branch in plan.branches for name in branch.inside}
    own = [row for row in rows if row.name in inside and row.quantity == "update"]
    largest = max(own, key=lambda row: row.slope, default=None)
    seen = (
        "" if largest is None else f" (the own update of {largest.name!r} goes as depth^{largest.slope:+.2f})"
    )
    rules = "; ".join(
        f"depth_rule={name!r} multiplies branches by depth^{powers.branch:g} and learning rates inside by "
        f"depth^{powers.lr:g}"
        for name, alpha in DEPTH_RULES.items()
        for powers in (depth_powers(alpha, plan.family),)
    )
    return (
        f"no depth rule: the branches' aligned changes add up{seen}, so the change of the stream {moves(stream, DEPTH)}; "
        f"what is missing: {rules}"
    )
