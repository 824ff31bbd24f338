"""What a study of Super Consistency says, in sentences: shared by the terminal, the figures and the HTML page."""

from __future__ import annotations

import math

import numpy as np

from similitude.core.verdict import Outcome
from similitude.report.words import rule_label
from similitude.studies.consistency_analysis import mean_curve
from similitude.studies.consistency_records import Growth, RuleConsistency, SizeCurves, Spread

EDGE = 0.9
"""Part of the threshold from which on a size is said to have reached the edge of stability."""

RICH = 0.1
"""Residual over Gauss-Newton part above which features are said to move at the end of training."""


def percent(value: float | None) -> str:
    """Write a part of one as a percentage.

    Example:
        >>> percent(0.123), percent(None), percent(0.0041)
        ('12 %', 'none', '0.4 %')
    """
    if value is None or not math.isfinite(value):
        return "none"
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 or value == 0 else f"{100 * value:.1f} %"


def spread_cell(spread: Spread) -> str:
    """Write a spread with its interval."""
    if spread.interval is None:
        return percent(spread.value)
    return f"{percent(spread.value)} [{percent(spread.interval[0])}, {percent(spread.interval[1])}]"


def stability_sentence(rule: RuleConsistency) -> str:
    """Say which sizes reach the edge of stability, and when."""
    threshold = rule.threshold
    if threshold is None:
        return "No sharpness in units of the optimizer was measured."
    reached, began, below = [], [], []
    for curves in rule.curves:
        lost = rule.diverged.get(curves.size, 0)
        tail = f", {lost} of {len(curves.series['loss'])} runs diverged" if lost else ""
        mean = mean_curve(curves, "eta_lambda")
        known = [(s, v) for s, v in zip(curves.steps, mean, strict=True) if math.isfinite(v)]
        first = next((s for s, v in known if v >= EDGE * threshold), None)
        if first is None:
            most = f"at most {max(v for _, v in known):.3g}" if known else "not measured"
            below.append(f"{curves.size} ({most}{tail})")
        elif first == known[0][0]:
            began.append(f"{curves.size} ({known[0][1]:.3g}{tail})")
        else:
            reached.append(f"{curves.size} at step {first}{f' ({tail[2:]})' if tail else ''}")
    parts = []
    if reached:
        who = "some reach" if began or below else f"every {rule.dial} reaches"
        parts.append(f"{who} the edge of stability at {threshold:.3g}: {', '.join(reached)}")
    if began:
        parts.append(f"at the edge {threshold:.3g} or beyond from the start: {', '.join(began)}")
    if below:
        parts.append(f"below {EDGE:.0%} of the threshold {threshold:.3g} all the time: {', '.join(below)}")
    return _sentence("; ".join(parts))


def growth_sentence(growth: Growth) -> str:
    """Say how a gap to the largest size changes over time."""
    name = f"the {growth.quantity} gap to the largest size"
    if growth.value is None:
        return _sentence(f"{name} cannot be followed over time")
    interval = "" if growth.interval is None else f" [{growth.interval[0]:.2g}, {growth.interval[1]:.2g}]"
    when = "from the first window after the start to the last"
    return _sentence(f"{name} {growth.word}: x{growth.value:.2g}{interval} {when}")


def collapse_sentence(rule: RuleConsistency) -> str:
    """Say whether the curves of the compared sizes are one curve, as the verdict does."""
    known = [s for s in rule.spreads if s.value is not None]
    if not known:
        return f"{rule_label(rule.rule)}: no window has a sharpness at every size."
    worst = max(known, key=lambda s: s.value or 0.0)
    compared = f"{rule.dial}s {worst.compared[0]} to {worst.compared[-1]}"
    there = {
        Outcome.CONSISTENT: "one curve",
        Outcome.INCONSISTENT: "not one curve",
        Outcome.DIVERGED: "every run diverged",
    }.get(rule.verdict.outcome, "cannot tell whether it is one curve")
    most = f"they differ most at {worst.window}, by {percent(worst.value)}"
    return f"{rule_label(rule.rule)}: {there} over {compared}; {most}."


def gap_sentence(rule: RuleConsistency, quantity: str) -> str:
    """Say how far the smaller sizes are from the largest at the end, and how that falls with the size."""
    gap = (rule.sharpness_gaps if quantity == "sharpness" else rule.loss_gaps)[-1]
    if gap.mean is None:
        return f"{rule_label(rule.rule)}: no distance of the {quantity} at {gap.window}, where runs have diverged."
    listed = ", ".join(f"{percent(d)} at {rule.dial} {size}" for size, d in gap.distances.items())
    slope = "" if gap.slope is None else f", power {gap.slope:+.2f} of the {rule.dial}"
    return f"{rule_label(rule.rule)}: the {quantity} at {gap.window} is off by {listed}{slope}."


def ratio_sentence(rule: RuleConsistency) -> str:
    """Say how large the residual part is beside the Gauss-Newton part at the end, smallest and largest size."""
    ends = [_ratio(curves) for curves in (rule.curves[0], rule.curves[-1])]
    if not all(map(math.isfinite, ends)):
        return f"{rule_label(rule.rule)}: the two parts were not measured at the end."
    first, last = ends
    word = "features move at the largest size too" if last >= RICH else "the largest size is nearly a kernel"
    return (
        f"{rule_label(rule.rule)}: {first:.2g} at {rule.dial} {rule.curves[0].size} and {last:.2g} at "
        f"{rule.curves[-1].size} at the end, so {word}."
    )


def movement_sentence(rule: RuleConsistency, quantity: str, what: str) -> str:
    """Say by how much an eigenvalue changed over the run, and how far the sizes are apart at its end."""
    known = [(c, *_ends(c, quantity)) for c in rule.curves if quantity in c.series]
    known = [(c, a, b) for c, a, b in known if math.isfinite(a) and math.isfinite(b)]
    if not known:
        return f"{rule_label(rule.rule)}: {what} was not measured."
    compared = rule.spreads[0].compared
    last = [b for c, _, b in known if c.size in compared]
    apart = ""
    if len(last) > 1:
        spread = (max(last) - min(last)) * len(last) / sum(last)
        apart = f"; at the end {rule.dial}s {compared[0]} to {compared[-1]} differ by {percent(spread)}"
    moves = [f"from {a:.2g} to {b:.2g} at {rule.dial} {c.size}" for c, a, b in (known[0], known[-1])]
    return f"{rule_label(rule.rule)}: {what} goes {' and '.join(moves)}{apart}."


def _ends(curves: SizeCurves, quantity: str) -> tuple[float, float]:
    mean = mean_curve(curves, quantity)
    known = mean[np.isfinite(mean)]
    return (float(known[0]), float(known[-1])) if len(known) else (math.nan, math.nan)


def _ratio(curves: SizeCurves) -> float:
    if "residual" not in curves.series:
        return math.nan
    residual, part = (_ends(curves, name)[1] for name in ("residual", "gauss_newton"))
    return residual / part if part else math.nan


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
