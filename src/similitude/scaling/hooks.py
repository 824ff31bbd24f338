"""The multipliers that no tensor can carry: a hook scales the input or the output of one module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from similitude.core.errors import PlanError
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


class ScaleOutput:
    """Multiply the tensor that a module returns by a number, as a forward hook.

    Args:
        factor: What the output is multiplied by.

    Example:
        >>> import torch
        >>> layer = nn.Identity()
        >>> handle = layer.register_forward_hook(ScaleOutput(0.25))
        >>> layer(torch.tensor(8.0))
        tensor(2.)
    """

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        """Return the scaled output.

        Raises:
            PlanError: The module returned something else than a tensor.
        """
        if not isinstance(output, torch.Tensor):
            raise PlanError(
                f"a {type(module).__name__} whose output the plan scales x{self.factor:.4g} returned a "
                f"{type(output).__name__}, and a tensor when the plan was made. Make the plan with a sample like yours."
            )
        return output * self.factor

    def __repr__(self) -> str:
        return f"ScaleOutput({self.factor!r})"


def install(plan: Plan, model: nn.Module) -> nn.Module:
    """Register the hooks that a model lacks; see `Plan.hook_`."""
    for module, hook in missing_hooks(plan, model):
        if hook.side == "output":
            module.register_forward_hook(ScaleOutput(hook.factor))
        else:
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
                f"this model has no module {hook.module!r}, whose {hook.side} the plan scales x{hook.factor:.4g}. Build "
                "it with the factory that made the plan, or make a new plan."
            )
        others = _scales(module, hook.side)
        if any(factor != hook.factor for factor in others):
            raise PlanError(
                f"{hook.place} is scaled x{others[0]:.4g} by another plan, and this one scales it "
                f"x{hook.factor:.4g}. Build a new model and apply one plan to it."
            )
        if not others:
            found.append((module, hook))
    if found and any(_is_compiled(module) for module in model.modules()):
        raise PlanError(
            f"this model is compiled, and the plan scales {', '.join(hook.place for _, hook in found[:4])} by a "
            "forward hook, which compiled code ignores without a word. Apply the plan before torch.compile."
        )
    return found


def _scales(module: nn.Module, side: str) -> list[float]:
    """Return the factors by which hooks of plans scale one side of a module already."""
    if side == "output":
        return [h.factor for h in module._forward_hooks.values() if isinstance(h, ScaleOutput)]
    return [h.factor for h in module._forward_pre_hooks.values() if isinstance(h, ScaleInput)]


def _is_compiled(module: nn.Module) -> bool:
    # torch.compile(module) wraps it as `_orig_mod`; module.compile() leaves a compiled call behind.
    return "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None) is not None
