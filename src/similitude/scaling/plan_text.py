"""A plan as plain text and as a table of all its rows, for `print` and for rich consoles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from similitude.scaling.records import Plan, PlanRow

_HEADER = ("tensor", "role", "shape", "in", "out", "init", "apply", "lr", "eps", "wd", "why", "evidence")
_FACTORS = ("fan_in_ratio", "fan_out_ratio", "init", "rescale", "lr", "eps", "weight_decay")
_LEGEND = (
    "Ratios of the target to the base: in and out are fans, init is the standard deviation once the plan is "
    "applied, apply what apply_ multiplies the model's own values by."
)


def size(sizes: Mapping[str, int]) -> str:
    """Write one size.

    Example:
        >>> size({"width": 64, "depth": 4})
        'width 64 depth 4'
    """
    return " ".join(f"{dial} {value}" for dial, value in sizes.items())


def sizes(base: Mapping[str, int], target: Mapping[str, int]) -> str:
    """Write the way from one size to another.

    Example:
        >>> sizes({"width": 64}, {"width": 512})
        'width 64 -> 512'
        >>> sizes({"width": 64, "depth": 4}, {"width": 512, "depth": 4})
        'width 64 depth 4 -> width 512 depth 4'
    """
    if len(base) == 1 and base.keys() == target.keys():
        (dial,) = base
        return f"{dial} {base[dial]} -> {target[dial]}"
    return f"{size(base)} -> {size(target)}"


def call(sizes: Mapping[str, int]) -> str:
    """Write how the factory is called for a size.

    Example:
        >>> call({"width": 64}), call({"width": 64, "depth": 4})
        ('make(64)', 'make(width=64, depth=4)')
    """
    if list(sizes) == ["width"]:
        return f"make({sizes['width']})"
    return f"make({', '.join(f'{dial}={value}' for dial, value in sizes.items())})"


def shape(sides: tuple[int, ...]) -> str:
    """Write a shape, e.g. "64x10"; a tensor without dimensions is a scalar."""
    return "x".join(map(str, sides)) or "scalar"


def title(plan: Plan) -> str:
    """Write what a plan is for, in one line."""
    kind = "" if plan.weight_decay == "independent" else f", {plan.weight_decay} weight decay"
    depth = "" if plan.depth_rule is None else f", depth alpha {plan.depth_rule:g}"
    rich = "" if plan.gamma == 1.0 else f", gamma {plan.gamma:g}"
    return f"{plan.rule}{depth}{rich}, {plan.optimizer}, {sizes(plan.base, plan.target)}{kind}"


def plain(plan: Plan) -> str:
    """Write a plan as lines of text: title, refusals, notes, a row per tensor, then the reasons by number."""
    reasons = _reasons(plan)
    table = [_HEADER, *(_cells(row, reasons) for row in plan.rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(_HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    why = [f"{number}: {reason}" for reason, number in reasons.items()]
    return "\n".join([title(plan), *_refused(plan), *_remarks(plan), *lines, _LEGEND, "why", *why])


def table(plan: Plan) -> RenderableType:
    """Show the same as `plain` as a rich table; `similitude.report.plan_table` is the one that merges rows."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    reasons = _reasons(plan)
    shown = Table(title=Text(title(plan)), title_justify="left")
    for i, head in enumerate(_HEADER[:-1]):  # evidence would be squeezed to a few letters: it goes below
        number = i > 2
        shown.add_column(head, justify="right" if number else "left", overflow="fold", no_wrap=number)
    for row in plan.rows:
        shown.add_row(*map(Text, _cells(row, reasons)[:-1]), style="dim" if row.role == "unused" else "")
    return Group(
        *(Text(line, style="bold red") for line in _refused(plan)),
        *map(Text, _remarks(plan)),
        shown,
        Text(_LEGEND, style="dim"),
        *(Text(f"{number}: {reason}") for reason, number in reasons.items()),
        *(Text(f"{row.name}: {row.evidence}", style="dim") for row in plan.rows if row.evidence),
    )


def _reasons(plan: Plan) -> dict[str, int]:
    """Number the reasons; most tensors share theirs with others."""
    return {reason: i for i, reason in enumerate(dict.fromkeys(row.reason for row in plan.rows), start=1)}


def _cells(row: PlanRow, reasons: Mapping[str, int]) -> tuple[str, ...]:
    name = " = ".join((row.name, *row.aliases))
    sides = (
        shape(row.shape) if row.shape == row.base_shape else f"{shape(row.base_shape)}->{shape(row.shape)}"
    )
    factors = (f"x{getattr(row, factor):.4g}" for factor in _FACTORS)
    return (name, row.role, sides, *factors, str(reasons[row.reason]), row.evidence)


def _refused(plan: Plan) -> list[str]:
    return [f"REFUSED {r.name} {shape(r.shape)}: {r.reason}" for r in plan.refused]


def _remarks(plan: Plan) -> list[str]:
    carried = [f"{row.name} carries: {sentence}" for row in plan.rows for sentence in row.carries]
    hooks = [f"hook on {h.module!r}: its {h.side} x{h.factor:.4g}, {h.reason}" for h in plan.hooks]
    return carried + hooks + [f"note: {note}" for note in plan.notes]
