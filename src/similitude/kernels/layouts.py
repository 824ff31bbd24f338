"""Axes after operations that move entries: views, transposes, broadcasts; of finite values also after all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from similitude.kernels.facts import Finite
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    SAMPLE,
    Axis,
    Factor,
    Layout,
    Unmatched,
    regroup,
)
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader

VIEWS = ("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten")


SAME = (
    "clone", "_to_copy", "to", "detach", "alias", "contiguous", "lift_fresh", "lift_fresh_copy", "positive", "identity",
)  # fmt: skip


ORDERS = ("permute", "transpose", "t", "movedim", "swapaxes", "numpy_T")


def ordered(layout: Layout, op: Op) -> Layout:
    """Return the axes after a permutation."""
    rank = len(layout)
    name, args = op.name, op.args[1:]
    if name in ("t", "numpy_T"):
        dims = list(reversed(range(rank)))
    elif name == "permute":
        dims = [d % rank for d in args[0]]
    elif name == "movedim":
        dims = _movedim(rank, *args)
    else:
        a, b = (d % rank for d in args)
        dims = list(range(rank))
        dims[a], dims[b] = dims[b], dims[a]
    return tuple(layout[d] for d in dims)


def _movedim(rank: int, source: Any, target: Any) -> list[int]:
    sources = [s % rank for s in ([source] if isinstance(source, int) else source)]
    targets = [t % rank for t in ([target] if isinstance(target, int) else target)]
    rest = [d for d in range(rank) if d not in sources]
    found: list[int] = [-1] * rank
    for s, t in zip(sources, targets, strict=True):
        found[t] = s
    for i, d in enumerate(found):
        if d < 0:
            found[i] = rest.pop(0)
    return found


def expanded(layout: Layout, shapes: Sequence[Sequence[int]]) -> Layout:
    """Return the axes after a broadcast to the shapes of all passes."""
    sizes = list(zip(*shapes, strict=True))
    axes: list[Axis] = [()] * (len(sizes) - len(layout)) + list(layout)
    return tuple(
        axis if axis or all(n == 1 for n in size) else (new_factor(size),)
        for axis, size in zip(axes, sizes, strict=True)
    )


def new_factor(sizes: tuple[int, ...]) -> Factor:
    """Label the axis that a broadcast makes, by what its sizes do between the passes."""
    if sizes[0] != sizes[1]:
        return Factor(SAMPLE, sizes)
    return Factor(NEURON if len(set(sizes)) > 1 else POSITION, sizes)


def finite_layouts(reader: Reader, op: Op) -> list[Layout | None]:
    """Tell the axes of what an operation of finite values gives."""
    first = next((reader.facts[i] for i in op.node.inputs), None)
    found: list[Layout | None] = []
    for index in op.node.outputs:
        shapes = reader.shapes(index)
        layout = first.layout if isinstance(first, Finite) else None
        try:
            found.append(_finite_layout(reader, op, index, layout, shapes))
        except Unmatched:
            found.append(None)
    return found


def _finite_layout(reader: Reader, op: Op, index: int, layout: Layout | None, shapes: Any) -> Layout | None:
    name = op.name
    if layout is not None:
        if name in VIEWS:
            return regroup(layout, shapes)[0]
        if name in ORDERS:
            return ordered(layout, op)
        if name in SAME:
            return layout
    # Axes of the same sizes as an operand's, counted from the last, are the operand's; others by their sizes.
    known: list[Layout] = [
        f.layout for i in op.node.inputs if isinstance(f := reader.facts[i], Finite) and f.layout is not None
    ]
    axes: list[Axis] = []
    fresh = reader.fresh(index)
    rank = len(fresh)
    for dim, sizes in enumerate(zip(*shapes, strict=True)):
        axis = fresh[dim]
        mixed = sizes[0] != sizes[1] and (sizes[0], sizes[1]) != (2, 3)
        for other in known:
            for at in {dim, dim - rank + len(other)}:
                if 0 <= at < len(other) and axis_sizes(other[at], len(sizes)) == tuple(sizes) and other[at]:
                    axis, mixed = other[at], False
        if mixed:
            return None
        axes.append(axis)
    return tuple(axes)


def axis_sizes(axis: Axis, passes: int) -> tuple[int, ...]:
    """Return the sizes of an axis in all passes."""
    return tuple(math.prod(f.sizes[i] for f in axis) for i in range(passes))
