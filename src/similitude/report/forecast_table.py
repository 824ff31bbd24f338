"""A forecast as tables for the terminal: each hyperparameter by transfer and by fit, its backtest, the next run."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import octaves
from similitude.report.words import rule_label
from similitude.studies.forecast_records import Backtest, Estimate, Forecast, Forecasted, NextRun


def forecast_table(forecast: Forecast) -> RenderableType:
    """Show what to use at a target, what speaks for it, and what to run next.

    Args:
        forecast: What `similitude.forecast` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    parts: list[RenderableType] = [Text(forecast_title(forecast), style="bold"), Text(""), _values(forecast)]
    for value in forecast.values.values():
        parts += [Text(""), Text.assemble((f"{value.name}  ", "bold"), coloured(value.verdict))]
        parts.append(hanging(value.verdict.summary))
        parts += [hanging(line) for line in _lines(value, forecast.dial)]
        parts += [hanging(f"likely cause: {cause}") for cause in value.verdict.causes]
        if value.verdict.next:
            parts.append(hanging(f"next: {value.verdict.next}", "bold"))
    parts += [Text(""), *(hanging(line) for line in loss_lines(forecast))]
    parts += [hanging(f"note: {note}") for note in forecast.notes]
    return Group(*parts)


def forecast_title(forecast: Forecast) -> str:
    """Write what is forecast for where."""
    where = ", ".join(f"{dial} {value:.6g}" for dial, value in forecast.to.items())
    return f"{forecast.name}{f' under {rule_label(forecast.rule)}' if forecast.rule else ''} at {where}"


def estimate_in_words(estimate: Estimate | None) -> str:
    """Write a number with its interval.

    Example:
        >>> estimate_in_words(Estimate(0.0123456, 0.01, 0.02)), estimate_in_words(None)
        ('0.0123 [0.01, 0.02]', 'none')
    """
    if estimate is None:
        return "none"
    if not math.isfinite(estimate.high):
        return f"{estimate.value:.3g}"
    return f"{estimate.value:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def error_in_words(error: Estimate | None) -> str:
    """Write a difference in octaves with its interval."""
    return "none" if error is None else octaves(error.value, error.interval)


def backtest_in_words(test: Backtest) -> str:
    """Write how far both forecasts of the largest measured size are off what was found there."""
    where = ", ".join(f"{dial} {value:.6g}" for dial, value in test.at.items())
    errors = []
    for name, error, cost in (
        ("transfer", test.transfer_error, test.transfer_cost),
        ("fit", test.fit_error, test.fit_cost),
    ):
        if error is not None:
            price = "" if cost is None or not math.isfinite(cost) else f", {100 * cost:.1f} % of the loss"
            errors.append(f"by {name} {error_in_words(error)} octaves off{price}")
    return f"{where} held out (there {estimate_in_words(test.measured)}): {'; '.join(errors)}"


def next_run_in_words(run: NextRun) -> str:
    """Write the runs that would halve an interval, and what they cost."""
    seeds = f" with {run.seeds} seeds" if run.seeds else ""
    if run.dial == "trials":
        trials = "1 further trial halves" if run.size == 1 else f"{run.size} further trials halve"
        return f"{trials} the interval, cost about {run.cost:.3g}"
    return (
        f"{run.dial} {run.size}{seeds} halves the interval to {run.octaves:.2f} octaves: {run.runs} runs, as much work "
        f"as {run.cost:.3g} runs at the largest {run.dial} so far"
    )


def loss_lines(forecast: Forecast) -> Iterable[str]:
    """Write the expected loss, and what the same law said of the largest measured size."""
    if forecast.loss is None:
        yield "expected loss: none can be told"
        return
    yield f"expected loss: {estimate_in_words(forecast.loss)}"
    if forecast.loss_backtest is not None:
        expected, measured = forecast.loss_backtest
        held = "inside" if expected.holds(measured) else "outside"
        yield f"backtest: the largest one held out, expected {estimate_in_words(expected)}, found {measured:.3g}, {held}"


def _values(forecast: Forecast) -> Table:
    table = plain_table()
    table.add_column("")
    for name in ("use", "by transfer", "by fit", "fit over transfer, octaves"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("verdict")
    for value in forecast.values.values():
        table.add_row(
            value.name,
            Text("none" if value.best is None else f"{value.best.value:.3g}", style="bold"),
            Text(estimate_in_words(value.transferred)),
            Text(estimate_in_words(value.fitted)),
            Text(error_in_words(value.difference)),
            coloured(value.verdict),
        )
    return table


def _lines(value: Forecasted, dial: str) -> Iterable[str]:
    if value.exponent is not None:
        law = value.exponent
        yield f"the optimum goes as {dial}^{law.value:.2f} [{law.low:.2f}, {law.high:.2f}]"
    if value.backtest is not None:
        yield f"backtest: {backtest_in_words(value.backtest)}"
    if value.next_run is not None:
        yield f"cheapest next run: {next_run_in_words(value.next_run)}"
