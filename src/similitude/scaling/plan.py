"""The plan from a base size to a target size, as ratios to the user's own base: paper 17 (muTransfer)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import torch

from similitude.core.citation import cites
from similitude.core.errors import PlanError, SimilitudeError
from similitude.scaling.axes import Comparison, Factory, TensorPair, compare, some
from similitude.scaling.inits import OwnInit, measure
from similitude.scaling.optimizers import OptimizerLike, OptimizerSpec, resolve
from similitude.scaling.records import Plan, PlanRow, Refusal
from similitude.scaling.roles import RoleResult, infer
from similitude.scaling.rules import RULES, factors
from similitude.scaling.sample import unused_parameters

__all__ = ["Plan", "PlanRow", "Refusal", "plan"]

_HEAD_COUNTS = ("num_heads", "n_head", "n_heads", "heads", "num_attention_heads")


@cites(17, "Tables 3, 8 and 9")
def plan(
    make: Factory,
    *,
    base: int,
    target: int,
    sample: Any = None,
    optimizer: OptimizerLike = torch.optim.AdamW,
    rule: str = "mup",
    roles: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Plan:
    """Plan how hyperparameters tuned at one width carry over to another.

    The model stays the user's own: the plan rescales its initial values once and sets learning rate, eps
    and weight decay per parameter group. At the base width every factor is exactly 1.

    Args:
        make: Function of the width that returns a model; everything else about the model stays fixed.
        base: Width that hyperparameters are tuned at.
        target: Width to plan for.
        sample: An input of the model (a tensor, a tuple of positional or a dict of keyword arguments).
            Parameters that it does not reach are named in `Plan.notes`.
        optimizer: The optimizer that will train the model: class, instance, `functools.partial` or
            factory; its eps and weight decay matter. SGD (with or without momentum), Adam and AdamW have
            rules.
        rule: "mup" (features learn alike at every width), "sp" (everything as the user wrote it) or "ntp"
            (the kernel regime).
        roles: Roles that are known better than shapes can tell, by tensor name or glob, e.g. `{"pos":
            "input"}`.
        seed: Seed of the builds in which the user's own init is measured.

    Returns:
        The plan. Tensors whose role cannot be told are in `Plan.refused`; nothing is guessed.

    Raises:
        FactoryError: `make` cannot be called with a width or does not return a model.
        PlanError: The two models cannot be compared, or the optimizer, rule or sample does not fit.
        RoleError: `roles` names a tensor or role that does not exist.

    Example:
        >>> row = plan(lambda n: torch.nn.Linear(n, n, bias=False), base=8, target=32).rows[0]
        >>> row.role, row.init, row.lr
        ('hidden', 0.5, 0.25)

    Cost: shapes are compared without memory; the init is measured in up to 32 real builds of each size
        (one build of a large model; none above 50 million parameters, where the init's law is extrapolated).
    """
    for name, width in (("base", base), ("target", target)):
        if isinstance(width, bool) or not isinstance(width, Integral) or width < 1:
            raise PlanError(f"{name}={width!r} is not a width. Pass a positive integer.")
    if rule not in RULES:
        raise PlanError(f"rule {rule!r} is unknown. Choose one of {', '.join(map(repr, RULES))}.")
    base, target = int(base), int(target)
    spec = resolve(optimizer)
    comparison = compare(make, base, target)
    if base == target:
        results = infer(_beyond(make, base) or comparison, roles)
        own: dict[str, OwnInit] = {}
    else:
        results = infer(comparison, roles)
        planned = tuple(_undecided(r) for r in results) if rule == "sp" else results
        own = measure(make, comparison, planned, base=base, target=target, seed=seed)
    broken = [name for name, init in own.items() if not math.isfinite(init.ratio)]
    if broken:
        raise PlanError(
            f"the initial values of {some(broken)} are not finite (nan or inf), so nothing can be planned from them. "
            "Mend the initialization in the model."
        )
    rows: list[PlanRow] = []
    refused: list[Refusal] = []
    for tensor, result in zip(comparison.tensors, results, strict=True):
        if result.role is None and rule != "sp" and base != target:
            refused.append(Refusal(tensor.name, tensor.shape, result.evidence))
        else:
            rows.append(_row(tensor, result, own.get(tensor.name), rule, spec, base == target))
    notes = _notes(comparison, rows, own, spec) if base != target else []
    if sample is not None:
        unused = unused_parameters(make, base, sample, seed=seed)
        if unused:
            notes.append(
                f"never used by the sample: {some(unused, 12)}; their factors are as their shapes say"
            )
    return Plan(
        rule,
        spec.name,
        spec.family,
        base,
        target,
        tuple(rows),
        tuple(refused),
        tuple(notes),
        spec.decay,
        spec.defaults,
    )


def _row(
    tensor: TensorPair, result: RoleResult, own: OwnInit | None, rule: str, spec: OptimizerSpec, at_base: bool
) -> PlanRow:
    role = result.role or "undecided"
    aliases = tuple(use.name for use in tensor.uses[1:])
    if at_base or own is None:
        reason = f"{result.evidence} (seen at twice the base): target equals base, so nothing changes"
        return PlanRow(
            tensor.name,
            role,
            tensor.shape,
            tensor.base_shape,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            reason,
            aliases,
        )
    scaled = factors(rule, result.role or "finite", spec.family, r_in=result.r_in, r_out=result.r_out)
    # A tensor without spread (zeros, ones) is a choice of the user's, not a draw: it stays.
    init = own.ratio if scaled.init is None or (own.law == "fixed" and own.rms != 0) else scaled.init
    rescale = 1.0 if scaled.init is None or own.law == "fixed" else init / own.ratio
    weight_decay = scaled.weight_decay if spec.decay == "shrink" else 1.0
    law = {"": f"own init measured x{own.ratio:.4g}", "fixed": "own init has no spread"}.get(
        own.law, f"own init {own.law}"
    )
    return PlanRow(
        name=tensor.name,
        role=role,
        shape=tensor.shape,
        base_shape=tensor.base_shape,
        fan_in_ratio=result.r_in,
        fan_out_ratio=result.r_out,
        init=init,
        rescale=rescale,
        lr=scaled.lr,
        eps=scaled.eps,
        weight_decay=weight_decay,
        reason=f"{result.evidence}: {scaled.why}; {law}",
        aliases=aliases,
        own_rms=own.rms,
        own_tolerance=own.tolerance,
        own_bound=own.bound,
    )


def _beyond(make: Factory, base: int) -> Comparison | None:
    """Compare the base with twice its width, which shows roles; None where the factory cannot give that."""
    try:
        return compare(make, base, 2 * base)
    except SimilitudeError:
        return None


def _undecided(result: RoleResult) -> RoleResult:
    """Let a tensor without a role be measured where the rule needs none."""
    if result.role is not None:
        return result
    return RoleResult(result.name, "finite", 1.0, 1.0, result.evidence, result.sides)


def _notes(
    comparison: Comparison, rows: list[PlanRow], own: Mapping[str, OwnInit], spec: OptimizerSpec
) -> list[str]:
    notes = []
    unlawful = [f"{name} (x{o.ratio:.4g} +- {100 * o.error:.2g} %)" for name, o in own.items() if not o.law]
    if unlawful:
        notes.append(f"own init follows no simple law and is used as measured: {', '.join(unlawful[:6])}")
    ends = [row.name for row in rows if row.role == "output"]
    if len(ends) > 1:
        notes.append(
            f"{len(ends)} matrices lead from a growing side to a fixed one: {some(ends)}. Each is taken as "
            "a head; one inside the network would be a finite bottleneck, for which no exact rule exists"
        )
    fixed_heads = _fixed_heads(comparison)
    if fixed_heads:
        name, heads = fixed_heads[0]
        notes.append(
            f"the number of attention heads stays {heads} in {name!r}"
            + (f" and {len(fixed_heads) - 1} more" if len(fixed_heads) > 1 else "")
            + f" while the width grows x{comparison.ratio:g}, so the head size grows: attention logits then "
            "need 1/d instead of 1/sqrt(d), which this plan does not fold. Let the number of heads grow "
            "with the width"
        )
    if spec.decay == "gradient":
        notes.append(
            f"{spec.name} normalizes weight decay together with the gradient: no factor transfers it, so it "
            "stays as it is. AdamW's transfers"
        )
    return notes


def _fixed_heads(comparison: Comparison) -> list[tuple[str, int]]:
    """Find attention modules whose number of heads stays while their parameters grow."""
    growing = {use.name for t in comparison.tensors if t.shape != t.base_shape for use in t.uses}
    found = []
    for name, module in comparison.target.named_modules():
        small = comparison.base.get_submodule(name)
        for attribute in _HEAD_COUNTS:
            heads = getattr(module, attribute, None)
            prefix = f"{name}." if name else ""
            if (
                isinstance(heads, int)
                and not isinstance(heads, bool)
                and heads == getattr(small, attribute, None)
                and any(n.startswith(prefix) for n in growing)
            ):
                found.append((name, heads))
                break
    return found
