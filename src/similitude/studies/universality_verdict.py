"""What deviations at several widths say: whether nets of an architecture train ever more as their kernel says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from similitude.checking.slopes import Slope, fit
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.studies.universality_records import QUANTITIES, Architecture, UniversalityWidth

BAND = (-0.7, -0.3)
"""Exponents of the width that count as the theorem's -1/2, which higher orders in 1 / width move a little."""

_SEVERITY = (
    Outcome.CONSISTENT,
    Outcome.CANNOT_TELL,
    Outcome.TOO_NOISY,
    Outcome.INCONSISTENT,
    Outcome.DIVERGED,
)


def architecture(name: str, widths: Sequence[UniversalityWidth], *, lr: float) -> Architecture:
    """Fit the exponents of one architecture, and judge that of the deviation on test examples.

    Args:
        name: Its name.
        widths: What was measured, smallest width first.
        lr: Learning rate of the study.
    """
    exponents = {
        quantity: fit([w.width for w in widths], [getattr(w, quantity) for w in widths])
        for quantity in QUANTITIES
        if all(getattr(w, quantity) for w in widths)
    }
    return Architecture(name, tuple(widths), exponents, lr, _verdict(widths, exponents))


def overall(architectures: Mapping[str, Architecture]) -> Verdict:
    """Return the verdict on all architectures: the worst one's outcome, and every exponent as evidence.

    Args:
        architectures: The results by name.
    """
    worst = max(architectures.values(), key=lambda found: _SEVERITY.index(found.verdict.outcome))
    evidence = tuple(
        Evidence(f"{name}: power of the width", slope.value, (slope.low, slope.high), "between -0.7 and -0.3")
        for name, found in architectures.items()
        if (slope := found.exponents["deviations"]) is not None
    )
    outcome = worst.verdict.outcome
    if outcome is Outcome.CONSISTENT:
        powers = ", ".join(f"{row.value:.2f} ({row.name.partition(':')[0]})" for row in evidence)
        summary = f"every architecture nears kernel gradient descent: the deviation goes with the width to the {powers}"
    else:
        summary = f"{worst.name}: {worst.verdict.summary}"
    return Verdict(outcome, summary, evidence, worst.verdict.causes, worst.verdict.next)


def _verdict(widths: Sequence[UniversalityWidth], exponents: Mapping[str, Slope | None]) -> Verdict:
    evidence = tuple(
        Evidence(f"{QUANTITIES[name]}: power of the width", slope.value, (slope.low, slope.high))
        for name, slope in exponents.items()
        if slope is not None
    )
    slope = exponents["deviations"]
    if slope is None:
        lost = sum(not math.isfinite(value) for w in widths for value in w.deviations)
        if lost:
            runs = sum(len(w.deviations) for w in widths)
            return Verdict(
                Outcome.DIVERGED,
                f"{lost} of {runs} nets diverged",
                evidence,
                ("the smallest nets are too far from their kernel for this step size",),
                "lower step_size, or leave out the smallest widths",
            )
        return Verdict(Outcome.CANNOT_TELL, "a net does not deviate at all", evidence)
    low, high = BAND
    first, last = (sum(w.deviations) / len(w.deviations) for w in (widths[0], widths[-1]))
    summary = (
        f"the deviation from kernel gradient descent goes from {first:.3g} of the targets at width {widths[0].width} to "
        f"{last:.3g} at {widths[-1].width}: width to the {slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]"
    )
    if low <= slope.value <= high and slope.high < 0:
        return Verdict(Outcome.CONSISTENT, summary, evidence)
    if slope.low <= high and slope.high >= low:
        return Verdict(Outcome.TOO_NOISY, summary, evidence, next="more seeds, or widths further apart")
    cause = (
        "the limit is not that of these nets: another variance of weights, another learning rate of a tensor"
        if slope.value > high
        else "the smallest nets are far from the limit, where higher powers of 1 / width count"
    )
    return Verdict(Outcome.INCONSISTENT, summary, evidence, (cause,), "larger widths")
