"""Charts as plain data: what a figure of a paper shows, measured anew; the report package draws them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from similitude.core.plain import finite, number

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["points", "line", "joined", "guide"]
Scale = Literal["linear", "log", "log2"]


@dataclass(frozen=True)
class Series:
    """One set of marks or one line of a chart.

    Attributes:
        label: Its name in the legend. Series of one label have one colour, and one entry: what was measured and its
            theory.
        x: Places, as many as `y`; a tuple once it is made.
        y: Values; nan or inf leaves a gap.
        intervals: 95 % intervals of the values, one each, or None where a value has none; empty where none has.
        kind: "points" for what was measured, "line" for theory, "joined" for measured points with a line from one to
            the next, "guide" for a muted line to compare slopes with.

    Raises:
        ValueError: There are not as many values or intervals as places, or the kind is unknown.

    Example:
        >>> Series("theory", [1, 2], [1.0, 0.5], kind="line").y
        (1.0, 0.5)
    """

    label: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    intervals: Sequence[tuple[float, float] | None] = ()
    kind: Kind = "points"

    def __post_init__(self) -> None:
        for name in ("x", "y"):
            object.__setattr__(self, name, _floats(getattr(self, name)))
        ends = tuple(None if pair is None else (number(pair[0]), number(pair[1])) for pair in self.intervals)
        object.__setattr__(self, "intervals", ends)
        if len(self.x) != len(self.y) or len(ends) not in (0, len(self.x)):
            raise ValueError(
                f"series {self.label!r} has {len(self.x)} places, {len(self.y)} values and {len(ends)} intervals: give "
                "as many values as places, and as many intervals or none."
            )
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"series {self.label!r} is of kind {self.kind!r}: choose one of {get_args(Kind)}."
            )


@dataclass(frozen=True)
class Chart:
    """A figure of a paper redrawn from measurements, as plain data.

    Attributes:
        title: What is drawn, e.g. "Test error against samples".
        x: Name of the horizontal axis, with its unit.
        y: Name of the vertical axis, with its unit.
        series: What is drawn, in the order of the legend; one without points is left out, a chart without any too.
        look_for: How to read it: what the paper says one sees, and what would speak against it.
        source: Where the paper shows or says it, e.g. "Figure 2" or "Section 5"; empty where it does not.
        x_scale: Scale of the horizontal axis.
        y_scale: Scale of the vertical axis, "linear" or "log".
        levels: Horizontal lines to compare with, by name.
        places: Vertical lines to compare with, by name.
        x_names: Names of the places 0, 1, ... where the horizontal axis has no numbers.
        y_range: Ends of the vertical axis, where a peak is to be cut off.
        ordered: The labels are sizes in order, coloured from faint to strong.

    Raises:
        ValueError: A scale is unknown.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    look_for: str
    source: str = ""
    x_scale: Scale = "linear"
    y_scale: Scale = "linear"
    levels: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, float] = field(default_factory=dict)
    x_names: tuple[str, ...] = ()
    y_range: tuple[float, float] | None = None
    ordered: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", tuple(self.series))
        for name in ("levels", "places"):
            object.__setattr__(self, name, {k: float(v) for k, v in getattr(self, name).items()})
        for name in ("x_scale", "y_scale"):
            if getattr(self, name) not in get_args(Scale):
                raise ValueError(
                    f"chart {self.title!r}: {name} is {getattr(self, name)!r}; choose one of {get_args(Scale)}."
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is not finite is None."""
        return finite(asdict(self))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Chart:
        """Read what `to_dict` wrote."""
        series = tuple(
            Series(**{**one, "x": [number(x) for x in one["x"]], "y": [number(y) for y in one["y"]]})
            for one in data["series"]
        )
        ends = data["y_range"]
        return cls(
            **{
                **data,
                "series": series,
                "x_names": tuple(data["x_names"]),
                "y_range": None if ends is None else (float(ends[0]), float(ends[1])),
            }
        )


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
