"""The map of depth parametrizations: residual exponent against exponent of the learning rate (paper 13, Section 7)."""

from __future__ import annotations

from typing import Any

from similitude.report.palette import stand_in
from similitude.report.svg import Figure, draw
from similitude.theory.depth import DEPTH_POINTS, DepthRegime

_X, _Y = (-0.2, 1.4), (-0.5, 1.2)
_HALVES = {-0.5: "-1/2", 0.0: "0", 0.5: "1/2", 1.0: "1"}
# Where the names of the points stand beside them: (x, y) in points, and the side that the text is on.
_BESIDE = {
    "Depth-muP": (8, 4, "left"),
    "CompleteP": (8, 4, "left"),
    "branches alone": (0, -15, "center"),
    "standard": (0, -15, "center"),
}


def depth_map(regime: DepthRegime) -> Figure:
    """Draw where a parametrization lies in the plane of (residual exponent, exponent of Adam's learning rate).

    The borders are the inequalities of `similitude.theory.depth.classify`. Stable and faithful networks that learn lie on
    the segment from Depth-muP to CompleteP alone.

    Args:
        regime: What `classify` returned.

    Returns:
        One panel.
    """
    numbers = (f"{regime}.",)
    here = (regime.alpha, regime.lr_exponent)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_xlim(*_X)
        axes.set_ylim(*_Y)
        axes.grid(visible=False)
        _regions(axes)
        for name, at in DEPTH_POINTS.items():
            dx, dy, side = _BESIDE[name]
            axes.plot(*at, "D", ms=4, color=stand_in("ink"), zorder=4)
            axes.annotate(
                name, at, (dx, dy), textcoords="offset points", ha=side, color=stand_in("ink"), zorder=4
            )
        axes.plot(*_inside(here), "o", ms=11, mfc="none", mew=2, color=stand_in("accent"), zorder=5)
        axes.set_xticks([0.0, 0.5, 1.0], [_HALVES[x] for x in (0.0, 0.5, 1.0)])
        axes.set_yticks([-0.5, 0.0, 0.5, 1.0], [_HALVES[y] for y in (-0.5, 0.0, 0.5, 1.0)])
        axes.set_xlabel("branches x depth to the minus")
        axes.set_ylabel("Adam's rate x depth to the minus")

    panel = draw(paint, title="Map of depth parametrizations", description=" ".join(numbers))
    caption = (
        "Residual networks that are stable at every depth and learn lie on the green segment alone, from Depth-muP, "
        "whose layers learn different things, to CompleteP, whose layers are redundant. Below it training blows up with "
        "the depth, above it a deep network learns nothing, left of 1/2 it blows up at initialization; on the dots "
        "preactivations do. The ring is the parametrization itself; beyond the axes it is drawn at their edge."
    )
    return Figure("depth-map", "What the depth does", (panel,), caption, numbers)


def _regions(axes: Any) -> None:
    """Fill the half-planes: alpha >= 1/2 and alpha + lr exponent >= 1, with equality where something is learned."""
    (left, right), (low, high) = _X, _Y
    axes.fill([left, left, 0.5, 0.5], [low, high, high, low], color=stand_in("bad"), alpha=0.16, lw=0)
    axes.fill(
        [0.5, 0.5, right, right],
        [low, 0.5, 1 - right, low],
        color=stand_in("bad"),
        alpha=0.28,
        lw=0,
    )
    axes.fill(
        [0.5, 0.5, right, right],
        [0.5, high, high, 1 - right],
        color=stand_in("unsure"),
        alpha=0.16,
        lw=0,
    )
    axes.plot([0.5, 1.0], [0.5, 0.0], color=stand_in("good"), lw=3, solid_capstyle="butt", zorder=3)
    axes.plot(
        [1.0, right], [0.0, 1 - right], color=stand_in("bad"), lw=1.5, ls=(0, (2, 2)), zorder=3
    )  # unfaithful: preactivations blow up
    axes.text(-0.15, 1.08, "blows up at init", color=stand_in("bad"), va="center")
    axes.text(0.53, -0.42, "blows up in training", color=stand_in("bad"), va="center")
    axes.text(0.8, 0.95, "learns nothing", color=stand_in("unsure"), va="center")


def _inside(point: tuple[float, float]) -> tuple[float, float]:
    """Move a point that lies beyond the axes to their edge."""
    (left, right), (low, high) = _X, _Y
    return min(max(point[0], left + 0.05), right - 0.05), min(max(point[1], low + 0.05), high - 0.05)
