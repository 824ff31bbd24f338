"""The figures of a sweep of gamma: learning rates against gamma with the law's slopes, and the best loss of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from similitude.report.gamma_table import best_in_words
from similitude.report.numbers import octaves
from similitude.report.palette import stand_in
from similitude.report.scale import decades, log_ticks
from similitude.report.svg import Figure, Panel, draw
from similitude.scaling.richness import power_of
from similitude.studies.gamma_records import GammaSweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def gamma_figures(sweep: GammaSweep) -> list[Figure]:
    """Draw a sweep of gamma.

    Returns:
        One figure of two panels: the largest stable and the best rate against gamma with lines of the law's slopes,
        and the loss at the best rate with the best gamma. Nothing where every run diverged.
    """
    if not any(point.at_best for point in sweep.points):
        return []
    numbers = (
        *(
            f"{e.quantity} on the {e.side} side: gamma to the power {octaves(e.value, e.interval)}"
            + ("." if e.expected is None else f", law {e.expected:.2f}.")
            for e in sweep.exponents
        ),
        f"Best at this compute: {best_in_words(sweep.best)}.",
    )
    caption = (
        "Left: rates as the optimizer takes them; thin marks are seeds, dotted lines have the slopes of the law and go "
        "through the outermost gamma of their side. Right: the loss after the steps of the sweep, each gamma at its own "
        "best rate; thin points are seeds, and the band is the 95 % interval of the best gamma."
    )
    panels = (_rates(sweep, numbers), _losses(sweep, numbers))
    return [Figure("gamma", "Learning rates and loss against gamma", panels, caption, numbers)]


def _rates(sweep: GammaSweep, numbers: Sequence[str]) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        stable = [(p.gamma, [lr for lr in p.stable if lr is not None]) for p in sweep.points]
        stable = [(gamma, lrs) for gamma, lrs in stable if lrs]
        middles = [(gamma, 2.0 ** (sum(map(math.log2, lrs)) / len(lrs))) for gamma, lrs in stable]
        best = [(p.gamma, p.best.lr) for p in sweep.points if p.best.lr is not None]
        first, second = stand_in("r0"), stand_in("r1")
        for gamma, lrs in stable:
            axes.plot([gamma] * len(lrs), lrs, "_", color=first, alpha=0.6, ms=7)
        axes.plot(*_columns(middles), color=first, marker="o", label="largest stable")
        axes.plot(*_columns(best), color=second, marker="s", ls=(0, (6, 2)), label="best")
        axes.set_yscale("log")
        limits = axes.get_ylim()
        _law(axes, sweep, middles)
        axes.set_ylim(limits)  # the law's lines may leave the axes, where rates have left the law
        finish_gamma_axes(axes, "learning rate")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handletextpad=0.5)

    return draw(paint, "rates", title="Learning rates against gamma", description=" ".join(numbers))


def _law(axes: Axes, sweep: GammaSweep, middles: Sequence[tuple[float, float]]) -> None:
    """Draw the law's slope on either side, through the outermost gamma."""
    if sweep.layers is None:
        return
    label = "law"
    for points in ([m for m in middles if m[0] < 1][:1], [m for m in middles if m[0] > 1][-1:]):
        for gamma, lr in points:
            at_one = lr * gamma ** -power_of(gamma, sweep.layers, sweep.family)
            axes.plot([gamma, 1.0], [lr, at_one], color=stand_in("muted"), ls=(0, (1, 2)), label=label)
            label = ""


def _losses(sweep: GammaSweep, numbers: Sequence[str]) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        colour = stand_in("r2")
        alive = [point for point in sweep.points if point.at_best]
        if sweep.best.interval is not None:
            axes.axvspan(*sweep.best.interval, color=stand_in("grid"), lw=0)
        for point in alive:
            axes.plot([point.gamma] * len(point.at_best), point.at_best, ".", color=colour, alpha=0.5, ms=4)
        means = [(point.gamma, sum(point.at_best) / len(point.at_best)) for point in alive]
        axes.plot(*_columns(means), color=colour, marker="o")
        if all(loss > 0 for _, loss in means):
            axes.set_yscale("log")
        finish_gamma_axes(axes, "loss at the best rate")

    return draw(paint, "loss", title="Loss against gamma", description=numbers[-1])


def finish_gamma_axes(axes: Axes, label: str) -> None:
    """Scale and label axes over gamma; ticks are plain text, because the report's text is not set as formulas.

    Args:
        axes: The axes, drawn.
        label: Name of the vertical axis.
    """
    axes.set_xscale("log")
    axes.set_xlabel("gamma")
    axes.set_ylabel(label)
    axes.minorticks_off()
    ticks = decades(*axes.get_xlim())
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        ticks = log_ticks(low, high)
        axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])


def _columns(rows: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows]
