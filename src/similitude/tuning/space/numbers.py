"""Dimensions of numbers: logarithmic, logit and linear."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.special import expit

from similitude.core.errors import TuningError
from similitude.tuning.space.dimension import SPAN, Dimension, Role, Value, When, plain

DECADES = 12.0
"""To either side of the center where the user sets no bound: Optuna's distributions must have some."""

_FARTHEST_ODDS, _NEAREST_ODDS = 300.0, 15.0  # powers of ten beyond which a float is 0 or 1


@dataclass(frozen=True)
class Number(Dimension):
    """A dimension of numbers; use `Log`, `Logit` or `Linear`.

    Attributes:
        center: Where the search begins: a cheap configuration that works.
        low: Smallest value; no bound where None.
        high: Largest value; likewise.
        integer: Whether values are whole numbers.
        role: See `Role`.
        scale: How much of the transformed value is one unit; the search takes longer strides where it is larger.
        multiple_of: Whole numbers are multiples of this.
        when: Values of earlier dimensions with which this one is there, e.g. `{"optimizer": "sgd"}` or
            `{"optimizer": ("sgd", "nesterov")}`.

    Raises:
        TuningError: A number is outside the kind's domain, or the center outside the bounds.
    """

    center: float
    _: KW_ONLY
    low: float | None = None
    high: float | None = None
    integer: bool = False
    role: Role = "free"
    scale: float | None = None
    multiple_of: int = 1
    when: When | None = None

    domain: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __post_init__(self) -> None:
        self._check_role()
        least, most = self.domain
        for name in ("center", "low", "high", "scale", "multiple_of"):
            object.__setattr__(self, name, plain(getattr(self, name)))
        if not isinstance(self.integer, bool):
            raise TuningError(f"{self.kind} dimension: integer={self.integer!r} is neither True nor False.")
        for name in ("center", "low", "high", "scale"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise TuningError(f"{self.kind} dimension: {name}={value!r} is no finite number.")
            if name != "scale" and not least < value < most:
                raise TuningError(
                    f"{self.kind} dimension: {name}={value:g} must lie between {least:g} and {most:g}, both excluded"
                    + (f"; leave {name} out for no bound." if name != "center" else ".")
                )
        if self.scale is not None and self.scale <= 0:
            raise TuningError(f"{self.kind} dimension: scale={self.scale:g} must be above 0.")
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= self.center <= high:
            raise TuningError(
                f"{self.kind} dimension: the center {self.center:g} lies outside the bounds {low:g} to {high:g}. The "
                "search begins at the center: choose a cheap one that works."
            )
        whole = isinstance(self.multiple_of, int) and self.multiple_of >= 1
        if self.multiple_of != 1 and not (self.integer and whole):
            raise TuningError(
                f"{self.kind} dimension: multiple_of={self.multiple_of!r} is for whole numbers: integer=True, and a "
                "whole number of at least 1."
            )
        if self.integer and self._whole(low, math.ceil) > self._whole(high, math.floor):
            raise TuningError(
                f"{self.kind} dimension: no multiple of {self.multiple_of} lies between {low:g} and {high:g}."
            )

    @property
    def first(self) -> Value:
        """The center, or the nearest value that the dimension can have."""
        return self.admissible(self.center)

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds in units."""
        low = -math.inf if self.low is None else self.to_unit(self.low)
        high = math.inf if self.high is None else self.to_unit(self.high)
        return low, high

    def to_unit(self, value: Any) -> float:
        """Return the coordinate of a value."""
        (least, most), value = self.domain, plain(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least < value < most:
            raise TuningError(
                f"{value!r} is no value of a {self.kind} dimension: a number between {least:g} and {most:g} is, both "
                "excluded."
            )
        return float(self._apart(np.array(value, float))) / self._unit()

    def from_unit(self, unit: float) -> Value:
        """Return the value nearest to a coordinate, within the bounds."""
        value = self._nearest(np.array(unit, float))
        return int(value) if self.integer else float(value)

    def snapped(self, units: np.ndarray) -> np.ndarray:
        """Return the coordinates of the values nearest to some coordinates."""
        return self._apart(self._nearest(units)) / self._unit()

    def reach(self, units: np.ndarray) -> np.ndarray:
        """Return how far it is from coordinates to the nearest other whole number, in units; 0 where values are dense."""
        if not self.integer:
            return np.zeros_like(units)
        here, (least, most) = self._nearest(units), self._ends()
        apart = np.full_like(here, np.inf)
        for step in (-self.multiple_of, self.multiple_of):
            there = np.clip(here + step, least, most)
            far = np.abs(self._apart(there) / self._unit() - units)
            apart = np.where(there == here + step, np.minimum(apart, far), apart)
        return np.where(np.isinf(apart), 0.0, apart)

    def distribution(self) -> BaseDistribution:
        """Return the dimension as Optuna knows it; 12 decades to either side where there is no bound."""
        low, high = self._outermost()
        if self.integer:
            low, high = int(self._whole(low, math.ceil)), int(self._whole(high, math.floor))
            return IntDistribution(low, high, log=self.kind == "log")
        return FloatDistribution(low, high, log=self.kind == "log")

    def _nearest(self, units: np.ndarray) -> np.ndarray:
        """Return the values nearest to coordinates, as floats."""
        least, most = self._ends()
        with np.errstate(over="ignore"):
            values = self._moved(units * self._unit())
        if self.integer:
            values = np.round(values / self.multiple_of) * self.multiple_of
        return np.clip(values, least, most)

    def _ends(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if self.integer:
            return self._whole(low, math.ceil), self._whole(high, math.floor)
        return low, high

    def _whole(self, bound: float, rounded: Any) -> float:
        """Return the outermost multiple within a bound; a positive one where the domain is."""
        if math.isinf(bound):
            return self.multiple_of if bound < 0 <= self.domain[0] else bound
        return max(rounded(bound / self.multiple_of) * self.multiple_of, self._whole(-math.inf, rounded))

    @abstractmethod
    def _apart(self, values: np.ndarray) -> np.ndarray:
        """Return the transformed values minus the transformed center."""

    @abstractmethod
    def _moved(self, apart: np.ndarray) -> np.ndarray:
        """Return the values whose transforms are this far from the center's."""

    @abstractmethod
    def _outermost(self) -> tuple[float, float]:
        """Return the bounds, or finite ones far away."""

    def _unit(self) -> float:
        return 1.0 if self.scale is None else self.scale


@dataclass(frozen=True)
class Log(Number):
    """A positive number whose logarithm matters: learning rates, widths, numbers of tokens. One unit is a decade.

    Example:
        >>> Log(3e-3).from_unit(1.0), Log(256, integer=True, multiple_of=64).from_unit(0.1)
        (0.03, 320)
    """

    kind: ClassVar[str] = "log"
    domain: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def _apart(self, values: np.ndarray) -> np.ndarray:
        return np.log10(values / self.center)

    def _moved(self, apart: np.ndarray) -> np.ndarray:
        return self.center * 10.0**apart

    def _outermost(self) -> tuple[float, float]:
        far = 10.0 ** (DECADES / (2 if self.integer else 1))  # whole numbers stay exact as floats
        low = min(max(self.center / far, 1e-300), self.center) if self.low is None else self.low
        return low, max(min(self.center * far, 1e300), self.center) if self.high is None else self.high


@dataclass(frozen=True)
class Logit(Number):
    """A number between 0 and 1 whose odds matter: dropout, momentum, discounts. One unit is a factor of 10 in the odds.

    Example:
        >>> round(Logit(0.9).to_unit(0.99), 4)
        1.0414
    """

    kind: ClassVar[str] = "logit"
    domain: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.integer:
            raise TuningError("logit dimension: there is no whole number between 0 and 1; leave integer out.")

    def _apart(self, values: np.ndarray) -> np.ndarray:
        return np.log10(values / (1 - values)) - _odds(self.center)

    def _moved(self, apart: np.ndarray) -> np.ndarray:
        odds = np.clip(apart + _odds(self.center), -_FARTHEST_ODDS, _NEAREST_ODDS)
        return np.where(apart == 0, self.center, expit(math.log(10) * odds))

    def _outermost(self) -> tuple[float, float]:
        center = _odds(self.center)
        odds = max(center - DECADES, -_FARTHEST_ODDS), min(center + DECADES, _NEAREST_ODDS)
        far = [float(expit(math.log(10) * o)) for o in odds]
        return far[0] if self.low is None else self.low, far[1] if self.high is None else self.high


@dataclass(frozen=True)
class Linear(Number):
    """A number whose differences matter. A third of the range between the bounds is one unit.

    Without bounds it is the size of the center; where that is 0 give `scale`.

    Example:
        >>> Linear(2, low=1, high=10, integer=True).from_unit(1.0)
        5
    """

    kind: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale is None and self.center == 0 and (self.low is None or self.high is None):
            raise TuningError(
                "linear dimension: without both bounds the size of the center is a unit, and the center is 0. Give "
                "low and high, or scale: how much of it is a step that matters."
            )

    def _unit(self) -> float:
        if self.scale is not None:
            return self.scale
        if self.low is not None and self.high is not None and self.high > self.low:
            return (self.high - self.low) / SPAN
        return abs(self.center) or 1.0

    def _apart(self, values: np.ndarray) -> np.ndarray:
        return values - self.center

    def _moved(self, apart: np.ndarray) -> np.ndarray:
        return self.center + apart

    def _outermost(self) -> tuple[float, float]:
        far = self._unit() * 10.0 ** (DECADES / 2)
        low = self.center - far if self.low is None else self.low
        return low, self.center + far if self.high is None else self.high


def _odds(value: float) -> float:
    return math.log10(value / (1 - value))
