"""Where a training run is: below the edge of stability, at it, beyond it, or lost, by its measured sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.landscape.blow_up import blow_up

if TYPE_CHECKING:
    from similitude.landscape.tracker_records import SharpnessRecord

BAND = 0.2
"""How far the middle of eta x lambda may be from its threshold, as a part of it, for a run at the edge: gradient descent
hovers within 8 %, Adam's preconditioned sharpness lies between 32 and 42 where the threshold is 38."""

TOUCH = 0.95
"""Part of the threshold that a run at the edge has reached; one that is on its way there is still below."""

_FEWEST = 3  # measurements that a verdict needs


class Edge(StrEnum):
    """Where a run is; the value is the text that tables and JSON show."""

    BELOW = "below the edge"
    AT = "at the edge"
    BEYOND = "beyond the edge"
    DIVERGED = "diverged"
    UNKNOWN = "unknown"


def edge_of(records: Sequence[SharpnessRecord], late: Sequence[SharpnessRecord]) -> Edge:
    """Tell where a run is by its last records.

    Args:
        records: All records, in the order of their steps.
        late: The last of them, which decide. Those without a threshold count for nothing.

    Returns:
        Diverged where the last numbers are not finite, or are but the run blew up (see `blow_up`). Unknown where fewer
        than three late records have a threshold. At the edge where the middle of eta x lambda is at most 20 % below the
        threshold and 95 % were reached; where it is over 20 % above, but swings: it came back to the threshold from
        above, and the loss did not rise. Otherwise beyond it, or below.
    """
    if records and (not records[-1].finite or blow_up(records, late) is not None):
        return Edge.DIVERGED
    ratios = _ratios(late)
    if len(ratios) < _FEWEST:
        return Edge.UNKNOWN
    middle = median(ratios)
    if middle > 1 + BAND:
        return Edge.AT if _swings(ratios) and late[-1].loss <= late[0].loss else Edge.BEYOND
    return Edge.AT if middle >= 1 - BAND and max(ratios) >= TOUCH else Edge.BELOW


def judge_edge(records: Sequence[SharpnessRecord], late: Sequence[SharpnessRecord]) -> Verdict:
    """Say what a history of sharpness means.

    Args:
        records: All records, in the order of their steps.
        late: The last of them, which decide.
    """
    if records and not records[-1].finite:
        return _diverged(records)
    if (lost := blow_up(records, late)) is not None:
        return _blown_up(records, lost)
    place, ratios = edge_of(records, late), _ratios(late)
    if place is Edge.UNKNOWN:
        return _unknown(records, ratios)
    last, middle = late[-1], median(ratios)
    threshold = f"the threshold {last.threshold:.4g} ({last.units})"
    evidence = [
        Evidence(
            f"learning rate x sharpness over its threshold, middle of the last {len(ratios)} measurements", middle, None,
            f"{1 - BAND:g} to {1 + BAND:g} at the edge, or more where it swings back to 1; less below it",
        ),
        Evidence("the largest of them", max(ratios), None, f"at least {TOUCH:g} at the edge"),
    ]  # fmt: skip
    first = next((r for r in records if r.threshold is not None), None)
    if first is not None and first.value > 0:
        evidence.append(
            Evidence(
                f"sharpness at step {last.step} over that at step {first.step}", last.value / first.value
            )
        )
    hovers = (
        f"learning rate x sharpness is {100 * middle:.3g} % of {threshold} in the middle of the last {len(ratios)} "
        "measurements"
    )
    if place is Edge.BEYOND:
        return Verdict(
            Outcome.GROWS,
            f"{hovers}, so a step makes the error along the sharpest direction larger{_still_falling(late)}",
            tuple(evidence),
            (
                "the learning rate is too large for the curvature, and the run is about to diverge or is held by the "
                "curvature falling along its way",
                "the probe is sharper than what the model is trained on, e.g. other data or another loss",
            ),
            f"a learning rate of at most {(last.eta or 0) / middle:.3g}, the present one over {middle:.3g}",
        )
    if place is Edge.AT:
        swings = (
            f" and swings about it, from {100 * min(ratios):.3g} to {100 * max(ratios):.3g} %"
            if middle > 1 + BAND
            else ""
        )
        return Verdict(
            Outcome.OK,
            f"{hovers}{swings}; the learning rate holds the sharpness down",
            tuple(evidence),
        )
    room = (
        f"; a rate {1 / middle:.3g} times as large would meet the edge at this curvature"
        if middle > 0
        else ""
    )
    return Verdict(Outcome.OK, f"{hovers}{room}", tuple(evidence))


def _ratios(records: Sequence[SharpnessRecord]) -> list[float]:
    return [record.margin for record in records if record.margin is not None and record.finite]


def _swings(ratios: Sequence[float]) -> bool:
    """Whether a curve came back to the threshold after it was above."""
    passed = next((i for i, ratio in enumerate(ratios) if ratio > 1), len(ratios))
    return any(ratio <= 1 for ratio in ratios[passed:])


def _still_falling(late: Sequence[SharpnessRecord]) -> str:
    first, last = late[0], late[-1]
    if last.loss >= first.loss:
        return ""
    return f"; so far the loss falls nonetheless, from {first.loss:.4g} to {last.loss:.4g}"


def _blown_up(records: Sequence[SharpnessRecord], lost: str) -> Verdict:
    ratios = _ratios(records)
    evidence = [
        Evidence("last loss over the first", records[-1].loss / records[0].loss, None, "below 1"),
        *(Evidence("learning rate x sharpness over its threshold, largest", r, None, "at most about 1")
          for r in (max(ratios, default=None),) if r is not None),
    ]  # fmt: skip
    cause = (
        "the learning rate is too large for the curvature"
        if max(ratios, default=0.0) > 1
        else "the learning rate is too large, or the probe is other data than the model is trained on"
    )
    return Verdict(
        Outcome.DIVERGED,
        f"the run diverged, though its numbers stay finite: {lost}",
        tuple(evidence),
        (cause,),
        "a smaller learning rate",
    )


def _diverged(records: Sequence[SharpnessRecord]) -> Verdict:
    finite = [record for record in records if record.finite]
    ratios = _ratios(finite[-1:])
    evidence = (
        (Evidence("learning rate x sharpness over its threshold, last finite", ratios[0], None, "below 1"),)
        if ratios
        else ()
    )
    since = f"after step {finite[-1].step}" if finite else "from the start"
    return Verdict(
        Outcome.DIVERGED,
        f"the run diverged {since}: loss, parameters or sharpness are not finite at step {records[-1].step}",
        evidence,
        ("the learning rate is too large for the curvature",) if ratios and ratios[0] > 1 else (),
        "a smaller learning rate",
    )


def _unknown(records: Sequence[SharpnessRecord], ratios: Sequence[float]) -> Verdict:
    note = next((record.note for record in reversed(records) if record.note), "")
    if note and not ratios:
        return Verdict(
            Outcome.CANNOT_TELL,
            "the sharpness was measured, but it has no threshold to be compared with",
            causes=(note,),
            next="directional=True, which measures the curvature along the updates of any optimizer",
        )
    return Verdict(
        Outcome.CANNOT_TELL,
        f"{len(ratios)} measurements with a threshold, at least {_FEWEST} are needed",
        next="more steps, or a smaller every",
    )
