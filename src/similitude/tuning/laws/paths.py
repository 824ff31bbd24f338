"""Lines along the cost frontier: what every estimator returns, one line per dimension and a loss, of every resample."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from similitude.tuning.laws.data import LawData
from similitude.tuning.laws.records import Quantity

LEVEL = 0.9
"""Probability of the intervals."""

LEVELS = 9
"""Costs along the frontier at which an optimum is found."""


@dataclass(frozen=True)
class Paths:
    """The best configuration as a line in log10 cost, of b resamples; the first is that of the trials as they are.

    Coordinate j at cost C is `middles[:, j] + slopes[:, j] (log10 C - reference)`, the loss `floor + amplitude
    (C / 10^reference)^-power`. Rows of resamples that could not be fitted hold NaN.

    Attributes:
        reference: log10 of the cost in the middle.
        middles: Shape (b, d).
        slopes: Shape (b, d).
        floor: Loss at infinite cost, shape (b,).
        amplitude: Loss above the floor at the reference, shape (b,).
        power: Shape (b,).
        chosen: The best level of each choice without order, shape (b, h).
        widening: By what the spread of the resamples is multiplied for an interval; infinite where the trials tell
            nothing, however much resamples agree.
    """

    reference: float
    middles: np.ndarray
    slopes: np.ndarray
    floor: np.ndarray
    amplitude: np.ndarray
    power: np.ndarray
    chosen: np.ndarray
    widening: float = 1.0

    def coordinates(self, log_cost: float) -> np.ndarray:
        """Return the best configurations at a cost; shape (b, d)."""
        return self.middles + self.slopes * (log_cost - self.reference)

    def losses(self, log_cost: float) -> np.ndarray:
        """Return the losses of the frontier at a cost; shape (b,)."""
        return self.floor + self.amplitude * 10.0 ** (-self.power * (log_cost - self.reference))

    def first(self, count: int) -> Paths:
        """Return the lines of the first resamples."""
        parts = ("middles", "slopes", "floor", "amplitude", "power", "chosen")
        return replace(self, **{name: getattr(self, name)[:count] for name in parts})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; NaN is written as None."""
        widening = self.widening if np.isfinite(self.widening) else None
        return {"reference": self.reference, "widening": widening} | {
            name: _plain(getattr(self, name))
            for name in ("middles", "slopes", "floor", "amplitude", "power", "chosen")
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Paths:
        """Read what `to_dict` wrote."""
        slopes = np.array(data["slopes"], float)
        return cls(
            reference=data["reference"],
            middles=np.array(data["middles"], float),
            slopes=slopes,
            floor=np.array(data["floor"], float),
            amplitude=np.array(data["amplitude"], float),
            power=np.array(data["power"], float),
            chosen=np.array(data["chosen"], int).reshape(len(slopes), -1),
            widening=np.inf if data["widening"] is None else data["widening"],
        )

    def interval(self, values: np.ndarray) -> tuple[float, float, float]:
        """Return a quantity of the trials as they are and its 90 % interval over the resamples.

        Args:
            values: The quantity in every resample, shape (b,), the first that of the trials as they are.

        Returns:
            Value, lower and upper end. The ends are infinite where fewer than half of the resamples have the quantity, or
            where the trials tell nothing.
        """
        value, drawn = float(values[0]), values[1:][np.isfinite(values[1:])]
        if not np.isfinite(value):
            return float("nan"), -np.inf, np.inf
        if 2 * len(drawn) < len(values) - 1 or not np.isfinite(self.widening):
            return value, -np.inf, np.inf
        low, middle, high = np.quantile(drawn, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
        return (
            value,
            value - self.widening * float(middle - low),
            value + self.widening * float(high - middle),
        )

    def quantity(self, values: np.ndarray, *, least: float = -np.inf) -> Quantity:
        """Return the same as a `Quantity`, its interval held above what is possible.

        Args:
            values: The quantity in every resample, shape (b,).
            least: The smallest possible value.
        """
        value, low, high = self.interval(values)
        return Quantity(value, max(low, least), high)


def _plain(array: np.ndarray) -> list[Any]:
    if array.dtype.kind != "f":
        return array.tolist()
    plain = array.astype(object)
    plain[~np.isfinite(array)] = None
    return plain.tolist()


def cost_levels(data: LawData) -> np.ndarray:
    """Return log10 of the costs at which the frontier is looked at, from cheap to dear; shape (9,)."""
    low, high = np.quantile(data.log_costs, [0.05, 0.95])
    return np.linspace(low, high, LEVELS)


def lines(
    levels: np.ndarray, optima: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a line through optima at several costs by least squares.

    Args:
        levels: log10 costs minus their reference, shape (m,).
        optima: Shape (b, m, d).
        weights: Of every optimum, shape (b, m); equal where None.

    Returns:
        Values at the reference and slopes, both of shape (b, d); NaN where the weights leave fewer than two costs.
    """
    weights = np.ones(optima.shape[:2]) if weights is None else weights
    total = weights.sum(1, keepdims=True)
    center = (weights @ levels)[:, None] / total
    apart = levels - center
    spread = (weights * apart**2).sum(1)[:, None]
    middle = (weights[:, :, None] * optima).sum(1) / total
    with np.errstate(invalid="ignore", divide="ignore"):
        slopes = ((weights * apart)[:, :, None] * optima).sum(1) / np.where(spread > 1e-9, spread, np.nan)
    return middle - slopes * center, slopes
