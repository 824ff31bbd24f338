"""The vector field of weight and sharpness of a two-layer linear network, under muP and NTP (paper 2, Section 5)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from similitude.report.palette import size_colours, stand_in
from similitude.report.svg import Figure, Panel, draw
from similitude.theory.two_layer_field import FieldPanel, TwoLayerField

_SAME = 0.1  # relative differences of the final sharpness that count as none


def vector_field(field: TwoLayerField) -> Figure:
    """Draw where gradient descent drives weight and sharpness, with the training of finite networks on top.

    Args:
        field: What `two_layer_field` returned.

    Returns:
        One panel per parametrization.
    """
    numbers = tuple(_in_words(field, panel) for panel in field.panels)
    caption = (
        "Arrows show one step of gradient descent from a weight and a sharpness. Every point of the upright line fits "
        "the data; training can rest on its green part, below 2 / eta, and not on the red one. No network lies in the "
        "grey region. Look for arrows that turn upwards before they reach the line (the sharpness rises while features "
        "are learned), and for paths of all widths that do the same."
    )
    panels = tuple(_panel(field, panel, words) for panel, words in zip(field.panels, numbers, strict=True))
    return Figure("vector-field", "Weight and sharpness of a linear network", panels, caption, numbers)


def _panel(field: TwoLayerField, panel: FieldPanel, words: str) -> Panel:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        left, right = -0.35 * field.target, 1.85 * field.target
        axes.set_xlim(left, right)
        axes.set_ylim(0, field.top)
        axes.grid(visible=False)
        _lines(axes, field, panel, (left, right))
        length = np.hypot(panel.dw / (right - left), panel.dsharpness / field.top)
        # Arrows as long as the square root of the speed: the fast ones would hide the slow ones.
        shrink = 0.1 / np.sqrt(np.maximum(length, 1e-12) * max(float(length.max()), 1e-12))
        axes.quiver(
            panel.w,
            panel.sharpness,
            panel.dw * shrink,
            panel.dsharpness * shrink,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.004,
            color=stand_in("muted"),
            zorder=3,
        )
        for path, colour in zip(panel.paths, size_colours(len(panel.paths)), strict=True):
            axes.plot(
                path.w, path.sharpness, "o-", ms=2.5, lw=1.2, color=stand_in(colour), zorder=4,
                label=f"width {path.width}",
            )  # fmt: skip
        axes.set_xlabel("weight w")
        axes.set_ylabel("sharpness, stable below 2 / eta")
        axes.text(left + 0.03 * (right - left), 2 / field.eta, "2 / eta", va="bottom", color=stand_in("bad"))
        figure.legend(loc="outside upper left", ncols=len(panel.paths), columnspacing=1.0, handlelength=1.4)

    return draw(paint, panel.name, title=f"Weight and sharpness under {panel.name}", description=words)


def _lines(axes: Any, field: TwoLayerField, panel: FieldPanel, ends: tuple[float, float]) -> None:
    """Draw what no network has, the minima, and the edge of stability."""
    w = np.linspace(*ends, 201)
    floor = 2 * math.sqrt(panel.kappa) * np.abs(w)
    axes.fill_between(w, 0, floor, color=stand_in("grid"), lw=0)
    edge, lowest = 2 / field.eta, 2 * math.sqrt(panel.kappa) * field.target
    axes.plot([field.target] * 2, [min(lowest, edge), edge], color=stand_in("good"), lw=3, zorder=2)
    axes.plot([field.target] * 2, [max(lowest, edge), field.top], color=stand_in("bad"), lw=3, zorder=2)
    axes.axhline(edge, color=stand_in("bad"), lw=1, ls=(0, (4, 3)), zorder=2)


def _in_words(field: TwoLayerField, panel: FieldPanel) -> str:
    first, last = panel.paths[0], panel.paths[-1]
    ends = [float(path.sharpness[-1]) for path in panel.paths]
    rise = ends[-1] / float(last.sharpness[0])
    sizes = f"from {last.sharpness[0]:.2f} to {ends[-1]:.2f} at width {last.width}"
    spread = (max(ends) - min(ends)) / ends[-1]
    agree = "the same" if spread <= _SAME else "not the same"
    limit = f", where gradient flow ends at {field.flow:.2f}" if panel.kappa else ""
    moves = "rises" if rise > 1 + _SAME else "falls" if rise < 1 - _SAME else "stays"
    return (
        f"{panel.name}: at learning rate {field.eta:g} the sharpness {moves}, {sizes}{limit}; from width {first.width} "
        f"on its final value is {agree} within {100 * _SAME:.0f} % ({min(ends):.2f} to {max(ends):.2f}; stability ends "
        f"at {2 / field.eta:.2f})."
    )
