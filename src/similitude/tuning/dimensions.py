"""Dimensions of a search space: how a hyperparameter's values lie in the units in which the search takes its steps.

A unit is a step that matters: a decade of a logarithmic dimension, a factor of 10 in the odds of a logit one. The search
begins at the center, which is 0 in units, so that a change of the user's units changes nothing (paper 10, Section 3).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, MISSING, dataclass, fields
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy.special import expit

from similitude.core.errors import TuningError

Role = Literal["scale", "transfer", "free"]
"""`scale`: what is made larger (width, depth, tokens); `transfer`: what should stay as it is meanwhile, as the learning
rate under muP; `free`: anything else."""

Value = float | int | str | bool | None
When = Mapping[str, Value | tuple[Value, ...]]

DECADES = 12.0
"""To either side of the center where the user sets no bound: Optuna's distributions must have some."""

_FARTHEST_ODDS, _NEAREST_ODDS = 300.0, 15.0  # powers of ten beyond which a float is 0 or 1

SPAN = 3.0
"""Units between the bounds of a linear dimension, and between the ends of an ordered one."""


class Dimension(ABC):
    """One hyperparameter: its values, where the search begins, its role, and when it is there at all.

    Attributes:
        kind: Its name in files.
        role: See `Role`.
        when: Values of earlier dimensions with which it is there; always where None.
    """

    kind: ClassVar[str]
    role: Role
    when: When | None

    @property
    def categorical(self) -> bool:
        """Whether values have no order, so that their units are only names."""
        return False

    @property
    @abstractmethod
    def first(self) -> Value:
        """The value at which the search begins."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Bounds in units; infinite where there are none."""

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Return the coordinate of a value.

        Raises:
            TuningError: The dimension cannot have such a value.
        """

    @abstractmethod
    def from_unit(self, unit: float) -> Value:
        """Return the value nearest to a coordinate that the dimension can have."""

    @abstractmethod
    def distribution(self) -> BaseDistribution:
        """Return the dimension as Optuna knows it, with finite bounds."""

    @abstractmethod
    def snapped(self, units: np.ndarray) -> np.ndarray:
        """Return the coordinates of the values nearest to some coordinates, shape as given."""

    def admissible(self, value: Any) -> Value:
        """Return the nearest value that the dimension can have."""
        return self.from_unit(self.to_unit(value))

    def reach(self, units: np.ndarray) -> np.ndarray:
        """Return how far it is from coordinates to the nearest other value, in units; 0 where values are dense."""
        return np.zeros_like(units)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON and TOML; see `dimension_from_dict`."""
        given: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(cast("Any", self))
            if f.default is MISSING or getattr(self, f.name) != f.default
        }
        if given.get("when"):
            given["when"] = {
                name: list(v) if isinstance(v, tuple) else v for name, v in given["when"].items()
            }
        if "values" in given:
            given["values"] = list(given["values"])
        return {"kind": self.kind, **given}

    def _check_role(self) -> None:
        if self.role not in get_args(Role):
            raise TuningError(f"role={self.role!r}: the roles are {', '.join(map(repr, get_args(Role)))}.")
        if self.when is not None and not isinstance(self.when, Mapping):
            raise TuningError(
                f'when={self.when!r}: say when the dimension is there, e.g. when={{"optimizer": "sgd"}}.'
            )


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
        if self.multiple_of != 1 and not (self.integer and self.multiple_of >= 1):
            raise TuningError(
                f"{self.kind} dimension: multiple_of={self.multiple_of!r} is for whole numbers: integer=True, and a "
                "multiple of at least 1."
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
        least, most = self.domain
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
        low = max(self.center / far, 1e-300) if self.low is None else self.low
        return low, min(self.center * far, 1e300) if self.high is None else self.high


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


@dataclass(frozen=True, init=False)
class Choice(Dimension):
    """One of several values. The search begins with the first, or with `center`.

    Attributes:
        values: Strings, numbers, True, False or None; at least one, no two alike.
        role: See `Role`.
        ordered: Whether neighbours in the list are alike (an ordinal dimension: `Choice(16, 32, 64, ordered=True)`).
        center: The value that the search begins with.
        when: As for numbers.

    Raises:
        TuningError: There are no values, two are alike, or one is of another type.

    Example:
        >>> act = Choice("relu", "gelu")
        >>> act.first, act.from_unit(1.0)
        ('relu', 'gelu')
    """

    kind: ClassVar[str] = "choice"

    values: tuple[Value, ...]
    role: Role = "free"
    ordered: bool = False
    center: Value = None
    when: When | None = None

    def __init__(
        self,
        *values: Value,
        role: Role = "free",
        ordered: bool = False,
        center: Value = None,
        when: When | None = None,
    ) -> None:
        for name, given in (
            ("values", values),
            ("role", role),
            ("ordered", ordered),
            ("center", center),
            ("when", when),
        ):
            object.__setattr__(self, name, given)
        self._check_role()
        if not values:
            raise TuningError('A choice needs at least one value, e.g. Choice("relu", "gelu").')
        for value in values:
            if not isinstance(value, str | int | float | bool | None):
                raise TuningError(
                    f"{value!r} cannot be a choice: Optuna stores strings, numbers, True, False and None. Choose by a "
                    "name, and look the object up in your objective."
                )
        if len({(type(value), value) for value in values}) < len(values):
            raise TuningError(f"The choices {values} are not all different.")
        if center is not None and center not in values:
            raise TuningError(f"center={center!r} is none of the choices {values}.")

    @property
    def categorical(self) -> bool:
        """Whether the values have no order."""
        return not self.ordered

    @property
    def first(self) -> Value:
        """The value that the search begins with."""
        return self.values[0] if self.center is None else self.center

    @property
    def bounds(self) -> tuple[float, float]:
        """Coordinates of the first and the last value."""
        return self._coordinate(0), self._coordinate(len(self.values) - 1)

    def to_unit(self, value: Any) -> float:
        """Return the coordinate of a value: its place in the list, counted from the value that the search begins with."""
        if value not in self.values:
            raise TuningError(f"{value!r} is none of the choices {self.values}.")
        return self._coordinate(self._place(value))

    def from_unit(self, unit: float) -> Value:
        """Return the value at the nearest place."""
        place = round(unit / self._spacing()) + self._place(self.first)
        return self.values[min(max(place, 0), len(self.values) - 1)]

    def snapped(self, units: np.ndarray) -> np.ndarray:
        """Return the coordinates of the values nearest to some coordinates."""
        return np.clip(np.round(units / self._spacing()) * self._spacing(), *self.bounds)

    def reach(self, units: np.ndarray) -> np.ndarray:
        """Return how far it is to the next value, in units."""
        return np.full_like(units, self._spacing() if len(self.values) > 1 else 0.0)

    def distribution(self) -> BaseDistribution:
        """Return the dimension as Optuna knows it."""
        return CategoricalDistribution(self.values)

    def _place(self, value: Value) -> int:
        same = [i for i, v in enumerate(self.values) if v == value and type(v) is type(value)]
        return same[0] if same else self.values.index(value)

    def _coordinate(self, place: int) -> float:
        return (place - self._place(self.first)) * self._spacing()

    def _spacing(self) -> float:
        return min(1.0, SPAN / max(1, len(self.values) - 1)) if self.ordered else 1.0


def dimension_from_dict(data: Mapping[str, Any]) -> Dimension:
    """Read a dimension from plain data, as `Dimension.to_dict` writes and TOML files hold.

    Args:
        data: `kind` (log, logit, linear or choice) and the arguments of that kind.

    Raises:
        TuningError: The kind is none of these, or an argument is not one of the kind's.

    Example:
        >>> dimension_from_dict({"kind": "log", "center": 0.003, "role": "transfer"}).role
        'transfer'
    """
    given = dict(data)
    kind = given.pop("kind", None)
    kinds = {"log": Log, "logit": Logit, "linear": Linear, "choice": Choice}
    if kind not in kinds:
        raise TuningError(f"kind={kind!r}: a dimension is one of {', '.join(kinds)}.")
    known = {f.name for f in fields(kinds[kind])}
    if unknown := sorted(set(given) - known):
        raise TuningError(
            f"{kind} dimension: {', '.join(map(repr, unknown))} is no setting of it; the settings are "
            f"{', '.join(sorted(known))}."
        )
    if isinstance(given.get("when"), Mapping):
        given["when"] = {n: tuple(v) if isinstance(v, list) else v for n, v in given["when"].items()}
    values = given.pop("values", None)
    if kind == "choice":
        return Choice(*(values or ()), **given)
    if "center" not in given:
        raise TuningError(f"{kind} dimension: center is missing; it is where the search begins.")
    return kinds[kind](given.pop("center"), **given)


def _odds(value: float) -> float:
    return math.log10(value / (1 - value))
