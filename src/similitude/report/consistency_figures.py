"""The figures of a study of Super Consistency: sharpness and loss over time, spreads, distances, spectra, NTK, parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from similitude.report.consistency_words import (
    collapse_sentence,
    gap_sentence,
    growth_sentence,
    movement_sentence,
    percent,
    ratio_sentence,
    spread_cell,
    stability_sentence,
)
from similitude.report.palette import LINES, MARKERS, rule_slots, size_colours, stand_in
from similitude.report.scale import loss_ticks
from similitude.report.svg import Figure, Panel, draw
from similitude.report.words import rule_label, short_label
from similitude.studies.consistency_analysis import mean_curve
from similitude.studies.consistency_records import Consistency, RuleConsistency, SizeCurves
from similitude.studies.consistency_verdict import LIMIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Series = Callable[[SizeCurves], np.ndarray]
"""Gives what a size's line shows at every measurement, nan where there is nothing."""


def consistency_figures(study: Consistency) -> list[Figure]:
    """Draw a study of Super Consistency.

    Returns:
        Sharpness over time with the stability line, spreads by window, distances to the largest size, losses over time,
        and where they were measured top eigenvalues, the NTK's largest eigenvalue and the residual part over the
        Gauss-Newton part; one panel per rule where sizes are lines. Nothing where no run has a measurement.
    """
    if not any(np.isfinite(mean_curve(c, "loss")).any() for r in study.rules.values() for c in r.curves):
        return []
    rules = list(study.rules.values())
    drawn = [_sharpness(rules), _spreads(study), _distances(study), _losses(rules)]
    if any("ntk" in curves.series for rule in rules for curves in rule.curves):
        drawn += [_spectra(rules), _ntk(rules), _ratios(rules)]
    return drawn


def _sharpness(rules: Sequence[RuleConsistency]) -> Figure:
    numbers = tuple(f"{collapse_sentence(rule)} {stability_sentence(rule)}" for rule in rules)
    edge = next((rule.threshold for rule in rules if rule.threshold is not None), None)
    least = (0.0, 0.0 if edge is None else 1.15 * edge)
    limits = _limits([_series("eta_lambda"), _highest_seed], rules, least=least)
    panels = [
        _over_time(
            rule,
            _series("eta_lambda"),
            "learning rate x sharpness",
            limits,
            numbers[i],
            edge=edge,
            seeds=True,
        )
        for i, rule in enumerate(rules)
    ]
    return Figure(
        "sharpness",
        "Sharpness against time",
        tuple(panels),
        "Largest eigenvalue of the Hessian on the probe in units of the optimizer; lines are means over seeds, thin "
        "lines seeds, the dotted line the edge of stability. Look for lines that lie on one another all the time: then "
        "the landscape is the same at every size. Lines that fan out come with a learning rate that does not transfer.",
        numbers,
    )


def _losses(rules: Sequence[RuleConsistency]) -> Figure:
    numbers = tuple(f"{gap_sentence(rule, 'loss')} {growth_sentence(rule.growths[1])}" for rule in rules)
    limits = _limits([_series("loss")], rules)
    panels = [
        _over_time(rule, _series("loss"), "loss on the probe", limits, numbers[i], log=True)
        for i, rule in enumerate(rules)
    ]
    return Figure(
        "loss",
        "Loss against time",
        tuple(panels),
        "Means over seeds. Look for lines that drift apart: the loss keeps a gap between sizes, larger ones being lower, "
        "also where the sharpness does not. That contrast is what makes the consistency super.",
        numbers,
    )


def _ntk(rules: Sequence[RuleConsistency]) -> Figure:
    what = "learning rate x NTK eigenvalue"
    numbers = tuple(movement_sentence(rule, "ntk", "it") for rule in rules)
    limits = _limits([_series("ntk")], rules, least=(0.0, 0.0))
    panels = [_over_time(rule, _series("ntk"), what, limits, numbers[i]) for i, rule in enumerate(rules)]
    return Figure(
        "ntk",
        "Largest eigenvalue of the NTK against time",
        tuple(panels),
        "Of J J^T over the probe's examples, every parameter weighted by its learning rate. Look for whether it moves: "
        "a kernel that stays as it started learns no features, and a line that is level at large sizes only says that "
        "they turn into kernels.",
        numbers,
    )


def _ratios(rules: Sequence[RuleConsistency]) -> Figure:
    def ratio(curves: SizeCurves) -> np.ndarray:
        residual, part = (_of(curves, name) for name in ("residual", "gauss_newton"))
        return np.divide(residual, part, out=np.full(len(part), math.nan), where=part > 0)

    numbers = tuple(ratio_sentence(rule) for rule in rules)
    limits = _limits([ratio], rules, least=(0.0, 0.0))
    panels = [
        _over_time(rule, ratio, "residual / Gauss-Newton", limits, numbers[i]) for i, rule in enumerate(rules)
    ]
    return Figure(
        "parts",
        "Residual part over Gauss-Newton part",
        tuple(panels),
        "Largest eigenvalues of the two parts of the Hessian. Look for lines that stay clearly above zero at every size: "
        "features move. A network that is linear in its parameters has 0.",
        numbers,
    )


def _spectra(rules: Sequence[RuleConsistency]) -> Figure:
    numbers = tuple(movement_sentence(rule, "top_1", "the largest eigenvalue") for rule in rules)
    ends = [[_top(curves) for curves in rule.curves] for rule in rules]
    values = [v for rule in ends for top in rule for v in top if math.isfinite(v)]
    panels = []
    for rule, tops, words in zip(rules, ends, numbers, strict=True):

        def paint(figure: Any, rule: RuleConsistency = rule, tops: list[list[float]] = tops) -> None:
            axes = figure.subplots()
            for place, (curves, top, style) in enumerate(zip(rule.curves, tops, _styles(rule), strict=True)):
                axes.plot(
                    range(1, len(top) + 1),
                    top,
                    marker=MARKERS[place % len(MARKERS)],
                    label=_named(rule, curves),
                    **style,
                )
            if values:
                axes.set_ylim(min(0.0, min(values)), 1.08 * max(values))
            axes.set_xticks(range(1, max(map(len, tops), default=1) + 1))
            axes.set_xlabel("rank of the eigenvalue")
            axes.set_ylabel("learning rate x eigenvalue")
            _legend(figure, axes)

        label = rule_label(rule.rule)
        panels.append(draw(paint, label, title=f"Top eigenvalues under {label}", description=words))
    return Figure(
        "spectra",
        "Top eigenvalues of the Hessian at the end",
        tuple(panels),
        "Means over seeds at the last measurement. Look for lines that lie on one another: then "
        "not the first eigenvalue alone is the same at every size.",
        numbers,
    )


def _spreads(study: Consistency) -> Figure:
    rules, slots = list(study.rules.values()), rule_slots(study.rules)
    numbers = tuple(
        f"{rule_label(r.rule)}: " + ", ".join(f"{spread_cell(s)} at {s.window}" for s in r.spreads) + "."
        for r in rules
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        middle = (len(rules) - 1) / 2
        for place, rule in enumerate(rules):
            slot = slots[rule.rule]
            at = [(i + 0.08 * (place - middle), s) for i, s in enumerate(rule.spreads) if s.value is not None]
            colour = stand_in(f"r{slot % 5}")
            for x, s in at:
                if s.interval is not None:
                    axes.vlines(x, 100 * s.interval[0], 100 * s.interval[1], color=colour, lw=2.6, alpha=0.6)
            heights = [100 * (s.value or 0.0) for _, s in at]
            axes.plot(
                [x for x, _ in at], heights, color=colour, marker=MARKERS[slot], ls=LINES[slot % len(LINES)],
                label=short_label(rule.rule),
            )  # fmt: skip
        axes.axhline(100 * LIMIT, color=stand_in("muted"), lw=1, ls=(0, (1, 2)))
        axes.set_xticks(
            range(len(study.windows)), [str(window).partition(" ")[2] for window in study.windows]
        )
        axes.set_ylim(0, max(axes.get_ylim()[1], 120 * LIMIT))
        axes.set_xlabel("window, in steps")
        axes.set_ylabel("spread over sizes, %")
        _legend(figure, axes)

    panel = draw(paint, title="Spread of the sharpness by window", description=" ".join(numbers))
    caption = (
        f"(Largest - smallest) / mean of learning rate x sharpness over the {study.dial}s compared, with 95 % intervals "
        f"over seeds. Look for a line that stays below the dotted limit of {percent(LIMIT)} and does not rise."
    )
    return Figure("spreads", "Spread of the sharpness by window", (panel,), caption, numbers)


def _distances(study: Consistency) -> Figure:
    rules, slots = list(study.rules.values()), rule_slots(study.rules)
    panels, numbers = [], []
    for quantity in ("sharpness", "loss"):
        words = [gap_sentence(rule, quantity) for rule in rules]
        numbers += words

        def paint(figure: Any, quantity: str = quantity) -> None:
            axes = figure.subplots()
            for rule in rules:
                gaps = rule.sharpness_gaps if quantity == "sharpness" else rule.loss_gaps
                later = [gap for gap in gaps if gap.window.first > 0 and gap.mean is not None]
                slot = slots[rule.rule]
                for gap in {g.window: g for g in (later[:1] + later[-1:])}.values():
                    last = gap is later[-1]
                    points = [(size, d) for size, d in gap.distances.items() if d > 0]
                    axes.plot(
                        [math.log2(size) for size, _ in points], [d for _, d in points],
                        color=stand_in(f"r{slot % 5}"), marker=MARKERS[slot], ls="-" if last else (0, (1.5, 1.5)),
                        alpha=1.0 if last else 0.7,
                        label=f"{short_label(rule.rule)}, {str(gap.window).partition(' ')[2]}",
                    )  # fmt: skip
            sizes = [curves.size for curves in rules[0].curves[:-1]]
            axes.set_xticks([math.log2(size) for size in sizes], [str(size) for size in sizes])
            axes.set_yscale("log")
            _round_ticks(axes, low=1e-4)
            axes.set_xlabel(study.dial)
            axes.set_ylabel(f"distance of the {quantity}")
            _legend(figure, axes, columns=2)

        title = f"Distance of the {quantity} to the largest {study.dial}"
        panels.append(draw(paint, quantity, title=title, description=" ".join(words)))
    return Figure(
        "distances",
        f"Distance to the largest {study.dial}",
        tuple(panels),
        "Relative distance of means over seeds, dotted in the first window after the start and solid in the last. Look "
        "for a sharpness whose distance is small and does not rise with time, beside a loss whose distance falls with "
        "the size and rises with time.",
        tuple(numbers),
    )


def _over_time(
    rule: RuleConsistency,
    series: Series,
    label: str,
    limits: tuple[float, float] | None,
    words: str,
    *,
    edge: float | None = None,
    log: bool = False,
    seeds: bool = False,
) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        if edge is not None:
            axes.axhline(edge, color=stand_in("ink"), lw=1.2, ls=(0, (1, 2)))
        for curves, style in zip(rule.curves, _styles(rule), strict=True):
            if seeds:
                for row in curves.series.get("eta_lambda", ()):
                    axes.plot(curves.steps, row, color=style["color"], lw=0.6, alpha=0.35)
            steps, values = np.array(curves.steps), series(curves)
            known = np.isfinite(values)
            marker = "o" if known.sum() <= 12 else ""
            axes.plot(steps[known], values[known], marker=marker, ms=3, label=_named(rule, curves), **style)
        if log:
            axes.set_yscale("log")
        if limits is not None:
            axes.set_ylim(*limits)
        if log:
            _round_ticks(axes)
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        _legend(figure, axes)

    name = rule_label(rule.rule)
    return draw(paint, name, title=f"{label.capitalize()} against time under {name}", description=words)


def _series(quantity: str) -> Series:
    return lambda curves: _of(curves, quantity)


def _of(curves: SizeCurves, quantity: str) -> np.ndarray:
    """The mean over seeds of a series; nan everywhere where it was not measured."""
    if quantity not in curves.series:
        return np.full(len(curves.steps), math.nan)
    return mean_curve(curves, quantity)


def _highest_seed(curves: SizeCurves) -> np.ndarray:
    """The largest sharpness of any seed, whose thin lines an axis has to hold too; nan where no seed has one."""
    rows = np.array(curves.series.get("eta_lambda", ((math.nan,) * len(curves.steps),)), float)
    highest = np.where(np.isfinite(rows), rows, -math.inf).max(0)
    return np.where(np.isfinite(highest), highest, math.nan)


def _top(curves: SizeCurves) -> list[float]:
    """The largest eigenvalues at the last measurement that has them."""
    names = sorted((n for n in curves.series if n.startswith("top_")), key=lambda n: int(n[4:]))
    ends = [mean_curve(curves, name) for name in names]
    return [float(end[np.isfinite(end)][-1]) if np.isfinite(end).any() else math.nan for end in ends]


def _limits(
    series: Sequence[Series], rules: Sequence[RuleConsistency], *, least: tuple[float, float] | None = None
) -> tuple[float, float] | None:
    """The range of all lines of a figure, so that its panels share an axis; from `least` on where given."""
    values = np.concatenate([one(curves) for one in series for rule in rules for curves in rule.curves])
    values = values[np.isfinite(values)]
    if least is None:
        values = values[values > 0]
        return None if not len(values) else (float(values.min()) / 1.15, float(values.max()) * 1.15)
    if not len(values):
        return None
    return min(least[0], float(values.min())), max(least[1], 1.08 * float(values.max()))


def _styles(rule: RuleConsistency) -> list[dict[str, Any]]:
    colours = size_colours(len(rule.curves))
    return [{"color": stand_in(c), "ls": LINES[i % len(LINES)]} for i, c in enumerate(colours)]


def _named(rule: RuleConsistency, curves: SizeCurves) -> str:
    return f"{rule.dial} {curves.size}"


def _legend(figure: Any, axes: Axes, *, columns: int = 3) -> None:
    """Put the names of lines above the axes, if there are lines, in an order that is read row by row."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    # A legend fills its columns one after another, the first ones longer by one where rows are not full.
    order = [place for column in range(columns) for place in range(column, len(labels), columns)]
    figure.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="outside upper left",
        ncols=columns,
        columnspacing=1.2,
        handletextpad=0.5,
    )


def _round_ticks(axes: Axes, *, low: float = 0.0) -> None:
    """Label a logarithmic axis by round numbers as plain text; nothing below `low` is shown."""
    axes.minorticks_off()
    bottom, top = axes.get_ylim()
    bottom = max(bottom, low)
    if not 0 < bottom < top:
        return
    ticks = loss_ticks(bottom, top)
    if len(ticks) > 7:
        ticks = [tick for tick in ticks if f"{tick:.0e}"[0] == "1"]
    axes.set_ylim(bottom, top)
    axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
