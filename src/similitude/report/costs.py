"""What transferring costs: loss at the largest size at the transferred learning rate, against the best."""

from __future__ import annotations

import math
from typing import Any

from similitude.report.numbers import quantity
from similitude.report.palette import MARKERS, rule_slots, stand_in
from similitude.report.svg import Figure, draw
from similitude.report.words import excess, rule_label, short_label
from similitude.studies.records import Transfer, TransferStudy


def costs(study: TransferStudy) -> Figure | None:
    """Draw both losses of every rule at the largest size, joined by a line as long as the cost.

    Returns:
        One panel, or None where no rule has both losses.
    """
    shown = {rule: t for rule, t in study.transfers.items() if _both(t)}
    if not shown:
        return None
    slots = rule_slots(study.transfers)
    numbers = tuple(_in_words(t) for t in study.transfers.values())

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        for row, (rule, transfer) in enumerate(shown.items()):
            _draw_rule(axes, transfer, row, slots[rule])
        axes.set_yticks(range(len(shown)), [short_label(rule) for rule in shown])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(shown) - 0.4, -0.7)
        axes.margins(x=0.18)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(f"final loss at the largest {study.dial}")

    panel = draw(paint, title="Loss at the transferred learning rate", description=" ".join(numbers))
    caption = (
        f"Loss at the largest {study.dial}: filled markers at the best rate of the grid, hollow ones at the rate "
        f"tuned at the smallest {study.dial}, with two standard errors of the difference. The closer they are, the "
        "less is lost by tuning small."
    )
    return Figure("costs", f"What tuning at the smallest {study.dial} costs", (panel,), caption, numbers)


def _both(transfer: Transfer) -> bool:
    losses = (transfer.loss_at_transferred, transfer.loss_at_best)
    return all(loss is not None and math.isfinite(loss) for loss in losses)


def _in_words(transfer: Transfer) -> str:
    label = rule_label(transfer.rule)
    if transfer.loss_at_transferred is None or transfer.loss_at_best is None:
        return f"{label}: the losses are not known."
    at, best = quantity(transfer.loss_at_transferred), quantity(transfer.loss_at_best)
    return f"{label}: {at} at the transferred rate, {best} at the best ({excess(transfer)})."


def _draw_rule(axes: Any, transfer: Transfer, row: int, slot: int) -> None:
    colour, marker = stand_in(f"r{slot % 5}"), MARKERS[slot % len(MARKERS)]
    at, best = transfer.loss_at_transferred, transfer.loss_at_best
    if at is None or best is None:
        return
    axes.plot([best, at], [row, row], color=colour, lw=1.4)
    if transfer.loss_stderr is not None and math.isfinite(transfer.loss_stderr):
        reach = 2 * transfer.loss_stderr
        axes.plot([at - reach, at + reach], [row, row], color=colour, lw=4, alpha=0.35, solid_capstyle="butt")
    axes.plot(best, row, marker, color=colour, ms=9)
    axes.plot(at, row, marker, color=colour, mfc=stand_in("card"), ms=9, mew=1.6)
    axes.annotate(
        excess(transfer),
        ((best + at) / 2, row),
        (0, 12),
        textcoords="offset points",
        ha="center",
        color=colour,
        weight="bold",
    )
