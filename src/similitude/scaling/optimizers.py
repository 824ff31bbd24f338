"""What a plan needs to know about an optimizer: its family, how it decays weights, and its defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import optim

from similitude.core.errors import PlanError

OptimizerLike = type[torch.optim.Optimizer] | torch.optim.Optimizer | Callable[..., torch.optim.Optimizer]
Decay = Literal["shrink", "gradient"]

_SUPPORTED = (
    "torch.optim.SGD (with or without momentum), Adam, AdamW, NAdam, Adamax, RMSprop, Adagrad, Muon, and "
    "subclasses of them"
)
# Each divides the gradient, entry by entry, by a mean of its own size: steps have entries of about lr.
_ENTRYWISE = (optim.Adam, optim.NAdam, optim.Adamax, optim.RMSprop, optim.Adagrad)
_MUON: tuple[type[optim.Optimizer], ...] = tuple(filter(None, (getattr(optim, "Muon", None),)))
_REFUSED: dict[type[optim.Optimizer], str] = {
    optim.RAdam: (
        "its first steps follow the raw gradient and later ones a normalized one, so no single factor on "
        "the learning rate fits both. Use AdamW with warmup"
    ),
}


@dataclass(frozen=True)
class OptimizerSpec:
    """An optimizer as the rules see it.

    Attributes:
        name: Its class name.
        family: One of `similitude.scaling.rules.FAMILIES`.
        decay: "shrink" where a step multiplies a weight by (1 - lr x weight decay): AdamW, Muon, and SGD,
            which adds weight decay x weight to a gradient that it does not normalize. A factor on the weight
            decay then keeps lr x weight decay fixed. "gradient" where the decay is normalized together with
            the gradient (Adam), so that no factor makes it transfer.
        defaults: Values that a parameter group takes when it does not set them; their names are the options
            that a group may set.
        warnings: What breaks the symmetry that folding uses, or does not transfer. Each begins with the
            optimizer's name.
    """

    name: str
    family: str
    decay: Decay
    defaults: Mapping[str, Any]
    warnings: tuple[str, ...] = ()

    def adjustment(self, base_shape: tuple[int, ...], shape: tuple[int, ...]) -> float:
        """Return by how much more the optimizer itself scales the step of a tensor for its shape.

        Only Muon does: `adjust_lr_fn="original"` (its default) gives a step sqrt(max(1, rows / columns)),
        "match_rms_adamw" 0.2 sqrt(max(rows, columns)). A plan divides its factor on the learning rate by the
        ratio of the two sizes.

        Args:
            base_shape: Shape of the tensor at the base.
            shape: Shape of the tensor at the target.

        Returns:
            The scale at the target over that at the base; 1 for every other optimizer, and for tensors that
            are no matrices.

        Example:
            >>> resolve(torch.optim.AdamW).adjustment((8, 8), (32, 8))
            1.0
        """
        if self.family != "orthogonalized" or len(shape) != 2:
            return 1.0
        # The square root comes last, so that powers of four stay exact.
        return (self._scale_squared(shape) / self._scale_squared(base_shape)) ** 0.5

    def _scale_squared(self, shape: tuple[int, ...]) -> float:
        rows, columns = shape
        if self.defaults.get("adjust_lr_fn") == "match_rms_adamw":
            return max(rows, columns)
        return max(1.0, rows / columns)


def resolve(optimizer: OptimizerLike) -> OptimizerSpec:
    """Tell an optimizer's family and defaults.

    Args:
        optimizer: A class, an instance, a `functools.partial`, or any callable that takes parameters and
            returns an optimizer. A class or callable is called once with one throw-away matrix.

    Raises:
        PlanError: It is not an optimizer, cannot be called with parameters alone, or has no rule.

    Example:
        >>> resolve(torch.optim.AdamW).family
        'entrywise'
    """
    instance = optimizer if isinstance(optimizer, torch.optim.Optimizer) else _instantiate(optimizer)
    name = type(instance).__name__
    defaults = {k: _plain(v) for k, v in instance.defaults.items() if k != "lr"}
    if isinstance(instance, optim.SGD):
        return OptimizerSpec(name, "sgd", "shrink", defaults)
    if isinstance(instance, _MUON):
        warning = (
            f"{name} orthogonalizes in bfloat16, so a folded forward multiplier that is not a power of two "
            "changes a step by rounding (a few percent); its law is the same"
        )
        return OptimizerSpec(name, "orthogonalized", "shrink", defaults, (warning,))
    if isinstance(instance, _ENTRYWISE):
        decoupled = isinstance(instance, optim.AdamW) or defaults.get("decoupled_weight_decay")
        decay: Decay = "shrink" if decoupled else "gradient"
        return OptimizerSpec(name, "entrywise", decay, defaults, _warnings(name, decay, defaults))
    reason = next((why for cls, why in _REFUSED.items() if isinstance(instance, cls)), None)
    raise PlanError(
        f"optimizer {name} has no rule yet: {reason or 'how its step grows with width is not known'}. "
        f"Supported are {_SUPPORTED}."
    )


def _warnings(name: str, decay: Decay, defaults: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if decay == "gradient":
        found.append(
            f"{name} normalizes weight decay together with the gradient: no factor transfers it, so it stays "
            "as it is. AdamW's transfers"
        )
    if defaults.get("initial_accumulator_value"):
        found.append(
            f"{name} starts from initial_accumulator_value={defaults['initial_accumulator_value']:g}, which "
            "is compared with squared gradients and not scaled with them. Set it to 0"
        )
    return tuple(found)


def _instantiate(optimizer: Any) -> torch.optim.Optimizer:
    if not callable(optimizer):
        raise PlanError(
            f"optimizer={optimizer!r} is not an optimizer. Pass a class such as torch.optim.AdamW, an "
            f"instance, or a callable that takes parameters. Supported are {_SUPPORTED}."
        )
    parameter = torch.nn.Parameter(torch.zeros(1, 1, device="cpu"))  # Muon takes matrices only
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
