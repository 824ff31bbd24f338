"""The figures of learning curves: errors against samples and against random features, lines predicted, marks measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from similitude.report.learning_curve_table import measured_cell, predicted_cell
from similitude.report.palette import LINES, MARKERS, stand_in
from similitude.report.scale import loss_ticks
from similitude.report.svg import Figure, Panel, draw
from similitude.studies.learning_curve_records import CurvePoint, LearningCurveStudy, MeasuredCurve

_ROOM = 1.15
_HIGHEST = 4.0  # of the targets' mean square; beyond it a peak is cut off


def learning_curve_figures(study: LearningCurveStudy) -> list[Figure]:
    """Draw learning curves.

    Returns:
        A figure against samples, and one against random features where there were any.
    """
    found = [
        _figure(
            "samples",
            "Test error against training samples",
            study,
            study.samples,
            "samples",
            "Lines are predicted from the spectrum of the pool, marks are means of measured regressions with 95 % "
            "intervals. Look for marks on their lines, and for what the ridge is worth: the gap between the two.",
        )
    ]
    if study.widths:
        found.append(
            _figure(
                "features",
                "Test error against random features",
                study,
                study.widths,
                "features",
                f"At {study.widths[0].points[0].n} training samples; features are {study.features}. Without a ridge the "
                "error peaks where there are as many features as samples; at the best ridge more features never hurt.",
            )
        )
    return found


def _figure(
    key: str, title: str, study: LearningCurveStudy, curves: Sequence[MeasuredCurve], axis: str, caption: str
) -> Figure:
    numbers = tuple(
        f"{curve.label}: "
        + ", ".join(
            f"{_place(p, axis):g} {axis} {predicted_cell(study, p)} predicted, {measured_cell(study, p)} measured"
            for p in curve.points
        )
        + "."
        for curve in curves
    )
    return Figure(key, title, (_panel(title, study, curves, axis, numbers),), caption, numbers)


def _panel(
    title: str, study: LearningCurveStudy, curves: Sequence[MeasuredCurve], axis: str, words: Sequence[str]
) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        shown: list[float] = []
        for slot, curve in enumerate(curves):
            colour = stand_in(f"r{slot}")
            places = [_place(p, axis) for p in curve.points]
            lines = [min(p.predicted / study.power, 10 * _HIGHEST) for p in curve.points]
            means = [p.mean / study.power for p in curve.points]
            ends = [[max(e, 1e-12) / study.power for e in p.interval] for p in curve.points]
            bars = [
                [max(m - low, 0.0) for m, (low, _) in zip(means, ends, strict=True)],
                [max(high - m, 0.0) for m, (_, high) in zip(means, ends, strict=True)],
            ]
            axes.plot(places, lines, color=colour, ls=LINES[slot % len(LINES)], label=curve.label)
            axes.errorbar(
                places,
                means,
                yerr=bars,
                fmt=MARKERS[slot % len(MARKERS)],
                color=colour,
                elinewidth=1,
                capsize=2,
            )
            shown += [v for v in (*lines, *means) if 0 < v <= _HIGHEST]
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.minorticks_off()
        ticks = sorted({_place(p, axis) for curve in curves for p in curve.points})
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        low, high = min(shown, default=0.1) / _ROOM, max(shown, default=1.0) * _ROOM
        axes.set_ylim(low, high)
        marks = loss_ticks(low, high)
        axes.set_yticks(marks, [f"{mark:.3g}" for mark in marks])
        axes.set_xlabel("training samples" if axis == "samples" else "random features")
        axes.set_ylabel("test error / mean square of targets")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handletextpad=0.5)

    return draw(paint, title=title, description=" ".join(words))


def _place(point: CurvePoint, axis: str) -> float:
    return float(point.n) if axis == "samples" or math.isinf(point.features) else point.features
