"""A check as tables for the terminal: the offender and its cause first, whole at 80 columns, plain when piped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.checking.records import GOOD, QUANTITIES, Check, CheckRow
from similitude.checking.words import MOST_CAUSES, MOST_ROWS, summary, title
from similitude.report.layout import coloured, hanging, plain_table


def check_table(check: Check) -> RenderableType:
    """Show a check: verdict, causes and next step, the exponents that are off, then a summary per quantity.

    Args:
        check: What `similitude.check` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    verdict = check.verdict
    parts: list[RenderableType] = [
        Text(f"Check: {title(check)}", style="bold"),
        coloured(verdict),
        hanging(verdict.summary),
        *(hanging(f"likely cause {i}: {text}") for i, text in enumerate(verdict.causes[:MOST_CAUSES], 1)),
    ]
    if verdict.next:
        parts.append(hanging(f"next: {verdict.next}", "bold"))
    if check.offenders:
        parts += [Text(""), Text("Off, in the order of the forward pass", style="bold"), *_off(check)]
    explained = [row for row in check.rows if row.note]
    if explained:
        parts += [Text(""), Text("Off with an explanation, not held against the plan", style="bold")]
        parts += [_rows(explained[:MOST_ROWS])]
        notes = dict.fromkeys(row.note for row in explained)
        parts += [hanging(note) for note in notes]
    if check.rows:
        heading = (
            f"All exponents: d log(quantity) / d log({check.dial}); good is within {GOOD} of what is expected"
        )
        parts += [Text(""), Text(heading, style="bold"), _summary(check)]
    parts += [hanging(f"note: {note}") for note in check.notes]
    return Group(*parts)


def _off(check: Check) -> Iterable[RenderableType]:
    yield _rows(check.offenders[:MOST_ROWS])
    more = len(check.offenders) - MOST_ROWS
    if more > 0:
        yield hanging(f"and {more} more; --json has all of them", "dim")


def _rows(rows: Sequence[CheckRow]) -> Table:
    table = plain_table()
    table.add_column("tensor", overflow="fold")
    table.add_column("quantity", overflow="fold")
    for name in ("slope", "95 % interval", "expected"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        wanted = "" if row.expected is None else f"{row.expected:+.2g}" if row.expected else "0"
        table.add_row(
            Text(row.name),
            row.quantity,
            Text(f"{row.slope:+.2f}", style="red" if not row.ok else ""),
            Text(f"{row.low:+.2f} to {row.high:+.2f}"),
            wanted,
        )
    return table


def _summary(check: Check) -> Table:
    table = plain_table()
    table.add_column("quantity", no_wrap=True)
    table.add_column("good", justify="right", no_wrap=True)
    table.add_column("farthest off", overflow="fold")
    table.add_column("what it is", overflow="fold", style="dim")
    for quantity, good, count, worst in summary(check):
        table.add_row(quantity, f"{good} of {count}", Text(worst), QUANTITIES[quantity])
    return table
