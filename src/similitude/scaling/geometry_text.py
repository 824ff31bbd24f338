"""A measured optimizer as plain text and for rich consoles: its family, the fit, and the points of the fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from similitude.scaling.measured import MeasuredOptimizer

_DECAYS = {
    "shrink": "weights x (1 - lr x weight decay)",
    "fixed": "weights x (1 - weight decay), whatever the learning rate",
    "gradient": "normalized together with the gradient",
    "other": "follows no law that is known here",
    "none": "no weight decay",
}
_DEGREES = {"gradient": "the gradient's size", "weight": "the tensor's own size", "lr": "the learning rate"}


def title(found: MeasuredOptimizer) -> str:
    """Write the family, or the reason of a refusal, in one line."""
    return f"{found.name}: {found.family}" + (f", for {found.reason}" if found.reason else "")


def facts(found: MeasuredOptimizer) -> list[str]:
    """Write what was measured beside the points, one fact a line."""
    exponents, lines = found.exponents, []
    if exponents.get("fan_in") is not None:
        fit = f"fan_in^{exponents['fan_in']:+.2f} fan_out^{exponents['fan_out']:+.2f}"
        law = f"the law {found.law} holds within" if found.law else "no law holds; the power law is within"
        lines.append(f"spectral norm of a step: {fit}; {law} {100 * (found.residual or 0.0):.1f} %")
    for name, what in _DEGREES.items():
        if exponents.get(name) is not None:
            lines.append(f"degree in {what}: {exponents[name]:.2f}")
    if exponents.get("eps") is not None:
        lines.append(f"eps: x c^{exponents['eps']:.2f} for a gradient x c")
    if found.settling:
        lines.append(f"first steps that follow another law: {found.settling}")
    if not found.refused:
        lines.append(f"weight decay: {_DECAYS[found.decay]}")
        lines.append(
            f"vectors: {found.vectors}; convolutions: {'taken' if found.convolutions else 'not taken'}"
        )
    return lines + [f"note: {text}" for text in found.warnings]


def plain(found: MeasuredOptimizer) -> str:
    """Write everything as lines of text."""
    points = [f"{p.fan_out:>8} {p.fan_in:>8} {p.size:>12.5g}" for p in found.points]
    header = [f"{'fan_out':>8} {'fan_in':>8} {'step / lr':>12}"] if points else []
    return "\n".join([title(found), *facts(found), *header, *points])


def table(found: MeasuredOptimizer) -> RenderableType:
    """Show the same as `plain`, the points as a table."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lines = [Text(title(found), style="bold red" if found.refused else "bold"), *map(Text, facts(found))]
    if not found.points:
        return Group(*lines)
    shown = Table(title=Text("spectral norm of a step over its learning rate"), title_justify="left")
    for name in ("fan_out", "fan_in", "step / lr"):
        shown.add_column(name, justify="right")
    for point in found.points:
        shown.add_row(str(point.fan_out), str(point.fan_in), f"{point.size:.5g}")
    return Group(*lines, shown)
