"""The multipliers that no tensor can carry: a forward pre-hook scales the input of one module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.matching import modules

if TYPE_CHECKING:
    from similitude.scaling.records import Hook, Plan


class ScaleInput:
    """Multiply the first positional input of a module by a number, as a forward pre-hook.

    An object of a class and not a closure, so that the module can be pickled and deep-copied with it.

    Args:
        factor: What the input is multiplied by.

    Example:
        >>> import torch
        >>> layer = nn.Identity()
        >>> handle = layer.register_forward_pre_hook(ScaleInput(0.25))
        >>> layer(torch.tensor(8.0))
        tensor(2.)
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the positional inputs with the first one scaled.

        Raises:
            PlanError: The module was called without positional inputs, so there is nothing to scale.
        """
        if not args:
            raise PlanError(
                f"a {type(module).__name__} whose input the plan scales x{self.factor:.4g} was called with keyword "
                "arguments alone. Pass its input as the first positional argument."
            )
        return (args[0] * self.factor, *args[1:])

    def __repr__(self) -> str:
        return f"ScaleInput({self.factor!r})"


def install(plan: Plan, model: nn.Module) -> nn.Module:
    """Register the hooks that a model lacks; see `Plan.hook_`."""
    for module, hook in missing_hooks(plan, model):
        module.register_forward_pre_hook(ScaleInput(hook.factor))
    return model


def missing_hooks(plan: Plan, model: nn.Module) -> list[tuple[nn.Module, Hook]]:
    """Return the hooks of a plan that a model does not have yet, with their modules.

    Raises:
        PlanError: A module does not exist, is scaled by another plan, or the model is compiled already.
    """
    found = []
    named = modules(model) if plan.hooks else {}
    for hook in plan.hooks:
        module = named.get(hook.module)
        if module is None:
            raise PlanError(
                f"this model has no module {hook.module!r}, whose input the plan scales x{hook.factor:.4g}. Build it "
                "with the factory that made the plan, or make a new plan."
            )
        others = [h.factor for h in module._forward_pre_hooks.values() if isinstance(h, ScaleInput)]
        if any(factor != hook.factor for factor in others):
            raise PlanError(
                f"the input of {hook.module!r} is scaled x{others[0]:.4g} by another plan, and this one scales it "
                f"x{hook.factor:.4g}. Build a new model and apply one plan to it."
            )
        if not others:
            found.append((module, hook))
    if found and any(_is_compiled(module) for module in model.modules()):
        raise PlanError(
            f"this model is compiled, and the plan scales the input of {some(hook.module for _, hook in found)} by a "
            "forward pre-hook, which compiled code ignores without a word. Apply the plan before torch.compile."
        )
    return found


def _is_compiled(module: nn.Module) -> bool:
    # torch.compile(module) wraps it as `_orig_mod`; module.compile() leaves a compiled call behind.
    return "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None) is not None
