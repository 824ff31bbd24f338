"""The figures of a phase diagram: the map of gamma and the learning rate, its rates, budgets, and collapsed curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from similitude.report.gamma_figures import finish_gamma_axes, gamma_figures
from similitude.report.palette import size_colours, stand_in
from similitude.report.scale import log_ticks
from similitude.report.svg import Figure, draw
from similitude.studies.richness.diagram import PhaseDiagram
from similitude.studies.richness.phases import Phase
from similitude.studies.richness.rescaled_time import Collapse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS: dict[Phase, tuple[str, str]] = {
    Phase.DIVERGED: ("x", "bad"),
    Phase.CATAPULT: ("^", "r3"),
    Phase.NO_PROGRESS: (".", "muted"),
    Phase.PLATEAU: ("s", "unsure"),
    Phase.STAIRCASE: ("D", "accent"),
    Phase.LEARNED: ("o", "good"),
}
"""Marker and colour of each phase."""


def richness_figures(diagram: PhaseDiagram) -> list[Figure]:
    """Draw a phase diagram.

    Returns:
        The map; rates and losses against gamma as of the sweep; losses by the number of steps; collapsed curves. What
        was not measured is left out.
    """
    drawn = [_map(diagram), *gamma_figures(diagram.sweep)]
    if len(diagram.budgets) > 1:
        drawn.append(_budgets(diagram))
    if diagram.collapse is not None:
        drawn.append(_collapse(diagram.collapse))
    return drawn


def _map(diagram: PhaseDiagram) -> Figure:
    counts = [f"{count} {phase}" for phase, count in diagram.counts().items() if count]
    numbers = (f"Cells: {', '.join(counts)}.", *(f"{end}." for end in diagram.ends))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for phase, (marker, colour) in _MARKS.items():
            mine = [(cell.gamma, cell.lr) for cell in diagram.cells if cell.phase is phase]
            if mine:
                x, y = zip(*mine, strict=True)
                axes.plot(x, y, marker, color=stand_in(colour), ms=4.5, ls="", label=str(phase))
        axes.set_yscale("log")
        finish_gamma_axes(axes, "learning rate")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, handletextpad=0.3)

    panel = draw(paint, "map", title="Phases of gamma and the learning rate", description=" ".join(numbers))
    caption = (
        "What most seeds did at each gamma and learning rate. The useful region lies between rates that are too large "
        "(diverged) and too small for these steps (no progress); with gamma it moves up as gamma^2 on the left, more "
        "slowly on the right, where it also gets narrower: larger gammas wait longer on a first plateau."
    )
    return Figure("map", "The (gamma, learning rate) plane", (panel,), caption, numbers)


def _budgets(diagram: PhaseDiagram) -> Figure:
    numbers = tuple(f"After {b.steps} steps: {b.best.verdict.summary}." for b in diagram.budgets)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for budget, colour in zip(diagram.budgets, size_colours(len(diagram.budgets)), strict=True):
            known = [(gamma, loss) for gamma, loss in budget.losses.items() if math.isfinite(loss)]
            if known:
                x, y = zip(*known, strict=True)
                axes.plot(x, y, "o-", color=stand_in(colour), ms=4, label=f"{budget.steps} steps")
        _log_where_positive(axes, [loss for b in diagram.budgets for loss in b.losses.values()])
        finish_gamma_axes(axes, "training loss at the best rate")
        figure.legend(loc="outside upper left", ncols=4, columnspacing=1.0, handletextpad=0.4)

    panel = draw(paint, "budgets", title="Loss against gamma by steps", description=" ".join(numbers))
    caption = (
        "Every gamma at the rate that is best after so many steps. The minimum may move: plateaus of large gammas cost "
        "steps, and with few of them a smaller gamma wins."
    )
    return Figure("budgets", "Which gamma at which compute", (panel,), caption, numbers)


def _collapse(found: Collapse) -> Figure:
    numbers = (f"{found.verdict.summary}.",)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for (gamma, curve), colour in zip(found.curves.items(), size_colours(len(found.curves)), strict=True):
            axes.plot(found.time, curve, color=stand_in(colour), label=f"gamma {gamma:g}")
        axes.set_xlabel(f"lr x steps / gamma^{found.power:.3g}, from the half-drop")
        axes.set_ylabel("loss / initial loss")
        figure.legend(loc="outside upper left", ncols=3, columnspacing=1.0, handletextpad=0.4)

    panel = draw(paint, "collapse", title="Loss in rescaled time", description=numbers[0])
    caption = (
        "Rich runs at rates well below the edge of stability. In this unit of time all gammas follow one curve, but for "
        "the length of the plateau before it, which the alignment takes out."
    )
    return Figure("collapse", "One curve in rescaled time", (panel,), caption, numbers)


def _log_where_positive(axes: Axes, losses: list[float]) -> None:
    known = [loss for loss in losses if math.isfinite(loss)]
    if known and min(known) > 0:
        axes.set_yscale("log")
        ticks = log_ticks(*axes.get_ylim())
        axes.set_yticks(ticks, [f"{tick:.4g}" for tick in ticks])
