"""The best learning rate against width or depth for every rule, with intervals and the fitted slope."""

from __future__ import annotations

import math
from typing import Any

from similitude.report.numbers import octaves
from similitude.report.palette import LINES, MARKERS, rule_slots, stand_in
from similitude.report.scale import octave_ticks
from similitude.report.svg import Figure, draw
from similitude.report.u_curves import power_of_two
from similitude.report.words import rule_label, short_label
from similitude.studies.records import Optimum, Transfer, TransferStudy

# Rules stand this many octaves of size apart, so that the intervals of equal optima can be told apart.
_DODGE = 0.06


def optima(study: TransferStudy) -> Figure | None:
    """Draw the best learning rate of every size under every rule.

    Returns:
        One panel, or None where no rule has an optimum.
    """
    found = {rule: [o for o in t.optima if o.lr is not None] for rule, t in study.transfers.items()}
    found = {rule: points for rule, points in found.items() if points}
    if not found:
        return None
    slots = rule_slots(study.transfers)
    numbers = tuple(_in_words(t) for t in study.transfers.values())

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        middle = (len(found) - 1) / 2
        for place, (rule, points) in enumerate(found.items()):
            _draw_rule(axes, study.transfers[rule], points, slots[rule], _DODGE * (place - middle))
        sizes = sorted({o.size for points in found.values() for o in points})
        axes.set_xticks([math.log2(size) for size in sizes], [str(size) for size in sizes])
        axes.set_xlim(math.log2(sizes[0]) - 0.35, math.log2(sizes[-1]) + 0.35)
        low, high = axes.get_ylim()
        # An octave at least, so that a small wobble does not look like a slope.
        low, high = min(low, (low + high) / 2 - 1), max(high, (low + high) / 2 + 1)
        axes.set_ylim(low, high)
        ticks = octave_ticks(low, high)
        axes.set_yticks(ticks, [power_of_two(tick) for tick in ticks])
        axes.set_xlabel(study.dial)
        axes.set_ylabel("best learning rate")
        figure.legend(loc="outside upper left", ncols=1, handletextpad=0.5)

    title = f"Best learning rate against {study.dial}"
    panel = draw(paint, title=title, description=" ".join(numbers))
    caption = (
        f"Best learning rate per {study.dial} with 95 % intervals; lines have the fitted slope. A level line means "
        f"that the rate found at a small {study.dial} is right at a large one. Hollow markers lie at the edge of the "
        "grid."
    )
    return Figure("optima", title, (panel,), caption, numbers)


def _in_words(transfer: Transfer) -> str:
    label = rule_label(transfer.rule)
    if transfer.shift is None:
        return f"{label}: no slope can be fitted."
    return f"{label}: {octaves(transfer.shift, transfer.shift_interval)} octaves per doubling of {transfer.dial}."


def _draw_rule(axes: Any, transfer: Transfer, points: list[Optimum], slot: int, dodge: float) -> None:
    colour, marker = stand_in(f"r{slot % 5}"), MARKERS[slot % len(MARKERS)]
    line = LINES[slot % len(LINES)]
    x = [math.log2(o.size) for o in points]
    y = [math.log2(o.lr) for o in points if o.lr is not None]
    label = short_label(transfer.rule)
    for optimum, at, octave in zip(points, x, y, strict=True):
        if optimum.interval is not None:
            low, high = map(math.log2, optimum.interval)
            axes.vlines(at + dodge, low, high, color=colour, lw=1.8)
        axes.plot(
            at + dodge,
            octave,
            marker,
            ms=7,
            color=colour,
            mfc=colour if optimum.bracketed else stand_in("card"),
            mew=1.4,
        )
    if transfer.shift is None:
        axes.plot([], [], marker, ms=7, color=colour, label=f"{label}: no slope")
        return
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    ends = (min(x) - 0.2, max(x) + 0.2)
    axes.plot(
        ends,
        [mean_y + transfer.shift * (end - mean_x) for end in ends],
        color=colour,
        ls=line,
        lw=1.3,
        marker=marker,
        ms=6,
        markevery=[],
        label=f"{label}: {octaves(transfer.shift, transfer.shift_interval)} octaves per doubling",
    )
