"""A sweep of gamma as tables for the terminal: rates and losses by gamma, exponents against the law, the best gamma."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration, octaves, quantity, rate, rate_interval
from similitude.report.words import loss_with_error
from similitude.studies.gamma_records import BestGamma, GammaPoint, GammaSweep


def gamma_table(sweep: GammaSweep) -> RenderableType:
    """Show what a sweep of gamma found.

    Args:
        sweep: What `similitude.gamma_sweep` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    total = sweep.cells_found + sweep.cells_run
    runs = f"{total} runs, {sweep.cells_found} found, {sweep.cells_run} run; {duration(sweep.seconds)}"
    parts: list[RenderableType] = [
        Text(f"{sweep.name}: {runs}", style="bold"),
        Text(""),
        _points(sweep.points),
    ]
    if sweep.exponents:
        heading = "Learning rates go with gamma to the power of"
        parts += [Text(""), Text(heading, style="bold"), _exponents(sweep)]
    for name, verdict in (("law of learning rates", sweep.law), ("best gamma", sweep.best.verdict)):
        badge = coloured(verdict)
        parts += [Text(""), Text.assemble((f"{name}  ", "bold"), badge), hanging(verdict.summary)]
        if verdict is sweep.best.verdict and sweep.best.gamma is not None:
            parts.append(hanging(best_in_words(sweep.best)))
        parts += [hanging(f"likely cause: {cause}") for cause in verdict.causes]
        parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    return Group(*parts)


def best_in_words(best: BestGamma) -> str:
    """Write the best gamma with its interval and loss."""
    if best.gamma is None:
        return "no gamma can be told from the others"
    span = (
        "" if best.interval is None else f", 95 % interval [{best.interval[0]:.3g}, {best.interval[1]:.3g}]"
    )
    return f"gamma {best.gamma:.3g}{span}; smallest loss {quantity(best.loss)}"


def stable_in_words(point: GammaPoint) -> str:
    """Write the largest stable rate: the middle of the seeds on the scale of octaves, and their range.

    Where a seed has none the rates that were tried do not bracket it.
    """
    known = [lr for lr in point.stable if lr is not None]
    if len(known) < len(point.stable) or not known:
        return "not bracketed"
    middle = 2.0 ** (sum(map(math.log2, known)) / len(known))
    return (
        rate(middle)
        if min(known) == max(known)
        else f"{rate(middle)} {rate_interval((min(known), max(known)))}"
    )


def _points(points: Sequence[GammaPoint]) -> Table:
    table = plain_table()
    for name in ("gamma", "best lr", "95 % interval", "largest stable lr [seeds]", "loss +- std. error"):
        table.add_column(name, justify="right", no_wrap=name != "largest stable lr [seeds]")
    for point in points:
        table.add_row(
            f"{point.gamma:g}",
            rate(point.best.lr),
            Text(rate_interval(point.best.interval)),
            Text(stable_in_words(point)),
            loss_with_error(point.best),
        )
    return table


def _exponents(sweep: GammaSweep) -> Table:
    table = plain_table()
    table.add_column("side")
    table.add_column("of the", overflow="fold")
    for name in ("measured", "law"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("from gammas", overflow="fold")
    for e in sweep.exponents:
        law = "unknown" if e.expected is None else f"{e.expected:.2f}"
        listed = ", ".join(f"{gamma:g}" for gamma in e.gammas)
        table.add_row(e.side, e.quantity, Text(octaves(e.value, e.interval)), law, listed)
    return table
