"""Training and evaluation modes of optimizers: schedule-free ones keep other weights for each."""

from __future__ import annotations

from typing import Literal

import torch


def switch(optimizer: torch.optim.Optimizer, mode: Literal["train", "eval"]) -> None:
    """Put an optimizer that has modes into one of them; others are left as they are.

    Args:
        optimizer: The optimizer.
        mode: "train" before steps are made, "eval" before a loss on held-out data is taken.

    Example:
        >>> switch(torch.optim.SGD([torch.zeros(1)]), "eval")
    """
    change = getattr(optimizer, mode, None)
    if callable(change):
        change()
