"""Where each factor of a tensor comes from: a product of steps, worked out from the plan's own data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from similitude.scaling.factors import Place, changes, setting_of
from similitude.scaling.knobs import QUERY, Knob, parse_knobs
from similitude.scaling.rules import ROLES, TABLE, Factors, Power, factors, fold

if TYPE_CHECKING:
    from similitude.scaling.records import Plan, PlanRow

_UNIT = Factors(1.0, 1.0, 1.0, 1.0, "")
# Attribute of a row and of `Factors`, and what users call it.
_TRAINING = {"lr": "lr", "eps": "eps", "weight_decay": "weight decay"}
# A knob with whose it is, in words.
_Turned = tuple[tuple[Knob, str], ...]
_BY_HAND = "not by the rule: measured, or written into the plan by hand"
_SPECTRAL_STD = "fan_in^-0.5 min(1, fan_out / fan_in)^0.5"


@dataclass(frozen=True)
class Step:
    """One number that a factor is a product of.

    Attributes:
        value: The number.
        why: Its formula with the numbers in place, and what it is for.
    """

    value: float
    why: str


@dataclass(frozen=True)
class Derivation:
    """One factor of a tensor with all its steps; their product is the factor.

    Attributes:
        factor: "init", "apply" (what `Plan.apply_` multiplies the tensor by), "lr", "eps" or "weight decay".
        value: The factor, as the plan has it.
        steps: What it is a product of.
    """

    factor: str
    value: float
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        lines = [f"{self.factor} x{self.value:.6g}"]
        if len(self.steps) > 1:
            lines[0] += f" = {' x '.join(f'{step.value:.6g}' for step in self.steps)}"
        return "\n".join([*lines, *(f"  {step.value:.6g}: {step.why}" for step in self.steps)])


def derive(plan: Plan, row: PlanRow) -> tuple[Derivation, ...]:
    """Derive every factor of one row from its role, ratios, multiplier and the plan's knobs.

    A number of the row that its steps do not explain gets a last step that says so.

    Args:
        plan: The plan that has the row.
        row: The row.
    """
    family = row.family or plan.family
    knobs = _turned(plan, row)
    ruled = _ruled(plan, row, family)
    found = [_init(plan, row, family, knobs, ruled), _apply(row)]
    for name, label in _TRAINING.items():
        if family == "sgd" and name == "eps":
            continue  # SGD has none
        steps = list(_training_steps(plan, row, family, knobs, ruled, name))
        found.append(Derivation(label, getattr(row, name), _complete(plan, row, family, name, steps)))
    return tuple(found)


def _turned(plan: Plan, row: PlanRow) -> _Turned:
    """List the knobs that turn a tensor: that of its role, and that of the queries where it makes them."""
    knobs = parse_knobs(plan.knobs)
    found = [(knobs.get(row.role, Knob()), f"{row.role} tensors")]
    return (*found, (knobs.get(QUERY, Knob()), "the queries")) if row.query else tuple(found)


def _ruled(plan: Plan, row: PlanRow, family: str) -> Factors:
    """Look up what the rule gives; a role outside the table (unused, undecided) is left as it is."""
    if row.role not in ROLES:
        return Factors(None, 1.0, 1.0, 1.0, "")
    return factors(
        plan.rule,
        row.role,
        family,
        r_in=row.fan_in_ratio,
        r_out=row.fan_out_ratio,
        fan_in=row.fan_in,
        fan_out=row.fan_out,
        weight_decay=plan.weight_decay,
    )


def _init(plan: Plan, row: PlanRow, family: str, knobs: _Turned, ruled: Factors) -> Derivation:
    scale = list(_folded(row, family, knobs, "init"))
    scale += [
        Step(knob.init, f"your knob of the init of {whose}") for knob, whose in knobs if knob.init != 1.0
    ]
    by_scale = math.prod(step.value for step in scale)
    if ruled.init is not None and _close(row.init, ruled.init * by_scale):
        steps = [Step(ruled.init, _formula(plan.rule, row, family, "init")), *scale]
    elif row.rescale == 0.0:  # whatever the tensor's own init is
        steps = scale if by_scale == 0.0 else [Step(0.0, _BY_HAND)]
    else:
        why = "the rule scales nothing" if ruled.init is None else "the rule's init is not for such a tensor"
        steps = [Step(row.init / row.rescale, f"your own init from base to target, which stays: {why}")]
        if _close(row.rescale, by_scale):
            steps += scale
        elif row.rescale != 1.0:
            steps.append(Step(row.rescale, _BY_HAND))
    return Derivation("init", row.init, tuple(steps))


def _apply(row: PlanRow) -> Derivation:
    if row.rescale == 0.0:
        why = "init x0: the tensor starts at zero, whatever your own init gives"
        return Derivation("apply", 0.0, (Step(0.0, why),))
    own = row.init / row.rescale
    why = f"init x{row.init:.6g} over the x{own:.6g} that your own init gives from base to target"
    return Derivation("apply", row.rescale, (Step(row.rescale, why),))


def _training_steps(
    plan: Plan, row: PlanRow, family: str, knobs: _Turned, ruled: Factors, name: str
) -> Iterator[Step]:
    if name == "weight_decay" and plan.decay in ("fixed", "none"):
        yield Step(1.0, f"{plan.optimizer}'s weight decay does not act through lr, so the number stays")
        return
    if name == "weight_decay" and plan.decay == "gradient":
        yield Step(
            1.0, f"{plan.optimizer}'s weight decay is part of the gradient and follows no rule of width"
        )
    elif name == "weight_decay" and plan.weight_decay == "decoupled":
        yield Step(
            1.0,
            f"decoupled: the number stays, so that lr x weight decay goes x{ruled.lr:.6g} with the rule's lr",
        )
    elif name == "weight_decay":
        yield Step(ruled.weight_decay, f"1 / {ruled.lr:.6g}, so that lr x weight decay stays")
    else:
        yield Step(getattr(ruled, name), _formula(plan.rule, row, family, name))
    yield from _settled(plan, row, family, name)
    yield from _own_scale(plan, row, family, name)
    yield from _folded(row, family, knobs, name, gradient=plan.decay == "gradient")
    for knob, whose in knobs:
        if name == "lr" and knob.lr != 1.0:
            yield Step(knob.lr, f"your knob of the learning rate of {whose}")


def _own_scale(plan: Plan, row: PlanRow, family: str, name: str) -> Iterator[Step]:
    """Yield what the optimizer's own scale of a step takes out of one factor."""
    if row.own_scale == 1.0 or name == "eps":
        return
    what = "for the tensor's shape" if family == "orthogonalized" else "with the tensor's own size"
    why = f"{plan.optimizer}'s own scale of a step {what}, x{row.own_scale:.6g}, taken out"
    if name == "lr":
        yield Step(1.0 / row.own_scale, why)
    elif plan.decay == "shrink" and plan.weight_decay == "independent":
        yield Step(row.own_scale, f"{why} of lr; lr x weight decay stays")


def _settled(plan: Plan, row: PlanRow, family: str, name: str) -> Iterator[Step]:
    """Yield what the depth rule and the richness do to one factor."""
    for change in changes(family, setting_of(plan), Place(row.depth_ratio, row.uses_ratio)):
        if name != "weight_decay":
            yield Step(getattr(change, name), change.why)
        elif plan.decay != "gradient" and plan.weight_decay == "independent":
            yield Step(1.0 / change.lr, f"{change.why}; lr x weight decay stays")


def _folded(
    row: PlanRow, family: str, knobs: _Turned, name: str, *, gradient: bool = False
) -> Iterator[Step]:
    """Yield what carried multipliers and the knobs' multipliers m do to one factor: a power of m."""
    # The exponent is read off the fold itself, so that there is one table of it.
    power = math.log2(getattr(fold(_UNIT, family, 2.0), name))
    if name == "weight_decay" and gradient:
        power = -2.0  # the decay shares the gradient's scale, and then acts on a tensor m times as large
    carried = f"the carried multiplier m = {row.multiplier:.6g}"
    turned = [(knob.multiplier, f"your knob m = {knob.multiplier:.6g} of {whose}") for knob, whose in knobs]
    for m, what in ((row.multiplier, carried), *turned):
        if m != 1.0 and power:
            yield Step(m**power, f"m^{power:g} for {what}, folded by the abc-symmetry")


def _complete(plan: Plan, row: PlanRow, family: str, name: str, steps: list[Step]) -> tuple[Step, ...]:
    """Add what the steps leave unexplained, so that their product is the row's number."""
    value, product = getattr(row, name), math.prod(step.value for step in steps)
    if not _close(value, product) and product:
        rest = value / product
        by_square = name == "eps" and _close(value, product**2)
        why = f"once more, as {plan.optimizer} compares eps with the squared gradient"
        steps.append(Step(rest, why if by_square else _BY_HAND))
    return tuple(steps)


def _formula(rule: str, row: PlanRow, family: str, name: str) -> str:
    """Write the rule's cell with its numbers in place."""
    where = f"{rule}, {row.role}, {family}"
    if row.role not in ROLES:
        return f"{row.role}: left as it is"
    cell, r_in, r_out = TABLE[rule][row.role], row.fan_in_ratio, row.fan_out_ratio
    power: Power | None = {"init": cell.init, "lr": cell.lr(family), "eps": cell.eps_of(family)}[name]
    if power is None or cell.init is None:
        return f"{rule} leaves everything as it is"
    if rule == "spectral" and row.fan_in and row.fan_out:
        r_in, r_out = (side[1] / side[0] for side in (row.fan_in, row.fan_out))
        if name == "init":
            (in_0, in_1), (out_0, out_1) = row.fan_in, row.fan_out
            return f"{where}: {_SPECTRAL_STD} for fans {in_1:g} and {out_1:g} over that for {in_0:g} and {out_0:g}"
    formula, numbers = str(power), power.numbers(r_in, r_out)
    if name == "init" and cell.spectral and r_out < r_in:
        formula, numbers = f"{formula} (r_out / r_in)^0.5", f"{numbers} x ({r_out:.6g} / {r_in:.6g})^0.5"
    return f"{where}: {formula} = {numbers}" if numbers else f"{where}: does not scale"


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9)
