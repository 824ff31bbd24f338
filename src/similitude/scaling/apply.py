"""A plan meets a model: rescale its initial values, and group its parameters for the optimizer."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import nn

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.axes import some
from similitude.scaling.hooks import install, missing_hooks
from similitude.scaling.matching import match, parameters, require_roles, unwrapped
from similitude.scaling.plan_text import call, size, sizes
from similitude.scaling.sharded import largest

if TYPE_CHECKING:
    from similitude.scaling.records import Plan, PlanRow

# Which plan a live model was scaled by. Keyed weakly by the model, so nothing is stored on it or its
# parameters.
_applied: WeakKeyDictionary[nn.Module, Plan] = WeakKeyDictionary()
_SCALED = ("eps", "weight_decay")


@runtime_checkable
class _Sharded(Protocol):
    """What a DTensor has; its module is not part of every build of torch."""

    def full_tensor(self) -> torch.Tensor: ...


def apply_(plan: Plan, model: nn.Module) -> nn.Module:
    """Rescale a freshly built target in place; see `Plan.apply_`."""
    require_roles(plan)
    plain = unwrapped(model)
    before = _applied.get(plain)
    if before == plan:
        return model
    if before is not None:
        raise PlanError(
            f"this model was already scaled by a plan for {sizes(before.base, before.target)} "
            f"({before.rule}). Build a new one with {call(plan.target)} and apply one plan to it."
        )
    tensors = match(plan, model)
    missing_hooks(plan, model)  # raises before anything is changed
    if not plan.is_identity:
        for row in plan.rows:
            _check_untouched(row, tensors[row.name])
    with torch.no_grad():
        for row in plan.rows:
            if row.rescale != 1.0:
                tensors[row.name].mul_(row.rescale)
    install(plan, model)
    _applied[plain] = plan
    return model


def groups(
    plan: Plan, model: nn.Module, *, lr: float | torch.Tensor, **optimizer_defaults: Any
) -> list[dict[str, Any]]:
    """Return parameter groups with the plan's factors; see `Plan.groups`."""
    tensors = trainable(plan, model)
    family_of = {name: row.family or plan.family for row in plan.rows for name in (row.name, *row.aliases)}
    matrices_alone = plan.family == "orthogonalized"
    others = [name for name in tensors if matrices_alone and family_of[name] != plan.family]
    if others:
        verb = "is" if len(others) == 1 else "are"
        known = "torch.optim." if hasattr(torch.optim, plan.optimizer) else ""
        raise PlanError(
            f"{len(others)} of {len(tensors)} trainable tensors {verb} not for {plan.optimizer}, whose steps have a "
            f"law, and so factors, for the matrices inside the network alone: {some(others)}. Train them by a second "
            f"optimizer: similitude.split(plan, model, matrix={known}{plan.optimizer}, rest=torch.optim.AdamW, "
            "lr=..., rest_lr=...)."
        )
    return group(plan, tensors, lr=lr, options=optimizer_defaults)


def trainable(plan: Plan, model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the trainable tensors of the target by name, a tied one once, after matching it with the plan.

    Raises:
        RoleError: A trainable tensor was refused.
        PlanError: The model is not the target of the plan.
    """
    known = {name for row in plan.rows for name in (row.name, *row.aliases)}
    tensors = {n: p for n, p in parameters(model).items() if p.requires_grad}
    missing = [name for name in tensors if name not in known]
    if missing:
        raise _ungrouped(plan, missing, len(tensors))
    match(plan, model)
    return tensors


def group(
    plan: Plan,
    tensors: Mapping[str, nn.Parameter],
    *,
    lr: float | torch.Tensor,
    options: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Put tensors with the same factors into one group each, with the factors worked in.

    Args:
        plan: The plan, made for the optimizer that will take the groups.
        tensors: Some or all of what `trainable` returns.
        lr: Learning rate as tuned at the base.
        options: Other options as tuned at the base.

    Raises:
        PlanError: An option does not exist for the plan's optimizer or has an impossible value.
    """
    _check_options(plan, lr, options)
    given: dict[str, Any] = {k: v for k in _SCALED if _is_number(v := plan.defaults.get(k)) and v}
    for name in plan.chosen:
        value = plan.defaults.get(name)
        given[name] = tuple(value) if isinstance(value, list) else value
    given |= options
    if plan.decay == "gradient" and given.get("weight_decay") and not plan.is_identity:
        warnings.warn(
            f"{plan.optimizer} adds weight_decay to the gradient and then normalizes both, so no factor "
            "makes it transfer across widths; it is left as it is. Use torch.optim.AdamW for a weight "
            "decay that transfers.",
            stacklevel=4,
        )
    by_name = {name: row for row in plan.rows for name in (row.name, *row.aliases)}
    found: dict[tuple[float, float, float], dict[str, Any]] = {}
    for name, parameter in tensors.items():
        row = by_name[name]
        key = (row.lr, row.eps, row.weight_decay)
        if key not in found:
            # The product with a tensor is a new tensor: schedulers that fill one in place reach one group.
            scaled = {"lr": lr * row.lr, "lr_factor": row.lr, **given}
            if _is_number(
                given.get("eps")
            ):  # Adafactor has two, for the square and for the tensor's own size
                scaled["eps"] = given["eps"] * row.eps
            if given.get("weight_decay") is not None:
                scaled["weight_decay"] = given["weight_decay"] * row.weight_decay
            found[key] = {"params": [], **scaled}
        found[key]["params"].append(parameter)
    result = list(found.values())
    assert sum(len(g["params"]) for g in result) == len({id(p) for p in tensors.values()})
    return result


def _check_untouched(row: PlanRow, tensor: torch.Tensor) -> None:
    """Hold a tensor against its untouched init: rms within chance, entries within a uniform's bound."""
    if tensor.is_meta:
        raise PlanError(
            f"{row.name!r} is on the meta device and has no values to rescale. Materialize and initialize "
            "the model first, then apply the plan."
        )
    values = tensor.detach().abs()
    if row.own_rms is not None:
        square = _number(values.double().square().sum()) / values.numel() if values.numel() else 0.0
        rms = math.sqrt(square)
        if not _near(rms, row.own_rms, row.own_tolerance):
            scaled = row.rescale != 1.0 and _near(rms, row.own_rms * row.rescale, row.own_tolerance)
            raise PlanError(
                f"{row.name!r} has rms {rms:.4g}, but a fresh one has {row.own_rms:.4g} (chance explains "
                f"{100 * row.own_tolerance / 2:.2g} %): it was "
                + ("scaled by this plan already" if scaled else "trained, loaded or changed")
                + ". Apply a plan once, right after building the model."
            )
    if row.own_bound is not None and values.numel():
        rounding = torch.finfo(values.dtype).eps
        peak = float(largest(values))
        if peak > row.own_bound * (1 + 2 * rounding):
            raise PlanError(
                f"{row.name!r} has an entry of size {peak:.6g}, but a fresh one stays below "
                f"{row.own_bound:.6g}: it was trained, loaded or changed. Apply a plan once, right after "
                "building the model."
            )


def _number(value: torch.Tensor) -> float:
    """Read a reduction; that of a sharded tensor (FSDP2) is only complete once all its parts are combined."""
    return float(value.full_tensor() if isinstance(value, _Sharded) else value)


def _near(rms: float, expected: float, tolerance: float) -> bool:
    return abs(rms**2 - expected**2) <= tolerance * expected**2


def _check_options(plan: Plan, lr: float | torch.Tensor, options: Mapping[str, Any]) -> None:
    number = lr.item() if isinstance(lr, torch.Tensor) and lr.numel() == 1 else lr
    if not _is_number(number) or number <= 0:
        raise PlanError(
            f"lr={lr!r} is not a learning rate. Pass a positive number, as tuned at {size(plan.base)}."
        )
    unknown = [k for k in options if k not in plan.defaults]
    if unknown:
        raise PlanError(
            f"{plan.optimizer} takes no {some(unknown)}. A group may set lr, "
            f"{', '.join(sorted(plan.defaults))}; if you train with another optimizer, make the plan for "
            "it: plan(..., optimizer=...)."
        )
    for name in _SCALED:
        value = options.get(name, 0.0)
        if isinstance(value, tuple | list) and isinstance(plan.defaults.get(name), tuple | list):
            continue
        if not _is_number(value) or value < 0:
            raise PlanError(
                f"{name}={value!r} is not a number of at least 0. Pass it as tuned at {size(plan.base)}."
            )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _ungrouped(plan: Plan, missing: list[str], of: int) -> PlanError:
    reasons = {refusal.name: refusal.reason for refusal in plan.refused}
    verb = "is" if len(missing) == 1 else "are"
    text = f"{len(missing)} of {of} trainable tensors {verb} in no group: {some(missing)}."
    if all(name in reasons for name in missing):
        why = " ".join(f"{name!r}: {reasons[name]}." for name in missing[:3])
        return RoleError(f'{text} {why} Name their roles: roles={{"{missing[0]}": "input"}}.')
    return PlanError(
        f"{text} {call(plan.target)} does not have them: group them by hand or add them inside the factory, "
        "then "
        f'name their roles: roles={{"{missing[0]}": "input"}}.'
    )
