"""Targets as rows to regress on."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn.functional import one_hot


def target_rows(y: Tensor, *, classes: int = 0) -> np.ndarray:
    """Return targets as rows, shape (samples, outputs); C classes become 1 - 1 / C and -1 / C, alike without a bias.

    Args:
        y: Class numbers (integers), shape (samples,), or values.
        classes: Number of classes, where there are more than these samples have.

    Example:
        >>> import torch
        >>> target_rows(torch.tensor([0, 1])).tolist()
        [[0.5, -0.5], [-0.5, 0.5]]
    """
    if y.is_floating_point():
        return y.double().reshape(len(y), -1).numpy()
    classes = max(classes, int(y.max()) + 1)
    return (one_hot(y, classes).double() - 1 / classes).numpy()
