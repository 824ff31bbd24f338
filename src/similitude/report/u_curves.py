"""The U-curves of a transfer study: final loss against learning rate, a panel per rule, a line per size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from similitude.report.palette import LINES, MARKERS, size_colours, stand_in
from similitude.report.scale import loss_ticks, loss_window, mean_losses, octave_ticks
from similitude.report.svg import Figure, Panel, draw
from similitude.report.words import optimum_sentence, rule_label
from similitude.studies.records import Curve, Optimum, Transfer, TransferStudy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_two(exponent: int) -> str:
    """Write a power of two for a tick label.

    Example:
        >>> power_of_two(-7)
        '2⁻⁷'
    """
    return "2" + str(exponent).translate(_SUPERSCRIPTS)


def u_curves(study: TransferStudy) -> Figure | None:
    """Draw the losses of every size over the learning rates, with the refined optimum and its interval.

    Panels share both axes. Seeds are thin points, a line joins their means. Diverged runs are crosses and
    losses off the scale are triangles, in rows above the axes (one row per size).

    Returns:
        One panel per rule, or None where the study has no curve.
    """
    transfers = [t for t in study.transfers.values() if any(c.lrs for c in t.curves)]
    if not transfers:
        return None
    curves = [curve for t in transfers for curve in t.curves if curve.lrs]
    rates = [math.log2(lr) for curve in curves for lr in curve.lrs]
    limits = (min(rates) - 0.4, max(rates) + 0.4)
    window = loss_window(curves)
    rows = max(len(t.curves) for t in transfers)
    panels = tuple(_panel(t, limits, window, rows) for t in transfers)
    caption = (
        "Thin points are seeds, lines their means; all panels share both axes. The large marker with a bar "
        "is the best learning rate with its 95 % interval, hollow with an arrow where it lies at the edge of "
        "the grid. Above the axes, a cross is a rate at which a seed diverged and a triangle a loss off the "
        "scale. The dotted vertical line is the rate tuned at the "
        f"smallest {study.dial}."
    )
    numbers = tuple(map(_in_words, transfers))
    return Figure("curves", "Loss against learning rate", panels, caption, numbers)


def _in_words(transfer: Transfer) -> str:
    lines = " ".join(optimum_sentence(optimum) for optimum in transfer.optima)
    return f"{rule_label(transfer.rule)}: {lines}"


def _panel(
    transfer: Transfer, limits: tuple[float, float], window: tuple[float, float] | None, rows: int
) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_xlim(*limits)
        octaves = octave_ticks(*limits)
        axes.set_xticks(octaves, [power_of_two(octave) for octave in octaves])
        axes.set_xlabel("learning rate")
        axes.set_ylabel("final loss")
        if window is None:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "every run diverged", transform=axes.transAxes, ha="center")
        else:
            if window[0] > 0:
                axes.set_yscale("log")
            axes.set_ylim(*window)
            axes.minorticks_off()
            ticks = loss_ticks(*window)
            axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
        if transfer.transferred_lr is not None:
            axes.axvline(math.log2(transfer.transferred_lr), color=stand_in("muted"), lw=1, ls=(0, (1, 2)))
        optima = {optimum.size: optimum for optimum in transfer.optima}
        for index, (curve, colour) in enumerate(
            zip(transfer.curves, size_colours(len(transfer.curves)), strict=True)
        ):
            _draw_curve(axes, curve, index, stand_in(colour), window)
            if curve.size in optima:
                _draw_optimum(axes, optima[curve.size], index, stand_in(colour))
        # An unseen mark in the top row gives the axes of all panels the same height.
        _mark(axes, limits[:1], rows - 1, "x", stand_in("card"), alpha=0)
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.2, handletextpad=0.5)

    label = rule_label(transfer.rule)
    return draw(
        paint, label, title=f"Loss against learning rate under {label}", description=_in_words(transfer)
    )


def _draw_curve(
    axes: Axes, curve: Curve, index: int, colour: str, window: tuple[float, float] | None
) -> None:
    x = [math.log2(lr) for lr in curve.lrs]
    means = mean_losses(curve)
    marker, top = MARKERS[index % len(MARKERS)], math.inf if window is None else window[1]
    points = [
        (at, loss)
        for at, seeds in zip(x, curve.losses, strict=True)
        for loss in seeds
        if math.isfinite(loss) and loss <= top
    ]
    axes.plot([p[0] for p in points], [p[1] for p in points], ".", color=colour, alpha=0.45, ms=3, mew=0)
    axes.plot(
        x,
        [m if m is not None and math.isfinite(m) else math.nan for m in means],
        color=colour,
        ls=LINES[index % len(LINES)],
        marker=marker,
        ms=3.4,
        label=f"{curve.dial} {curve.size}",
    )
    diverged = [at for at, mean in zip(x, means, strict=True) if mean == math.inf]
    above = [at for at, mean in zip(x, means, strict=True) if mean is not None and top < mean < math.inf]
    _mark(axes, diverged, index, "x", colour)
    _mark(axes, above, index, "^", colour)


def _mark(axes: Axes, x: Sequence[float], row: int, symbol: str, colour: str, *, alpha: float = 1) -> None:
    """Put marks above the axes, one row per size, so that marks at the same rate do not hide each other."""
    height = 1.025 + 0.04 * row
    transform = axes.get_xaxis_transform()
    style: dict[str, Any] = {"color": colour, "alpha": alpha, "ms": 4.5, "clip_on": False}
    axes.plot(x, [height] * len(x), symbol, transform=transform, **style)


def _draw_optimum(axes: Axes, optimum: Optimum, index: int, colour: str) -> None:
    if optimum.lr is None or not math.isfinite(optimum.loss):
        return
    x = math.log2(optimum.lr)
    if optimum.interval is not None:
        low, high = map(math.log2, optimum.interval)
        axes.hlines(optimum.loss, low, high, color=colour, lw=3.2, zorder=4)
    axes.plot(
        x,
        optimum.loss,
        MARKERS[index % len(MARKERS)],
        ms=9,
        mfc=colour if optimum.bracketed else stand_in("card"),
        mec=stand_in("card") if optimum.bracketed else colour,
        mew=1.4,
        zorder=5,
    )
    if not optimum.bracketed:
        sign = -1 if optimum.edge == "low" else 1
        axes.annotate(
            "",
            (x + sign * 0.9, optimum.loss),
            (x + sign * 0.2, optimum.loss),
            arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.6},
            annotation_clip=False,
        )
