"""Losses in the project's one form, `loss(model, batch) -> scalar`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def cross_entropy(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean cross-entropy in nats of `model(inputs)` against integer labels.

    Args:
        model: Returns logits of shape (..., classes), e.g. (batch, classes) or (batch, tokens, classes).
        batch: Inputs, and labels int64 of the logits' shape without the last axis.
    """
    inputs, labels = batch
    logits = model(inputs)
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))


def mean_squared_error(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Mean squared error of `model(inputs)` against targets of the same shape."""
    inputs, targets = batch
    return torch.mean((model(inputs) - targets) ** 2)
