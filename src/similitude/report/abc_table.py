"""Where a model lies among the abc-parametrizations, as a table for the terminal: exponents and what they mean."""

from __future__ import annotations

from fractions import Fraction

from rich.console import Group, RenderableType
from rich.text import Text

from similitude.report.layout import coloured, hanging, plain_table
from similitude.scaling.abcd import Layer
from similitude.scaling.axes import some
from similitude.scaling.eps_limit import where_eps_wins
from similitude.scaling.regime import Regime, classify, power

_NAMED = 2
_LEGEND = (
    "A tensor is used as n^-a w, drawn with standard deviation n^-b and trained at a rate n^-c; what its steps change "
    "goes as n^-r, which should be n^0."
)


def abc_table(regime: Regime) -> RenderableType:
    """Show the regime, the exponents of every kind of tensor, and the inequalities that are broken.

    Args:
        regime: What `similitude.abc` returned.

    Returns:
        A rich renderable for `Console.print`.
    """
    verdict = regime.verdict
    table = plain_table()
    table.add_column("tensors", overflow="fold")
    table.add_column("role", no_wrap=True)
    for name in ("a", "b", "c", "r"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what it means", overflow="fold")
    for layer, r in zip(regime.parametrization.layers, regime.change, strict=True):
        numbers = [exponent(x) for x in (layer.a, layer.b, layer.c, r)]
        table.add_row(Text(tensors(layer)), layer.role, *numbers, meaning(layer, r))
    broken = [condition for condition in regime.conditions if not condition.holds]
    lines: list[RenderableType] = [
        Text(f"{regime.name}, n = width", style="bold"),
        coloured(verdict, verdict.summary),
        table,
        Text(_LEGEND, style="dim"),
        *(hanging(f"broken: {condition}") for condition in broken),
    ]
    if text := eps(regime):
        lines.append(hanging(f"note: {text}"))
    if verdict.next:
        lines.append(hanging(f"next: {verdict.next}", "bold"))
    return Group(*lines)


def tensors(layer: Layer) -> str:
    """Name some of the tensors that a layer stands for; the role where it stands for none."""
    return some(layer.names, _NAMED) if layer.names else layer.role


def exponent(value: Fraction | None) -> str:
    """Write an exponent; a tensor that starts at zero has none.

    Example:
        >>> exponent(Fraction(1, 2)), exponent(None)
        ('1/2', 'zero')
    """
    return "zero" if value is None else str(value)


def meaning(layer: Layer, r: Fraction) -> str:
    """Say what the exponents of one layer mean.

    Args:
        layer: The layer.
        r: Its own steps change what it gives by n^-r.

    Example:
        >>> from similitude.scaling.abcd import layer
        >>> meaning(layer("hidden", "entrywise", b=Fraction(1, 2)), Fraction(-1))
        'its steps change what it gives as n^+1: too fast'
    """
    if r == 0:
        says = "learns alike at every width"
    else:
        says = f"its steps change what it gives as n^{power(-r)}: {'too fast' if r < 0 else 'fades'}"
    signal = layer.signal
    if signal is None:
        return f"{says}; starts at zero"
    fades = signal > 0 and layer.role not in ("vector", "finite")
    return f"{says}; starts as n^{power(-signal)}" if fades or signal < 0 else says


def eps(regime: Regime) -> str:
    """Say where eps does not follow the size of the gradient that it is compared with; empty where it does."""
    pairs = list(zip(regime.parametrization.layers, regime.faithful, strict=True))
    large = [layer for layer, missing in pairs if missing > 0]
    if not large:
        return ""
    names = "; ".join(tensors(layer) for layer in large[:_NAMED])
    most = max(regime.faithful)
    end = classify(where_eps_wins(regime.parametrization))
    return (
        f"eps stays while gradients fall by up to n^{power(-most)} ({names}): it stops them once it is comparable, and "
        f"beyond that the regime is {end.kind}, with features that change as n^{power(-end.r)}"
    )
