"""The growth exponent against the depth that a plan promises for every quantity of every tensor (paper 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from similitude.checking.slopes import fit
from similitude.core.citation import cites
from similitude.scaling.records import Plan
from similitude.scaling.sizes import DEPTH

_HALVES = "weight norm"  # how the planner's sentence on a half of a weight-normalized matrix begins
_DIGITS = 9  # exponents are sums of a few logarithms


@dataclass(frozen=True)
class DepthPromise:
    """Exponents of the depth of one kind of tensor; None where no rule speaks about it.

    Attributes:
        update: Of what its own change adds to its output, and of the natural norm of that change.
        change: Of the change of its output, which follows the stream.
        norm: Of its natural norm at the start.
    """

    update: float | None = 0.0
    change: float | None = 0.0
    norm: float | None = 0.0


@cites(13, "Section 3 and Claims 7.1-7.6")
def promised_in_depth(plans: Sequence[Plan]) -> Mapping[str, DepthPromise]:
    """Return what plans of several depths promise for every kind of tensor.

    With r the ratio of branches, m the multiplier that a tensor carries and alpha the residual exponent:

    - its own update goes as r^(alpha - 1) m. The L changes of the stream are aligned, each of r^-alpha times the change
      of the branch's value, so that this value's own change must go as r^(alpha - 1), whatever optimizer makes it. A
      tensor that ends a branch carries m = r^-alpha and is left with r^-1;
    - its output changes as the stream that it reads does, which is r^0, times m;
    - its initial norm goes as m.

    Outside of branches r = 1. Without a depth rule nothing is promised inside.

    Args:
        plans: The plan of every depth, with one row per kind; see `Kinds.plan`.

    Example:
        For AdamW and alpha = 1/2: update -1/2 inside a branch, -1 where it ends, 0 outside.
    """
    depths = [plan.target[DEPTH] for plan in plans]
    alpha = plans[-1].depth_rule
    inside = {name for branch in plans[-1].branches for name in branch.inside}
    found = {}
    for last in plans[-1].rows:
        rows = [row for plan in plans for row in plan.rows if row.name == last.name]
        if len(rows) < len(plans):
            continue
        if last.name in inside and alpha is None:
            found[last.name] = DepthPromise(None, None, None)
            continue
        own = _power(depths, [row.depth_ratio ** ((alpha or 0.0) - 1) * row.multiplier for row in rows])
        carried = _power(depths, [row.multiplier for row in rows])
        halved = any(text.startswith(_HALVES) for text in last.carries)
        found[last.name] = DepthPromise(own, carried, None if halved else carried)
    return found


def depth_exponent(quantity: str, promise: DepthPromise, *, tied: bool) -> float | None:
    """Return the expected exponent of one row.

    Args:
        quantity: One of `similitude.checking.records.QUANTITIES`.
        promise: What the plan promises for its tensor.
        tied: Whether it is an embedding table that is used as the head here.

    Example:
        >>> depth_exponent("update", DepthPromise(update=-0.5), tied=False)
        -0.5
    """
    if quantity == "logits" or (tied and quantity.endswith("norm")):
        return None
    if quantity in ("decay", "evaluation", "stream", "stream change"):
        return 0.0
    if quantity in ("update", "update norm"):
        return promise.update
    return promise.norm if quantity == "init norm" else promise.change


def _power(depths: Sequence[int], levels: Sequence[float]) -> float:
    """Return the exponent of numbers that the plan gives; 0 where a factor of zero leaves none."""
    slope = fit(depths, [[level] for level in levels])
    return 0.0 if slope is None else round(slope.value, _DIGITS) + 0.0
