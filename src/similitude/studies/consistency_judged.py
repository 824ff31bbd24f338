"""The result of one rule of a study of Super Consistency, from its curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from similitude.studies.consistency_analysis import gap, growth, spread
from similitude.studies.consistency_records import RuleConsistency, SizeCurves
from similitude.studies.consistency_verdict import judge
from similitude.studies.windows import Window


def judged(rule: str, dial: str, curves: Sequence[SizeCurves], windows: Sequence[Window]) -> RuleConsistency:
    """Compute spreads, distances and their growth, and judge them.

    Args:
        rule: Name of the rule.
        dial: The dial that changes.
        curves: What was measured at every size, smallest size first, at least two.
        windows: The windows, in the order of time.
    """
    after_the_start = sum(window.last > 0 for window in windows)
    spreads = tuple(spread(curves, window, judged=max(1, after_the_start)) for window in windows)
    growths = tuple(growth(curves, quantity, windows) for quantity in ("sharpness", "loss"))
    lost = {c.size: sum(not all(map(math.isfinite, row)) for row in c.series["loss"]) for c in curves}
    diverged = {size: count for size, count in lost.items() if count}
    verdict = judge(
        rule,
        dial,
        sizes=[c.size for c in curves],
        seeds=min(len(c.series["loss"]) for c in curves),
        spreads=spreads,
        growths=growths,
        diverged=diverged,
    )
    return RuleConsistency(
        rule=rule,
        dial=dial,
        curves=tuple(curves),
        spreads=spreads,
        sharpness_gaps=tuple(gap(curves, "sharpness", window) for window in windows),
        loss_gaps=tuple(gap(curves, "loss", window) for window in windows),
        growths=growths,
        diverged=diverged,
        verdict=verdict,
    )
