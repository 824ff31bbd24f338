"""Exponents that are off for a reason that is no fault of the plan, each with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from similitude.checking.deviation import Deviation
from similitude.checking.records import DEPTH_TOLERANCE, GOOD, CheckRow
from similitude.checking.slopes import Slope
from similitude.scaling.records import Plan

_NARROW = 64  # widths below this are not wide enough for exponents to have settled
_FADING = -0.6  # a random head's part of the outputs falls as width^-1/2
_DRIFT = 0.6  # exponents of a finite bottleneck, and behind it, stay below this


def explained(
    found: Sequence[tuple[CheckRow, Slope]],
    plan: Plan,
    widths: tuple[int, ...],
    *,
    wrong: Sequence[Deviation] = (),
) -> list[CheckRow]:
    """Clear rows that are off for a known reason, and say the reason in their note.

    Args:
        found: Rows with their fits, in the order of the forward pass.
        plan: The plan of the largest width.
        widths: Widths that were trained.
        wrong: Deviations of the plan from its rule; nothing excuses the tensors that they name.
    """
    narrow = {row.name for row in plan.rows if row.role == "bottleneck"}
    deviating = {deviation.name for deviation in wrong}
    rows, after_narrow = [], False
    for row, slope in found:
        after_narrow |= row.name in narrow
        note = ""
        if not row.ok and row.name not in deviating and row.quantity not in ("decay", "evaluation"):
            note = _note(row, slope, [r for r, _ in found], narrow, after_narrow, widths)
        rows.append(replace(row, ok=True, note=note) if note else row)
    return rows


def _note(
    row: CheckRow,
    slope: Slope,
    rows: Sequence[CheckRow],
    narrow: set[str],
    after_narrow: bool,
    widths: tuple[int, ...],
) -> str:
    if row.name in narrow and abs(row.off) < _DRIFT:
        return "a finite bottleneck inside a growing network: no rule is exact for it"
    if after_narrow and row.quantity in ("change", "logits change") and abs(row.off) < _DRIFT:
        return "behind a finite bottleneck, whose activations drift with the width"
    if after_narrow and row.quantity == "update" and abs(row.off) < _DRIFT:
        norm = next(
            (r for r in rows if (r.name, r.use, r.quantity) == (row.name, row.use, "update norm")), None
        )
        if norm is not None and norm.ok:
            return "its update is of the right norm; what it reads comes from a finite bottleneck and drifts"
    if row.quantity == "logits change" and _FADING < row.off < 0:
        own = next((r for r in rows if (r.name, r.use, r.quantity) == (row.name, row.use, "update")), None)
        if own is not None and own.ok:
            return "the random part of the head's start fades as width^-1/2; what the head learns does not"
    bends = row.expected is not None and abs(slope.wide - row.expected) <= GOOD
    if bends and widths[0] < _NARROW:
        return (
            f"width {widths[0]} is narrow: between the two largest widths the exponent is {slope.wide:+.2f}"
        )
    return ""


def settling(
    found: Sequence[tuple[CheckRow, Slope]], plan: Plan, *, wrong: Sequence[Deviation] = ()
) -> list[CheckRow]:
    """Clear rows of a check in depth that fall with a stream that has not reached its limit, and say so in their note.

    Above alpha = 1/2 the random parts of the branches fade at the start as L^(1/2 - alpha), until the stream is what
    the stem gave. In between it falls with some exponent from 1/2 - alpha to 0, and that is promised too. A normalized
    update feels the size of the stream twice, in what its tensor reads and in what later branches do to the change; a
    gradient a third time, on its way back. Initial norms, and norms of normalized updates, feel nothing and are not
    cleared.

    Cleared are also changes of activations inside a branch that are of two parts: a tensor's own update, and the
    response to the stream, which at alpha < 1 falls more slowly and wins in the end.

    Args:
        found: Rows with their fits, in the order of the forward pass.
        plan: The plan of the deepest network, with one row per kind of tensor.
        wrong: Deviations of the plan from its rule; nothing excuses the tensors that they name.
    """
    rows = [_mixed(row, [r for r, _ in found]) for row, _ in found]
    fall = min((row.slope for row in rows if row.quantity == "stream"), default=0.0)
    if plan.depth_rule is None or fall >= 0 or fall < 0.5 - plan.depth_rule - DEPTH_TOLERANCE:
        return rows
    deviating = {deviation.name for deviation in wrong}
    exact = {"init norm", "decay", "evaluation"} | ({"update norm"} if plan.family != "sgd" else set())
    feels = 3 if plan.family == "sgd" else 2
    note = (
        f"the stream at the start falls as depth^{fall:+.2f} towards its limit, as alpha {plan.depth_rule:g} lets the "
        "random parts of branches fade, and what is made of it falls along"
    )
    cleared = []
    for row in rows:
        times = 1 if row.quantity == "stream" else feels
        off = not (row.ok and row.good) and row.off < 0
        falls = off and row.high - (row.expected or 0.0) >= times * fall - DEPTH_TOLERANCE
        mine = falls and row.quantity not in exact and row.name not in deviating
        cleared.append(replace(row, ok=True, note=note) if mine else row)
    return cleared


def _mixed(row: CheckRow, rows: Sequence[CheckRow]) -> CheckRow:
    """Clear a change inside a branch whose exponent is between those of its two parts."""
    own = next(
        (r for r in rows if (r.name, r.use, r.quantity) == (row.name, row.use, "update") and r.ok), None
    )
    if row.good or row.quantity != "change" or own is None or row.expected is None or own.expected is None:
        return row
    if not own.expected < row.expected or row.off > 0 or row.high < own.expected - DEPTH_TOLERANCE:
        return row
    note = (
        f"of two parts: its own update falls as depth^{own.expected:+.2g}, the response to the stream goes as "
        f"depth^{row.expected:+.2g} and wins in deeper networks"
    )
    return replace(row, ok=True, note=note)
