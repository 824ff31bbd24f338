"""What measurements of claims end with: a verdict on whether the statement holds, and intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.checking.slopes import Slope
from similitude.claims.registry import Measured
from similitude.core.chart import Chart, Series
from similitude.core.verdict import Evidence, Outcome, Verdict

WIDTH_EXPONENT = "exponent of width"


def judged(
    holds: bool,
    value: float,
    unit: str,
    summary: str,
    evidence: Sequence[Evidence],
    interval: tuple[float, float] | None = None,
    *,
    figures: Sequence[Chart] = (),
) -> Measured:
    """Return what was measured, with the verdict that the statement holds or does not.

    Args:
        holds: Whether it holds.
        value: The number that stands for the measurement.
        unit: Its unit.
        summary: The measurement in a sentence.
        evidence: The numbers behind it.
        interval: 95 % interval of the value; None where it has none.
        figures: Figures of the paper redrawn from what was measured.

    Example:
        >>> judged(True, 2.0, "ratio", "the ratio is 2", ()).verdict.ok
        True
    """
    outcome = Outcome.OK if holds else Outcome.INCONSISTENT
    return Measured(value, interval, unit, Verdict(outcome, summary, tuple(evidence)), tuple(figures))


def judged_slopes(
    holds: bool,
    summary: str,
    shown: Slope,
    rows: Sequence[tuple[str, Slope]],
    *,
    figures: Sequence[Chart] = (),
) -> Measured:
    """Return what was measured where it is exponents of width, of which one is shown.

    Args:
        holds: Whether the statement holds.
        summary: The measurement in a sentence.
        shown: The exponent that stands for all.
        rows: All exponents by name.
        figures: Figures of the paper redrawn from what was measured; that of all exponents follows them.
    """
    look_for = "Marks are fitted exponents with their intervals; what is claimed of each stands above."
    figures = (*figures, _exponents(rows, look_for))
    evidence = tuple(Evidence(name, slope.value, (slope.low, slope.high)) for name, slope in rows)
    return judged(
        holds, shown.value, WIDTH_EXPONENT, summary, evidence, (shown.low, shown.high), figures=figures
    )


def _exponents(rows: Sequence[tuple[str, Slope]], look_for: str) -> Chart:
    """Draw growth exponents side by side; behind the last comma of a name stands what tells one series from another."""
    split = [(name.rpartition(", ")[0], name.rpartition(", ")[2], slope) for name, slope in rows]
    if any(not first for first, _, _ in split):
        split = [(name, "exponent", slope) for name, slope in rows]
    places = list(dict.fromkeys(first for first, _, _ in split))
    labels = list(dict.fromkeys(label for _, label, _ in split))
    series = []
    for i, label in enumerate(labels):
        mine = [(places.index(first), slope) for first, second, slope in split if second == label]
        aside = 0.5 * ((i + 0.5) / len(labels) - 0.5)  # marks of one place stand beside each other
        series.append(
            Series(
                label,
                [place + aside for place, _ in mine],
                [slope.value for _, slope in mine],
                [(slope.low, slope.high) for _, slope in mine],
            )
        )
    return Chart(
        "Exponents of width",
        "",
        "exponent of width",
        tuple(series),
        look_for,
        x_names=tuple(places),
        levels={"no growth": 0.0},
    )
