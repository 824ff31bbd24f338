"""The map of abc-parametrizations: init of the head against speed of the features; paper 14, the figure of its first
page.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from similitude.report.palette import stand_in
from similitude.report.svg import Figure, draw
from similitude.scaling.abcd import abcd
from similitude.scaling.eps_limit import where_eps_wins
from similitude.scaling.regime import Regime, classify, power

_X, _Y = (0.2, 1.55), (-1.3, 1.3)
_ZERO_HEAD = 1.4  # where a head that starts at zero is drawn: its exponent is infinite
_LANDMARKS = {"mup": "muP", "ntp": "NTP"}


def abc_map(regime: Regime) -> Figure | None:
    """Draw where a parametrization lies between the unstable region, the kernel regime, and feature learning.

    To the right the head starts smaller, upwards features change faster with the width. The borders are the
    inequalities of `similitude.scaling.regime.classify`.

    Args:
        regime: What `similitude.abc` or `classify` returned.

    Returns:
        One panel; None where there is no output layer to place it by.
    """
    here = _place(regime)
    if here is None:
        return None
    slowed = regime.at_largest_rate() if regime.slowdown > 0 else None
    at_slowed = _place(slowed) if slowed is not None else None
    numbers = [_in_words(regime.name, regime)]
    if slowed is not None:
        numbers.append(_in_words(f"at the rate n^{power(-regime.slowdown)}", slowed))
    settled = _settled(regime)
    at_settled = _place(settled) if settled is not None else None
    if settled is not None:
        numbers.append(_in_words("once eps is larger than gradients", settled))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_xlim(*_X)
        axes.set_ylim(*_Y)
        axes.grid(visible=False)
        _regions(axes)
        for name, label in _LANDMARKS.items():
            at = _place(classify(abcd(name, "entrywise")))
            assert at is not None, "a named parametrization has a head"
            axes.plot(*at, "D", ms=4, color=stand_in("muted"), zorder=4)
            axes.annotate(label, at, (-5, 5), textcoords="offset points", ha="right", color=stand_in("muted"))
        colour = stand_in("accent")
        axes.plot(*_inside(here), "o", ms=8, color=colour, zorder=5, label=regime.name)
        if at_slowed is not None:
            axes.plot(
                *_inside(at_slowed),
                "o",
                ms=8,
                color=colour,
                mfc=stand_in("card"),
                zorder=5,
                label="at its largest stable rate",
            )
        if at_settled is not None:
            axes.plot(
                *_inside(at_settled),
                "s",
                ms=8,
                color=stand_in("ink"),
                mfc="none",
                zorder=5,
                label="once eps is larger than gradients",
            )
        axes.set_xticks([0.5, 1.0, _ZERO_HEAD], ["1/2", "1", "zero"])
        axes.set_yticks([-1, -0.5, 0, 0.5, 1], ["-1", "-1/2", "0", "1/2", "1"])
        axes.set_xlabel("init of the head, a + b")
        axes.set_ylabel("features change as n to the")
        figure.legend(loc="outside upper left", ncols=1, handletextpad=0.5)

    panel = draw(paint, title=f"Map of parametrizations with {regime.name}", description=" ".join(numbers))
    caption = (
        "Features change by the same at every width on the green line alone. Below it lies the kernel regime, where only "
        "outputs still move; above it and to the left of the slanted border something grows with the width. The full "
        "point is the model, the hollow one the same at the largest stable learning rate, a square the same where "
        "the network is so wide that a constant eps is larger than its gradients. Points beyond the axes are drawn at "
        "their edge."
    )
    return Figure("map", "Where the model lies", (panel,), caption, tuple(numbers))


def _regions(axes: Any) -> None:
    """Fill the half-planes: stable needs a + b >= 1/2, r >= 0 and a + b + r >= 1."""
    corner, right, low, high = 0.5, _X[1], *_Y
    kernel = ([corner, corner, 1.0, right, right], [low, -0.5, 0.0, 0.0, low])
    unstable = ([_X[0], _X[0], right, right, 1.0, corner, corner], [low, high, high, 0.0, 0.0, -0.5, low])
    axes.fill(*unstable, color=stand_in("bad"), alpha=0.16, lw=0)
    axes.fill(*kernel, color=stand_in("unsure"), alpha=0.16, lw=0)
    axes.plot([1.0, right], [0.0, 0.0], color=stand_in("good"), lw=3, solid_capstyle="butt", zorder=3)
    axes.text(0.62, 0.62, "unstable", color=stand_in("bad"))
    axes.text(0.85, -0.95, "kernel", color=stand_in("unsure"))
    axes.text(1.05, 0.1, "feature learning", color=stand_in("good"))


def _place(regime: Regime) -> tuple[float, float] | None:
    """Return init exponent of the head that starts largest, and exponent of the change of features."""
    heads = [layer for layer in regime.parametrization.layers if layer.role == "output"]
    if not heads:
        return None
    drawn: list[Fraction] = [layer.a + layer.b for layer in heads if layer.b is not None]
    return (float(min(drawn)) if drawn else _ZERO_HEAD), float(-regime.r)


def _settled(regime: Regime) -> Regime | None:
    """Return the regime where eps has won; None where it never does."""
    end = where_eps_wins(regime.parametrization)
    return None if end == regime.parametrization else classify(end)


def _inside(point: tuple[float, float]) -> tuple[float, float]:
    """Move a point that lies beyond the axes to their edge."""
    edges: tuple[Callable[[float], float], ...] = tuple(
        lambda value, low=low, high=high: min(max(value, low + 0.05), high - 0.05) for low, high in (_X, _Y)
    )
    return edges[0](point[0]), edges[1](point[1])


def _in_words(name: str, regime: Regime) -> str:
    at = _place(regime)
    head = "zero" if at is None or at[0] == _ZERO_HEAD else f"n^{power(-Fraction(at[0]))}"
    return f"{name}: {regime.kind}; the head starts at {head}, features change as n^{power(-regime.r)}."
