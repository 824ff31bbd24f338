"""What a doctor found as tables for the terminal: the verdict, every route, and the operations that break one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.landscape.doctor_records import Doctor, Finding, word
from similitude.landscape.doctor_verdict import place
from similitude.landscape.routes import OURS, ROUTES
from similitude.report.layout import coloured, hanging, plain_table

_MARKS = {"ok": "green", "wrong": "bold red", "fails": "red", "untried": "dim", "unsure": "yellow"}
_MOST_MODULES = 3


def doctor_table(doctor: Doctor) -> RenderableType:
    """Show what a doctor found: the verdict, how each route fared, which operations break one, and what to know.

    Args:
        doctor: What `similitude.doctor` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    verdict = doctor.verdict
    title = f"Doctor: {doctor.dim:,} parameters in {doctor.dtype}, {doctor.examples} examples"
    parts: list[RenderableType] = [
        Text(title, style="bold"),
        coloured(verdict),
        hanging(verdict.summary),
        *(hanging(f"cause: {cause}") for cause in verdict.causes),
    ]
    parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    parts += [
        Text(""),
        Text("Routes to a Hessian product, on the whole model", style="bold"),
        _routes(doctor),
    ]
    broken = [f for f in doctor.probes if f.result in ("wrong", "fails")]
    if broken:
        parts += [
            Text(""),
            Text("Operations that break a route, each alone", style="bold"),
            _operations(broken),
        ]
        reasons = dict.fromkeys(f.reason for f in broken if f.reason)
        parts += [hanging(reason, "dim") for reason in reasons]
    parts += [
        Text(""),
        *(hanging(line) for line in facts(doctor)),
        *(hanging(f"note: {n}") for n in doctor.notes),
    ]
    return Group(*parts)


def facts(doctor: Doctor) -> Iterator[str]:
    """Say what products were compared with, how symmetric ours are, and what the kept graph takes."""
    reference = doctor.reference
    if reference.kind == "finite differences":
        yield (
            f"errors are relative to finite differences of the gradient in {reference.dtype}, at a step of "
            f"{reference.step:.0e} of the parameters; two of their estimates agree to {reference.uncertainty:.0e}"
        )
    if doctor.symmetry is not None:
        yield f"our products are symmetric to {doctor.symmetry:.0e}"
    if doctor.graph_bytes is not None:
        yield f"the kept graph of this batch takes {size_of(doctor.graph_bytes)}"
    followed = sum(1 for operation in doctor.operations if operation.differentiated)
    yield f"{len(doctor.operations)} operations in a forward pass, {followed} of them with gradients"


def size_of(count: int) -> str:
    """Write a number of bytes.

    Example:
        >>> size_of(512), size_of(18_092), size_of(3 * 2**30)
        ('512 B', '17.7 KiB', '3.0 GiB')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _routes(doctor: Doctor) -> Table:
    dtypes = list(dict.fromkeys(f.dtype for f in doctor.findings))
    table = plain_table()
    table.add_column("route", no_wrap=True)
    for dtype in dtypes:
        table.add_column(dtype, no_wrap=True)
    table.add_column("what it is, or what breaks it", overflow="fold")
    rows: dict[tuple[str, bool], dict[str, Finding]] = {}
    for found in doctor.findings:
        rows.setdefault((found.route, found.written_out and found.route != OURS), {})[found.dtype] = found
    for (route, again), row in rows.items():
        name = "  fused written out" if again else f"{route} (ours)" if route == OURS else route
        cells = [Text(word(f), style=_MARKS[f.result]) if (f := row.get(d)) else Text("") for d in dtypes]
        table.add_row(Text(name, style="dim" if again else ""), *cells, _what(ROUTES[route].says, row, again))
    return table


def _what(says: str, row: dict[str, Finding], again: bool) -> Text:
    bad = next((f for f in row.values() if f.result in ("wrong", "fails")), None)
    if bad is None:
        return Text("" if again else says, style="dim")
    if bad.operation:
        return Text(f"{bad.operation} {_place(bad.modules)}")
    return Text(
        bad.reason or ("no operation alone" if bad.route != "finite_differences" else "rounding, or a kink")
    )


def _operations(broken: Sequence[Finding]) -> Table:
    table = plain_table()
    table.add_column("operation", overflow="fold")
    table.add_column("where", overflow="fold")
    table.add_column("breaks", overflow="fold")
    rows: dict[tuple[str, tuple[str, ...]], list[Finding]] = {}
    for found in broken:
        rows.setdefault((found.operation, found.modules), []).append(found)
    for (operation, modules), found in rows.items():
        alike: dict[str, list[str]] = {}
        for f in found:
            alike.setdefault(word(f), []).append(f.route)
        text = "; ".join(f"{', '.join(routes)}: {says}" for says, routes in alike.items())
        table.add_row(Text(operation), Text(_place(modules)), Text(text))
    return table


def _place(modules: Sequence[str]) -> str:
    more = len(modules) - _MOST_MODULES
    return place(modules[:_MOST_MODULES]) + (f" and {more} more" if more > 0 else "")
