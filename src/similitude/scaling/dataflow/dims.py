"""Which dimensions of a parameter the dimensions of a view of it run over."""

from __future__ import annotations

from collections.abc import Iterator

from similitude.scaling.dataflow.claims import REGISTERED
from similitude.scaling.dataflow.trace import Node, Ref

Dims = tuple[tuple[int, ...] | None, ...]
"""For every dimension of a value the dimensions of its parameter that it runs over; None where unknown."""


def moved(node: Node, dims: Dims, shape: tuple[int, ...], new: tuple[int, ...]) -> Dims:
    """Follow the dimensions of a parameter through an operation on shapes."""
    if node.op in REGISTERED:  # whose claim says that entries move, and not where to
        return unknown(len(new))
    args = [a for a in node.args if not isinstance(a, Ref)]
    if node.op == "t":
        return dims[::-1]
    if node.op in ("transpose", "swapaxes"):
        order = list(range(len(dims)))
        a, b = int(args[0]) % len(dims), int(args[1]) % len(dims)
        order[a], order[b] = order[b], order[a]
        return tuple(dims[i] for i in order)
    if node.op == "permute":
        return tuple(dims[int(i) % len(dims)] for i in args[0])
    if node.op == "unsqueeze":
        at = int(args[0]) % (len(dims) + 1)
        return (*dims[:at], (), *dims[at:])
    if node.op in ("select", "unbind"):
        at = int(args[0]) % len(dims) if args else 0
        return tuple(d for i, d in enumerate(dims) if i != at)
    if node.op == "expand":
        padded: Dims = (*((),) * (len(new) - len(dims)), *dims)
        return padded
    if len(shape) == len(new) and node.op not in ("view", "reshape", "_unsafe_view", "as_strided"):
        return dims
    return _regroup(shape, new, dims)


def unknown(rank: int) -> Dims:
    """Return the dimensions of a value of which nothing is known but its rank."""
    return (None,) * rank


def pad(dims: Dims, rank: int) -> Dims:
    """Add leading dimensions, as broadcasting does."""
    return (*((),) * (rank - len(dims)), *dims) if len(dims) <= rank else unknown(rank)


def _regroup(shape: tuple[int, ...], new: tuple[int, ...], dims: Dims) -> Dims:
    """Follow dimensions through a view: merged ones are products; the parts of a split one are unknown."""
    result: list[tuple[int, ...] | None] = []
    for old_group, new_group in _groups(shape, new):
        merged: tuple[int, ...] | None = ()
        for i in old_group:
            part = dims[i]
            merged = None if merged is None or part is None else merged + part
        real = [j for j in new_group if new[j] != 1]
        for j in new_group:
            whole = len(real) <= 1 and (not real or j == real[0])
            result.append(merged if whole else () if new[j] == 1 else None)
    if len(result) != len(new):
        return unknown(len(new))
    return tuple(result)


def _groups(shape: tuple[int, ...], new: tuple[int, ...]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the smallest runs of dimensions with equal products."""
    i = j = 0
    while i < len(shape) or j < len(new):
        left, right = [], []
        a = b = 1
        if i < len(shape):
            left.append(i)
            a *= shape[i]
            i += 1
        if j < len(new):
            right.append(j)
            b *= new[j]
            j += 1
        while a != b:
            if a < b and i < len(shape):
                left.append(i)
                a *= shape[i]
                i += 1
            elif j < len(new):
                right.append(j)
                b *= new[j]
                j += 1
            else:
                return
        yield left, right
