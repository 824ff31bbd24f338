"""What a study of Super Consistency holds: curves by size, spreads and gaps by window, and a verdict per rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.core.verdict import Verdict
from similitude.scaling.sizes import WIDTH
from similitude.studies.consistency_rate import Rate
from similitude.studies.records import Transfer
from similitude.studies.windows import Window

Interval = tuple[float, float]


@dataclass(frozen=True)
class SizeCurves:
    """Everything measured along the training of one size, by seed.

    Attributes:
        size: The value of the dial that changes, such as the width.
        steps: Steps made before each measurement, shape (times,).
        series: Quantities by name, each of shape (seeds, times), nan where it was not measured or the run had diverged:
            "loss", "eta_lambda", "threshold", "products", and at the ends of windows "top_1" ..., "gauss_newton",
            "residual" and "ntk", all eigenvalues times the learning rate in the optimizer's units.
    """

    size: int
    steps: tuple[int, ...]
    series: Mapping[str, tuple[tuple[float, ...], ...]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        named = {name: [list(row) for row in rows] for name, rows in self.series.items()}
        return {"size": self.size, "steps": list(self.steps), **named}


@dataclass(frozen=True)
class Spread:
    """How far the sizes that are compared are apart in one window.

    Attributes:
        window: The window.
        means: eta times lambda by size, averaged over the window and the seeds; all sizes.
        compared: The sizes that the spread is over.
        value: (largest - smallest) / mean over the compared sizes; None where a run has no number there.
        interval: 95 % interval over seeds; None where it has none.
        at_least: Lower limit that holds at 95 % in all windows that are judged at once; None likewise.
    """

    window: Window
    means: Mapping[int, float]
    compared: tuple[int, ...]
    value: float | None
    interval: Interval | None
    at_least: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "window": [self.window.first, self.window.last],
            "means": {str(size): mean for size, mean in self.means.items()},
            "compared": list(self.compared),
            "spread": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "at_least": self.at_least,
        }


@dataclass(frozen=True)
class Gap:
    """How far the smaller sizes are from the largest in one window.

    Attributes:
        quantity: "sharpness" or "loss".
        window: The window.
        distances: |value - value of the largest| / value of the largest by size, of means over seeds.
        mean: Mean of the distances; None where a run has no number there.
        slope: Power of the size that the distance goes with; None where it cannot be fitted.
        slope_interval: Its 95 % interval.
    """

    quantity: str
    window: Window
    distances: Mapping[int, float]
    mean: float | None
    slope: float | None = None
    slope_interval: Interval | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "window": [self.window.first, self.window.last],
            "distances": {str(size): distance for size, distance in self.distances.items()},
            "mean": self.mean,
            "slope": self.slope,
            "slope_interval": None if self.slope_interval is None else list(self.slope_interval),
        }


@dataclass(frozen=True)
class Growth:
    """How a gap changes from the first window after the start to the last.

    Attributes:
        quantity: "sharpness" or "loss".
        value: Mean distance in the last window over that in the first; None where it has none.
        interval: 95 % interval over seeds; None where it has none.
    """

    quantity: str
    value: float | None
    interval: Interval | None

    @property
    def word(self) -> str:
        """Say "grows", "shrinks", or "does not grow" where the interval holds 1."""
        if self.value is None or self.interval is None:
            return "cannot be told"
        low, high = self.interval
        return "grows" if low > 1 else "shrinks" if high < 1 else "does not grow beyond noise"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        interval = None if self.interval is None else list(self.interval)
        return {"quantity": self.quantity, "factor": self.value, "interval": interval, "word": self.word}


@dataclass(frozen=True)
class RuleConsistency:
    """Whether the sharpness is the same at every size all along training, under one rule.

    Attributes:
        rule: Name of the parametrization or depth rule.
        dial: The dial that changes: "width" or "depth".
        curves: What was measured, smallest size first.
        spreads: Spread of eta times lambda over the compared sizes, by window.
        sharpness_gaps: Distances of the sharpness to that of the largest size, by window.
        loss_gaps: The same of the loss.
        growths: How both gaps change over time: sharpness, loss.
        diverged: Sizes with a run whose loss was not finite, and how many.
        verdict: `consistent`, `inconsistent`, `cannot_tell` or `diverged`.
    """

    rule: str
    dial: str
    curves: tuple[SizeCurves, ...]
    spreads: tuple[Spread, ...]
    sharpness_gaps: tuple[Gap, ...]
    loss_gaps: tuple[Gap, ...]
    growths: tuple[Growth, ...]
    diverged: Mapping[int, int]
    verdict: Verdict

    @property
    def threshold(self) -> float | None:
        """The edge of stability in units of eta times lambda; None where no run has one."""
        found = [t for c in self.curves for row in c.series.get("threshold", ()) for t in row if t == t]
        return found[-1] if found else None

    def raise_if_bad(self) -> None:
        """Raise unless the verdict is `consistent`."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "rule": self.rule,
            "dial": self.dial,
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "threshold": self.threshold,
            "spreads": [spread.to_dict() for spread in self.spreads],
            "sharpness_distances": [gap.to_dict() for gap in self.sharpness_gaps],
            "loss_distances": [gap.to_dict() for gap in self.loss_gaps],
            "growth": {growth.quantity: growth.to_dict() for growth in self.growths},
            "diverged": {str(size): count for size, count in self.diverged.items()},
            "curves": [curves.to_dict() for curves in self.curves],
        }


@dataclass(frozen=True)
class Consistency:
    """A study of Super Consistency of one model family under several rules.

    Attributes:
        name: Name of the study.
        rules: The result per rule, in the order asked for; the first one's verdict is the study's.
        rate: The learning rate at the base, and where it comes from.
        windows: The windows.
        transfers: Learning-rate transfer of the same training by rule; empty where it was not asked for.
        settings: What was run, as names and plain values.
        cells_found: Runs that were finished before.
        cells_run: Runs that this call finished.
        seconds: Wall-clock time of this call.
    """

    name: str
    rules: Mapping[str, RuleConsistency]
    rate: Rate
    windows: tuple[Window, ...]
    transfers: Mapping[str, Transfer]
    settings: Mapping[str, Any]
    cells_found: int
    cells_run: int
    seconds: float

    @property
    def dial(self) -> str:
        """The dial that changes: "width" or "depth"."""
        return next((rule.dial for rule in self.rules.values()), WIDTH)

    @property
    def verdict(self) -> Verdict:
        """The verdict of the first rule; the others are there to be compared with it."""
        return next(iter(self.rules.values())).verdict

    def raise_if_bad(self) -> None:
        """Raise unless the first rule is consistent."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        return {
            "name": self.name,
            "verdict": str(self.verdict.outcome),
            "learning_rate": self.rate.to_dict(),
            "windows": [[window.first, window.last] for window in self.windows],
            "rules": {name: rule.to_dict() for name, rule in self.rules.items()},
            "transfers": {name: transfer.to_dict() for name, transfer in self.transfers.items()},
            "settings": dict(self.settings),
            "cells_found": self.cells_found,
            "cells_run": self.cells_run,
            "seconds": self.seconds,
        }
