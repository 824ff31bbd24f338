"""The figures of scaling laws: the frontier with its extrapolation, every dimension along it, slopes by estimator."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.report.numbers import measured
from similitude.report.palette import MARKERS, stand_in
from similitude.report.scale import decades, log_ticks, loss_ticks
from similitude.report.svg import Figure, Panel, draw
from similitude.tuning.laws.axes import Axis
from similitude.tuning.laws.laws import ScalingLaws
from similitude.tuning.laws.text import AHEAD, exponent_text, frontier_text, transfer_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"parametric": "r0", "surrogate": "r1", "naive": "r2"}
_LINES: dict[str, Any] = {"parametric": "-", "surrogate": (0, (6, 2)), "naive": (0, (1.5, 1.5))}
_MOST_PANELS = 9
"""Dimensions that are drawn; the table has them all."""


def laws_figures(laws: ScalingLaws) -> list[Figure]:
    """Draw scaling laws.

    Returns:
        Value against cost with the frontier's law up to a hundred times the dearest cost; every dimension against cost
        with the lines of the estimators; slopes of the estimators side by side.
    """
    return [_frontier(laws), _dimensions(laws), _slopes(laws)]


def _frontier(laws: ScalingLaws) -> Figure:
    far = laws.predict(cost=float(laws.history.costs.max()) * AHEAD[-1])
    numbers = (
        f"Frontier: {frontier_text(laws)}.",
        f"At {AHEAD[-1]} times the dearest cost: {far.value}.",
        _envelope(laws),
    )
    caption = (
        "Points are trials, hollow ones on the observed front; the line is the law of the frontier, dotted beyond the "
        "trials, with its 90 % interval. Look for points that lie on one side of the line and touch it at every cost: "
        "then the law is the frontier. Points beyond it at one end only mean that it bends."
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        history = laws.history
        costs, values = history.costs, history.values
        front = _front(laws)
        axes.plot(costs[~front], values[~front], ".", color=stand_in("muted"), alpha=0.6, ms=4)
        axes.plot(
            costs[front], values[front], "o", color=stand_in("ink"), mfc="none", ms=5, label="observed front"
        )
        ends = np.log10([costs.min(), costs.max(), costs.max() * AHEAD[-1]])
        sign = 1.0 if history.minimize else -1.0
        for low, high, style in ((ends[0], ends[1], "-"), (ends[1], ends[2], (0, (1.5, 1.5)))):
            grid = np.linspace(low, high, 41)
            rows = np.array([laws.paths.interval(sign * laws.paths.losses(x)) for x in grid])
            axes.fill_between(10.0**grid, rows[:, 1], rows[:, 2], color=stand_in("r0"), alpha=0.2, lw=0)
            axes.plot(
                10.0**grid, rows[:, 0], color=stand_in("r0"), ls=style, label="law" if style == "-" else ""
            )
        _limit_values(axes, laws)
        axes.set_xscale("log")
        _cost_axis(axes, "value")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handletextpad=0.5)

    panel = draw(paint, title="Value against cost", description=" ".join(numbers))
    return Figure("frontier", "The frontier", (panel,), caption, numbers)


def _dimensions(laws: ScalingLaws) -> Figure:
    verdicts = laws.transfer()
    numbers = []
    panels = []
    for axis in laws.axes[:_MOST_PANELS]:
        words = f"{axis.name}: slope {exponent_text(laws.exponents[axis.name])} ({axis.unit})"
        if axis.name in verdicts:
            words += f"; {transfer_line(axis.name, verdicts[axis.name])}"
        numbers.append(words + ".")
        panels.append(_dimension(laws, axis, words))
    caption = (
        "Hollow points are trials on the observed front, small ones all others; lines are the best values along the "
        "frontier by each estimator, the band is the 90 % interval of the one to believe. Look for level lines where a "
        "dimension should transfer, and for lines of all estimators that agree: where the naive one alone differs, luck "
        "put its points on the front."
    )
    return Figure("dimensions", "Hyperparameters along the frontier", tuple(panels), caption, tuple(numbers))


def _dimension(laws: ScalingLaws, axis: Axis, words: str) -> Panel:
    history = laws.history
    column = np.array(
        [_coordinate(axis, history.space.values_at(point).get(axis.name)) for point in history.points]
    )
    front = _front(laws)
    column_of = [a.name for a in laws.axes].index(axis.name)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        logs = np.log10(history.costs)
        shown = np.vectorize(axis.real)
        known = np.isfinite(column)
        axes.plot(
            history.costs[known & ~front],
            shown(column[known & ~front]),
            ".",
            color=stand_in("muted"),
            alpha=0.5,
            ms=3,
        )
        axes.plot(
            history.costs[known & front],
            shown(column[known & front]),
            MARKERS[0],
            color=stand_in("ink"),
            mfc="none",
            ms=5,
        )
        grid = np.linspace(logs.min(), logs.max(), 25)
        for which, paths in laws.estimates.paths.items():
            rows = np.array([paths.interval(paths.coordinates(x)[:, column_of]) for x in grid])
            if not np.isfinite(rows[:, 0]).all():
                continue
            axes.plot(
                10.0**grid, shown(rows[:, 0]), color=stand_in(_COLOURS[which]), ls=_LINES[which], label=which
            )
            if which == laws.estimator and np.isfinite(rows).all():
                axes.fill_between(
                    10.0**grid,
                    shown(rows[:, 1]),
                    shown(rows[:, 2]),
                    color=stand_in(_COLOURS[which]),
                    alpha=0.2,
                    lw=0,
                )
        if axis.transform == "log10":
            axes.set_yscale("log")
            axes.minorticks_off()
            span = shown(column[known])
            axes.set_ylim(span.min() / 1.5, span.max() * 1.5)
            low, high = axes.get_ylim()
            ticks = log_ticks(low, high)
            axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
        elif axis.transform == "log10 odds":
            axes.set_ylim(0, 1)
        axes.set_xscale("log")
        _cost_axis(axes, axis.name)
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handletextpad=0.5)

    return draw(paint, axis.name, title=f"{axis.name} against cost", description=words)


def _slopes(laws: ScalingLaws) -> Figure:
    by = laws.by_estimator
    names = [axis.name for axis in laws.axes]
    numbers = tuple(
        f"{name}: "
        + ", ".join(f"{which} {exponent_text(e[name])}" for which, e in by.items())
        + f". {_agree(by, name)}"
        for name in names
    )
    caption = (
        f"Slopes against the cost with 90 % intervals; {laws.estimator} is the one to believe, because {laws.reason}. "
        "Look for intervals of one dimension that overlap, and for whether they hold zero, the line: a dimension whose "
        "interval holds zero and is narrow stays where it is."
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=stand_in("muted"), lw=0.8)
        for shift, (which, exponents) in enumerate(by.items()):
            found = [
                (i, exponents[name]) for i, name in enumerate(names) if math.isfinite(exponents[name].width)
            ]
            if not found:
                continue
            heights = [i + 0.22 * (shift - 1) for i, _ in found]
            values = [e.value for _, e in found]
            errors = [
                [max(e.value - e.low, 0) for _, e in found],
                [max(e.high - e.value, 0) for _, e in found],
            ]
            colour = stand_in(_COLOURS[which])
            axes.errorbar(values, heights, xerr=errors, fmt=MARKERS[shift], color=colour, label=which, lw=1.4)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("slope against log10 cost")
        if axes.get_legend_handles_labels()[0]:  # none where no slope is identified
            figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handletextpad=0.5)

    panel = draw(paint, title="Slopes by estimator", description=" ".join(numbers))
    return Figure("slopes", "Slopes by estimator", (panel,), caption, numbers)


def _agree(by: dict, name: str) -> str:
    """Say whether the intervals of the estimators overlap."""
    found = [e[name] for e in by.values() if math.isfinite(e[name].width)]
    if len(found) < 2:
        return "Nothing to compare with."
    overlap = max(e.low for e in found) <= min(e.high for e in found)
    return "The intervals overlap." if overlap else "The intervals do not all overlap."


def _envelope(laws: ScalingLaws) -> str:
    """Say whether the observed front lies along the law: how many of its trials are beyond the interval, and where."""
    history, paths = laws.history, laws.paths
    front = np.flatnonzero(_front(laws))
    sign = 1.0 if history.minimize else -1.0
    beyond = 0
    for i in front:
        _, low, high = paths.interval(sign * paths.losses(float(np.log10(history.costs[i]))))
        better = history.values[i] < low if history.minimize else history.values[i] > high
        beyond += bool(better)
    return f"{beyond} of {len(front)} trials on the observed front are better than the law's interval: luck puts some so."


def _front(laws: ScalingLaws) -> np.ndarray:
    """Return which trials are on the observed front; bool, shape (n,)."""
    history = laws.history
    order = np.lexsort((-history.signed, history.costs))
    best = np.maximum.accumulate(history.signed[order])
    front = np.zeros(len(order), bool)
    front[order] = np.r_[True, best[1:] > best[:-1]]
    return front


def _coordinate(axis: Axis, value: Any) -> float:
    return math.nan if value is None else axis.coordinate(value)


def _limit_values(axes: Axes, laws: ScalingLaws) -> None:
    """Show values from the best that is predicted to what is bad but seen often, and no further."""
    history = laws.history
    far = laws.predict(cost=float(history.costs.max()) * AHEAD[-1]).value
    bad, good = np.quantile(history.values, [0.9, 0.0] if history.minimize else [0.1, 1.0])
    ends = [float(bad), float(good), far.value]
    low, high = min(ends), max(ends)
    if low > 0:
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_ylim(low / 1.1, high * 1.1)
        ticks = loss_ticks(*axes.get_ylim())
        axes.set_yticks(ticks, [measured(tick) for tick in ticks])
    else:
        margin = 0.1 * ((high - low) or max(abs(high), 1.0))
        axes.set_ylim(low - margin, high + margin)


def _cost_axis(axes: Axes, label: str) -> None:
    """Label the axes; ticks are plain text, because the report's text is not set as formulas."""
    axes.set_xlabel("cost")
    axes.set_ylabel(label)
    axes.minorticks_off()
    ticks = decades(*axes.get_xlim(), most=6)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
