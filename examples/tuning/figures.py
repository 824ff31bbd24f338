"""Figures of the demos as SVG files: runs and their front, losses at fixed budgets, returns with their spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "similitude",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def front(
    path: Path,
    costs: ArrayLike,
    values: ArrayLike,
    *,
    minimize: bool,
    labels: tuple[str, str],
    title: str,
    estimated: Sequence[tuple[float, float, float, float]] = (),
) -> None:
    """Draw runs over their cost, the staircase of the best so far, and estimates of the best with intervals.

    Args:
        path: The file.
        costs: Of the runs.
        values: Of the runs.
        minimize: Whether small values are good.
        labels: Of the two axes.
        title: What is to be seen.
        estimated: Cost, value, and ends of its interval.
    """
    costs, values = np.asarray(costs), np.asarray(values)
    order = np.argsort(costs)
    sign = 1 if minimize else -1
    best = sign * np.minimum.accumulate(sign * values[order])
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        axes.scatter(costs, values, s=14, color="tab:gray", label="one run")
        axes.step(costs[order], best, where="post", color="tab:blue", label="best run so far")
        if estimated:
            at, mean, low, high = np.array(estimated).T
            axes.errorbar(
                at,
                mean,
                [mean - low, high - mean],
                fmt="o",
                ms=4,
                color="tab:orange",
                label="what to expect of the best",
            )
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
            left.plot(*zip(*rows, strict=True), "o-", ms=3, label=f"{budget:.1g} FLOP")
        left.set(
            xscale="log", xlabel="parameters", ylabel="loss (nats per character)", title="Runs of equal cost"
        )
        left.legend()
        right.loglog(*zip(*best, strict=True), "o", color="black", label="grid")
        for name, budgets, sizes in laws:
            right.loglog(budgets, sizes, label=name)
        right.set(xlabel="FLOP", ylabel="best number of parameters", title=title)
        right.legend()
        save(figure, path)


def returns(path: Path, groups: Mapping[str, Sequence[float]], *, label: str, title: str) -> None:
    """Draw the returns of several seeds of each group, and their means with 90 % intervals.

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
