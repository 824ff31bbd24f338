"""Rules of one's own beside those of the papers: a table of powers per role, under a name that plans, checks, studies
and saved plans then know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Literal

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.registration import Registration
from similitude.scaling.rules import KERNEL, ROLES, RULES, TABLE, Cell, Power

Regime = Literal["features", "kernel"]

_REGIMES = ("features", "kernel")
_POWERS = ("sgd", "entrywise", "orthogonalized", "eps")
_UNSCALED = Cell(Power(), Power(), Power(), Power(), Power())


def register_rule(
    name: str,
    cells: Mapping[str, Cell],
    *,
    like: str | None = None,
    regime: Regime = "features",
    replace: bool = False,
) -> Registration:
    """Give a rule of width a name that `similitude.plan(rule=...)` and everything above it accept.

    Plans, checks, transfer studies, `similitude explain`, the command line (where the module of your factory registers
    the rule) and readers of saved plans see it at once. Test a rule with `similitude.testing.RuleTests`.

    Args:
        name: A new name, such as "mine".
        cells: For each role that differs from `like` its powers of the fan-in and fan-out ratio, for every family of
            optimizers. Forward multipliers are folded into them, as `similitude.scaling.rules` says.
        like: The rule that other roles are taken from. Without it `cells` has every role but "finite", whose sides
            do not grow.
        regime: What the rule promises in the limit, which checks hold it to: "features" (they learn alike at every
            width) or "kernel" (they move as width^-1/2, and only the output moves as at the base).
        replace: Whether an earlier rule of that name that was registered is replaced.

    Returns:
        A handle that takes the rule back: `with register_rule(...):` in tests.

    Raises:
        PlanError: The name is taken or empty, a cell is no `Cell` of finite powers, or a role has none.
        RoleError: There is no such role.

    Example:
        >>> import similitude as sim
        >>> slow_heads = {"output": Cell(Power(-1, 0), Power(-2, 0), Power(-2, 0), Power(-1, 0), eps=Power())}
        >>> with register_rule("slow heads", slow_heads, like="mup"):
        ...     sim.scaling.rules.factors("slow heads", "output", "sgd", r_in=4, r_out=1).lr
        0.0625
    """
    _check_name(name, replace=replace)
    if like is not None and like not in TABLE:
        raise PlanError(f"like={like!r} is no rule. Choose one of {', '.join(map(repr, TABLE))}.")
    if regime not in _REGIMES:
        raise PlanError(f"regime={regime!r} is unknown. Choose one of {', '.join(map(repr, _REGIMES))}.")
    for role, cell in cells.items():
        _check_cell(name, role, cell)
    whole = {"finite": _UNSCALED, **(TABLE[like] if like is not None else {}), **cells}
    missing = [role for role in ROLES if role not in whole]
    if missing:
        raise PlanError(
            f"rule {name!r} has no cell for {', '.join(missing)}: a plan needs one for each of {', '.join(ROLES)}. Add "
            "them, or take them from another rule: like='mup'."
        )
    before, was_kernel = TABLE.get(name), name in KERNEL

    def undo() -> None:
        TABLE.pop(name, None)
        KERNEL.discard(name)
        if before is not None:
            TABLE[name] = before
        if was_kernel:
            KERNEL.add(name)

    TABLE[name] = whole
    (KERNEL.add if regime == "kernel" else KERNEL.discard)(name)
    return Registration(undo)


def _check_name(name: str, *, replace: bool) -> None:
    if not isinstance(name, str) or not name.strip():
        raise PlanError(f"{name!r} cannot be the name of a rule. Pass a text such as 'mine'.")
    if name in RULES:
        raise PlanError(
            f"rule {name!r} is one of similitude's own, and every plan that names it means that one. Choose another "
            f"name, with like={name!r} for what stays."
        )
    if name in TABLE and not replace:
        raise PlanError(
            f"rule {name!r} is registered already. Choose another name, or pass replace=True if this one is to take its "
            "place."
        )


def _check_cell(name: str, role: str, cell: Cell) -> None:
    if role not in ROLES:
        raise RoleError(
            f"rule {name!r} has a cell for the role {role!r}, which does not exist. Choose among "
            f"{', '.join(map(repr, ROLES))}."
        )
    if not isinstance(cell, Cell):
        raise PlanError(
            f"rule {name!r} gives a {type(cell).__name__} for the role {role!r}. Pass a Cell: its powers for init, each "
            "family and eps."
        )
    powers = {f.name: getattr(cell, f.name) for f in fields(cell) if f.name in ("init", *_POWERS)}
    for part, power in powers.items():
        if part == "init" and power is None:
            continue
        if not isinstance(power, Power) or not all(math.isfinite(exponent) for exponent in power):
            raise PlanError(
                f"rule {name!r}, role {role!r}: {part} is {power!r}, which is no power of the ratios. Pass "
                "Power(exponent of r_in, exponent of r_out) with finite numbers."
            )
    if cell.init is None and any(powers[part] != Power() for part in _POWERS):
        raise PlanError(
            f"rule {name!r}, role {role!r}: init=None leaves a tensor as the user wrote it, but other powers scale it. "
            "Give the init a power too, such as Power(-0.5, 0) for one over the root of the fan-in."
        )
