"""Floating-point operations of a piece of torch code, counted as it runs: a cost that no busy machine changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.utils.flop_counter import FlopCounterMode


def count_flops(step: Callable[[], Any]) -> int:
    """Run a piece of torch code once and count its floating-point operations.

    Use it to tell the cost of a trial: count one training step (forward, backward and the optimizer's own
    products), and multiply by the number of steps. torch's counter knows matrix products, convolutions and
    attention, forward and backward; what works element by element is not counted.

    Args:
        step: What to run; its result is dropped. What it changes (gradients, weights) stays changed.

    Returns:
        The number of operations; a multiply-add counts as two.

    Example:
        >>> import torch
        >>> x, w = torch.ones(8, 16), torch.ones(16, 4, requires_grad=True)
        >>> count_flops(lambda: x @ w) == 2 * 8 * 16 * 4
        True
        >>> count_flops(lambda: (x @ w).sum().backward()) == 2 * (2 * 8 * 16 * 4)  # and the gradient of w
        True

    Cost: that of `step`, and some microseconds for every operation in it.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        step()
    return int(counter.get_total_flops())
