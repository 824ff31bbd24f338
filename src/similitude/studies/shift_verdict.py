"""The verdict on a transfer of the learning rate: which test of its shift and its cost decides, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.scaling.depth import STANDARD
from similitude.scaling.sizes import DEPTH, WIDTH
from similitude.studies.next_steps import more_seeds, rate_text, sizes_option, widen
from similitude.studies.penalty import Penalty
from similitude.studies.records import Curve, Optimum

MARGIN = 2.0  # of the equivalence test of the shift, in tolerances


@dataclass(frozen=True)
class Tolerances:
    """What counts as no shift (octaves per doubling) and as no cost (relative to the best loss)."""

    shift: float
    loss: float


@dataclass(frozen=True)
class Measured:
    """What was measured over the sizes of one dial, smallest first; None where a quantity cannot be computed."""

    rule: str
    curves: tuple[Curve, ...]
    optima: tuple[Optimum, ...]
    shift: float | None
    interval: tuple[float, float] | None
    penalty: Penalty | None
    dial: str = WIDTH


def judge(measured: Measured, tolerances: Tolerances) -> Verdict:
    """Decide, in this order: diverged, not bracketed, too noisy, cannot tell, shifts, transfers, cannot tell.

    `shifts`: the interval of the shift excludes 0 and |shift| is above its tolerance, or the loss at the
    transferred rate is above the best by more than its tolerance and by more than two standard errors.
    `transfers`: nothing speaks for a shift (|shift| within tolerance, its interval holds 0 or lies within
    the tolerance; the cost within its tolerance or two standard errors) and one of two equivalence tests
    succeeds. Either the interval of the shift lies within `MARGIN` times the tolerance: the estimate may use
    up the tolerance, and its error as much again. Or the cost is within its tolerance with two standard
    errors to spare: where the basin is flat the rate may be anywhere in it, and nothing is lost. Without
    either, an interval so wide that it holds everything would pass for a transfer, so it is `cannot_tell`.

    Args:
        measured: The optima, the shift and the penalty.
        tolerances: What counts as no shift and no cost.
    """
    evidence = _evidence(measured, tolerances)
    return (
        _judge_optima(measured, evidence)
        or _judge_presence(measured, evidence)
        or _judge_shift(measured, tolerances, evidence)
    )


def _evidence(measured: Measured, tolerances: Tolerances) -> tuple[Evidence, ...]:
    rows = [
        Evidence(
            f"shift of the best learning rate, octaves per doubling of {measured.dial}",
            measured.shift,
            measured.interval,
            f"0, at most {tolerances.shift:g} either way",
        )
    ]
    cost = measured.penalty
    if cost is not None:
        finite = math.isfinite(cost.relative)
        interval = None
        if finite and cost.stderr is not None and cost.at_best:
            margin = 2 * cost.stderr / abs(cost.at_best)
            interval = (cost.relative - margin, cost.relative + margin)
        rows.append(
            Evidence(
                "loss at the transferred rate above the best, relative" + ("" if finite else " (diverged)"),
                cost.relative if finite else None,
                interval,
                f"at most {tolerances.loss:g}",
            )
        )
    for best in measured.optima:
        bounds = None
        if best.interval is not None:
            bounds = (math.log2(best.interval[0]), math.log2(best.interval[1]))
        value = None if best.lr is None else math.log2(best.lr)
        rows.append(Evidence(f"log2 of the best learning rate at {best.dial} {best.size}", value, bounds))
    return tuple(rows)


def _judge_optima(measured: Measured, evidence: tuple[Evidence, ...]) -> Verdict | None:
    """Return the verdict that the worst of the optima forces, if any."""
    for outcome in (Outcome.DIVERGED, Outcome.NOT_BRACKETED, Outcome.TOO_NOISY, Outcome.CANNOT_TELL):
        pairs = zip(measured.optima, measured.curves, strict=True)
        hit = [(best, curve) for best, curve in pairs if best.verdict.outcome is outcome]
        if not hit:
            continue
        first = hit[0][0].verdict
        step = first.next
        low = any(best.edge == "low" for best, _ in hit)
        high = any(best.edge == "high" for best, _ in hit)
        if outcome is Outcome.NOT_BRACKETED:
            step = widen(measured.curves, low=low, high=high)
        elif outcome is Outcome.DIVERGED:
            step = widen(measured.curves, low=True, high=False)
        elif outcome is Outcome.TOO_NOISY and not (low or high):
            step = max((best for best, _ in hit), key=_octaves).verdict.next
        others = [str(best.size) for best, _ in hit[1:]]
        text = first.summary + (f" (likewise at {measured.dial} {', '.join(others)})" if others else "")
        return Verdict(outcome, text, evidence, first.causes, step)
    return None


def _judge_presence(measured: Measured, evidence: tuple[Evidence, ...]) -> Verdict | None:
    """Return why there is nothing to compare, if there is not."""
    dial, sizes = measured.dial, [best.size for best in measured.optima]
    if len(sizes) < 2:
        found = f"only {dial} {sizes[0]} has results" if sizes else f"no {dial} has results"
        text = f"{found}, a shift needs at least 2 {dial}s"
        return Verdict(Outcome.CANNOT_TELL, text, evidence, (), sizes_option(dial, sizes[:1]))
    if measured.penalty is None:
        lr = measured.optima[0].lr
        where = "" if lr is None else f" {rate_text(math.log2(lr))}"
        text = f"the transferred rate{where} is outside the grid of {dial} {sizes[-1]}: its loss is unknown"
        rates = [rate for curve in measured.curves for rate in curve.lrs]
        step = f"--lr-min {rate_text(math.log2(min(rates)))} --lr-max {rate_text(math.log2(max(rates)))}"
        return Verdict(Outcome.CANNOT_TELL, text, evidence, (), step)
    return None


def _judge_shift(measured: Measured, tolerances: Tolerances, evidence: tuple[Evidence, ...]) -> Verdict:
    shift, interval, cost = measured.shift, measured.interval, measured.penalty
    assert shift is not None
    assert interval is not None
    assert cost is not None
    low, high = interval
    holds_zero = low <= 0 <= high
    farthest = max(-low, high)
    stays = abs(shift) <= tolerances.shift and (holds_zero or farthest <= tolerances.shift)
    moves = abs(shift) > tolerances.shift and not holds_zero
    allowed = tolerances.loss * abs(cost.at_best)
    error = cost.stderr
    diverged = not math.isfinite(cost.at_transferred)
    costly = diverged or (error is not None and cost.excess > max(allowed, 2 * error))
    cheap = cost.excess <= max(allowed, 2 * (error or 0.0))
    surely_cheap = error is not None and cost.excess + 2 * error <= allowed

    dial, sizes = measured.dial, [best.size for best in measured.optima]
    span = f"{shift:+.2f} [{low:+.2f}, {high:+.2f}]"
    price = "diverges" if diverged else f"costs {100 * cost.relative:.1f} % of the best loss"
    text = (
        f"the best learning rate moves by {span} octaves per doubling of {dial}; "
        f"the rate tuned at {dial} {sizes[0]} {price} at {dial} {sizes[-1]}"
    )
    if moves or costly:
        return Verdict(Outcome.SHIFTS, text, evidence, _causes(measured, shift), _after_shift(measured))
    if stays and cheap and (farthest <= MARGIN * tolerances.shift or surely_cheap):
        if farthest > tolerances.shift:  # the interval alone would leave room for a shift that matters
            text += f"; the interval reaches beyond {tolerances.shift:g}, what decides is that the rate costs so little"
        return Verdict(Outcome.TRANSFERS, text, evidence)
    doubts = (
        "the intervals are too wide for a shift of this size",
        f"the {dial}s are too close to each other",
    )
    widest = max(range(len(measured.optima)), key=lambda i: _octaves(measured.optima[i]))
    seeds = more_seeds(measured.curves[widest], excess=math.sqrt(2))
    step = f"{seeds} {sizes_option(dial, [*sizes, 2 * sizes[-1]])}"
    return Verdict(Outcome.CANNOT_TELL, f"{text}: neither shown to stay nor to move", evidence, doubts, step)


def _octaves(best: Optimum) -> float:
    return math.log2(best.interval[1] / best.interval[0]) if best.interval is not None else math.inf


def _causes(measured: Measured, shift: float) -> tuple[str, ...]:
    if measured.dial == DEPTH:
        return _causes_over_depth(measured.rule)
    if measured.rule == STANDARD:
        return (
            "under standard parametrization a hidden matrix's update changes its output more the larger its "
            "fan-in (with Adam in proportion to it), so the best rate falls with width",
            "the initial output grows or shrinks with width",
        )
    return (
        "the smallest width is too narrow to be a model of the largest",
        "too few steps: early in training the best rate still depends on how far each width has come",
        "a part of the model does not follow the plan: attention scale, number of heads, tied tensors",
        *(("the hidden matrices' rates still fall too slowly with fan-in",) if shift < 0 else ()),
    )


def _causes_over_depth(rule: str) -> tuple[str, ...]:
    if rule == STANDARD:
        return (
            "without a depth rule every branch adds to the stream as much as at the base: the changes of all branches "
            "add up, so the best rate falls with depth",
            "the stream at initialization grows with depth",
        )
    return (
        "blocks of two or more matrices: what a branch learns inside fades with depth under 'depth_mup', and "
        "'complete_p' keeps it",
        "the smallest depth is too shallow to be a model of the largest",
        "too few steps: early in training the best rate still depends on how far each depth has come",
        "branches whose mean is not zero (they end in a nonlinearity): under 'depth_mup' their sum grows with depth",
    )


def _after_shift(measured: Measured) -> str:
    dial, sizes = measured.dial, [best.size for best in measured.optima]
    if measured.rule == STANDARD and dial == DEPTH:
        return "--depth-rule depth_mup (blocks of one matrix) or complete_p (of more), at the same rates and --depths"
    if measured.rule == STANDARD:
        return 'plan the model with rule "mup" and run again at the same --lr-min, --lr-max and --widths'
    return sizes_option(dial, [*sizes[1:], 2 * sizes[-1]])
