"""Robustness of one size: its accuracy under a shift, as a share of that in distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from similitude.core.plain import finite
from similitude.evaluation.aggregate import Estimate, mean_of
from similitude.evaluation.rows import Row


@dataclass(frozen=True)
class Robustness:
    """How one size fares under one shift.

    Attributes:
        subject: At which rate it was trained.
        rule: Parametrization.
        width: Width.
        shift: Name of the shift.
        accuracy: In distribution, mean over seeds with its t-interval.
        shifted: Under the shift, likewise.
        ratio: Of the two, by seed, likewise; 1 is unharmed.
    """

    subject: str
    rule: str
    width: int
    shift: str
    accuracy: Estimate
    shifted: Estimate
    ratio: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return finite(
            {
                "subject": self.subject,
                "rule": self.rule,
                "width": self.width,
                "shift": self.shift,
                "accuracy": self.accuracy.to_dict(),
                "shifted": self.shifted.to_dict(),
                "ratio": self.ratio.to_dict(),
            }
        )


def robustness(
    rows: Sequence[Row], shifts: Sequence[str], *, subject: str, rule: str, width: int
) -> tuple[Robustness, ...]:
    """Join the seeds of one size; runs without a score, or with nothing right in distribution, are left out.

    Args:
        rows: Runs of one size.
        shifts: Names of shifts.
        subject: At which rate they were trained.
        rule: Parametrization.
        width: Width.
    """
    good = [row for row in rows if not row.failed and row.score > 0]
    if not good:
        return ()
    return tuple(
        Robustness(
            subject=subject,
            rule=rule,
            width=width,
            shift=shift,
            accuracy=mean_of([row.score for row in good]),
            shifted=mean_of([row.metrics[f"of {shift}"] for row in good]),
            ratio=mean_of([ratios(row, shifts)[shift] for row in good]),
        )
        for shift in shifts
    )


def ratios(row: Row, shifts: Sequence[str]) -> Mapping[str, float]:
    """Return the robustness of one run under each shift; its score must be above 0."""
    return {shift: row.metrics[f"of {shift}"] / row.score for shift in shifts}
