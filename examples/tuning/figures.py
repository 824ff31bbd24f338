"""Figures of the demos as SVG files: runs and their front, losses at fixed budgets, returns by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike

from similitude.tuning.search.best import Best
from similitude.tuning.trials.history import History

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "similitude",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}

WIDE = 10
"""Ratio of values from which on they are drawn on a logarithmic axis."""


def front(
    path: Path, history: History, answers: Sequence[Best], *, labels: tuple[str, str], title: str
) -> None:
    """Draw runs over their cost, and what is believed of the best ones with 90 % intervals.

    Args:
        path: The file.
        history: The runs.
        answers: The configurations believed to be best, by cost.
        labels: Of the two axes.
        title: What is to be seen.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(history.costs, history.values, s=14, color="tab:gray", label="one run")
        if answers:
            at = [answer.cost for answer in answers]
            means = np.array([answer.value for answer in answers])
            ends = np.array([(answer.low, answer.high) for answer in answers]).T
            axes.errorbar(at, means, np.abs(ends - means), fmt="o-", ms=4, color="tab:blue", label="best")
        if 0 < WIDE * min(history.values) < max(history.values):
            axes.set_yscale("log")
        axes.set(xscale="log", xlabel=labels[0], ylabel=labels[1], title=title)
        axes.legend()
        save(figure, path)


def isoflop(
    path: Path,
    curves: Mapping[float, Sequence[tuple[float, float]]],
    best: Iterable[tuple[float, float]],
    *,
    title: str,
    laws: Sequence[tuple[str, ArrayLike, ArrayLike]] = (),
) -> None:
    """Draw loss over size at each budget, and the best size over the budget beside lines that fitted laws give.

    Args:
        path: The file.
        curves: Size and loss by budget.
        best: Budget and its best size.
        title: What is to be seen.
        laws: Name, budgets and sizes of each line.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        for budget, rows in curves.items():
            left.plot(*zip(*rows, strict=True), "o-", ms=3, label=f"{budget:.2g} FLOP")
        left.set(
            xscale="log", xlabel="parameters", ylabel="loss (nats per character)", title="Runs of equal cost"
        )
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(curves))
        right.loglog(*zip(*best, strict=True), "o", color="black", label="grid")
        for name, budgets, sizes in laws:
            right.loglog(budgets, sizes, label=name)
        right.set(xlabel="FLOP", ylabel="best number of parameters", title=title)
        right.legend()
        for axes in (left, right):
            axes.xaxis.set_minor_formatter(NullFormatter())  # they would overlap
        save(figure, path)


def returns(path: Path, groups: Mapping[str, Sequence[float]], *, label: str, title: str) -> None:
    """Draw the returns of several seeds of each group, and their means.

    Args:
        path: The file.
        groups: Returns by name.
        label: Of the axis of returns.
        title: What is to be seen.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2, 0.9 + 0.6 * len(groups)), layout="constrained")
        axes = figure.add_subplot()
        for row, seen in enumerate(groups.values()):
            axes.plot(seen, [row] * len(seen), "o", ms=4, color="tab:gray")
            axes.plot(np.mean(seen), row, "|", ms=18, mew=2, color="tab:blue")
        axes.set(yticks=range(len(groups)), yticklabels=list(groups), xlabel=label, title=title)
        axes.set_ylim(-0.6, len(groups) - 0.4)
        save(figure, path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
