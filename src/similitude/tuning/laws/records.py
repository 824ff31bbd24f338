"""What scaling laws say, with 90 % intervals: exponents, the frontier, a predicted configuration, a backtest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.core.verdict import Verdict
from similitude.tuning.space.dimensions import Value


@dataclass(frozen=True)
class Quantity:
    """A number with its 90 % interval.

    Attributes:
        value: The number; NaN where it could not be had.
        low: Lower end; -inf where nothing bounds it.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    @property
    def width(self) -> float:
        """Width of the interval."""
        return self.high - self.low

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; numbers that are not finite are None."""
        return {name: _finite(getattr(self, name)) for name in ("value", "low", "high")}


@dataclass(frozen=True)
class Exponent(Quantity):
    """How a hyperparameter goes with the cost along the frontier.

    Attributes:
        unit: "power of the cost" where the value goes as C^exponent; else what the slope is, e.g. "per decade of cost".
        role: Role of the dimension.
        identified: Whether the trials can tell: the dimension varied.
    """

    unit: str = "power of the cost"
    role: str = "free"
    identified: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; numbers that are not finite are None."""
        return super().to_dict() | {"unit": self.unit, "role": self.role, "identified": self.identified}


@dataclass(frozen=True)
class Frontier:
    """The best loss at a cost C: L(C) = E + A C^-k.

    Where values are maximized it is value(C) = E - A C^-k.

    Attributes:
        limit: E, the value at infinite cost.
        amplitude: A, at cost 1.
        power: k.
        reference: A cost in the middle of the trials.
        at_reference: A reference^-k, how far the value there is from its limit.
        minimize: Whether small values are good.
        identified: Whether the trials tell E: its interval is narrower than what is left to gain at the dearest trial.
    """

    limit: Quantity
    amplitude: Quantity
    power: Quantity
    reference: float
    at_reference: Quantity
    minimize: bool
    identified: bool

    def __str__(self) -> str:
        sign = "+" if self.minimize else "-"
        return f"E {sign} A C^-k with E = {self.limit}, A = {self.amplitude}, k = {self.power}"

    def value(self, cost: float) -> float:
        """Return the best value at a cost.

        Example:
            >>> one = Quantity(1.0, 0.9, 1.1)
            >>> Frontier(one, one, Quantity(0.5, 0.4, 0.6), 1.0, one, True, True).value(100.0)
            1.1
        """
        left = self.at_reference.value * (cost / self.reference) ** -self.power.value
        return self.limit.value + (left if self.minimize else -left)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "limit": self.limit.to_dict(),
            "amplitude": self.amplitude.to_dict(),
            "power": self.power.to_dict(),
            "reference": self.reference,
            "at_reference": self.at_reference.to_dict(),
            "minimize": self.minimize,
            "identified": self.identified,
        }


@dataclass(frozen=True)
class Prediction:
    """The best configuration at a cost and what it should give.

    Attributes:
        cost: The cost.
        values: The configuration, each value rounded to one that its dimension can have, within its bounds.
        intervals: 90 % interval of each ordered value, neither rounded nor held within bounds.
        value: The expected objective of one trial, without its noise.
        decades: How many decades of cost it is beyond the dearest trial (or below the cheapest, negative); 0 within.
        notes: What to keep in mind.
    """

    cost: float
    values: Mapping[str, Value]
    intervals: Mapping[str, tuple[float, float]]
    value: Quantity
    decades: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "cost": self.cost,
            "values": dict(self.values),
            "intervals": {name: [_finite(end) for end in ends] for name, ends in self.intervals.items()},
            "value": self.value.to_dict(),
            "decades": self.decades,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Split:
    """How the compute goes to the dimensions of role `scale`: cost ~ product x_i^g_i with x_i ~ C^a_i.

    Attributes:
        exponents: a_i by name.
        cost_powers: g_i by name: which power of the dimension the cost is.
        total: Sum of g_i a_i over everything that costs something; 1 where the frontier is a line of the cost.
    """

    exponents: Mapping[str, Exponent]
    cost_powers: Mapping[str, float]
    total: Quantity

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "exponents": {name: e.to_dict() for name, e in self.exponents.items()},
            "cost_powers": dict(self.cost_powers),
            "total": self.total.to_dict(),
        }


@dataclass(frozen=True)
class Backtest:
    """What the laws of the cheaper trials said about the dearest decade, against what all trials say.

    Attributes:
        below: Trials up to this cost were kept.
        kept: Number of them.
        held_out: Number of dearer ones.
        cost: The cost at which is compared: that of the dearest trial.
        predicted: What the cheaper trials say about the value there.
        found: What all trials say.
        best_seen: The best value of the trials that were held out: luck is in it.
        steps: By name, by how many steps (decades) the predicted configuration is off that of all trials.
        exponents: Exponents of the cheaper trials by name.
        verdict: `ok` where the interval holds what was found, `inconsistent`, or `too_noisy` where it says little.
    """

    below: float
    kept: int
    held_out: int
    cost: float
    predicted: Quantity
    found: Quantity
    best_seen: float
    steps: Mapping[str, float]
    exponents: Mapping[str, Exponent] = field(repr=False)
    verdict: Verdict = field(repr=False)

    @property
    def error(self) -> float:
        """Predicted minus found value."""
        return self.predicted.value - self.found.value

    def raise_if_bad(self) -> None:
        """Raise unless the prediction was right."""
        self.verdict.raise_if_bad()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "below": self.below,
            "kept": self.kept,
            "held_out": self.held_out,
            "cost": self.cost,
            "predicted": self.predicted.to_dict(),
            "found": self.found.to_dict(),
            "best_seen": self.best_seen,
            "error": self.error,
            "steps": dict(self.steps),
            "exponents": {name: e.to_dict() for name, e in self.exponents.items()},
            "verdict": self.verdict.to_dict(),
        }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
