"""A plan as a table for the terminal: whole at 80 columns, plain when piped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import hanging, plain_table
from similitude.report.numbers import factor, shape
from similitude.scaling.plan_text import title
from similitude.scaling.records import Plan, PlanRow

_LEGEND = "Ratios to the base model that you tuned, 1 is as it was: in and out are fan-in and fan-out."


def plan_table(plan: Plan) -> RenderableType:
    """Show a plan: refusals first, then the factors of every tensor, then the reasons by number.

    Tensors that differ only in a block's number and have the same shape, factors and reason share a line,
    e.g. `blocks.{0-3}.mlp.weight`. Tensors that the sample does not reach are named below the table.

    Args:
        plan: The plan from a base to a target size.

    Returns:
        A rich renderable for `Console.print`.
    """
    used = [row for row in plan.rows if row.role != "unused"]
    unused = [row for row in plan.rows if row.role == "unused"]
    reasons = list(dict.fromkeys(row.reason for row in used))
    return Group(
        Text(f"Plan: {title(plan)}", style="bold"),
        *(hanging(f"REFUSED {r.name} ({shape(r.shape)}): {r.reason}", "bold red") for r in plan.refused),
        _factors_table(used, reasons),
        *([_unused(unused)] if unused else []),
        Text(_LEGEND, style="dim"),
        *(hanging(f"{number}: {_because(used, why)}") for number, why in enumerate(reasons, start=1)),
        *(hanging(line) for line in _multipliers(plan)),
        *(hanging(f"note: {note}") for note in plan.notes),
    )


def _factors_table(rows: Sequence[PlanRow], reasons: Sequence[str]) -> Table:
    table = plain_table()
    for name in ("tensor", "role", "shape"):
        table.add_column(name, overflow="fold", no_wrap=name == "shape")
    for name in ("in", "out", "init", "lr", "eps", "wd", "why"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, row in _merged(rows):
        table.add_row(
            Text(name),
            Text(row.role),
            shape(row.shape),
            *(Text(text, style="dim" if text == "1" else "") for text in _factors(row)),
            str(reasons.index(row.reason) + 1),
        )
    return table


def _because(rows: Iterable[PlanRow], reason: str) -> str:
    """Write a reason, and what was seen of the tensors that it is the reason of."""
    seen = dict.fromkeys(row.evidence for row in rows if row.reason == reason and row.evidence)
    return reason + (f". Seen: {'; '.join(seen)}" if seen else "")


def _unused(rows: Sequence[PlanRow]) -> RenderableType:
    names = ", ".join(name for name, _ in _merged(rows))
    return hanging(f"unused, left as they are ({len(rows)}): {names}", "dim")


def _multipliers(plan: Plan) -> Iterable[str]:
    """Say which tensors carry a forward multiplier, and which modules have a hook instead."""
    sentences = dict.fromkeys(sentence for row in plan.rows for sentence in row.carries)
    for sentence in sentences:
        names = ", ".join(name for name, _ in _merged(row for row in plan.rows if sentence in row.carries))
        yield f"carried by {names}: {sentence}"
    for hook in plan.hooks:
        yield f"hook on {hook.module}, its {hook.side} x {factor(hook.factor)}: {hook.reason}"


def _merged(rows: Iterable[PlanRow]) -> list[tuple[str, PlanRow]]:
    """Put rows that show the same but for the first number in their name on one line."""
    groups: dict[tuple[object, ...], list[tuple[int, PlanRow]]] = {}
    for row in rows:
        pieces = row.name.split(".")
        at = next((i for i, piece in enumerate(pieces) if piece.isdecimal()), None)
        rest = (row.role, row.shape, row.aliases, row.reason, *_factors(row))
        key = (*pieces[:at], None, *pieces[at + 1 :]) if at is not None else (row.name,)
        number = int(pieces[at]) if at is not None else 0
        groups.setdefault((key, rest), []).append((number, row))
    return [(_merged_name(members), members[0][1]) for members in groups.values()]


def _merged_name(members: list[tuple[int, PlanRow]]) -> str:
    name = members[0][1].name
    if len(members) == 1:
        return " = ".join((name, *members[0][1].aliases))
    numbers = [number for number, _ in members]
    adjacent = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    label = f"{numbers[0]}-{numbers[-1]}" if adjacent else ",".join(map(str, numbers))
    pieces = name.split(".")
    at = next(i for i, piece in enumerate(pieces) if piece.isdecimal())
    return ".".join([*pieces[:at], f"{{{label}}}", *pieces[at + 1 :]])


def _factors(row: PlanRow) -> tuple[str, ...]:
    values = (row.fan_in_ratio, row.fan_out_ratio, row.init, row.lr, row.eps, row.weight_decay)
    return tuple(map(factor, values))
