"""Clip gradients by a global norm that means the same at every size: each tensor's gradient is counted in the units of
the base, or of the model with its multipliers unfolded.

A tensor that carries a multiplier m has a gradient that is 1/m times larger than beside an explicit m, and gradients of
different roles grow differently with the size. The plain norm of a scaled model is therefore another number than the
one that a threshold was tuned for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

import torch
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.factors import Place, branch_change
from similitude.scaling.matching import check_plan, match, parameters, require_roles, unwrapped
from similitude.scaling.rules import ROLES, factors
from similitude.scaling.sharded import Layout, layout_of, local_part, over_processes

if TYPE_CHECKING:
    from similitude.scaling.records import Plan, PlanRow

Units = Literal["base", "unfolded"]
_UNITS = ("base", "unfolded")
# Scales of a live model, worked out once; nothing is stored on the model.
_known: WeakKeyDictionary[nn.Module, tuple[Plan, str, dict[str, float]]] = WeakKeyDictionary()


def clip_grad_norm_(
    plan: Plan,
    model: nn.Module,
    max_norm: float,
    *,
    units: Units = "base",
    error_if_nonfinite: bool = False,
) -> torch.Tensor:
    """Clip the gradients of a scaled model in place, so that `max_norm` carries over from the base.

    Use it in place of `torch.nn.utils.clip_grad_norm_`, between `backward` (or `scaler.unscale_`) and the step. All
    gradients are multiplied by one number, as there; only the norm is another.

    Args:
        plan: The plan that was applied to the model.
        model: The target, wrapped or not; gradients may be DTensors (FSDP2).
        max_norm: Largest norm, as tuned at the base.
        units: "base": the gradient of a tensor counts by its size over the size that the plan expects relative to the
            base, so that a norm of 1 is as large a step of training as it was there. "unfolded": each gradient
            counts as that of the same tensor beside an explicit multiplier. At the base both are torch's own; with gamma,
            torch's on the model whose output is divided by gamma.
        error_if_nonfinite: Whether a norm that is infinite or not a number raises.

    Returns:
        The total norm before clipping, in those units: a tensor of one number, the same on every process.

    Raises:
        RoleError: The plan has refused tensors.
        PlanError: The model is not the target, the units do not exist, `max_norm` is no positive number, or the norm
            is not finite where that is to raise.

    Example:
        >>> from similitude.scaling.plan import plan
        >>> make = lambda n: nn.Sequential(nn.Linear(8, n), nn.Linear(n, 2))
        >>> p = plan(make, base=16, target=64, sample=torch.zeros(1, 8))
        >>> model = p.apply_(make(64))
        >>> model(torch.ones(4, 8)).sum().backward()
        >>> clipped = [clip_grad_norm_(p, model, 1.0) for _ in range(2)]
        >>> float(clipped[0]) > 1, round(float(clipped[1]), 3)
        (True, 1.0)

    Cost: one norm per tensor; sharded gradients need one sum over processes per mesh.
    """
    check_plan(plan)
    if not isinstance(max_norm, int | float) or isinstance(max_norm, bool) or not max_norm > 0:
        raise PlanError(f"max_norm={max_norm!r} is not a norm. Pass a positive number, as tuned at the base.")
    scales = _scales_of(plan, model, units)
    have = {name: p for name, p in parameters(model).items() if p.grad is not None}
    total = _total_norm({name: p.grad for name, p in have.items() if p.grad is not None}, scales)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise PlanError(
            f"the gradients have norm {float(total)}, so they cannot be clipped. Look for the layer that overflows, or "
            "leave the step out: error_if_nonfinite=False multiplies by what comes."
        )
    coefficient = torch.clamp(max_norm / (total + 1e-6), max=1.0)  # torch's own form, its 1e-6 included
    with torch.no_grad():
        for p in have.values():
            assert p.grad is not None
            local = local_part(p.grad)
            local.mul_(coefficient.to(local.device))
    return total


def gradient_scales(plan: Plan, *, units: Units = "base") -> dict[str, float]:
    """Return what the gradient of every tensor is multiplied by before its norm counts.

    "unfolded" is the multiplier m that the tensor carries, for the gradient of W in m W is m times that of the folded
    tensor. "base" is the inverse of how the norm of the tensor's gradient changes from the base to the target: the
    size of one entry, which is what the rule's factor on Adam's eps follows, times the root of the number of entries in
    all tensors that are alike, which residual branches add more of.

    Args:
        plan: The plan.
        units: "base" or "unfolded".

    Returns:
        Scale by name, aliases included; all 1 at the base with gamma 1, and under the rule sp.

    Raises:
        RoleError: The plan has refused tensors.
        PlanError: The units do not exist.
    """
    require_roles(plan)
    if units not in _UNITS:
        raise PlanError(f"units={units!r} do not exist. Choose one of {', '.join(map(repr, _UNITS))}.")
    scale = _in_base_units if units == "base" else _unfolded
    return {
        name: value for row in plan.rows for value in (scale(plan, row),) for name in (row.name, *row.aliases)
    }


def _unfolded(plan: Plan, row: PlanRow) -> float:
    return row.multiplier


def _in_base_units(plan: Plan, row: PlanRow) -> float:
    if row.role not in ROLES:
        return row.multiplier
    entry, number = 1.0, 1.0
    if plan.rule != "sp":
        entry = factors(plan.rule, row.role, "entrywise", r_in=row.fan_in_ratio, r_out=row.fan_out_ratio).eps
        number = math.prod(row.shape) / math.prod(row.base_shape)
    if plan.depth_rule is not None:
        place = Place(row.depth_ratio, row.uses_ratio)
        entry *= branch_change("entrywise", plan.depth_rule, place).eps
        # A stage that grows has more such tensors, and their squares add up; a shared one stays one.
        number *= row.depth_ratio / row.uses_ratio
    return row.multiplier / (entry * math.sqrt(number))


def _scales_of(plan: Plan, model: nn.Module, units: Units) -> dict[str, float]:
    plain = unwrapped(model)
    known = _known.get(plain)
    if known is None or known[0] is not plan or known[1] != units:
        match(plan, model)
        known = (plan, units, gradient_scales(plan, units=units))
        _known[plain] = known
    return known[2]


def _total_norm(gradients: dict[str, torch.Tensor], scales: dict[str, float]) -> torch.Tensor:
    """Combine the norms of all gradients; those of shards on one mesh are summed over its processes at once."""
    if not gradients:
        return torch.zeros(())
    by_layout: dict[Layout | None, list[torch.Tensor]] = {}
    for name, gradient in gradients.items():
        local = local_part(gradient).detach()
        dtype = torch.promote_types(local.dtype, torch.float32)
        norm = torch.linalg.vector_norm(local, dtype=dtype) * scales[name]
        by_layout.setdefault(layout_of(gradient), []).append(norm)
    parts = []
    for layout, norms in by_layout.items():
        norm = torch.linalg.vector_norm(torch.stack([n.to(norms[0].device) for n in norms]))
        parts.append(norm if layout is None else over_processes(norm.square(), layout, how="sum").sqrt())
    if len(parts) == 1:
        return parts[0]
    return torch.linalg.vector_norm(torch.stack([part.to(parts[0].device) for part in parts]))
