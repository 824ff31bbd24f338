"""Losses in the project's one form, `loss(model, batch) -> scalar`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from similitude.core.errors import PlanError, StudyError
from similitude.scaling.outputs import entry_of


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy in nats of `model(inputs)` against integer labels.

    Args:
        model: Returns logits of shape (..., classes), e.g. (batch, classes) or (batch, tokens, classes), or an object or
            dict with `logits`, as Hugging Face's models do.
        batch: Inputs, and labels int64 of the logits' shape without the last axis.
    """
    inputs, labels = batch
    logits = _output(model, inputs)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def mean_squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error of `model(inputs)` against targets of the same shape."""
    inputs, targets = batch
    return torch.mean((_output(model, inputs) - targets) ** 2)


def squared_error_of_classes(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Half the squared error of `model(inputs)` against centred one-hot labels, summed over classes.

    The target is 1 - 1/C for the label and -1/C for the C - 1 other classes; the mean is over all labels.

    Args:
        model: Returns outputs of shape (..., C), or an object or dict with them as `logits`.
        batch: Inputs, and labels int64 of the outputs' shape without the last axis.

    Example:
        >>> labels = torch.tensor([0, 1])
        >>> float(squared_error_of_classes(nn.Identity(), (torch.zeros(2, 2), labels)))  # (1/2 ** 2 + 1/2 ** 2) / 2
        0.25
    """
    inputs, labels = batch
    outputs = _output(model, inputs)
    classes = outputs.shape[-1]
    # Scattered, because F.one_hot looks at the labels and has no batching rule.
    targets = torch.zeros_like(outputs).scatter(-1, labels.unsqueeze(-1), 1.0) - 1 / classes
    return 0.5 * (outputs - targets).square().sum(-1).mean()


def _output(model: nn.Module, inputs: Tensor) -> Tensor:
    """What the model says of the inputs: the tensor that it returns, or the `logits` of what it returns."""
    result = model(inputs)
    try:
        return entry_of(result)
    except PlanError as error:
        raise StudyError(
            f"this loss takes a model that returns a tensor or something with 'logits'; {error} Or write the loss "
            "yourself: a function loss(model, batch), given as loss=... (--loss module:name)."
        ) from error
