"""The figures of a tracked run: sharpness and loss against time, top eigenvalues, density, the parts of the Hessian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from similitude.landscape.portrait import DensityNumbers, Portrait, SplitNumbers
from similitude.landscape.sharpness_run import SharpnessRun
from similitude.landscape.tracker_records import SharpnessRecord
from similitude.landscape.tracker_verdict import Edge
from similitude.report.numbers import measured, quantity
from similitude.report.palette import stand_in
from similitude.report.scale import decades, log_ticks
from similitude.report.svg import Figure, Panel, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_KERNEL, _RICH = (
    0.05,
    0.2,
)  # residual over Gauss-Newton: lazy runs had 0.004 to 0.03, feature learning 0.2 to 0.4
_SPREAD = 3.0  # gap between neighbouring eigenvalues, as a ratio, that sets outliers apart


def sharpness_figures(run: SharpnessRun) -> list[Figure]:
    """Draw a tracked run.

    Returns:
        Figures in the order of reading, each with a caption that says what to look for and whether it is there.
    """
    found = [_time(run)] if len(run.history.records) > 1 else []
    if run.portrait is not None:
        found += [_spectrum(run.portrait)] if len(run.portrait.top) > 1 else []
        found += [_density(run.portrait, run.portrait.density)] if run.portrait.density is not None else []
        found += [_split(run.portrait.split)] if run.portrait.split is not None else []
    return found


def _time(run: SharpnessRun) -> Figure:
    records = [record for record in run.history.records if record.finite]
    numbers = (_edge_sentence(run), _loss_sentence(run))
    caption = (
        "Look for a rise of learning rate times sharpness to the dashed line and a stay there: from then on the learning "
        "rate decides the sharpness. Training by small batches settles below the line, and a loss that is fitted to the "
        "end flattens. Marks are measurements; rings are those at which another direction had come on top."
    )
    panels = (_edge_panel(records, numbers[0]), _loss_panel(run, records, numbers[1]))
    return Figure("time", "Sharpness and loss against time", panels, caption, numbers)


def _edge_sentence(run: SharpnessRun) -> str:
    edge = run.history.edge
    if edge is Edge.UNKNOWN:
        return f"It cannot be told whether that is there: {run.verdict.summary}."
    there = {
        Edge.AT: "It is there",
        Edge.BELOW: "It is not there",
        Edge.BEYOND: "The line is passed",
        Edge.DIVERGED: "It is not there",
    }
    crossings = sum(record.crossing for record in run.history.records)
    times = f" Directions that came on top newly: {crossings}." if crossings else ""
    return f"{there[edge]}: {run.verdict.summary}.{times}"


def _loss_sentence(run: SharpnessRun) -> str:
    first, last = run.history.records[0], run.history.records[-1]
    return f"Loss on the probe: {quantity(first.loss)} at step {first.step}, {quantity(last.loss)} at step {last.step}."


def _edge_panel(records: Sequence[SharpnessRecord], words: str) -> Panel:
    judged = any(record.eta_lambda is not None for record in records)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        points = [(r.step, r.eta_lambda if judged else r.value, r) for r in records]
        points = [(step, y, r) for step, y, r in points if y is not None]
        colour = stand_in("r0")
        axes.plot([p[0] for p in points], [p[1] for p in points], color=colour, marker=".", label="measured")
        rings = [(step, y) for step, y, r in points if r.crossing]
        axes.plot(*_columns(rings), "o", color=colour, mfc="none", ms=8)
        lines = [(r.step, r.threshold) for r in records if r.threshold is not None]
        if lines:
            axes.plot(*_columns(lines), color=stand_in("r1"), ls=(0, (6, 2)), label="stable up to here")
        lowest, highest = min(p[1] for p in points), max(p[1] for p in (*points, *lines))
        axes.set_ylim(min(0.0, 1.05 * lowest), 1.08 * highest if highest > 0 else None)
        _finish(axes, "steps", "learning rate x sharpness" if judged else "sharpness")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handletextpad=0.5)

    return draw(paint, "sharpness", title="Sharpness against time", description=words)


def _loss_panel(run: SharpnessRun, records: Sequence[SharpnessRecord], words: str) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        steps = [(step, loss) for step, loss in enumerate(run.losses) if math.isfinite(loss)]
        probe = [(r.step, r.loss) for r in records]
        axes.plot(*_columns(steps), color=stand_in("muted"), lw=0.8, label="training batches")
        axes.plot(*_columns(probe), color=stand_in("r2"), marker=".", label="probe")
        if all(loss > 0 for _, loss in (*steps, *probe)):
            axes.set_yscale("log")
        _finish(axes, "steps", "loss")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handletextpad=0.5)

    return draw(paint, "loss", title="Loss against time", description=words)


def _spectrum(portrait: Portrait) -> Figure:
    top = portrait.top
    ratios = [a / b if b > 0 else math.inf for a, b in pairwise(top)]
    at = max(range(len(ratios)), key=lambda i: ratios[i])
    if ratios[at] >= _SPREAD:
        gap = "infinite" if math.isinf(ratios[at]) else f"{ratios[at]:.1f} times"
        found = f"There is one behind number {at + 1}: the next eigenvalue is smaller by {gap}."
    else:
        found = f"There is none: from one to the next they fall by {ratios[at]:.2f} times at most."
    spread = f"The largest is {measured(top[0])}, number {len(top)} is {measured(top[-1])}."

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        places = list(range(1, len(top) + 1))
        axes.errorbar(places, top, yerr=portrait.bounds, fmt="o", color=stand_in("r0"), elinewidth=1)
        if top[-1] > 0:
            axes.set_yscale("log")
        _finish(axes, "number", "eigenvalue")
        axes.set_xticks(places if len(places) <= 12 else places[:: math.ceil(len(places) / 10)])

    caption = (
        "Look for a gap: a few eigenvalues stand out, in classification about as many as there are classes, less one. "
        "Bars are how far an eigenvalue can be from its mark."
    )
    panel = draw(paint, title="Largest eigenvalues", description=f"{found} {spread}")
    return Figure("top", "Largest eigenvalues of the Hessian at the end", (panel,), caption, (found, spread))


def _density(portrait: Portrait, density: DensityNumbers | None) -> Figure:
    assert density is not None
    bulk = portrait.trace / portrait.dim
    found = (
        f"{100 * density.below:.1f} % of the {portrait.dim} eigenvalues are below zero, {100 * density.outliers:.2g} % "
        f"above a tenth of the largest; the mean is {measured(bulk)}, the largest {measured(portrait.top[0])}."
    )
    there = density.outliers < 0.05 and portrait.top[0] > 10 * abs(bulk)
    verdict = "That is so here." if there else "That is not so here: there is no narrow bulk."

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        # Unlike the bulk, outliers hold next to no mass, so both axes are logarithmic.
        axes.fill_between(density.grid, density.values, color=stand_in("r0"), alpha=0.25, lw=0)
        axes.plot(density.grid, density.values, color=stand_in("r0"), lw=1.2)
        linear = max(abs(bulk), portrait.top[0] * 1e-4)
        axes.set_xscale("symlog", linthresh=linear)
        peak = max(density.values)
        axes.set_yscale("log")
        axes.set_ylim(peak * 1e-7, peak * 3)
        axes.plot(portrait.top, [peak * 1.6e-7] * len(portrait.top), "|", color=stand_in("r1"), ms=9)
        _finish(axes, "eigenvalue", "density")
        _symlog_ticks(axes, linear)

    caption = (
        "Look for a narrow bulk around zero and few outliers to its right: most directions are flat, and those that are "
        "not are few. What lies left of zero are directions along which the loss falls ever faster. Red marks are the "
        "largest eigenvalues, each computed for itself."
    )
    panel = draw(paint, title="Density of the eigenvalues", description=found)
    return Figure("density", "Density of all eigenvalues at the end", (panel,), caption, (verdict, found))


def _split(split: SplitNumbers) -> Figure:
    size = f"The residual part has {split.ratio:.3g} of the Gauss-Newton part's largest eigenvalue"
    if split.ratio >= _RICH:
        found = f"{size}: the curvature of the network itself counts, as where features are learned."
    elif split.ratio <= _KERNEL:
        found = f"{size}: next to nothing, as in a kernel, or where the loss is fitted."
    else:
        found = f"{size}: some, between a kernel (below {_KERNEL:g}) and features that are learned (above {_RICH:g})."

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        bars = {"Hessian": split.hessian, "Gauss-Newton": split.gauss_newton, "residual": split.residual}
        axes.barh(list(bars), list(bars.values()), color=[stand_in(f"r{i}") for i in range(3)], height=0.6)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        _finish(axes, "largest eigenvalue", "")

    caption = (
        "The Hessian is the Gauss-Newton matrix, which a model linear in its parameters would have, plus what the errors "
        "and the network's own curvature add. Look for a residual part that is not small: early in training it tells a "
        "network that learns features from a kernel. It fades with the errors."
    )
    panel = draw(paint, title="Parts of the Hessian", description=found)
    return Figure("split", "Gauss-Newton and residual part at the end", (panel,), caption, (found,))


def _finish(axes: Axes, across: str, up: str) -> None:
    """Label the axes; ticks are plain text, because the report's text is not set as formulas."""
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        ticks = log_ticks(low, high)
        axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])


def _symlog_ticks(axes: Axes, linear: float) -> None:
    low, high = axes.get_xlim()
    right = decades(linear, high, most=4) if high > linear else []
    left = decades(linear, -low, most=2) if -low > linear else []
    ticks = [*(-tick for tick in reversed(left)), 0.0, *right]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def _columns(rows: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows]
