"""What a plan needs to know about an optimizer: its family, how it decays weights, and its defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from similitude.core.errors import PlanError

OptimizerLike = type[torch.optim.Optimizer] | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]
Decay = Literal["shrink", "gradient"]

_SUPPORTED = "torch.optim.SGD (with or without momentum), Adam, AdamW, and subclasses of them"


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as the rules see it.

    Attributes:
        name: Its class name.
        family: "sgd" or "entrywise".
        decay: "shrink" where a step multiplies a weight by (1 - lr x weight decay), which a factor on the
            weight decay can keep fixed; "gradient" where Adam normalizes the decay together with the
            gradient.
        defaults: Values that a parameter group takes when it does not set them; their names are the options
            that a group may set.
    """

    name: str
    family: str
    decay: Decay
    defaults: Mapping[str, Any]


def resolve(optimizer: OptimizerLike) -> OptimizerSpec:
    """Tell an optimizer's family and defaults.

    Args:
        optimizer: A class, an instance, a `functools.partial`, or any callable that takes parameters and
            returns an optimizer. A class or callable is called once with one throw-away parameter.

    Raises:
        PlanError: It is not an optimizer, cannot be called with parameters alone, or has no rule.
    """
    instance = optimizer if isinstance(optimizer, torch.optim.Optimizer) else _instantiate(optimizer)
    name = type(instance).__name__
    defaults = {k: _plain(v) for k, v in instance.defaults.items() if k != "lr"}
    if isinstance(instance, torch.optim.SGD):
        return OptimizerSpec(name, "sgd", "shrink", defaults)
    if isinstance(instance, torch.optim.Adam | torch.optim.AdamW):
        decoupled = isinstance(instance, torch.optim.AdamW) or defaults.get("decoupled_weight_decay")
        return OptimizerSpec(name, "entrywise", "shrink" if decoupled else "gradient", defaults)
    raise PlanError(
        f"optimizer {name} has no rule yet: how its step grows with width is not known. Supported are "
        f"{_SUPPORTED}."
    )


def _instantiate(optimizer: Any) -> torch.optim.Optimizer:
    if not callable(optimizer):
        raise PlanError(
            f"optimizer={optimizer!r} is not an optimizer. Pass a class such as torch.optim.AdamW, an "
            f"instance, or a callable that takes parameters. Supported are {_SUPPORTED}."
        )
    parameter = torch.nn.Parameter(torch.zeros(1, device="cpu"))
    try:
        instance = optimizer([parameter])
    except Exception as error:
        name = getattr(optimizer, "__name__", repr(optimizer))
        raise PlanError(
            f"optimizer {name} cannot be built from parameters alone: {type(error).__name__}: {error}. Pass "
            "a class, an instance, or functools.partial(cls, ...) with the arguments that it needs."
        ) from error
    if not isinstance(instance, torch.optim.Optimizer):
        raise PlanError(
            f"optimizer={optimizer!r} returned a {type(instance).__name__}, not a torch.optim.Optimizer. "
            f"Supported are {_SUPPORTED}."
        )
    return instance


def _plain(value: Any) -> Any:
    """Turn tensors and tuples into what JSON can hold."""
    if isinstance(value, torch.Tensor):
        return value.item() if value.numel() == 1 else value.tolist()
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value
