"""The number that a check minimizes: the user's loss, the model's own, or a stand-in where there is neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from similitude.core.errors import PlanError, SimilitudeError
from similitude.core.seeding import seeded, torch_generator
from similitude.scaling.dataflow.passes import call_of

LossLike = Callable[[Any, Any], Tensor]

STAND_IN = (
    "the model gives no loss of its own and none was passed, so it was trained on the mean square between its "
    "outputs and fixed random targets. Pass loss=, or labels in the sample, to check your own task"
)


def loss_of(loss: LossLike | None, *, stand_in: bool) -> LossLike:
    """Return `loss(model, batch)` for training.

    Args:
        loss: The user's, which wins.
        stand_in: Whether the model has no loss of its own, see `own_loss`.
    """
    if loss is not None:
        return loss
    return random_targets if stand_in else _model_loss


def has_own_loss(model: nn.Module, batch: Any) -> bool:
    """Tell whether a call of the model on a batch gives a loss.

    Raises:
        PlanError: The model cannot be called with the batch.
    """
    try:
        with torch.no_grad(), seeded(0):
            output = call_of(batch, None)(model)
    except SimilitudeError:
        raise
    except Exception as error:
        raise PlanError(
            f"there is no loss, and the model cannot take the sample: {type(error).__name__}: {error}. Pass loss= "
            "(--loss), or a sample that the model can be called with: one input tensor, a tuple of positional arguments, "
            "or a dict of keyword arguments."
        ) from error
    return own_loss(output) is not None


def own_loss(output: Any) -> Tensor | None:
    """Find the loss in what a model returned: `.loss`, `["loss"]`, or the one scalar among its outputs."""
    found = getattr(output, "loss", None)
    if found is None and isinstance(output, Mapping):
        found = output.get("loss")
    if found is None and not isinstance(output, Mapping):
        scalars = [t for t in tree_leaves(output) if isinstance(t, Tensor) and t.ndim == 0]
        found = scalars[0] if len(scalars) == 1 and scalars[0].is_floating_point() else None
    return found if isinstance(found, Tensor) and found.numel() == 1 else None


def differentiable(value: Any) -> Tensor:
    """Return what a loss gave if it is one number with a gradient.

    Args:
        value: What `loss(model, batch)` returned while gradients were recorded.

    Raises:
        PlanError: It is not a tensor of one entry, or no gradient leads back from it.
    """
    if not isinstance(value, Tensor):
        found = f"a {type(value).__name__}" if value is not None else "None"
        hint = "Return the tensor itself, without .item(), and nothing beside it"
    elif value.numel() != 1:
        found = f"a tensor of shape {tuple(value.shape)}"
        hint = "Return its mean"
    elif not value.requires_grad:
        found = f"a number without a gradient ({str(value.dtype).removeprefix('torch.')})"
        hint = "Return it without .detach() and torch.no_grad(), computed from the model's outputs"
    else:
        return value
    raise PlanError(f"loss(model, batch) must return one differentiable number, got {found}. {hint}.")


def random_targets(model: nn.Module, batch: Any) -> Tensor:
    """Mean square between the model's first floating-point output and targets drawn once from N(0, 1).

    Raises:
        PlanError: The model returns no floating-point tensor.
    """
    output = call_of(batch, None)(model)
    tensors = [t for t in tree_leaves(output) if isinstance(t, Tensor) and t.is_floating_point() and t.ndim]
    if not tensors:
        raise PlanError(
            f"the model returns a {type(output).__name__} without a loss and without a floating-point tensor, so there "
            "is nothing to train it on. Pass loss=: a function loss(model, batch) that returns one number."
        )
    first = tensors[0]
    draw = torch.randn(first.shape, generator=torch_generator(0, "targets"), dtype=torch.float32)
    return (first - draw.to(first)).square().mean()


def _model_loss(model: nn.Module, batch: Any) -> Tensor:
    found = own_loss(call_of(batch, None)(model))
    if found is None:
        raise PlanError(
            "the model gave a loss for its first batch and none for a later one. Pass loss=: a function "
            "loss(model, batch) that returns one number."
        )
    return found
