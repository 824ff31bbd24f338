"""Factors of a study: what was varied from scene to scene, as numbers or as names, and how numbers are binned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from similitude.core.errors import SceneError
from similitude.evaluation.rows import Row

OBJECT_FACTOR = "object"
"""Name of the factor that a row's task is the value of."""

BINS = 5
"""Bins of a factor with numbers, where nothing else is asked for."""

FEW = 10
"""A factor with numbers that has at most so many different ones is shown value by value."""


@dataclass(frozen=True)
class Factor:
    """What was varied.

    Attributes:
        name: "instance.setting", "object" or "environment".
        values: Its value in each row, floats where `numeric`, text otherwise; None where a row has none.
        numeric: Whether its values are numbers.
    """

    name: str
    values: tuple[float | str | None, ...]
    numeric: bool

    @property
    def numbers(self) -> np.ndarray:
        """Its values as float64, shape (rows,); nan where a row has none. Of names, the place in alphabetical order."""
        if self.numeric:
            return np.array([math.nan if value is None else value for value in self.values], dtype=float)
        places = {name: float(place) for place, name in enumerate(self.names)}
        return np.array([math.nan if value is None else places[str(value)] for value in self.values])

    @property
    def names(self) -> tuple[str, ...]:
        """Different values as text, in order."""
        if self.numeric:
            return tuple(f"{value:.4g}" for value in np.unique(self.numbers[np.isfinite(self.numbers)]))
        return tuple(sorted({str(value) for value in self.values if value is not None}))

    @property
    def by_value(self) -> bool:
        """Whether it is shown value by value: it has names, or few different numbers."""
        return not self.numeric or len(self.names) <= FEW


@dataclass(frozen=True)
class Bin:
    """Scenes that are taken together.

    Attributes:
        name: The value, or the ends of the range.
        low: Least number; nan for names.
        high: Greatest number; nan for names.
        places: Places of its rows.
    """

    name: str
    low: float
    high: float
    places: tuple[int, ...]


VISIBLE = "visible"
"""Metric of a row: share of the picture's pixels that show the object."""


def unseen(row: Row) -> bool:
    """Whether nothing of the object was in the picture, so that its answer is neither right nor wrong.

    Rows that do not say how much was seen count as before.

    Example:
        >>> [unseen(Row("scenes", "mug", "m", 0.0, metrics=m)) for m in ({"visible": 0.0}, {"visible": 0.1}, {})]
        [True, False, False]
    """
    return bool(row.metrics.get(VISIBLE) == 0)


def counted(rows: Iterable[Row]) -> list[Row]:
    """Return the rows that count in shares and means: those with a score whose picture shows something of the object."""
    return [row for row in rows if not row.failed and not unseen(row)]


def judged(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of one model that count (`counted`).

    Raises:
        SceneError: There are none, or they are of several models.
    """
    given = list(rows)
    found = counted(given)
    if not found and any(unseen(row) for row in given):
        raise SceneError(
            "no scene shows anything of its object, so nothing can be said. Change the camera, the place in the frame or "
            "what hides it."
        )
    if not found:
        raise SceneError(
            "no scene has a score, so nothing can be said. Look at what failed, or run the study first."
        )
    if len(models := sorted({row.subject for row in found})) > 1:
        raise SceneError(
            f"these are answers of {len(models)} models ({', '.join(models)}), and what one does would hide what another "
            "does. Pass the rows of one, or compare two with `compare`."
        )
    return found


def factors_of(rows: Sequence[Row]) -> dict[str, Factor]:
    """Return everything that differs between scenes, by name, in the order of the first row.

    Example:
        >>> rows = [Row("scenes", "mug", "m", 1.0, {"scale.factor": x, "environment": "studio"}) for x in (0.5, 1.0)]
        >>> list(factors_of(rows)), factors_of(rows)["scale.factor"].numeric
        (['scale.factor'], True)
    """
    names = list(dict.fromkeys([OBJECT_FACTOR, *(name for row in rows for name in row.params)]))
    found = {}
    for name in names:
        values = [row.task if name == OBJECT_FACTOR else row.params.get(name) for row in rows]
        if len({str(value) for value in values}) < 2:
            continue
        given = [value for value in values if value is not None]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)
        kept = [
            None if value is None else float(value) if numeric else str(value)  # pyright: ignore[reportArgumentType]
            for value in values
        ]
        found[name] = Factor(name, tuple(kept), numeric)
    return found


def factor_named(rows: Sequence[Row], name: str) -> Factor:
    """Return a factor.

    Raises:
        SceneError: It does not differ between these scenes; those that do are named.
    """
    known = factors_of(rows)
    if name not in known:
        raise SceneError(
            f"'{name}' does not differ between these {len(rows)} scenes. What does: "
            f"{', '.join(known) or 'nothing; give a control a range'}."
        )
    return known[name]


def bins_of(factor: Factor, count: int = BINS) -> list[Bin]:
    """Return the values of a factor, or bins that hold equally many scenes where it has many different numbers.

    Equal numbers are never parted, so bins of numbers that repeat hold about equally many.

    Raises:
        SceneError: Fewer than one bin is asked for.

    Example:
        >>> [(one.name, len(one.places)) for one in bins_of(Factor("x", tuple(map(float, range(20))), True), 2)]
        [('0 to 9', 10), ('10 to 19', 10)]
    """
    if count < 1:
        raise SceneError(f"{count} bins: give at least one.")
    numbers = factor.numbers
    if factor.by_value:
        return [
            _bin(name, numbers == value, factor)
            for name, value in zip(factor.names, _uniques(numbers), strict=True)
        ]
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, count) / count, method="higher"))
    which = np.searchsorted(edges, numbers, side="right")
    out = []
    for place in np.unique(which[np.isfinite(numbers)]):
        mine = (which == place) & np.isfinite(numbers)
        name = f"{numbers[mine].min():.3g} to {numbers[mine].max():.3g}"
        out.append(_bin(name, mine, factor))
    return out


def _uniques(numbers: np.ndarray) -> np.ndarray:
    return np.unique(numbers[np.isfinite(numbers)])


def _bin(name: str, mine: np.ndarray, factor: Factor) -> Bin:
    places = tuple(int(place) for place in np.flatnonzero(mine))
    inside = factor.numbers[mine] if factor.numeric else np.array([math.nan])
    return Bin(name, float(inside.min()), float(inside.max()), places)
