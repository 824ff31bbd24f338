"""What a layer does to covariances: means over the taps of a convolution, over features, and sums over positions."""

from __future__ import annotations

import torch
from torch import Tensor

from similitude.kernels.values import Taps


def along(x: Tensor, index: Tensor, dim: int) -> Tensor:
    """Return entries of an axis by their numbers."""
    return x.index_select(dim, index.to(x.device))


def contract_data(one: Tensor, two: Tensor, zipped: bool, full: bool) -> Tensor:
    """Return mean products of features.

    Args:
        one: (n, positions, features).
        two: (n', positions', features).
        zipped: Whether sample i meets sample i alone.
        full: Whether all pairs of positions are wanted, else equal ones.
    """
    features = max(1, one.shape[-1])
    if zipped:
        found = one @ two.transpose(1, 2) if full else (one * two).sum(-1)
    elif full:
        n, p, _ = one.shape
        m, r, _ = two.shape
        flat = one.reshape(n * p, -1) @ two.reshape(m * r, -1).T
        found = flat.view(n, p, m, r).transpose(1, 2).contiguous()
    elif one.shape[1] == 1 and two.shape[1] == 1:
        found = (one[:, 0] @ two[:, 0].T)[..., None]
    else:
        p = max(one.shape[1], two.shape[1])
        one, two = (x.expand(-1, p, -1).transpose(0, 1) for x in (one, two))
        found = (one @ two.transpose(1, 2)).permute(1, 2, 0).contiguous()
    return found.div_(features)


def contract(x: Tensor | None, one: Taps | None, two: Taps | None, full: bool) -> Tensor | None:
    """Return means over taps of covariances; the result may be written into.

    Args:
        x: Covariances at equal positions, or at all pairs of them: also where `full` is false and the taps differ.
        one: Taps of the left value, None where each position reads itself.
        two: Taps of the right value.
        full: Whether all pairs of positions are wanted.
    """
    if x is None:
        return None
    if one is None and two is None:
        return x.clone()
    assert one is not None, "one matrix has one number of taps"
    assert two is not None, "one matrix has one number of taps"
    if not full:
        if one is two or one.key == two.key:
            return _equal(x, one)
        return _equal_apart(x, one, two)
    if (
        one.spatial is not None
        and (one is two or one.spatial == two.spatial)
        and x.shape[-1] > 1
        and x.shape[-2] > 1
    ):
        return _shifted(x, one, pairs=True)
    found = None
    for i in range(one.number):
        part = _taken(_taken(x, one.index[:, i], -2), two.index[:, i], -1)
        found = part if found is None else found.add_(part)
    assert found is not None, "a layer has at least one tap"
    return found.div_(one.number)


def _equal(x: Tensor, taps: Taps) -> Tensor:
    if x.shape[-1] == 1 and taps.index.shape[0] >= 1 and not bool((taps.index < 0).any()):
        return x.clone() if taps.index.shape[0] == 1 else x.expand(*x.shape[:-1], taps.index.shape[0]).clone()
    if taps.index.shape == (1, x.shape[-1]) and not bool((taps.index < 0).any()):
        return x.mean(-1, keepdim=True)
    if taps.spatial is not None and x.shape[-1] > 1:
        return _shifted(x, taps, pairs=False)
    found = None
    for i in range(taps.number):
        part = _taken(x, taps.index[:, i], -1)
        found = part if found is None else found.add_(part)
    assert found is not None, "a layer has at least one tap"
    return found.div_(taps.number)


def _equal_apart(x: Tensor, one: Taps, two: Taps) -> Tensor:
    found = None
    for i in range(one.number):
        rows, columns = torch.broadcast_tensors(one.index[:, i], two.index[:, i])
        there = ((rows >= 0) & (columns >= 0)).to(x)
        a = rows.clamp_min(0) if x.shape[-2] > 1 else torch.zeros_like(rows)
        b = columns.clamp_min(0) if x.shape[-1] > 1 else torch.zeros_like(columns)
        part = x[..., a, b] * there
        found = part if found is None else found.add_(part)
    assert found is not None, "a layer has at least one tap"
    return found.div_(one.number)


def _taken(x: Tensor, index: Tensor, dim: int) -> Tensor:
    found = along(x, index.clamp_min(0) if x.shape[dim] > 1 else torch.zeros_like(index), dim)
    outside = index < 0
    if bool(outside.any()):
        mask = (~outside).to(x)
        found.mul_(mask if dim == -1 else mask[:, None])
    return found


def _shifted(x: Tensor, taps: Taps, *, pairs: bool) -> Tensor:
    """Return the mean over taps as sums of shifted grids, one axis of the grid after the other."""
    assert taps.spatial is not None, "a convolution of a grid"
    sizes, kernel, stride, padding, dilation = taps.spatial
    head = x.shape[: x.dim() - (2 if pairs else 1)]
    grid = x.reshape(*head, *sizes, *(sizes if pairs else ()))
    first, dims = len(head), len(sizes)
    for axis in range(dims):
        axes = (first + axis, first + dims + axis) if pairs else (first + axis,)
        if stride[axis] == 1 and 2 * padding[axis] == dilation[axis] * (kernel[axis] - 1):
            grid = _shift_sum_in_line(
                grid, axes, kernel[axis], padding[axis], dilation[axis], own=grid.data_ptr() != x.data_ptr()
            )
        else:
            grid = _shift_sum(grid, axes, kernel[axis], stride[axis], padding[axis], dilation[axis])
    if grid is x or grid.data_ptr() == x.data_ptr():
        grid = grid.clone()
    out = grid.shape[first : first + dims].numel()
    return grid.reshape(*head, out, *((out,) if pairs else ())).div_(taps.number)


def _shift_sum(
    x: Tensor, axes: tuple[int, ...], kernel: int, stride: int, padding: int, dilation: int
) -> Tensor:
    """Return the sum over offsets d of x at (stride i + dilation d - padding) along all `axes` at once, zero outside."""
    size = x.shape[axes[0]]
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if (kernel, stride, padding) == (1, 1, 0):
        return x
    shape = list(x.shape)
    for axis in axes:
        shape[axis] = out
    found = x.new_zeros(shape)
    for d in range(kernel):
        offset = dilation * d - padding
        low = max(0, -(offset // stride))
        high = min(out - 1, (size - 1 - offset) // stride)
        if high < low:
            continue
        target: list[slice] = [slice(None)] * x.dim()
        source: list[slice] = [slice(None)] * x.dim()
        for axis in axes:
            target[axis] = slice(low, high + 1)
            source[axis] = slice(low * stride + offset, high * stride + offset + 1, stride)
        found[tuple(target)].add_(x[tuple(source)])
    return found


def _shift_sum_in_line(
    x: Tensor, axes: tuple[int, ...], kernel: int, padding: int, dilation: int, *, own: bool
) -> Tensor:
    """Return `_shift_sum` for a stride of 1 that keeps the size, as sums of long stretches of memory.

    A shift along the axes is one of the memory by a fixed number of places, but for entries that run over the end of the
    last axis: those begin the next stretch, and are zero while the shift is added.

    Args:
        x: As in `_shift_sum`.
        axes: One axis, or two of the same length.
        kernel: Taps.
        padding: Zeros on either side.
        dilation: Distance of the taps.
        own: Whether `x` may be written into.
    """
    if kernel == 1:
        return x
    size, block = x.shape[axes[-1]], x.shape[axes[-1] + 1 :].numel()
    between = x.shape[axes[0] + 1 : axes[-1]].numel() if len(axes) == 2 else 0
    step = block * (between * size + 1)  # in memory, from one entry to the next along all axes
    source = x if own and x.is_contiguous() else x.clone(memory_format=torch.contiguous_format)
    lines = source.view(-1, size * between * size * block) if len(axes) == 2 else source.view(1, -1)
    ends = source.view(-1, size, block)
    found = torch.zeros_like(source) if padding % dilation else source.clone()
    sums = found.view_as(lines)
    for tap in range(kernel):
        offset = dilation * tap - padding
        if offset == 0 or abs(offset) >= size:
            continue
        edge = ends[:, :offset] if offset > 0 else ends[:, offset:]
        kept = edge.clone()
        edge.zero_()
        places = abs(offset) * step
        if offset > 0:
            sums[:, :-places].add_(lines[:, places:])
        else:
            sums[:, places:].add_(lines[:, :-places])
        edge.copy_(kept)
    return found


def mixed(x: Tensor, matrix: Tensor, dim: int) -> Tensor:
    """Return sums over positions: `matrix` (positions of the source, positions) acts on axis `dim`, -1 or -2."""
    positions = matrix.shape[-2]
    if dim == -1:
        x = x.expand(*x.shape[:-1], positions)
        return x @ matrix
    x = x.expand(*x.shape[:-2], positions, x.shape[-1])
    return matrix.transpose(-1, -2) @ x
