"""The figures of a claim: its charts, drawn as every other figure of a report is."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from similitude.core.chart import Chart, Series
from similitude.core.claim import Claim
from similitude.report.numbers import interval, measured
from similitude.report.palette import LINES, MARKERS, RULE_SLOTS, size_colours, stand_in
from similitude.report.scale import log_ticks
from similitude.report.svg import Figure, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_ROOM = 1.15  # of a logarithmic axis, at least
_SAID = 12  # points of a series that are said in words; of longer ones the ends and the extremes are
_LEGEND_LETTERS = 50  # that fit in a line above the axes
_LEGEND_HANDLE = 8  # letters that a mark and the space beside it take
_LEGEND_LINE = 0.2  # inches
_LABEL_LETTERS = 44  # of an axis, in one line
_GUIDES: tuple[Any, ...] = ((0, (1, 2)), (0, (4, 2, 1, 2)), (0, (7, 3)))


def claim_figures(claim: Claim) -> list[Figure]:
    """Draw the charts of a claim, each as a figure of one panel; those without a point are left out."""
    return chart_figures(claim.figures)


def chart_figures(charts: Iterable[Chart], prefix: str = "") -> list[Figure]:
    """Draw charts, each as a figure of one panel; those without a point are left out.

    Args:
        charts: What is drawn.
        prefix: How the keys of the figures begin, before the place of each.
    """
    filled = [replace(chart, series=[one for one in chart.series if one.x]) for chart in charts]
    return [_figure(chart, f"{prefix}{place}") for place, chart in enumerate(filled, start=1) if chart.series]


def _figure(chart: Chart, key: str) -> Figure:
    numbers = tuple(_in_words(one) for one in chart.series if one.kind != "guide")
    lines = {**chart.levels, **chart.places}
    if lines:
        numbers += (f"Lines: {', '.join(f'{name} at {measured(value)}' for name, value in lines.items())}.",)

    labels = list(dict.fromkeys([*(one.label for one in chart.series), *lines]))
    longest = _LEGEND_HANDLE + max(map(len, labels))
    columns = min(len(labels), max(1, _LEGEND_LETTERS // longest))
    rows = math.ceil(len(labels) / columns)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        _scale(axes, chart)
        _draw(axes, chart)
        axes.set_xlabel(textwrap.fill(chart.x, _LABEL_LETTERS))
        axes.set_ylabel(textwrap.fill(chart.y, _LABEL_LETTERS - 8))
        if len(labels) > 1:
            figure.legend(loc="outside upper left", ncols=columns, columnspacing=1.2, handletextpad=0.5)

    panel = draw(paint, title=chart.title, description=" ".join(numbers), higher=_LEGEND_LINE * (rows - 1))
    caption = f"After {chart.source} of the paper. {chart.look_for}" if chart.source else chart.look_for
    return Figure(key, chart.title, (panel,), caption, numbers)


def _draw(axes: Axes, chart: Chart) -> None:
    labels = list(dict.fromkeys(one.label for one in chart.series if one.kind != "guide"))
    ramp = size_colours(len(labels)) if chart.ordered else [f"r{i % RULE_SLOTS}" for i in range(len(labels))]
    guides = [one for one in chart.series if one.kind == "guide"]
    for one in chart.series:
        if one.kind == "guide":
            continue
        slot = labels.index(one.label)
        colour, marker, line = stand_in(ramp[slot]), MARKERS[slot % len(MARKERS)], LINES[slot % len(LINES)]
        if one.kind == "line":
            axes.plot(one.x, one.y, color=colour, ls=line)
            continue
        if one.intervals:
            for x, y, ends in zip(one.x, one.y, one.intervals, strict=True):
                if ends is not None and all(map(math.isfinite, (y, *ends))):
                    axes.vlines(x, *ends, color=colour, lw=1.2)
        axes.plot(one.x, one.y, marker, color=colour, ls=line if one.kind == "joined" else "none")
    for slot, label in enumerate(labels):
        kinds = {one.kind for one in chart.series if one.label == label}
        axes.plot(
            [],
            [],
            color=stand_in(ramp[slot]),
            marker=MARKERS[slot % len(MARKERS)] if kinds - {"line"} else "",
            ls=LINES[slot % len(LINES)] if kinds & {"line", "joined"} else "none",
            label=label,
        )
    for place, one in enumerate(guides):
        axes.plot(
            one.x, one.y, color=stand_in("muted"), ls=_GUIDES[place % len(_GUIDES)], lw=1.2, label=one.label
        )
    for place, (name, value) in enumerate(chart.levels.items(), start=len(guides)):
        style = _GUIDES[place % len(_GUIDES)]
        axes.axhline(value, color=stand_in("muted"), ls=style, lw=1.2, label=name)
    for place, (name, value) in enumerate(chart.places.items()):
        style = LINES[place % len(LINES)]
        axes.axvline(value, color=stand_in("muted"), ls=style, lw=0.9, label=name)


def _scale(axes: Axes, chart: Chart) -> None:
    """Set scales, limits and ticks; ticks are plain text, because text in reports is not set as formulas."""
    drawn = [one for one in chart.series if one.kind != "guide"]
    positive = sorted({x for one in drawn for x in one.x if 0 < x < math.inf})
    if chart.x_names:
        letters = sum(max(map(len, name.split("\n"))) for name in chart.x_names)
        turned = {"rotation": 35, "ha": "right"} if letters > _LABEL_LETTERS else {}
        axes.set_xticks(range(len(chart.x_names)), chart.x_names, **turned)
        axes.set_xlim(-0.5, len(chart.x_names) - 0.5)
    elif chart.x_scale != "linear" and positive:
        axes.set_xscale("log", base=2 if chart.x_scale == "log2" else 10)
        edge = max(
            (positive[-1] / positive[0]) ** 0.05, 1.05
        )  # the axis goes beyond its points by this factor
        axes.set_xlim(positive[0] / edge, positive[-1] * edge)
        log_two = chart.x_scale == "log2"
        _set_ticks(
            axes.xaxis, _doublings(positive[0], positive[-1]) if log_two else log_ticks(*axes.get_xlim())
        )
    values = [y for one in drawn for y in _heights(one)] + list(chart.levels.values())
    positive = [value for value in values if value > 0]
    if chart.y_scale != "linear" and positive:
        axes.set_yscale("log")
        low, high = min(positive), max(positive)
        room = max(_ROOM, (high / low) ** 0.04) if high / low < math.inf else _ROOM
        axes.set_ylim(chart.y_range or (low / room, high * room))
        _set_ticks(axes.yaxis, log_ticks(*axes.get_ylim()))
    else:
        axes.set_ylim(chart.y_range or _linear_range(values))


def _set_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    axis.set_ticks([], minor=True)
    axis.set_ticks(ticks, [f"{tick:.6g}" for tick in ticks])


def _heights(one: Series) -> list[float]:
    """Return what a series spans vertically: its values, and the ends of the intervals of values that are there."""
    ends = [end for pair in one.intervals if pair is not None for end in pair]
    return [value for value in (*one.y, *ends) if math.isfinite(value)]


def _linear_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.06 * (high - low) or 0.06 * abs(high) or 1.0
    return low - room, high + room


def _doublings(low: float, high: float, *, most: int = 8) -> list[float]:
    first, last = math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9)
    if last <= first:
        return [low, high]
    step = max(1, math.ceil((last - first + 1) / most))
    return [2.0**power for power in range(first, last + 1, step)]


def _in_words(one: Series) -> str:
    """Say a series in numbers: all points of a short one, the ends and the extremes of a long one."""
    kept = range(len(one.x))
    if len(one.x) > _SAID:
        finite = [i for i in kept if math.isfinite(one.y[i])]
        extremes = [f(finite, key=lambda i: one.y[i]) for f in (min, max) if finite]
        kept = sorted({0, len(one.x) - 1, *extremes})
    points = []
    for i in kept:
        ends = one.intervals[i] if one.intervals else None
        points.append(f"{measured(one.y[i])} {interval(ends)}".strip() + f" at {one.x[i]:.4g}")
    kind = {"line": ", theory", "points": "", "joined": ""}[one.kind]
    more = f" (of {len(one.x)} points)" if len(kept) < len(one.x) else ""
    return f"{one.label}{kind}: {', '.join(points)}{more}."
