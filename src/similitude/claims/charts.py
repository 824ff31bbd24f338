"""Parts of charts that claims share: means with intervals, lines of theory, slopes to compare with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from similitude.core.chart import Chart, Kind, Series
from similitude.core.intervals import t_interval
from similitude.report.scale import loss_window, mean_losses
from similitude.studies.records import Transfer

_GRID = 41  # points of a line of theory


def means(
    label: str, x: Sequence[float], draws: Sequence[np.ndarray], *, kind: Kind = "points", over: float = 1.0
) -> Series:
    """Return means over draws with their 95 % intervals.

    Args:
        label: Name in the legend.
        x: Places.
        draws: The values of every place, shape (draws,) each.
        kind: How they are drawn.
        over: What values are divided by.

    Example:
        >>> means("a", [1.0], [np.array([1.0, 3.0])]).y
        (2.0,)
    """
    scaled = [np.asarray(values) / over for values in draws]
    return Series(label, x, [float(v.mean()) for v in scaled], [t_interval(v) for v in scaled], kind)


def theory(label: str, low: float, high: float, of: Callable[[float], float], *, log: bool = True) -> Series:
    """Return a line of theory between two places, evenly spaced on a logarithmic or a linear axis.

    Args:
        label: Name in the legend: that of the measured points, for their colour.
        low: First place.
        high: Last place.
        of: The value at a place.
        log: Whether places are spaced logarithmically.
    """
    x = np.geomspace(low, high, _GRID) if log else np.linspace(low, high, _GRID)
    return Series(label, x, [of(float(place)) for place in x], kind="line")


def power_guide(label: str, x: Sequence[float], first: float, power: float) -> Series:
    """Return a guide that goes as a power through the first of some places.

    Example:
        >>> power_guide("x^-1", [1, 2, 4], 8.0, -1).y
        (8.0, 4.0, 2.0)
    """
    return Series(label, x, [first * (place / x[0]) ** power for place in x], kind="guide")


def equality(values: Sequence[float]) -> Series:
    """Return the guide on which measured values are those of theory, over a range of values."""
    ends = [min(values), max(values)]
    return Series("equal", ends, ends, kind="guide")


def loss_curves(found: Transfer, value: str, *, title: str = "", look_for: str = "") -> Chart:
    """Draw mean losses against the value of a hyperparameter, a line per size.

    Args:
        found: The sweep.
        value: Name of the hyperparameter.
        title: Heading; by the hyperparameter and the rule where it is empty.
        look_for: How to read it; that the lowest points should be above one another where it is empty.
    """
    window = loss_window(found.curves)
    series = tuple(
        Series(
            f"{curve.dial} {curve.size}",
            curve.lrs,
            [math.nan if mean is None else mean for mean in mean_losses(curve)],
            kind="joined",
        )
        for curve in found.curves
    )
    return Chart(
        title or f"Loss against the {value}, {found.rule}",
        value,
        "final loss",
        series,
        look_for
        or f"The lowest points should be above one another where the best {value} does not depend on the size.",
        x_scale="log2",
        y_scale="log" if window is not None and window[0] > 0 else "linear",
        y_range=window,
        ordered=True,
    )


def choices_chart(what: str, choices: Sequence[str], losses: Mapping[int, np.ndarray]) -> Chart:
    """Draw mean final losses of several choices, a line per width.

    Args:
        what: What is chosen.
        choices: Their names.
        losses: By width: final losses, shape (choices, seeds).
    """
    return Chart(
        f"Loss by {what}",
        "",
        "final loss",
        tuple(
            Series(f"width {width}", range(len(choices)), table.mean(axis=1), kind="joined")
            for width, table in losses.items()
        ),
        "Lines of all widths should be lowest at the same place, or as low there as anywhere.",
        y_scale="log",
        x_names=tuple(choices),
        ordered=True,
    )
