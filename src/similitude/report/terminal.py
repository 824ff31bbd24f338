"""A transfer study as tables for the terminal: whole at 80 columns, plain when piped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import octaves, quantity, rate, rate_interval
from similitude.report.scale import loss_window, mean_losses
from similitude.report.words import excess, interruption, loss_with_error, outcome_word, progress, rule_label
from similitude.studies.records import Curve, Transfer, TransferStudy

_BARS = "▁▂▃▄▅▆▇█"
_DIGITS = "01234567"


def transfer_summary(study: TransferStudy) -> RenderableType:
    """Show what a transfer study found: optima, verdict and next step per rule, then all rules together.

    Args:
        study: A finished or interrupted study.

    Returns:
        A rich renderable for `Console.print`.
    """
    parts: list[RenderableType] = [Text(f"{study.name}: {progress(study)}", style="bold")]
    if warning := interruption(study):
        parts.append(Text(warning, style="yellow"))
    window = loss_window(curve for transfer in study.transfers.values() for curve in transfer.curves)
    for rule, transfer in study.transfers.items():
        parts += [Text(""), *_rule(rule, transfer, window)]
    if study.transfers:
        heading = f"All rules: shift in octaves per doubling of {study.dial}, with its 95 % interval"
        parts += [Text(""), Text(heading, style="bold"), _comparison(study)]
    return Group(*parts)


def shift_lines(transfers: Mapping[str, Transfer]) -> list[RenderableType]:
    """Show for each rule how far its best rate moves, its verdict, and why, for tables of which this is one part."""
    parts: list[RenderableType] = []
    for rule, one in transfers.items():
        line = f"{rule_label(rule)}: shift {octaves(one.shift, one.shift_interval)} octaves per doubling  "
        parts += [Text.assemble(line, coloured(one.verdict)), hanging(one.verdict.summary)]
    return parts


class LossBars:
    """A text U-curve: one character per learning rate, taller for a larger loss; digits in ASCII output.

    Args:
        curve: The losses of one size.
        rates: Learning rates of the columns, increasing; a rate that `curve` lacks is left blank.
        window: Losses of the lowest and the highest bar, the same for curves that are compared.
    """

    def __init__(self, curve: Curve, rates: Sequence[float], window: tuple[float, float]) -> None:
        self.curve, self.rates, self.window = curve, rates, window

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bars = _DIGITS if options.ascii_only else _BARS
        means = dict(zip(self.curve.lrs, mean_losses(self.curve), strict=True))
        yield Text("".join(self._bar(means.get(lr), bars) for lr in self.rates), no_wrap=True)

    def _bar(self, mean: float | None, bars: str) -> str:
        if mean is None:
            return " "
        if math.isinf(mean):
            return "x"
        low, high = self.window
        if mean > high:
            return "^"
        place = (mean - low) / (high - low) if low <= 0 else math.log(mean / low) / math.log(high / low)
        return bars[min(int(place * len(bars)), len(bars) - 1)]


def _rule(rule: str, transfer: Transfer, window: tuple[float, float] | None) -> Iterable[RenderableType]:
    yield Text.assemble((f"{rule}  ", "bold"), coloured(transfer.verdict))
    yield hanging(transfer.verdict.summary)
    table = plain_table()
    for name in (transfer.dial, "best lr", "95 % interval", "loss +- std. error"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("optimum")
    for optimum in transfer.optima:
        table.add_row(
            str(optimum.size),
            rate(optimum.lr),
            Text(rate_interval(optimum.interval)),
            loss_with_error(optimum),
            "" if optimum.verdict.ok else outcome_word(optimum.verdict),
        )
    if transfer.optima:
        yield table
    if window is not None and transfer.curves:
        yield from _bars(transfer.curves, window)
    for line in transfer.verdict.evidence:
        yield hanging(f"evidence: {line}")
    for cause in transfer.verdict.causes:
        yield hanging(f"likely cause: {cause}")
    if transfer.verdict.next:
        yield hanging(f"next: {transfer.verdict.next}", "bold")


def _bars(curves: Sequence[Curve], window: tuple[float, float]) -> Iterable[RenderableType]:
    rates = sorted({lr for curve in curves for lr in curve.lrs})
    if not rates:
        return
    table = plain_table()
    table.add_column(curves[0].dial, justify="right", no_wrap=True)
    table.add_column(f"loss from lr {rate(rates[0])} to {rate(rates[-1])}", overflow="fold")
    for curve in curves:
        table.add_row(str(curve.size), LossBars(curve, rates, window))
    yield table
    yield Text("One column per learning rate, taller for a larger loss; x diverged, ^ off the scale.", "dim")


def _comparison(study: TransferStudy) -> RenderableType:
    table = plain_table()
    table.add_column("rule", overflow="fold")
    for name in ("shift", "loss transferred", "best", "cost"):
        table.add_column(name, justify="right", no_wrap=name != "loss transferred")
    table.add_column("verdict")
    for rule, transfer in study.transfers.items():
        table.add_row(
            Text(rule),
            Text(octaves(transfer.shift, transfer.shift_interval)),
            quantity(transfer.loss_at_transferred),
            quantity(transfer.loss_at_best),
            excess(transfer),
            coloured(transfer.verdict),
        )
    return table
