"""The tensors and modules of a live model under the names that a plan knows, whatever wraps the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from similitude.core.errors import PlanError, RoleError
from similitude.scaling.axes import some
from similitude.scaling.plan_text import call, size

if TYPE_CHECKING:
    from similitude.scaling.records import Plan, PlanRow

# Names that torch.compile, FSDP and activation checkpointing put between those of the user's modules.
_WRAPPERS = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")


def require_roles(plan: Plan) -> None:
    """Raise `RoleError` if a tensor of the plan has no role."""
    if plan.refused:
        raise RoleError(_refusals(plan))


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the user's own model, whatever wraps it."""
    if not isinstance(model, nn.Module):
        raise PlanError(_no_model(model))
    while True:
        if "_orig_mod" in model._modules:
            model = model.get_submodule("_orig_mod")
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name the parameters as the plain model does, whatever wraps it or a part; a tied tensor appears once."""
    return {_plain(name): parameter for name, parameter in unwrapped(model).named_parameters()}


def modules(model: nn.Module) -> dict[str, nn.Module]:
    """Name the modules as the plain model does; of a wrapped one the innermost."""
    return {_plain(f"{name}.").removesuffix("."): m for name, m in unwrapped(model).named_modules()}


def _plain(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def match(plan: Plan, model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the model's tensors by row name, after checking names, ties and shapes."""
    have = parameters(model)
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


def check_plan(plan: object) -> None:
    """Raise `PlanError` where a function of a plan and a model is given something else first.

    Example:
        >>> try:
        ...     check_plan(nn.Linear(2, 2))
        ... except PlanError as error:
        ...     print(error)
        plan is a Linear, not a plan. Pass what similitude.plan(...) returns first, then the model.
    """
    if not hasattr(plan, "rows"):
        raise PlanError(
            f"plan is {_article(type(plan).__name__)}, not a plan. Pass what similitude.plan(...) returns first, then "
            "the model."
        )


def _no_model(given: object) -> str:
    if isinstance(given, type):
        name = given.__name__
        return f"model is the class {name}, which has no tensors yet. Pass an instance: {name}(...)."
    return (
        f"model is {_article(type(given).__name__)}, not an nn.Module. Pass the model itself, whose tensors are found by "
        "their names."
    )


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiouAEIOU' else 'a'} {noun}"


def _other_size(plan: Plan, row: PlanRow, shape: tuple[int, ...]) -> PlanError:
    width = ""
    if len(shape) == len(row.shape) and "width" in plan.base:
        ratios = {s / b for s, b, t in zip(shape, row.base_shape, row.shape, strict=True) if b != t and b}
        if len(ratios) == 1:
            width = f", as at width {plan.base['width'] * ratios.pop():.6g}"
    return PlanError(
        f"{row.name!r} has shape {shape}{width}, but the plan is for {row.shape}, {size(plan.target)}. Pass "
        f"the model of {call(plan.target)}, or make a plan for this size."
    )


def _refusals(plan: Plan) -> str:
    reasons = "; ".join(f"{r.name!r}: {r.reason}" for r in plan.refused[:4])
    more = f"; and {len(plan.refused) - 4} more" if len(plan.refused) > 4 else ""
    count = "1 tensor has" if len(plan.refused) == 1 else f"{len(plan.refused)} tensors have"
    return f"{count} no role, so the plan cannot be applied. {reasons}{more}."
