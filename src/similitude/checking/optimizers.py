"""The optimizer of one short run, with a plan's factors: one class for everything, or Muon for the matrices."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.apply import group, trainable
from similitude.scaling.factors import is_matrix
from similitude.scaling.optimizers import OptimizerLike, resolve
from similitude.scaling.records import Plan
from similitude.scaling.split import SplitOptimizer
from similitude.training.build import build_optimizer

REST_LR = 2.0**-9
"""Learning rate of what AdamW trains beside Muon, where none is given."""


def planned_optimizer(
    optimizer: OptimizerLike, plan: Plan, model: nn.Module, *, lr: float, rest_lr: float
) -> torch.optim.Optimizer:
    """Build the optimizer with the rows of a plan exactly as they stand, edited or not.

    Args:
        optimizer: Class, instance, `functools.partial` or factory.
        plan: The plan of this width, made for the optimizer.
        model: The model that it was applied to.
        lr: Learning rate at the base.
        rest_lr: The same for everything that is no matrix, where the optimizer takes matrices alone.
    """
    plan.raise_if_bad()
    tensors = trainable(plan, model)
    if plan.family != "orthogonalized":
        return build_optimizer(optimizer, group(plan, tensors, lr=lr, options={}))
    rows = {name: row for row in plan.rows for name in (row.name, *row.aliases)}
    matrices = {n: p for n, p in tensors.items() if is_matrix(rows[n].role, rows[n].shape)}
    others = {n: p for n, p in tensors.items() if n not in matrices}
    parts = []
    if matrices:
        parts.append(build_optimizer(optimizer, group(plan, matrices, lr=lr, options={})))
    if others:
        rest = _with_defaults(plan)
        parts.append(torch.optim.AdamW(group(rest, others, lr=rest_lr, options={})))
    return SplitOptimizer(tuple(parts))


def optimizer_of(plan: Plan) -> OptimizerLike:
    """Return the optimizer that a plan was made for, with its options.

    Raises:
        PlanError: It is no class of torch.optim.
    """
    known = getattr(torch.optim, plan.optimizer, None)
    if not isinstance(known, type):
        raise PlanError(
            f"the plan was made for {plan.optimizer}, which is no class of torch.optim. Pass it: check(..., "
            f"optimizer={plan.optimizer})."
        )
    decoupled = ("decoupled_weight_decay",) if plan.optimizer == "AdamW" else ()
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in plan.defaults.items()
        if name not in decoupled
    }
    return functools.partial(known, **options)


def _with_defaults(plan: Plan) -> Plan:
    spec = resolve(torch.optim.AdamW)
    return replace(
        plan,
        optimizer=spec.name,
        defaults=spec.defaults,
        chosen=spec.chosen,
        decay=spec.decay,
        family=spec.family,
    )
