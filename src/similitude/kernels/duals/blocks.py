"""Elementwise work on Gram blocks in pieces that fit a cache, with variances that are never expanded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

BLOCK = 2**15
"""Entries of a piece: 256 kB in float64, so that a handful of temporaries fits the second level of a cache."""


def in_blocks(
    function: Callable[..., tuple[Tensor, ...]],
    k: Tensor,
    q1: Tensor,
    q2: Tensor,
    *,
    outputs: int,
    stacks: Sequence[Tensor] = (),
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, ...]:
    """Apply an elementwise function of covariances and variances piece by piece, in `dtype`.

    Args:
        function: (k, q1, q2, *stacks) -> tensors of their common shape; gets pieces of at most about `BLOCK` entries.
        k: Covariances.
        q1: Variances that broadcast with k.
        q2: Variances that broadcast with k.
        outputs: How many tensors `function` returns.
        stacks: More tensors that broadcast with k once their first axis is taken off.
        dtype: What it computes in; its results are stored in the dtype of k.
    """
    shape = np.broadcast_shapes(k.shape, q1.shape, q2.shape)
    results = tuple(torch.empty(shape, dtype=k.dtype, device=k.device) for _ in range(outputs))
    # A first axis of size 1 makes stacks of all inputs.
    inputs = [
        tensor.reshape(tensor.shape[:1] + (1,) * (len(shape) + 1 - tensor.dim()) + tensor.shape[1:]).to(dtype)
        for tensor in (k[None], q1[None], q2[None], *stacks)
    ]
    _fill(function, inputs, results)
    return results


def _fill(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], results: Sequence[Tensor]
) -> None:
    size = results[0].numel()
    if size == 0:
        return
    if size <= BLOCK:
        values = function(*(tensor[0] for tensor in inputs[:3]), *inputs[3:])
        for result, value in zip(results, values, strict=True):
            result.copy_(value)
        return
    rows = results[0].shape[0]
    if size // rows > BLOCK:
        for row in range(rows):
            _fill(function, [_rows(t, row, 1)[:, 0] for t in inputs], [result[row] for result in results])
        return
    step = BLOCK * rows // size
    for start in range(0, rows, step):
        part = [result[start : start + step] for result in results]
        _fill(function, [_rows(t, start, step) for t in inputs], part)


def _rows(tensor: Tensor, start: int, count: int) -> Tensor:
    return tensor if tensor.shape[1] == 1 else tensor[:, start : start + count]
