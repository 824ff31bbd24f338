"""What a forecast holds: each hyperparameter at the target by transfer and by fit, its backtest, the next run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from similitude.core.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number.
        low: Lower end of its interval; minus infinity (or 0 for a positive quantity) where nothing bounds it.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high

    def holds(self, value: float) -> bool:
        """Whether the interval holds a value."""
        return self.low <= value <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"value": self.value, "interval": [self.low, self.high]}


@dataclass(frozen=True)
class NextRun:
    """The cheapest further runs that would halve an interval.

    Attributes:
        size: The value of the dial to train at, or the number of further trials of a tuning study (then `dial` is
            "trials").
        dial: The dial that changes.
        seeds: Seeds that the size then has, those that it has now included.
        runs: Training runs to make.
        cost: Their estimated work, in training runs of the study's largest size (or in the study's unit of cost).
        octaves: Predicted length of the interval afterwards, in octaves.
        options: The options of the command that makes them.
    """

    size: int
    dial: str
    seeds: int
    runs: int
    cost: float
    octaves: float
    options: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Backtest:
    """A forecast of the largest measured size from the smaller ones, against what was measured there.

    Attributes:
        at: The dials that were held out.
        measured: What was found there.
        transfer_error: log2 of the transferred over the measured value, in octaves, with the interval of the difference.
        fit_error: The same of the fitted value; None where fewer than two sizes are left to fit.
        transfer_cost: Loss at the transferred value above the best one there, relative to it; None where it is unknown.
        fit_cost: The same at the fitted value.
    """

    at: Mapping[str, float]
    measured: Estimate
    transfer_error: Estimate
    fit_error: Estimate | None
    transfer_cost: float | None
    fit_cost: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "at": dict(self.at),
            "measured": self.measured.to_dict(),
            "transfer_error_octaves": self.transfer_error.to_dict(),
            "fit_error_octaves": None if self.fit_error is None else self.fit_error.to_dict(),
            "transfer_cost": self.transfer_cost,
            "fit_cost": self.fit_cost,
        }


@dataclass(frozen=True)
class Point:
    """What was measured at one size: the value of the dial, and the best hyperparameter (or the best loss) there."""

    x: float
    best: Estimate


@dataclass(frozen=True)
class Forecasted:
    """One hyperparameter at the target.

    Attributes:
        name: Its name, e.g. "lr".
        transferred: The value of the base, which a plan keeps at every size, with the interval of that optimum.
        fitted: The value that the optima of the measured sizes point to, on a power law of the dial.
        exponent: Power of the dial that the law has; 0 means that the value stays.
        difference: log2 of the fitted over the transferred value, in octaves.
        backtest: The same forecast made for the largest measured size, where there are sizes enough.
        next_run: The cheapest further runs that would halve the interval of `fitted`; None where none was found.
        verdict: `transfers` (both agree), `shifts` (they do not), `cannot_tell`, or why there is no forecast.
        points: The optima that were fitted.
    """

    name: str
    transferred: Estimate | None
    fitted: Estimate | None
    exponent: Estimate | None
    difference: Estimate | None
    backtest: Backtest | None
    next_run: NextRun | None
    verdict: Verdict
    points: tuple[Point, ...] = ()

    @property
    def best(self) -> Estimate | None:
        """The value to use: the fitted one where the optimum is seen to shift, else the transferred one."""
        return self.fitted if self.verdict.outcome is Outcome.SHIFTS else self.transferred

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "use": None if self.best is None else self.best.value,
            "by_transfer": _plain(self.transferred),
            "by_fit": _plain(self.fitted),
            "exponent": _plain(self.exponent),
            "difference_octaves": _plain(self.difference),
            "agree": self.verdict.ok,
            "backtest": _plain(self.backtest),
            "next_run": _plain(self.next_run),
            "verdict": str(self.verdict.outcome),
            "verdict_details": self.verdict.to_dict(),
            "points": [{"x": point.x, **point.best.to_dict()} for point in self.points],
        }


@dataclass(frozen=True)
class Forecast:
    """What hyperparameters and what loss to expect at a target size.

    Attributes:
        name: Name of the study.
        rule: The parametrization (or depth rule) that the study was read under; empty for a tuning study.
        dial: The dial that the law is in: "width", "depth", or "cost" for a tuning study.
        to: The target: every dial that was named.
        at: The target's value of `dial`.
        values: The forecast of each hyperparameter, by name.
        loss: Expected loss at the best value, with its interval; None where none can be told.
        losses: The smallest mean loss of every measured size, with two standard errors to either side.
        loss_backtest: Expected and measured loss of the largest measured size, from the smaller ones.
        notes: What is to be known and the numbers cannot say.
        settings: What was run, as names and plain values.
        level: Probability of the intervals.
    """

    name: str
    rule: str
    dial: str
    to: Mapping[str, float]
    at: float
    values: Mapping[str, Forecasted]
    loss: Estimate | None
    losses: tuple[Point, ...]
    loss_backtest: tuple[Estimate, float] | None
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    level: float

    @property
    def verdict(self) -> Verdict:
        """The verdict of the hyperparameter that fares worst: a shift first, then what is undecided."""
        verdicts = [value.verdict for value in self.values.values()]
        return max(
            verdicts, key=lambda verdict: (not verdict.ok) + (not verdict.ok and not verdict.undecided)
        )

    def raise_if_bad(self) -> None:
        """Raise unless every hyperparameter transfers to the target.

        Raises:
            BadVerdictError: One shifts.
            NotEnoughEvidenceError: One cannot be told yet.
        """
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON. `verdict` is the outcome's name."""
        held_out = self.loss_backtest
        return {
            "name": self.name,
            "rule": self.rule,
            "dial": self.dial,
            "to": dict(self.to),
            "at": self.at,
            "verdict": str(self.verdict.outcome),
            "values": {name: value.to_dict() for name, value in self.values.items()},
            "loss": _plain(self.loss),
            "losses": [{"x": point.x, **point.best.to_dict()} for point in self.losses],
            "loss_backtest": None
            if held_out is None
            else {"expected": held_out[0].to_dict(), "measured": held_out[1]},
            "notes": list(self.notes),
            "settings": dict(self.settings),
            "level": self.level,
        }


def octaves_between(estimate: Estimate) -> float:
    """Return the length of the interval of a positive quantity in octaves.

    Example:
        >>> octaves_between(Estimate(2.0, 1.0, 4.0))
        2.0
    """
    return math.inf if estimate.low <= 0 else math.log2(estimate.high / estimate.low)


def _plain(value: Any) -> Any:
    return None if value is None else value.to_dict()
