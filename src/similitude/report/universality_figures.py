"""The figures of a study of universality: deviations from kernel gradient descent and changes of kernels by width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from similitude.report.palette import LINES, MARKERS, RULE_SLOTS, stand_in
from similitude.report.scale import loss_ticks
from similitude.report.svg import Figure, Panel, draw
from similitude.report.universality_table import power
from similitude.report.words import rule_label
from similitude.studies.universality_records import Architecture, Universality


def universality_figures(study: Universality) -> list[Figure]:
    """Draw a study of universality.

    Returns:
        A figure of deviations and errors of the kernel against width, and one of changes of the kernel in training.
    """
    found = study.architectures
    changes = {"NTP": "kernel_changes"} | (
        {rule_label(study.contrast): "contrast_changes"} if study.contrast else {}
    )
    apart = {"test examples": "deviations", "kernel at the start": "kernel_errors"}
    return [
        _figure(
            "deviations",
            "Distance to kernel gradient descent against width",
            found,
            apart,
            "Left: root mean square difference between net and kernel gradient descent on examples not trained on, over "
            "that of the targets, the largest of all times. Right: relative distance of the net's own tangent kernel at "
            "the start to the limit. Points are seeds. Look for lines that fall as steeply as the dotted ones, whatever "
            "the architecture: width to the -1/2.",
            falling=True,
        ),
        _figure(
            "changes",
            "Change of the tangent kernel in training",
            found,
            changes,
            "Relative distance of the tangent kernel after training to that at the start. Look for lines that fall in "
            "the NTK parametrization, where kernels freeze, and stay level in the other, where features are learned.",
            falling=False,
        ),
    ]


def _figure(
    key: str,
    title: str,
    found: Mapping[str, Architecture],
    quantities: Mapping[str, str],
    caption: str,
    *,
    falling: bool,
) -> Figure:
    numbers = tuple(
        f"{name}, {label}: width to the {power(one.exponents.get(quantity))}."
        for label, quantity in quantities.items()
        for name, one in found.items()
    )
    size = len(found)
    panels = tuple(
        _panel(label, quantity, found, numbers[i * size : (i + 1) * size], falling=falling)
        for i, (label, quantity) in enumerate(quantities.items())
    )
    return Figure(key, title, panels, caption, numbers)


def _panel(
    label: str, quantity: str, found: Mapping[str, Architecture], words: Sequence[str], *, falling: bool
) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        shown: list[float] = []
        for place, (name, one) in enumerate(found.items()):
            colour = stand_in(f"r{place % RULE_SLOTS}")
            points = [
                (w.width, [v for v in getattr(w, quantity) if math.isfinite(v) and v > 0]) for w in one.widths
            ]
            points = [(width, values) for width, values in points if values]
            if not points:
                continue
            shown += [value for _, values in points for value in values]
            for width, values in points:
                axes.plot([width] * len(values), values, ".", color=colour, alpha=0.4, ms=4)
            widths = [width for width, _ in points]
            means = [math.exp(sum(map(math.log, values)) / len(values)) for _, values in points]
            line = LINES[place % len(LINES)]
            axes.plot(widths, means, color=colour, marker=MARKERS[place % len(MARKERS)], ls=line, label=name)
            if falling:
                law = [means[0] * (width / widths[0]) ** -0.5 for width in widths]
                axes.plot(widths, law, color=stand_in("muted"), ls=(0, (1, 2)), lw=1)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.minorticks_off()
        ticks = sorted({w.width for one in found.values() for w in one.widths})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        if shown:
            low, high = min(shown) / 1.2, 1.2 * max(shown)
            axes.set_ylim(low, high)
            axes.set_yticks(loss_ticks(low, high), [f"{tick:.3g}" for tick in loss_ticks(low, high)])
        axes.set_xlabel("width")
        axes.set_ylabel("relative distance" if falling else "relative change")
        figure.legend(loc="outside upper left", ncols=2, columnspacing=1.2, handletextpad=0.5)

    return draw(paint, label, title=f"{label} against width", description=" ".join(words))
