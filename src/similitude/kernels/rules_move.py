"""Operations that move the entries of one value: views, transposes, slices; followed by moving numbers of places."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from similitude.kernels.facts import Fact, Finite, Logits, Weight
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    SAMPLE,
    Axis,
    Factor,
    Layout,
    Split,
    Unmatched,
    count,
    cut,
    positions,
    regroup,
)
from similitude.kernels.layouts import ORDERS, SAME, VIEWS, axis_sizes, expanded, ordered
from similitude.kernels.moves import decoded, divided, in_order, numbered, places, read, reordered
from similitude.kernels.program import Op, PerSample
from similitude.kernels.reader import Reader, rule
from similitude.kernels.run import Run
from similitude.kernels.values import Coefficient, Mix, Term, Wide
from similitude.scaling.dataflow.trace import Ref

ALONG = (
    "slice", "select", "narrow", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind",
    "chunk", "flip", "roll", "index_select", "constant_pad_nd", "repeat", "unfold", "index", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d", "reflection_pad1d", "reflection_pad2d",
    "replication_pad1d", "replication_pad2d", "tril", "triu", "im2col", "repeat_interleave",
)  # fmt: skip


def _resized(op: Op) -> tuple[Any, dict[str, Any]]:
    """Return arguments with the sizes of the first pass."""
    return tree_map_only(PerSample, lambda x: x.base + 2 * x.slope, (op.args, op.kwargs))


@rule(*VIEWS)
def view(reader: Reader, op: Op) -> None:
    """Distribute the factors over new axes."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Weight):
        moved_weight(reader, op, fact)
        return
    if isinstance(fact, Logits):
        layout, _ = regroup(fact.layout, reader.shapes(op.node.outputs[0]))
        reader.put(op, replace(fact, layout=layout))
        return
    value = wide(reader, op, fact)
    layout, splits = regroup(value.layout, reader.shapes(op.node.outputs[0]))
    for split in splits:
        value = divided(value, split)
    reader.put(op, Wide(layout, value.order, value.terms, value.root, value.function))


@rule(*SAME)
def same(reader: Reader, op: Op) -> None:
    """Pass a value on."""
    if op.name == "detach" and isinstance(reader.facts[op.node.inputs[0]], Wide):
        reader.blocked = f"{op} cuts gradients off"
    reader.put(op, reader.facts[op.node.inputs[0]])


@rule(*ORDERS)
def order(reader: Reader, op: Op) -> None:
    """Put the axes in another order."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Weight):
        moved_weight(reader, op, fact)
        return
    value = wide(reader, op, fact)
    layout = ordered(value.layout, op)
    reader.put(op, Wide(layout, value.order, value.terms, value.root, value.function))


@rule("unsqueeze", "squeeze")
def squeeze(reader: Reader, op: Op) -> None:
    """Add or drop axes of size 1."""
    view(reader, op)


@rule("expand", "expand_as", "broadcast_to")
def expand(reader: Reader, op: Op) -> None:
    """Broadcast."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Weight):
        few, more = reader.shapes(op.node.outputs[0])[:2]
        old = [1] * (len(few) - fact.places.dim()) + list(fact.places.shape)
        if any(a != b for a, b in zip(few, more, strict=True)):  # the same for all samples
            sizes = [o if a != b else a for a, b, o in zip(few, more, old, strict=True)]
            reader.put(op, Weight(fact.name, fact.places.expand(sizes), fact.scale))
        else:
            moved_weight(reader, op, fact)
        return
    if isinstance(fact, Logits) and reader.shapes(op.node.inputs[0]) == reader.shapes(op.node.outputs[0]):
        reader.put(op, fact)
        return
    value = wide(reader, op, fact)
    layout = expanded(value.layout, reader.shapes(op.node.outputs[0]))
    if any(
        f.kind == NEURON
        for axis, old in zip(layout[-len(value.layout) :], value.layout, strict=True)
        if not old
        for f in axis
    ):
        reader.refuse(op, "a value of one random neuron is repeated over an axis that grows")
    at = {f.key: i for i, f in enumerate(value.order)}
    order = positions(layout)
    where = torch.arange(value.positions).reshape([f.size for f in value.order])
    old = [f for f in order if f.key in at]
    where = where.permute([at[f.key] for f in old])
    where = (
        where.reshape([f.size if f.key in at else 1 for f in order]).expand([f.size for f in order]).flatten()
    )
    reader.put(op, read(value, layout, order, where))


def wide(reader: Reader, op: Op, fact: Fact) -> Wide:
    """Return a wide value, or refuse."""
    if not isinstance(fact, Wide):
        reader.refuse(op, f"its operand is a {type(fact).__name__.lower()}, for which it has no rule")
    return fact


def moved_weight(reader: Reader, op: Op, fact: Weight) -> None:
    """Move the places of a parameter's entries as the operation moves its entries."""
    if op.name in VIEWS:
        # It has one entry along axes that count samples, however many it was broadcast to.
        few, more = reader.shapes(op.node.outputs[0])[:2]
        sizes = [1 if a != b else a for a, b in zip(few, more, strict=True)]
        if math.prod(sizes) == fact.places.numel():
            reader.put(op, Weight(fact.name, fact.places.reshape(sizes), fact.scale))
            return
    args, kwargs = _resized(op)
    args, kwargs = tree_map_only(Ref, lambda r: fact.places, (args, kwargs))
    assert op.func is not None, "a recorded operation"
    try:
        made = op.func(*args, **kwargs)
    except Exception as error:
        reader.refuse(op, f"it cannot be followed on a parameter ({error})")
    for i, moved_places in enumerate(t for t in tree_flatten(made)[0] if isinstance(t, Tensor)):
        reader.put(op, Weight(fact.name, moved_places, fact.scale), i)


@rule(*ALONG)
def along(reader: Reader, op: Op) -> None:
    """Read some positions of a value, or some groups of its neurons."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Weight):
        moved_weight(reader, op, fact)
        return
    value = wide(reader, op, fact)
    others = op.node.inputs[1:]
    if op.name == "index" and _picks(reader, op, value):
        reader.put(op, picked(reader, op, value))
        return
    if any(reader._depends(i) for i in others) or any(
        not isinstance(reader.facts[i], Finite) for i in others
    ):
        reader.refuse(op, "which entries it reads depends on the input")
    value = _cut_for(reader, op, value)
    if op.name == "constant_pad_nd" and len(op.args) > 2 and op.args[2]:
        reader.refuse(op, f"it pads with {op.args[2]} instead of 0")
    order = {kind: _applied(reader, op, numbered(value, kind)) for kind in (SAMPLE, NEURON)}
    for i, t in enumerate(_applied(reader, op, places(value))):
        layout = _layout_after(reader, op, value, reader.shapes(op.node.outputs[i]))
        for kind, made in order.items():
            in_order(made[i], layout, kind)
        reader.put(op, read(value, layout, positions(layout), decoded(t, layout)), i)


def _picks(reader: Reader, op: Op, value: Wide) -> bool:
    """Tell whether an operation reads one position of every sample, as x[torch.arange(len(x)), last] does."""
    found = [None if index is None else reader.fact(index) for index in op.args[1]]
    kinds = [{f.kind for f in axis} for axis in value.layout[:2]]
    shapes = reader.shapes(op.node.outputs[0])
    return (
        len(found) == 2
        and all(isinstance(f, Finite) and len(reader.shapes(f.index)[0]) == 1 for f in found)
        and kinds == [{SAMPLE}, {POSITION}]
        and [s[0] for s in shapes] == [s[0] for s in reader.shapes(op.node.inputs[0])]
    )


def picked(reader: Reader, op: Op, value: Wide) -> Wide:
    """Read the position of every sample that finite values of it say."""
    rows, columns = op.args[1]
    inside = value.layout[1]
    rest = tuple(f for f in value.order if f not in inside)
    value = reordered(value, (*inside, *rest))
    number, total = count(inside), count(rest)

    def matrix(run: Run) -> Tensor:
        place = run.value(columns.value) % number
        if not torch.equal(run.value(rows.value), torch.arange(run.samples, device=run.device)):
            reader.refuse(op, "it reads other samples in the place of some")
        one = torch.nn.functional.one_hot(place, number).to(run.dtype)
        return torch.einsum("nl,rs->nlrs", one, torch.eye(total, dtype=run.dtype, device=run.device)).flatten(
            1, 2
        )

    reader.says("one position of every sample")
    atom = Mix(total, value.support, value, matrix)
    return Wide((value.layout[0], *value.layout[2:]), rest, (Term(atom, Coefficient()),))


def _applied(reader: Reader, op: Op, probe: Tensor) -> list[Tensor]:
    """Return what the operation makes of whole numbers in place of its operand."""

    def run(convert: Callable[[Tensor], Tensor]) -> list[Tensor]:
        operands = iter([probe])

        def argument(ref: Ref) -> Tensor:
            found = next(operands, None)
            found = reader.seen(ref.value) if found is None else convert(found)
            assert found is not None, "a finite value was seen"
            return found

        args, kwargs = tree_map_only(Ref, argument, _resized(op))
        assert op.func is not None, "a recorded operation"
        made = op.func(*args, **kwargs)
        return [t.round().long() for t in tree_flatten(made)[0] if isinstance(t, Tensor)]

    try:
        return run(lambda t: t)
    except RuntimeError:  # operations of floating-point numbers alone
        return run(lambda t: t.double())


def _layout_after(reader: Reader, op: Op, value: Wide, shapes: tuple[tuple[int, ...], ...]) -> Layout:
    """Label the axes of what reads some entries of a value: axes of the same sizes in order are the same."""
    old = list(value.layout)
    sizes = list(zip(*shapes, strict=True))
    passes = len(shapes)
    if op.name in ("select", "unbind"):
        dim = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", 0)
        del old[dim % len(old)]
    if len(old) != len(sizes):
        raise Unmatched(f"it gives {len(sizes)} axes of {len(old)}, in a way that is not followed")
    axes: list[Axis] = []
    for axis, size in zip(old, sizes, strict=True):
        if axis_sizes(axis, passes) == tuple(size) and not (len(axis) == 1 and axis[0].kind == POSITION):
            axes.append(axis)
        elif all(n == 1 for n in size):
            axes.append(())
        elif any(f.kind == SAMPLE for f in axis):
            raise Unmatched("it reads some of the samples")
        elif any(f.kind == NEURON for f in axis):
            (neuron,) = (f for f in axis if f.kind == NEURON)
            if axis[-1].key != neuron.key:
                raise Unmatched("it reads neurons with a stride")
            groups = tuple(n // m for n, m in zip(size, neuron.sizes, strict=True))
            if len(set(groups)) != 1 or any(n % m for n, m in zip(size, neuron.sizes, strict=True)):
                raise Unmatched(
                    "it reads a number of neurons that is no multiple of what grows with the width"
                )
            axes.append((neuron,) if groups[0] == 1 else (Factor(POSITION, groups), neuron))
        else:
            axes.append((Factor(POSITION, tuple(size)),))
    return tuple(axes)


def _cut_for(reader: Reader, op: Op, value: Wide) -> Wide:
    """Cut neurons into the groups that a slice or split along their axis reads."""
    dims = _dims_of(op, len(value.layout))
    for dim in dims:
        axis = value.layout[dim]
        neuron = next((f for f in axis if f.kind == NEURON), None)
        if neuron is None:
            continue
        passes = len(neuron.sizes)
        bounds = _bounds(reader, op, dim)
        units = tuple(math.gcd(neuron.sizes[i], *(b[i] for b in bounds)) for i in range(passes))
        groups = tuple(n // u for n, u in zip(neuron.sizes, units, strict=True))
        if len(set(groups)) != 1:
            raise Unmatched("it reads a number of neurons that is no fixed part of their axis")
        if groups[0] > 1:
            value = divided(value, Split(neuron, cut(neuron, groups)))
    return value


def _dims_of(op: Op, rank: int) -> list[int]:
    if op.name in ("select", "unbind", "slice", "narrow"):
        dim = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", 0)
    elif op.name in ("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk"):
        dim = op.args[2] if len(op.args) > 2 else op.kwargs.get("dim", 0)
    else:
        return []
    return [dim % rank]


def _bounds(reader: Reader, op: Op, dim: int) -> list[tuple[int, ...]]:
    """Return where reads along an axis begin and end, in all passes."""
    sizes = [reader.out_sizes(op, dim, i) for i in range(len(op.node.outputs))] if op.name != "select" else []
    total = tuple(s[dim] for s in reader.shapes(op.node.inputs[0]))
    if op.name in ("select", "unbind"):
        raise Unmatched("it reads single neurons of infinitely many")
    if op.name in ("slice", "narrow"):
        if len(op.args) > 4 and op.args[4] != 1:
            raise Unmatched("it reads neurons with a stride")
        (length,) = sizes
        start = op.args[2] if len(op.args) > 2 else None
        if start in (None, 0):
            return [length]
        # Its end is the axis's where the start grows with the width.
        first = total[0] - length[0]
        if start % total[0] == first:
            return [tuple(t - n for t, n in zip(total, length, strict=True))]
        if start % total[0] % length[0] == 0:
            times = start % total[0] // length[0]
            return [length, tuple(times * n for n in length)]
        if len(set(total)) == 1:
            return [length, tuple(start % t for t in total)]
        raise Unmatched("it reads neurons from a place that cannot be followed to other widths")
    found, at = [], tuple(0 for _ in total)
    for size in sizes:
        at = tuple(a + n for a, n in zip(at, size, strict=True))
        found.append(at)
    return found
