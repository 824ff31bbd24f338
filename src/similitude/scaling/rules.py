"""The rules of width scaling as a pure table of exponents: paper 17 Tables 3, 8 and 9; paper 14 Section
2.1 (NTP).

Every cell is a power of the fan-in ratio `r_in` and the fan-out ratio `r_out` (target over base; 1 for a side
that does not grow). Forward multipliers are folded into initialization, learning rate and eps, so the model's
own forward pass stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from similitude.core.citation import cites
from similitude.core.errors import PlanError, RoleError

RULES = ("mup", "sp", "ntp")
ROLES = ("input", "lookup", "vector", "hidden", "output", "finite")
FAMILIES = ("sgd", "entrywise")


class Power(NamedTuple):
    """The number `r_in**fan_in * r_out**fan_out`."""

    fan_in: float = 0.0
    fan_out: float = 0.0

    def __call__(self, r_in: float, r_out: float) -> float:
        """Evaluate the power."""
        return r_in**self.fan_in * r_out**self.fan_out

    def __str__(self) -> str:
        parts = [
            f"{side}^{exponent:g}"
            for side, exponent in (("r_in", self.fan_in), ("r_out", self.fan_out))
            if exponent
        ]
        return " ".join(parts) or "1"


@dataclass(frozen=True)
class Cell:
    """One row of a rule's table: powers for the init's standard deviation, the learning rates, and Adam's
    eps.

    `eps` follows the size of a raw gradient entry. `spectral` lowers the init of a matrix whose output
    side grows more slowly than its input side, so that its spectral norm follows sqrt(fan_out / fan_in).
    """

    init: Power
    sgd: Power
    entrywise: Power
    eps: Power
    spectral: bool = False


_ONE = Power()
_FINITE = Cell(_ONE, _ONE, _ONE, _ONE)
# A lookup and a vector act on a one-hot or constant input, so both are inputs with a fan-in that does not
# grow.
_MUP_INPUT = Cell(init=_ONE, sgd=Power(0, 1), entrywise=_ONE, eps=Power(0, -1))
_NTP_INPUT = Cell(init=_ONE, sgd=_ONE, entrywise=Power(0, -0.5), eps=Power(0, -0.5))

TABLE: dict[str, dict[str, Cell]] = {
    "mup": {
        "input": _MUP_INPUT,
        "lookup": _MUP_INPUT,
        "vector": _MUP_INPUT,
        "hidden": Cell(Power(-0.5, 0), Power(-1, 1), Power(-1, 0), Power(0, -1), spectral=True),
        "output": Cell(Power(-1, 0), Power(-1, 0), Power(-1, 0), _ONE),
        "finite": _FINITE,
    },
    "ntp": {
        "input": _NTP_INPUT,
        "lookup": _NTP_INPUT,
        "vector": _NTP_INPUT,
        "hidden": Cell(Power(-0.5, 0), Power(-1, 0), Power(-1, -0.5), Power(0, -0.5)),
        "output": Cell(Power(-0.5, 0), Power(-1, 0), Power(-1, 0), _ONE),
        "finite": _FINITE,
    },
}


@dataclass(frozen=True)
class Factors:
    """What multiplies the base's values. `init` is None where a rule leaves the user's own init as it is.

    `weight_decay` keeps lr x weight decay fixed; it is meant for optimizers that shrink a weight by that
    product (SGD, AdamW).
    """

    init: float | None
    lr: float
    eps: float
    weight_decay: float
    why: str


@cites(17, "Tables 3, 8 and 9")
@cites(14, "Section 2.1, NTP and muP as abcd-parametrizations")
def factors(rule: str, role: str, family: str, *, r_in: float, r_out: float) -> Factors:
    """Look up how one tensor is initialized and trained, relative to the base.

    Args:
        rule: One of `RULES`.
        role: One of `ROLES`.
        family: One of `FAMILIES`: "sgd" (with or without momentum) or "entrywise" (Adam, AdamW).
        r_in: Fan-in of the target over fan-in of the base; 1 where it does not grow.
        r_out: The same for the fan-out.

    Returns:
        Factors on init (standard deviation), learning rate, eps and weight decay.

    Raises:
        PlanError: The rule or the family is not in the table.
        RoleError: The role is not in the table.

    Example:
        >>> f = factors("mup", "hidden", "entrywise", r_in=4, r_out=4)
        >>> f.init, f.lr, f.eps, f.weight_decay
        (0.5, 0.25, 0.25, 4.0)
    """
    if rule not in RULES:
        raise PlanError(f"rule {rule!r} is unknown. Choose one of {', '.join(map(repr, RULES))}.")
    if role not in ROLES:
        raise RoleError(f"role {role!r} is unknown. Choose one of {', '.join(map(repr, ROLES))}.")
    if family not in FAMILIES:
        raise PlanError(
            f"optimizer family {family!r} is unknown. Choose one of {', '.join(map(repr, FAMILIES))}."
        )
    if rule == "sp":
        return Factors(None, 1.0, 1.0, 1.0, "sp leaves everything as it is")
    cell = TABLE[rule][role]
    power = cell.sgd if family == "sgd" else cell.entrywise
    eps_power = cell.eps if family == "entrywise" else _ONE
    init = cell.init(r_in, r_out)
    if cell.spectral:
        init *= min(1.0, (r_out / r_in) ** 0.5)
    lr = power(r_in, r_out)
    why = f"{rule} init {cell.init}, lr {power}" + (f", eps {eps_power}" if eps_power != _ONE else "")
    return Factors(init, lr, eps_power(r_in, r_out), 1.0 / lr, why)
