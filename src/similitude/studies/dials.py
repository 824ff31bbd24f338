"""What changes in a study, the width or the depth: the dials that stay, and the rules that are compared over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from similitude.core.errors import GridError
from similitude.runs.grid import Cell
from similitude.scaling.depth import DepthRule, residual_exponent
from similitude.scaling.rules import known_rule
from similitude.scaling.sizes import DEPTH, WIDTH, Size

WIDTH_RULES = ("sp", "mup")
"""Parametrizations that are compared over widths where none are named."""


class Compared(NamedTuple):
    """A parametrization and a depth rule, as plans take them."""

    rule: str
    depth_rule: DepthRule | None


def dial_of(cell: Cell) -> str:
    """Return the dial that changes in the study of a cell.

    Example:
        >>> dial_of(Cell.of(depth=8, lr=0.1))
        'depth'
    """
    return DEPTH if DEPTH in cell else WIDTH


def fixed_dials(base: int | Size | None, *, dial: str, smallest: int) -> dict[str, int]:
    """Read the dials that stay as they are while one changes.

    Args:
        base: A width, or dials by name; that which changes may be among them, at its smallest value.
        dial: The dial that changes: "width" or "depth".
        smallest: Its smallest value.

    Raises:
        GridError: The changing dial has another value, or the depth changes and no width is named.

    Example:
        >>> fixed_dials(128, dial="depth", smallest=4), fixed_dials({"width": 64}, dial="width", smallest=64)
        ({'width': 128}, {})
    """
    given = {} if base is None else dict(base) if isinstance(base, Mapping) else {WIDTH: base}
    at_base = given.pop(dial, smallest)
    if at_base != smallest:
        raise GridError(
            f"base has {dial} {at_base}, and the smallest {dial} of the study is {smallest}: that is the base of every "
            f"plan. Leave the {dial} out of base, or add {at_base} to the {dial}s and leave out what is smaller."
        )
    if dial == DEPTH and WIDTH not in given:
        raise GridError(
            'the depth changes and the width is not given. Pass base={"width": 128} (--base 128), the width of every '
            "model of the study."
        )
    return given


def compared(
    dial: str, rules: Sequence[str] | None, depth_rule: DepthRule | Sequence[DepthRule] | None
) -> dict[str, Compared]:
    """Return what a study compares, by the names that its results go by.

    Args:
        dial: The dial that changes: "width" or "depth".
        rules: Parametrizations, over widths; `WIDTH_RULES` where None.
        depth_rule: Depth rules, over depths; one or several.

    Raises:
        GridError: There is none, one is there twice, or those of the other dial are given.
        PlanError: There is no such rule.

    Example:
        >>> list(compared("depth", None, ("sp", 0.75))), compared("width", ["mup"], None)
        (['sp', '0.75'], {'mup': Compared(rule='mup', depth_rule=None)})
    """
    if dial == DEPTH:
        if rules is not None:
            raise GridError(
                f"rules={tuple(rules)!r} are compared over widths, and here the depth changes. Pass the depth rules to "
                "compare in their place, e.g. depth_rule=('sp', 'depth_mup')."
            )
        if depth_rule is None:
            raise GridError(
                "the depth changes and depth_rule is not given. Choose 'depth_mup' (branches x L^-1/2, for blocks of one "
                "matrix), 'complete_p' (x 1/L, for blocks of more), an exponent in [0.5, 1], 'sp' (as you wrote it), or "
                "several of them, e.g. depth_rule=('sp', 'depth_mup')."
            )
        several = [depth_rule] if isinstance(depth_rule, str | float | int) else list(depth_rule)
        for one in several:
            residual_exponent(one)
        # At one width all parametrizations are the same.
        pairs = [(one if isinstance(one, str) else f"{one:g}", Compared("mup", one)) for one in several]
        example = "depth_rule=('sp', 'depth_mup')"
    else:
        if depth_rule is not None:
            raise GridError(
                f"depth_rule={depth_rule!r} has no effect where the width changes: all models have the depth of the "
                "base. Leave it out, or pass depths= in place of widths=."
            )
        pairs = [
            (rule, Compared(known_rule(rule), None)) for rule in (WIDTH_RULES if rules is None else rules)
        ]
        example = "rules=('sp', 'mup')"
    names = [name for name, _ in pairs]
    if not names or len(set(names)) != len(names):
        raise GridError(
            f"the study compares {', '.join(map(repr, names)) or 'nothing'}: name at least one rule, each once, e.g. "
            f"{example}."
        )
    return dict(pairs)
