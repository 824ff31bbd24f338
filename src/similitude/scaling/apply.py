"""A plan meets a model: rescale its initial values, and group its parameters for the optimizer."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.axes import some

if TYPE_CHECKING:
    from similitude.scaling.records import Plan, PlanRow

# Which plan a live model was scaled by. Keyed weakly by the model, so nothing is stored on it or its
# parameters.
_applied: WeakKeyDictionary[nn.Module, Plan] = WeakKeyDictionary()
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.")  # names that torch.compile and FSDP add
_SCALED = ("eps", "weight_decay")


def require_roles(plan: Plan) -> None:
    """Raise `RoleError` if a tensor of the plan has no role."""
    if plan.refused:
        raise RoleError(_refusals(plan))


def apply_(plan: Plan, model: nn.Module) -> nn.Module:
    """Rescale a freshly built target in place; see `Plan.apply_`."""
    require_roles(plan)
    before = _applied.get(model)
    if before == plan:
        return model
    if before is not None:
        raise PlanError(
            f"this model was already scaled by a plan from {before.base} to {before.target} "
            f"({before.rule}). Build a new one with make({plan.target}) and apply one plan to it."
        )
    tensors = _match(plan, model)
    if not plan.is_identity:
        for row in plan.rows:
            _check_untouched(row, tensors[row.name])
    with torch.no_grad():
        for row in plan.rows:
            if row.rescale != 1.0:
                tensors[row.name].mul_(row.rescale)
    _applied[model] = plan
    return model


def groups(plan: Plan, model: nn.Module, *, lr: float, **optimizer_defaults: Any) -> list[dict[str, Any]]:
    """Return parameter groups with the plan's factors; see `Plan.groups`."""
    _check_options(plan, lr, optimizer_defaults)
    given = {k: plan.defaults[k] for k in _SCALED if plan.defaults.get(k)} | optimizer_defaults
    if plan.decay == "gradient" and given.get("weight_decay") and not plan.is_identity:
        warnings.warn(
            f"{plan.optimizer} adds weight_decay to the gradient and then normalizes both, so no factor "
            "makes it transfer across widths; it is left as it is. Use torch.optim.AdamW for a weight "
            "decay that transfers.",
            stacklevel=3,
        )
    by_name = {name: row for row in plan.rows for name in (row.name, *row.aliases)}
    trainable = {n: p for n, p in _parameters(model).items() if p.requires_grad}
    missing = [name for name in trainable if name not in by_name]
    if missing:
        raise _ungrouped(plan, missing, len(trainable))
    _match(plan, model)
    found: dict[tuple[float, float, float], dict[str, Any]] = {}
    for name, parameter in trainable.items():
        row = by_name[name]
        key = (row.lr, row.eps, row.weight_decay)
        if key not in found:
            scaled = {"lr": lr * row.lr, **given}
            if given.get("eps") is not None:
                scaled["eps"] = given["eps"] * row.eps
            if given.get("weight_decay") is not None:
                scaled["weight_decay"] = given["weight_decay"] * row.weight_decay
            found[key] = {"params": [], **scaled}
        found[key]["params"].append(parameter)
    result = list(found.values())
    assert sum(len(group["params"]) for group in result) == len({id(p) for p in trainable.values()})
    return result


def _parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name the parameters as the plain model does, whatever wraps it; a tied tensor appears once."""
    wrapped = isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel)
    return {_plain(name, wrapped): parameter for name, parameter in model.named_parameters()}


def _plain(name: str, wrapped: bool) -> str:
    for prefix in _WRAPPERS:
        name = name.replace(prefix, "")
    return name.removeprefix("module.") if wrapped else name


def _match(plan: Plan, model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the model's tensors by row name, after checking names, ties and shapes."""
    have = _parameters(model)
    first_names = {name: row.name for row in plan.rows for name in (row.name, *row.aliases)}
    refused = {refusal.name for refusal in plan.refused}
    tensors: dict[str, nn.Parameter] = {}
    extra = []
    for name, parameter in have.items():
        row_name = first_names.get(name)
        if row_name is None or row_name in tensors:
            extra += [] if name in refused else [name]
        else:
            tensors[row_name] = parameter
    missing = [row.name for row in plan.rows if row.name not in tensors]
    if extra or missing:
        parts = [f"it has {some(extra)}, which the plan lacks"] if extra else []
        parts += [f"it lacks {some(missing)}"] if missing else []
        raise PlanError(
            f"this model is not the one that the plan was made for: {'; '.join(parts)}. Build it with the "
            "factory that made the plan, or make a new plan."
        )
    for row in plan.rows:
        if tuple(tensors[row.name].shape) != row.shape:
            raise _other_size(plan, row, tuple(tensors[row.name].shape))
    return tensors


def _other_size(plan: Plan, row: PlanRow, shape: tuple[int, ...]) -> PlanError:
    width = ""
    if len(shape) == len(row.shape):
        ratios = {s / b for s, b, t in zip(shape, row.base_shape, row.shape, strict=True) if b != t and b}
        if len(ratios) == 1:
            width = f", as at width {plan.base * ratios.pop():.6g}"
    return PlanError(
        f"{row.name!r} has shape {shape}{width}, but the plan is for {row.shape}, width {plan.target}. Pass "
        f"the model of make({plan.target}), or make a plan for this width."
    )


def _check_untouched(row: PlanRow, tensor: torch.Tensor) -> None:
    """Hold a tensor against its untouched init: rms within chance, entries within a uniform's bound."""
    if tensor.is_meta:
        raise PlanError(
            f"{row.name!r} is on the meta device and has no values to rescale. Materialize and initialize "
            "the model first, then apply the plan."
        )
    if row.own_rms is not None:
        rms = math.sqrt(float(tensor.detach().abs().double().square().mean())) if tensor.numel() else 0.0
        if not _near(rms, row.own_rms, row.own_tolerance):
            scaled = row.rescale != 1.0 and _near(rms, row.own_rms * row.rescale, row.own_tolerance)
            raise PlanError(
                f"{row.name!r} has rms {rms:.4g}, but a fresh one has {row.own_rms:.4g} (chance explains "
                f"{100 * row.own_tolerance / 2:.2g} %): it was "
                + ("scaled by this plan already" if scaled else "trained, loaded or changed")
                + ". Apply a plan once, right after building the model."
            )
    if row.own_bound is not None and tensor.numel():
        rounding = torch.finfo(tensor.dtype).eps
        peak = float(tensor.detach().abs().max())
        if peak > row.own_bound * (1 + 2 * rounding):
            raise PlanError(
                f"{row.name!r} has an entry of size {peak:.6g}, but a fresh one stays below "
                f"{row.own_bound:.6g}: it was trained, loaded or changed. Apply a plan once, right after "
                "building the model."
            )


def _near(rms: float, expected: float, tolerance: float) -> bool:
    return abs(rms**2 - expected**2) <= tolerance * expected**2


def _check_options(plan: Plan, lr: float, options: dict[str, Any]) -> None:
    if not _is_number(lr) or lr <= 0:
        raise PlanError(
            f"lr={lr!r} is not a learning rate. Pass a positive number, as tuned at width {plan.base}."
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
        if not _is_number(value) or value < 0:
            raise PlanError(
                f"{name}={value!r} is not a number of at least 0. Pass it as tuned at width {plan.base}."
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _ungrouped(plan: Plan, missing: list[str], of: int) -> PlanError:
    reasons = {refusal.name: refusal.reason for refusal in plan.refused}
    verb = "is" if len(missing) == 1 else "are"
    text = f"{len(missing)} of {of} trainable tensors {verb} in no group: {some(missing)}."
    if all(name in reasons for name in missing):
        why = " ".join(f"{name!r}: {reasons[name]}." for name in missing[:3])
        return RoleError(f'{text} {why} Name their roles: roles={{"{missing[0]}": "input"}}.')
    return PlanError(
        f"{text} make({plan.target}) does not have them: group them by hand or add them inside the factory, "
        "then "
        f'name their roles: roles={{"{missing[0]}": "input"}}.'
    )


def _refusals(plan: Plan) -> str:
    reasons = "; ".join(f"{r.name!r}: {r.reason}" for r in plan.refused[:4])
    more = f"; and {len(plan.refused) - 4} more" if len(plan.refused) > 4 else ""
    count = "1 tensor has" if len(plan.refused) == 1 else f"{len(plan.refused)} tensors have"
    return f"{count} no role, so the plan cannot be applied. {reasons}{more}."
