"""The figures of a forecast: every hyperparameter's optima and both ways on to the target, and the loss to expect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from similitude.report.forecast_table import error_in_words, estimate_in_words, loss_lines
from similitude.report.palette import stand_in
from similitude.report.scale import decades
from similitude.report.svg import Figure, Panel, draw
from similitude.studies.forecast_records import Estimate, Forecast, Forecasted

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forecast_figures(forecast: Forecast) -> list[Figure]:
    """Draw a forecast.

    Returns:
        One figure with a panel per hyperparameter that has an optimum, and one of the loss; less where there is nothing.
    """
    drawn = []
    values = [value for value in forecast.values.values() if value.points or value.fitted is not None]
    if values:
        caption = (
            f"Best value per {forecast.dial} with its interval; the star is the fit at the target. What to look for: "
            "where the level dashed line (the transferred value) passes through the star's interval, both forecasts "
            "agree."
        )
        numbers = tuple(_in_words(value) for value in values)
        panels = tuple(_panel(forecast, value) for value in values)
        drawn.append(Figure("values", "Hyperparameters at the target", panels, caption, numbers))
    if forecast.loss is not None and forecast.losses:
        caption = (
            "Smallest loss that was found, with two standard errors, and what a power law expects at the target. What to "
            "look for: a star well below the last point says that the larger size pays."
        )
        numbers = tuple(f"{line}." for line in loss_lines(forecast))
        drawn.append(Figure("loss", "Loss at the target", (_losses(forecast, numbers),), caption, numbers))
    return drawn


def _in_words(value: Forecasted) -> str:
    answer = {True: "yes", False: "no"}[value.verdict.ok] if not value.verdict.undecided else "cannot be told"
    return (
        f"{value.name}: by transfer {estimate_in_words(value.transferred)}, by fit {estimate_in_words(value.fitted)}, "
        f"{error_in_words(value.difference)} octaves apart. Do they agree: {answer}."
    )


def _panel(forecast: Forecast, value: Forecasted) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        first, second = stand_in("r0"), stand_in("r1")
        places = [point.x for point in value.points] or [forecast.at]
        for point in value.points:
            _bar(axes, point.x, point.best, first, "o")
        ends = [min(places), forecast.at]
        if value.transferred is not None:
            label = "by transfer"
            axes.plot(ends, [value.transferred.value] * 2, color=first, ls=(0, (6, 2)), label=label)
        if value.fitted is not None and value.exponent is not None:
            line = [value.fitted.value * (x / forecast.at) ** value.exponent.value for x in ends]
            axes.plot(ends, line, color=second, label="by fit")
            _bar(axes, forecast.at, value.fitted, second, "*", size=10)
        axes.set_yscale("log")
        _finish(axes, forecast, f"best {value.name}")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handletextpad=0.5)

    title = f"{value.name} against {forecast.dial}"
    return draw(paint, value.name, title=title, description=_in_words(value))


def _losses(forecast: Forecast, numbers: tuple[str, ...]) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for point in forecast.losses:
            _bar(axes, point.x, point.best, stand_in("r0"), "o")
        if forecast.loss is not None:
            _bar(axes, forecast.at, forecast.loss, stand_in("r1"), "*", size=10)
        _finish(axes, forecast, "smallest loss")

    return draw(paint, title=f"Loss against {forecast.dial}", description=" ".join(numbers))


def _bar(axes: Axes, x: float, estimate: Estimate, colour: str, marker: str, *, size: float = 6) -> None:
    if math.isfinite(estimate.high) and estimate.high > estimate.low:
        axes.vlines(x, estimate.low, estimate.high, color=colour, lw=1.8)
    axes.plot(x, estimate.value, marker, color=colour, ms=size)


def _finish(axes: Axes, forecast: Forecast, label: str) -> None:
    """Label the axes; ticks are plain text, because the report's text is not set as formulas."""
    axes.set_xscale("log")
    axes.set_xlabel(forecast.dial)
    axes.set_ylabel(label)
    axes.minorticks_off()
    low, high = axes.get_xlim()
    measured = [point.x for point in forecast.losses]
    few = bool(measured) and len(measured) <= 6
    ticks = [*measured, forecast.at] if few else decades(low, high)
    axes.set_xticks(ticks, [f"{tick:.6g}" for tick in ticks])
    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        # A factor of four at least, so that a small wobble does not look like a slope.
        middle = math.sqrt(low * high)
        low, high = min(low, middle / 2), max(high, middle * 2)
        axes.set_ylim(low, high)
        ticks = _powers_of_two(low, high)
        axes.set_yticks(ticks, [f"{tick:.3g}" for tick in ticks])


def _powers_of_two(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
    step = max(1, math.ceil((last - first + 1) / 7))
    return [2.0**power for power in range(first, last + 1) if power % step == 0]
