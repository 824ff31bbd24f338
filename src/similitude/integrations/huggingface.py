"""A plan inside `transformers.Trainer`: the optimizer that its TrainingArguments ask for, in the plan's groups."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from similitude.checking.guard import guard
from similitude.core.errors import PlanError
from similitude.scaling.apply import groups
from similitude.scaling.axes import some
from similitude.scaling.clipping import Units, clip_grad_norm_, gradient_scales
from similitude.scaling.decay_groups import named_tensors, without_decay
from similitude.scaling.factors import for_optimizer
from similitude.scaling.matching import match, unwrapped
from similitude.scaling.records import Plan

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from similitude.integrations.huggingface_embedding import EmbeddingCallback
    from similitude.integrations.huggingface_sharpness import SharpnessCallback

__all__ = ["EmbeddingCallback", "SharpnessCallback", "optimizers"]

# What Trainer's optimizers by layer (GaLore, LOMO) are made from in place of parameter groups.
_OWN_GROUPS = ("params", "model", "optimizer_dict")


def optimizers(
    plan: Plan,
    model: nn.Module,
    args: TrainingArguments,
    *,
    max_norm: float | None = None,
    units: Units = "base",
    decay_parameters: Collection[str] | None = None,
) -> tuple[torch.optim.Optimizer, None]:
    """Make the optimizer of a Trainer from its own arguments and a plan.

    `Trainer(model, args, optimizers=optimizers(plan, model, args), ...)` is then all: class, learning rate, betas, eps
    and weight decay are those of `args`, as tuned at the base, and Trainer makes the scheduler of `args`, which
    multiplies the rate of every group. The optimizer is watched by `similitude.guard`. Saving, resuming, gradient
    accumulation and mixed precision are Trainer's own.

    Args:
        plan: The plan that was applied to the model.
        model: The target.
        args: Training arguments. `max_grad_norm` must be 0 unless no gradient of the plan changes its size.
        max_norm: Largest gradient norm, as tuned at the base; clips before every step by `similitude.clip_grad_norm_`.
        units: Units of that norm.
        decay_parameters: Names of the tensors that decay. Trainer's own choice where none is given: neither biases nor
            norms. Pass `trainer.get_decay_parameter_names(model)` for a subclass that chooses otherwise.

    Returns:
        The optimizer, and None in place of a scheduler, which Trainer then makes: it alone knows the number of steps.

    Raises:
        ImportError: transformers is not installed.
        RoleError: A trainable tensor was refused.
        PlanError: Trainer would clip by a norm that folding changes; the optimizer of `args` has no rule, belongs to
            another family than the plan's, or makes its own groups; or the model is not the target.

    Example:
        `trainer = Trainer(model, args, train_dataset=data, optimizers=optimizers(plan, model, args, max_norm=1.0))`
    """
    trainer = _trainer()
    match(plan, model)
    _check_clipping(plan, args, max_norm)
    cls, options = trainer.get_optimizer_cls_and_kwargs(args, cast(Any, unwrapped(model)))
    planned = _for_class(plan, cls, options, args)
    decay = (
        {"weight_decay": args.weight_decay} if args.weight_decay or "weight_decay" in planned.defaults else {}
    )
    found = groups(planned, model, lr=args.learning_rate, **decay)
    if args.weight_decay:
        own = decay_parameters is None
        names = trainer.get_decay_parameter_names(None, unwrapped(model)) if own else decay_parameters
        found = _without_decay(found, model, names)
    # Schedules that end at an absolute rate divide it by the optimizer's default, so that must be the base's.
    optimizer = cls(found, **options | {"lr": args.learning_rate})
    guard(optimizer, planned, model)
    if max_norm is not None:
        _clip_before_steps(optimizer, plan, model, max_norm, units)
    return optimizer, None


def __getattr__(name: str) -> Any:
    """Import a callback when it is asked for: its base class is a class of transformers."""
    if name == "EmbeddingCallback":
        from similitude.integrations.huggingface_embedding import EmbeddingCallback

        return EmbeddingCallback
    if name == "SharpnessCallback":
        from similitude.integrations.huggingface_sharpness import SharpnessCallback

        return SharpnessCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _trainer() -> Any:
    try:
        from transformers import Trainer
    except ImportError as error:
        raise ImportError(
            "similitude.integrations.huggingface needs transformers and accelerate: pip install 'similitude[hf]'"
        ) from error
    return Trainer


def _check_clipping(plan: Plan, args: TrainingArguments, max_norm: float | None) -> None:
    if not args.max_grad_norm or args.max_grad_norm < 0:
        return
    changed = {name: scale for name, scale in gradient_scales(plan).items() if scale != 1.0}
    remedy = (
        "Pass TrainingArguments(max_grad_norm=0) and optimizers(..., max_norm="
        f"{max_norm or args.max_grad_norm:g}), which clips in the units of the base"
    )
    if max_norm is not None:
        raise PlanError(
            f"both max_grad_norm={args.max_grad_norm:g} of the TrainingArguments and max_norm={max_norm:g} would clip. "
            f"{remedy}."
        )
    if changed:
        name = max(changed, key=lambda n: max(changed[n], 1 / changed[n]))
        raise PlanError(
            f"Trainer would clip by the plain norm of all gradients (max_grad_norm={args.max_grad_norm:g}; 1 by "
            f"default), and under this plan {some(list(changed))} have gradients of another size than at the base: that "
            f"of {name!r} is x{1 / changed[name]:.4g}. The threshold that you tuned would clip otherwise. {remedy}; or "
            "max_grad_norm=0 alone for no clipping."
        )


def _for_class(plan: Plan, cls: Any, options: dict[str, Any], args: TrainingArguments) -> Plan:
    """Return the plan with the factors of the class that the arguments ask for."""
    if not (isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer)) or any(
        key in options for key in _OWN_GROUPS
    ):
        raise PlanError(
            f"optim={_name(args)!r} makes its own parameter groups or no torch.optim.Optimizer, so a plan's groups "
            "cannot be given to it. Choose another, such as optim='adamw_torch'."
        )
    planned = for_optimizer(plan, partial(cls, **options))
    if planned.family != plan.family:
        raise PlanError(
            f"the plan was made for {plan.optimizer} ({plan.family}), and optim={_name(args)!r} trains by "
            f"{planned.optimizer} ({planned.family}). Make the plan with optimizer={planned.optimizer}, choose another "
            "optim, or build the optimizer yourself and pass Trainer(optimizers=(optimizer, None))."
        )
    return planned


def _name(args: TrainingArguments) -> str:
    return str(getattr(args.optim, "value", args.optim))


def _without_decay(
    found: list[dict[str, Any]], model: nn.Module, decay_parameters: Collection[str]
) -> list[dict[str, Any]]:
    """Split each group into the tensors that decay and those that do not."""
    decaying = named_tensors(model, decay_parameters, argument="decay_parameters")
    return without_decay(found, {id(p) for group in found for p in group["params"]} - decaying)


def _clip_before_steps(
    optimizer: torch.optim.Optimizer, plan: Plan, model: nn.Module, max_norm: float, units: Units
) -> None:
    """Clip where every loop and wrapper passes: right before a step, when gradients are accumulated and unscaled."""

    def clip(stepped: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if getattr(stepped, "grad_scale", None) is not None:
            raise PlanError(
                f"a fused {type(stepped).__name__} takes gradients that are still scaled for float16, so their norm is "
                "not known before its step. Choose an optimizer that is not fused, such as optim='adamw_torch', or "
                "train in bfloat16."
            )
        clip_grad_norm_(plan, model, max_norm, units=units)

    optimizer.register_step_pre_hook(clip)
