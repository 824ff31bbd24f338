"""A network's distance from infinite width as tables for the terminal: layers, tangent kernel, depth profile."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.studies.depth_profile import DepthProfile
from similitude.studies.finite_width_records import FiniteWidth
from similitude.studies.limit_kernels import LimitKernel
from similitude.studies.seed_spread import Spread

_MOST_ROWS = 12  # layers, or shares of the depth, that are shown


def finite_width_table(found: FiniteWidth) -> RenderableType:
    """Show what `finite_width` found: the verdict, fluctuations by layer, and the stream against the flow.

    Args:
        found: What it returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    dials = ", ".join(f"{dial} {value}" for dial, value in found.size.items())
    title = f"Regime{f' at {dials}' if dials else ''}: {found.networks} networks, {found.examples} examples"
    verdict = found.verdict
    parts: list[RenderableType] = [Text(title, style="bold"), coloured(verdict), hanging(verdict.summary)]
    parts += [hanging(f"likely cause: {cause}") for cause in verdict.causes]
    parts += [hanging(f"next: {verdict.next}", "bold")] if verdict.next else []
    parts += [
        Text(""),
        Text("Preactivations over networks; 0 at infinite width", style="bold"),
        _layers(found),
    ]
    shown = "not measured" if found.kernel is None else spread(found.kernel)
    over = f"L/n = {found.depth_over_width:.3g} ({found.depth} hidden layers on the longest way)"
    parts += [Text(""), hanging(over), hanging(f"relative variance of the tangent kernel: {shown}")]
    parts += [hanging(_beside(row)) for row in found.limits]
    if found.profile is None:
        plain = "of a plain ReLU network of these widths with one output, in the NTK parametrization"
        parts.append(hanging(f"in theory, {plain}: {found.relu_kernel:.3g}"))
    else:
        parts += [Text(""), Text(_heading(found.profile), style="bold"), _profile(found.profile)]
    parts += [hanging(f"evidence: {line}") for line in verdict.evidence]
    return Group(*parts, *(hanging(f"note: {note}") for note in found.notes))


def spread(found: Spread | None) -> str:
    """Write an estimate with half of its 95 % interval.

    Example:
        >>> spread(Spread(0.0512, 0.02, 0.08)), spread(None)
        ('0.051 +- 0.029', '-')
    """
    return "-" if found is None else f"{found.value:.2g} +- {found.high - found.value:.2g}"


def _beside(row: LimitKernel) -> str:
    power = (
        "" if row.exponent is None else f", going as width^({spread(row.exponent)}) from width {row.narrow}"
    )
    return (
        f"{row.name} beside that at infinite width: squared deviation {spread(row.deviation)}{power}, the mean "
        f"{100 * row.bias.value:+.2g} %"
    )


def _layers(found: FiniteWidth) -> Table:
    table = plain_table()
    table.add_column("matrix", overflow="fold")
    for name in ("at", "n", "<z^2>", "Var(S)/K^2", "excess kurtosis"):
        table.add_column(name, justify="right", no_wrap=True)
    left_out = 0
    for i in range(len(found.layers)):
        layer = found.layers[i]
        if _MOST_ROWS // 2 <= i < len(found.layers) - _MOST_ROWS // 2:
            left_out += 1
            continue
        if left_out:
            table.add_row(f"... {left_out} more")
            left_out = 0
        numbers = (f"{layer.variance:.3g}", spread(layer.ratio), spread(layer.kurtosis))
        table.add_row(Text(layer.name.removesuffix(".weight")), str(layer.depth), str(layer.width), *numbers)
    return table


def _heading(profile: DepthProfile) -> str:
    with_ = "what branches add" if profile.compared is None else f"the profile of {profile.compared} branches"
    return f"The stream of {profile.branches} branches, mean square over that in front, beside {with_}"


def _profile(profile: DepthProfile) -> Table:
    table = plain_table()
    for name in ("t = l/L", "measured", "+-", "expected"):
        table.add_column(name, justify="right", no_wrap=True)
    if profile.correlation:
        table.add_column("cosine of two examples", justify="right")
    step = math.ceil(profile.branches / (_MOST_ROWS - 2))
    for i in sorted({*range(0, profile.branches + 1, step), profile.branches}):
        numbers = (profile.measured[i], profile.errors[i], profile.expected[i])
        cells = [f"{profile.times[i]:.2f}", f"{numbers[0]:.3g}", f"{numbers[1]:.1g}", f"{numbers[2]:.3g}"]
        table.add_row(*cells, *([f"{profile.correlation[i]:.3f}"] if profile.correlation else []))
    return table
