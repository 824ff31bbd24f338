"""A tracked run as tables for the terminal: sharpness along training, the landscape at the end, the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.landscape.portrait import Portrait
from similitude.landscape.sharpness_run import SharpnessRun
from similitude.landscape.tracker_records import SharpnessRecord
from similitude.report.layout import coloured, hanging, plain_table
from similitude.report.numbers import duration, measured, quantity

_ROWS = 21


def sharpness_table(run: SharpnessRun) -> RenderableType:
    """Show what a tracked run found: at most 21 of its measurements, then the landscape at its end.

    Args:
        run: What `similitude.landscape.sharpness_run.sharpness_run` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    records, verdict = run.history.records, run.verdict
    spent = (
        f"{len(records)} measurements, {mean_products(records):.1f} products each; {duration(run.seconds)}"
    )
    parts: list[RenderableType] = [Text(f"{run.name}: {spent}", style="bold"), Text(""), _records(records)]
    if run.portrait is not None:
        parts += [Text(""), Text(f"At step {records[-1].step}", style="bold")]
        parts += [hanging(line) for line in portrait_lines(run.portrait)]
    badge = coloured(verdict)
    # A place that is the outcome itself is not said twice.
    place = () if run.history.edge == verdict.outcome else ((f"{run.history.edge}  ", "bold"),)
    parts += [Text(""), Text.assemble(*place, badge), hanging(verdict.summary)]
    parts += [hanging(f"evidence: {line}") for line in verdict.evidence]
    parts += [hanging(f"likely cause: {cause}") for cause in verdict.causes]
    parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    return Group(*parts)


def mean_products(records: Sequence[SharpnessRecord]) -> float:
    """Average the products with the Hessian that one measurement took."""
    return sum(record.products for record in records) / max(1, len(records))


def portrait_lines(portrait: Portrait) -> list[str]:
    """Write the landscape at a point in sentences."""
    error = f" +- {portrait.trace_error:.2g}" if portrait.trace_error else ""
    lines = [
        f"{portrait.dim} parameters, loss {quantity(portrait.loss)} on {portrait.examples} examples",
        f"largest eigenvalues: {', '.join(measured(value) for value in portrait.top)}",
        f"trace {measured(portrait.trace)}{error}, a mean eigenvalue of {measured(portrait.trace / portrait.dim)}",
    ]
    if (split := portrait.split) is not None:
        lines.append(
            f"Hessian {measured(split.hessian)} = Gauss-Newton {measured(split.gauss_newton)} + residual "
            f"{measured(split.residual)} (largest eigenvalues); residual over Gauss-Newton {split.ratio:.3g}"
        )
    if (density := portrait.density) is not None:
        lines.append(
            f"{100 * density.below:.1f} % of the eigenvalues are below zero, {100 * density.outliers:.2g} % above a "
            "tenth of the largest"
        )
    return [*lines, *(f"note: {note}" for note in portrait.notes)]


def shown(records: Sequence[SharpnessRecord]) -> list[SharpnessRecord]:
    """Choose the records of a table: all of a short run, evenly spaced ones of a long run, first and last among them."""
    if len(records) <= _ROWS:
        return list(records)
    return [records[round(i * (len(records) - 1) / (_ROWS - 1))] for i in range(_ROWS)]


def remark(record: SharpnessRecord) -> str:
    """Say what is special about a measurement."""
    said = {"another direction is on top": record.crossing, "searched anew": record.cold}
    return ", ".join(text for text, applies in said.items() if applies)


def _records(records: Sequence[SharpnessRecord]) -> Table:
    table = plain_table()
    directional = any(record.directional is not None for record in records)
    names = ("step", "loss", "sharpness", "lr x sharpness", "of threshold")
    for name in (*names, *(("along update",) if directional else ()), "products"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for r in shown(records):
        of = "" if r.margin is None else f"{100 * r.margin:.0f} % of {r.threshold:.4g}"
        along = (measured(r.directional),) if directional else ()
        numbers = (str(r.step), quantity(r.loss), quantity(r.value), measured(r.eta_lambda), of, *along)
        table.add_row(*numbers, str(r.products), remark(r))
    return table
