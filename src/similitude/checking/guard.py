"""A guard on an optimizer: it stops a run whose scheduler, loop or library has flattened the plan's ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.hooks import missing_hooks
from similitude.scaling.matching import match, parameters
from similitude.scaling.records import Plan
from similitude.scaling.split import SplitOptimizer

_TOLERANCE = 0.01  # relative; schedules in float32 drift by less, flattened ratios by far more
_HOW = (
    "Set rates relative to each group's own: LambdaLR, a warmup, a cosine to 0, or "
    'OneCycleLR(max_lr=[g["lr"] for g in optimizer.param_groups]), on similitude.split with cycle_momentum=False. '
    "A single number for all groups (max_lr, min_lr, "
    'eta_min, or group["lr"] = x in a loop) flattens the ratios; write group["lr"] = x * group["lr_factor"]'
)


@dataclass(frozen=True)
class _Factors:
    """What a group's learning rate, weight decay and eps are multiples of; None where it is not known."""

    lr: float
    weight_decay: float | None = None
    eps: float | None = None


class Guard:
    """Checks the groups of an optimizer before each of its steps; made by `similitude.guard`.

    Args:
        optimizer: The optimizer.
        plan: The plan, where weight decay, eps and hooks are to be checked too.
        model: The model that the plan was applied to.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, plan: Plan | None = None, model: nn.Module | None = None
    ) -> None:
        _check_arguments(optimizer, plan, model)
        _check_split(optimizer)
        self._by_parameter: dict[int, _Factors] = {}
        self._hooks: tuple[Plan, nn.Module] | None = None
        if plan is not None and model is not None:
            _check_complete(optimizer, plan, model)
            self._by_parameter = _of_plan(plan, model)
            self._hooks = (plan, model) if plan.hooks else None
        self._check(optimizer)
        self._handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: self._check(o))

    def remove(self) -> None:
        """Take the guard off the optimizer."""
        self._handle.remove()

    def _check(self, optimizer: torch.optim.Optimizer) -> None:
        _check_split(optimizer)
        if self._hooks is not None:
            _check_hooks(*self._hooks)
        for groups in _parts(optimizer):
            factors = [self._factors(i, group) for i, group in groups]
            _check_option(groups, "lr", [f.lr for f in factors])
            _check_option(groups, "weight_decay", [f.weight_decay for f in factors])
            _check_option(groups, "eps", [f.eps for f in factors])

    def _factors(self, index: int, group: Mapping[str, Any]) -> _Factors:
        known = [self._by_parameter[id(p)] for p in group["params"] if id(p) in self._by_parameter]
        if known:
            if any(not math.isclose(f.lr, known[0].lr, rel_tol=_TOLERANCE) for f in known):
                raise PlanError(
                    f"group {index} of the optimizer holds tensors whose factors on the learning rate differ: "
                    f"{min(f.lr for f in known):.4g} and {max(f.lr for f in known):.4g}. Build the optimizer from "
                    "plan.groups(model, lr=...)."
                )
            return known[0]
        if "lr_factor" in group:
            return _Factors(float(group["lr_factor"]))
        raise PlanError(
            f'group {index} of the optimizer has no "lr_factor", so the ratio that it should keep is not known. Build '
            "the optimizer from plan.groups(model, lr=...), or pass the plan and the model: guard(optimizer, plan, "
            "model)."
        )


def guard(
    optimizer: torch.optim.Optimizer, plan: Plan | None = None, model: nn.Module | None = None
) -> Guard:
    """Watch an optimizer for learning rates that no longer stand in the plan's ratios.

    A scheduler that is given one number for all groups erases a plan without a word. The guard compares the groups
    now and before every step, and raises at the first step that would be wrong.

    Args:
        optimizer: Made from `plan.groups(model, lr=...)` or by `similitude.split`; there the two optimizers have
            rates of their own, and ratios are compared within each.
        plan: The plan; with it and the model, weight decay, eps and the plan's hooks are checked too, and that every
            trainable tensor is in a group. Groups without weight decay are left out.
        model: The model that the plan was applied to; given together with the plan or not at all.

    Returns:
        A handle whose `remove()` takes the guard off.

    Raises:
        PlanError: The ratios are wrong already, or are not known, or optimizer, plan and model do not belong
            together. A later step raises it as soon as ratios are wrong or a learning rate is not finite.

    Example:
        >>> from similitude.scaling.plan import plan
        >>> make = lambda n: nn.Sequential(nn.Linear(8, n), nn.Linear(n, 2))
        >>> p = plan(make, base=16, target=64, sample=torch.zeros(1, 8))
        >>> model = p.apply_(make(64))
        >>> optimizer = torch.optim.AdamW(p.groups(model, lr=0.01))
        >>> handle = guard(optimizer, p, model)
        >>> optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 0.001
        >>> try:
        ...     optimizer.step()
        ... except PlanError as error:
        ...     print(str(error)[:37])
        the learning rates of 3 groups do not

    Cost: a few comparisons of numbers per group and step.
    """
    return Guard(optimizer, plan, model)


def _of_plan(plan: Plan, model: nn.Module) -> dict[int, _Factors]:
    rows = {name: row for row in plan.rows for name in (row.name, *row.aliases)}
    return {
        id(p): _Factors(rows[name].lr, rows[name].weight_decay, rows[name].eps)
        for name, p in parameters(model).items()
        if name in rows
    }


def _check_arguments(optimizer: Any, plan: Any, model: Any) -> None:
    if not (hasattr(optimizer, "param_groups") and hasattr(optimizer, "register_step_pre_hook")):
        raise PlanError(
            f"optimizer is a {type(optimizer).__name__}. Pass the torch.optim.Optimizer that steps: guard(optimizer) or "
            "guard(optimizer, plan, model)."
        )
    for value, name, kind in ((plan, "plan", Plan), (model, "model", nn.Module)):
        if value is not None and not isinstance(value, kind):
            raise PlanError(
                f"{name} is a {type(value).__name__}. Pass guard(optimizer, plan, model), the plan as "
                "similitude.plan made it and the model that it was applied to."
            )
    if (plan is None) != (model is None):
        given, lacking = ("plan", "model") if model is None else ("model", "plan")
        raise PlanError(
            f"the {given} was passed without the {lacking}, so it has no effect: tensors are matched with the plan by "
            "their names in the model. Pass both, guard(optimizer, plan, model), or neither."
        )


def _check_split(optimizer: torch.optim.Optimizer) -> None:
    if isinstance(optimizer, SplitOptimizer):
        optimizer.check_groups()


def _check_complete(optimizer: torch.optim.Optimizer, plan: Plan, model: nn.Module) -> None:
    """Raise unless the model is that of the plan, and all its trainable tensors are in the optimizer."""
    match(plan, model)
    grouped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    trained = {name: p for name, p in parameters(model).items() if p.requires_grad}
    missing = [name for name, p in trained.items() if id(p) not in grouped]
    if not missing:
        return
    if len(missing) == len(trained):
        raise PlanError(
            f"the optimizer has none of the model's {len(trained)} trainable tensors, so it trains another model, or "
            "this one was replaced after it was made. Build it from plan.groups(model, lr=...) of this model."
        )
    raise PlanError(
        f"{len(missing)} of {len(trained)} trainable tensors of the model are in no group of the optimizer: "
        f"{some(missing)}. Build it from all of plan.groups(model, lr=...), freeze them with requires_grad_(False), or "
        "guard each of several optimizers without plan and model."
    )


def _parts(optimizer: torch.optim.Optimizer) -> Iterator[list[tuple[int, Mapping[str, Any]]]]:
    """Yield the groups that share one base rate, with their numbers: those of one part of a split optimizer."""
    start = 0
    for part in getattr(optimizer, "parts", None) or (optimizer,):
        groups = list(enumerate(part.param_groups, start))
        start += len(groups)
        for key in dict.fromkeys(group.get("part") for _, group in groups):
            yield [(i, group) for i, group in groups if group.get("part") == key]


def _check_option(
    groups: Sequence[tuple[int, Mapping[str, Any]]], option: str, factors: Sequence[float | None]
) -> None:
    found = []
    for (index, group), factor in zip(groups, factors, strict=True):
        value = _number(group.get(option))
        # Compared with nan nothing is too large, so it must not reach the comparison below.
        if value is not None and not math.isfinite(value):
            raise PlanError(
                f"group {index} of the optimizer has {option}={value}, which is not finite: a step would ruin its "
                "tensors. Look for a division by zero or an overflow in the schedule or loop that sets it."
            )
        # No weight decay (or eps) in a group is a choice of the user's; no learning rate is a ratio of 0.
        if factor and value is not None and (value != 0.0 or option == "lr"):
            found.append((index, value, factor))
    if not found:
        return
    bases = [value / factor for _, value, factor in found]
    low, high = min(bases), max(bases)
    if high - low <= _TOLERANCE * abs(high):
        return
    _, value, factor = reference = found[bases.index(high)]
    index, other_value, other_factor = found[bases.index(low)]
    ratio = f"x{other_value / value:.4g}" if value else "undefined"
    name = {"lr": "learning rates", "weight_decay": "weight decays", "eps": "eps"}[option]
    how = (
        _HOW
        if option == "lr"
        else "Give the option to plan.groups(model, lr=..., ...) and leave it as it is there"
    )
    raise PlanError(
        f"the {name} of {len(found)} groups do not stand in the plan's ratios any more: group {index} has "
        f"{other_value:.4g} and group {reference[0]} has {value:.4g}, {ratio}, where the plan gives "
        f"x{other_factor / factor:.4g}. {how}."
    )


def _number(value: Any) -> float | None:
    """Return an option's number; None where it has none, or several (Adafactor's eps), which no factor scales."""
    if isinstance(value, torch.Tensor):
        return float(value) if value.numel() == 1 else None
    return float(value) if isinstance(value, Real) else None


def _check_hooks(plan: Plan, model: nn.Module) -> None:
    missing = missing_hooks(plan, model)
    if missing:
        raise PlanError(
            f"the plan scales {', '.join(hook.place for _, hook in missing[:4])} in the forward pass, and this "
            "model has no hook there. Call plan.apply_(model) on a fresh model, or plan.hook_(model) after loading a "
            "checkpoint, before torch.compile."
        )
