"""What a row of a plan gets for one optimizer: the rule's factors, folded multipliers and knobs together.

The rule table knows ratios alone; here the optimizer's own scaling by shape, the way it decays weights, and the
choice of what a matrix optimizer trains come in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from similitude.scaling.depth import depth_powers
from similitude.scaling.knobs import Knob, knob_of, parse_knobs
from similitude.scaling.optimizers import OptimizerLike, OptimizerSpec, resolve
from similitude.scaling.richness import lr_scale
from similitude.scaling.rules import ROLES, Factors, Sizes, factors, fold

if TYPE_CHECKING:
    from similitude.scaling.records import Plan, PlanRow


@dataclass(frozen=True)
class Setting:
    """What a plan asks of every tensor beside its rule.

    Attributes:
        alpha: Exponent of the residual branches; None where the depth has no rule.
        gamma: Richness: the output is divided by it.
        layers: Weight layers on the longest path, as the exponents of the richness need.
        weight_decay: One of `similitude.scaling.rules.WEIGHT_DECAYS`.
    """

    alpha: float | None = None
    gamma: float = 1.0
    layers: int = 1
    weight_decay: str = "independent"


@dataclass(frozen=True)
class Place:
    """Where a tensor stands in a deep network.

    Attributes:
        branches: Residual branches of its stage at the target over those at the base; 1 outside of branches.
        uses: Its uses at the target over those at the base, where several branches share it.
    """

    branches: float = 1.0
    uses: float = 1.0


_PLAIN = Setting()
_OUTSIDE = Place()
MATRIX_ROLES = ("hidden", "bottleneck")
# Between what a rule says and what was seen of the tensor's own init, in `PlanRow.reason`.
_OWN_INIT = "; own init"


@dataclass(frozen=True)
class TrainingFactors:
    """How one tensor is initialized and trained by one optimizer, relative to the base.

    Attributes:
        family: Optimizer family that trains the tensor. Under an optimizer of matrices, everything that is
            no matrix is "entrywise", as AdamW beside it.
        init: Standard deviation of the initial values with multipliers and knobs; None where the rule leaves
            the user's own init as it is (it is then multiplied by `scale`).
        lr: Factor on the learning rate.
        eps: Factor on eps.
        weight_decay: Factor on the weight decay.
        why: Each factor with its formula and numbers.
        scale: The part of `init` that multiplies the user's own initial values whatever their law, constants
            included: folded multipliers and knobs.
        own_scale: By how much the optimizer itself scales a step, for the tensor's shape or own size; `lr` is
            divided by it.
    """

    family: str
    init: float | None
    lr: float
    eps: float
    weight_decay: float
    why: str
    scale: float = 1.0
    own_scale: float = 1.0


def is_matrix(role: str | None, shape: tuple[int, ...]) -> bool:
    """Tell whether an optimizer of matrices such as Muon trains a tensor.

    It does where the tensor is a matrix inside the network, stored with two dimensions. Heads, embeddings,
    vectors, convolutions and stacks of experts are trained entry by entry.

    Example:
        >>> is_matrix("hidden", (8, 8)), is_matrix("output", (3, 8)), is_matrix("hidden", (8, 8, 3, 3))
        (True, False, False)
    """
    return role in MATRIX_ROLES and len(shape) == 2


def training_factors(
    rule: str,
    role: str,
    spec: OptimizerSpec,
    *,
    r_in: float,
    r_out: float,
    shape: tuple[int, ...],
    base_shape: tuple[int, ...],
    fan_in: Sizes | None = None,
    fan_out: Sizes | None = None,
    multiplier: float = 1.0,
    knob: Knob | None = None,
    setting: Setting = _PLAIN,
    place: Place = _OUTSIDE,
    size: float | None = None,
) -> TrainingFactors:
    """Work out what one tensor gets from a rule, for one optimizer.

    Args:
        rule: One of `similitude.scaling.rules.RULES`.
        role: One of `similitude.scaling.rules.ROLES`. Other roles ("unused", "undecided") are left as they
            are.
        spec: The optimizer.
        r_in: Fan-in of the target over fan-in of the base; 1 where it does not grow.
        r_out: The same for the fan-out.
        shape: Shape of the tensor at the target.
        base_shape: Shape of the tensor at the base.
        fan_in: Fan-in at base and target, in entries, where it is known.
        fan_out: The same for the fan-out.
        multiplier: Product of the forward multipliers that the tensor carries, without its own knob.
        knob: The knob of its role, times that of the queries where it makes them.
        setting: Depth rule, richness and kind of weight decay of the plan. A folded multiplier m changes the weight
            decay's number in both kinds: the tensor that is used as m W decays as W would beside an explicit m.
        place: Where the tensor stands among the residual branches.
        size: Root mean square of the tensor's initial values at the target over that at the base, which the steps of
            some optimizers are relative to; that of the rule by default.

    Raises:
        PlanError: The rule, the kind of weight decay or a number is not one that the table knows.

    Example:
        >>> import torch
        >>> shapes = {"shape": (32, 32), "base_shape": (8, 8)}
        >>> f = training_factors("mup", "hidden", resolve(torch.optim.Adam), r_in=4, r_out=4, **shapes)
        >>> f.init, f.lr
        (0.5, 0.25)
    """
    knob = knob or Knob()
    family = family_of(spec, role, shape)
    if role in ROLES:
        fans = {"fan_in": fan_in, "fan_out": fan_out}
        ruled = factors(rule, role, family, r_in=r_in, r_out=r_out, **fans, weight_decay=setting.weight_decay)
    else:
        ruled = replace(factors("sp", "finite", family, r_in=1, r_out=1), why=f"{role}: left as it is")
    folded = fold(ruled, family, multiplier * knob.multiplier)
    lr, eps, decay, why = folded.lr, folded.eps, folded.weight_decay, [folded.why]
    independent = setting.weight_decay == "independent"
    for change in changes(family, setting, place):
        lr, eps = lr * change.lr, eps * change.eps
        decay /= change.lr if independent else 1.0
        why.append(change.why)
    if spec.eps_power != 1.0 and eps != 1.0:
        why += [
            f"eps x {eps:.6g}^{spec.eps_power:g}, as {spec.name} compares it with that power of the gradient"
        ]
        eps **= spec.eps_power
    if spec.decay == "gradient":
        # The decay is a part of the gradient: it follows a folded multiplier exactly, and the rule not at all.
        decay = (multiplier * knob.multiplier) ** -2
        why += [f"{spec.name}'s weight decay is part of the gradient and follows no rule of width"]
    own_scale, what = _own_scale(rule, spec, family, folded, knob, size=size, shapes=(base_shape, shape))
    if own_scale != 1.0:
        # The decay uses the group's learning rate, without the optimizer's own scale.
        lr, decay = lr / own_scale, decay * (own_scale if independent else 1.0)
        why += [f"lr / {own_scale:.6g}, by which {spec.name} itself scales the step {what}"]
    if spec.decay in ("fixed", "none"):
        decay = 1.0
        why += [f"{spec.name}'s weight decay does not act through lr"] if spec.decay == "fixed" else []
    if knob.lr != 1.0:
        why += [f"lr x {knob.lr:.6g} by your knob"]
    if knob.init != 1.0:
        why += [f"init x {knob.init:.6g} by your knob"]
    return TrainingFactors(
        family,
        None if folded.init is None else folded.init * knob.init,
        lr * knob.lr,
        eps,
        decay,
        "; ".join(why),
        folded.scale * knob.init,
        own_scale,
    )


def _own_scale(
    rule: str,
    spec: OptimizerSpec,
    family: str,
    folded: Factors,
    knob: Knob,
    *,
    size: float | None,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
) -> tuple[float, str]:
    """Return by how much the optimizer itself scales a step from base to target, and what it does so for."""
    if family == "orthogonalized":
        return 1.0 if rule == "sp" else spec.adjustment(*shapes), "for the shape"
    if not spec.relative or family != spec.family:
        return 1.0, ""
    what = "with the tensor's own size"
    if rule == "sp":  # the learning rate stays as it is, but what a multiplier does to the tensor is undone
        return folded.scale, what
    if size:  # a knob of the init is there at the base too
        return size / (knob.init or 1.0), what
    return folded.scale if folded.init is None else folded.init, what


def family_of(spec: OptimizerSpec, role: str | None, shape: tuple[int, ...]) -> str:
    """Return the family of rules that trains a tensor under an optimizer.

    Args:
        spec: The optimizer.
        role: Role of the tensor.
        shape: Its shape.

    Example:
        >>> import torch
        >>> family_of(resolve(torch.optim.Muon), "output", (10, 64))
        'entrywise'
    """
    if spec.family == "orthogonalized":
        return spec.family if is_matrix(role, shape) else "entrywise"
    return spec.vector_family if spec.vector_family and len(shape) < 2 else spec.family


@dataclass(frozen=True)
class Change:
    """What depth or richness does to a tensor's training.

    Attributes:
        lr: Factor on the learning rate.
        eps: Factor on eps.
        why: The law with its numbers.
    """

    lr: float
    eps: float
    why: str


def changes(family: str, setting: Setting, place: Place) -> Iterator[Change]:
    """Yield the changes of training that depth and richness ask for.

    Args:
        family: One of `similitude.scaling.rules.FAMILIES`.
        setting: Depth rule and richness of the plan.
        place: Where the tensor stands among the residual branches.
    """
    if setting.alpha is not None and (place.branches != 1.0 or place.uses != 1.0):
        yield branch_change(family, setting.alpha, place)
    if setting.gamma != 1.0:
        yield richness_change(family, setting.gamma, setting.layers)


def branch_change(family: str, alpha: float, place: Place) -> Change:
    """Return what a residual branch does to the training of a tensor inside it.

    Args:
        family: One of `similitude.scaling.rules.FAMILIES`.
        alpha: Residual exponent.
        place: Ratio of branches and of uses.
    """
    powers = depth_powers(alpha, family)
    lr = place.branches**powers.lr * place.uses**powers.shared_lr
    eps = place.branches**powers.eps * place.uses**powers.shared_eps
    shared = f", uses x{place.uses:.6g}" if place.uses != 1.0 else ""
    why = f"inside a residual branch (branches x{place.branches:.6g}{shared}, alpha {alpha:g}): lr x {lr:.6g}"
    return Change(lr, eps, why + (f", eps x {eps:.6g}" if family != "sgd" else ""))


def richness_change(family: str, gamma: float, layers: int) -> Change:
    """Return what the richness does to the training of every tensor: gradients are divided by gamma.

    Args:
        family: One of `similitude.scaling.rules.FAMILIES`.
        gamma: The richness.
        layers: Weight layers on the longest path.
    """
    lr = lr_scale(gamma, layers, family)
    eps = 1.0 if family == "sgd" else 1.0 / gamma
    return Change(lr, eps, f"richness gamma {gamma:g} with {layers} weight layers: lr x {lr:.6g}")


def optimizer_notes(rows: Sequence[PlanRow], spec: OptimizerSpec) -> list[str]:
    """Say what an optimizer leaves to another one, and what it warns of; each begins with its name.

    Args:
        rows: The rows of a plan.
        spec: The optimizer.
    """
    notes = []
    matrices = [row for row in rows if is_matrix(row.role, row.shape)]
    if spec.family == "orthogonalized" and len(matrices) < len(rows):
        notes.append(
            f"{spec.name} trains the {len(matrices)} matrices of the plan; factors of the other "
            f"{len(rows) - len(matrices)} tensors are for AdamW: similitude.split makes one optimizer of both"
        )
    return [*notes, *spec.warnings]


def setting_of(plan: Plan) -> Setting:
    """Return what a plan asks of every tensor beside its rule."""
    return Setting(plan.depth_rule, plan.gamma, plan.layers, plan.weight_decay)


def for_optimizer(plan: Plan, optimizer: OptimizerLike) -> Plan:
    """Return the same plan with the factors of another optimizer.

    Roles, ratios, initial values and carried multipliers stay; learning rate, eps, weight decay and their
    reasons are worked out anew.

    Args:
        plan: The plan, made for whatever optimizer.
        optimizer: Class, instance, `functools.partial` or factory.

    Raises:
        PlanError: The optimizer has no rule.
    """
    spec = resolve(optimizer)
    knobs = parse_knobs(plan.knobs)
    others = tuple(note for note in plan.notes if not note.startswith(f"{plan.optimizer} "))
    at_base = dict(plan.base) == dict(plan.target)
    return replace(
        plan,
        optimizer=spec.name,
        family=spec.family,
        decay=spec.decay,
        defaults=spec.defaults,
        chosen=spec.chosen,
        rows=tuple(_for_row(plan, row, spec, knobs) for row in plan.rows),
        notes=others if at_base else (*others, *optimizer_notes(plan.rows, spec)),
    )


def _for_row(plan: Plan, row: PlanRow, spec: OptimizerSpec, knobs: dict[str, Knob]) -> PlanRow:
    new = training_factors(
        plan.rule,
        row.role,
        spec,
        r_in=row.fan_in_ratio,
        r_out=row.fan_out_ratio,
        shape=row.shape,
        base_shape=row.base_shape,
        fan_in=row.fan_in,
        fan_out=row.fan_out,
        multiplier=row.multiplier,
        knob=knob_of(knobs, row.role, query=row.query),
        setting=setting_of(plan),
        place=Place(row.depth_ratio, row.uses_ratio),
        size=row.init,
    )
    _, seam, own = row.reason.partition(_OWN_INIT)
    return replace(
        row,
        lr=new.lr,
        eps=new.eps,
        weight_decay=new.weight_decay,
        family=new.family,
        own_scale=new.own_scale,
        reason=new.why + seam + own,
    )
