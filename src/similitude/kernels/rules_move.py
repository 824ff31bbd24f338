"""Operations that move entries: views, transposes, slices, concatenations; followed by moving numbers of places."""

from __future__ import annotations

import math
from dataclasses import replace
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map_only

from similitude.kernels.facts import Fact, Finite, Logits, Noise, Weight
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
    flat,
    positions,
    regroup,
)
from similitude.kernels.program import Op, PerSample
from similitude.kernels.reader import Reader, rule
from similitude.kernels.values import Field, Heads, Image, One, Term, Where, Wide, combine, moved
from similitude.scaling.dataflow.trace import Ref

VIEWS = ("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten")
SAME = (
    "clone", "_to_copy", "to", "detach", "alias", "contiguous", "lift_fresh", "lift_fresh_copy", "positive", "identity",
)  # fmt: skip
ORDERS = ("permute", "transpose", "t", "movedim", "swapaxes", "numpy_T")
ALONG = (
    "slice", "select", "narrow", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "unbind",
    "chunk", "flip", "roll", "index_select", "constant_pad_nd", "repeat", "unfold", "index", "upsample_nearest1d",
    "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact2d", "reflection_pad1d", "reflection_pad2d",
    "replication_pad1d", "replication_pad2d", "tril", "triu", "im2col", "repeat_interleave",
)  # fmt: skip
JOINS = ("cat", "stack")


# Layouts -----------------------------------------------------------------------------------------------------------


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
        axis if axis or all(n == 1 for n in size) else (_new(size),)
        for axis, size in zip(axes, sizes, strict=True)
    )


def _new(sizes: tuple[int, ...]) -> Factor:
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
                if 0 <= at < len(other) and _axis_sizes(other[at], len(sizes)) == tuple(sizes) and other[at]:
                    axis, mixed = other[at], False
        if mixed:
            return None
        axes.append(axis)
    return tuple(axes)


def _axis_sizes(axis: Axis, passes: int) -> tuple[int, ...]:
    return tuple(math.prod(f.sizes[i] for f in axis) for i in range(passes))


# Wide values -------------------------------------------------------------------------------------------------------


def reordered(value: Wide, order: tuple[Factor, ...]) -> Wide:
    """Return a value that stores its positions in another order."""
    if [f.key for f in order] == [f.key for f in value.order]:
        return value
    places = {f.key: i for i, f in enumerate(value.order)}
    where = torch.arange(value.positions).reshape([f.size for f in value.order])
    where = where.permute([places[f.key] for f in order]).flatten()
    return read(value, value.layout, order, where)


def read(value: Wide, layout: Layout, order: tuple[Factor, ...], where: Tensor) -> Wide:
    """Return a value read at other positions, `where` by stored position, -1 for zero."""
    if len(where) == value.positions and torch.equal(where, torch.arange(len(where))):
        return Wide(layout, order, value.terms, value.root, value.function)
    terms = combine(moved(value.terms, where))
    if value.root is None or value.function is None or bool((where < 0).any()):
        return Wide(layout, order, terms)
    root = Wide(layout, order, combine(moved(value.root.terms, where)))
    return Wide(layout, order, terms, root, value.function)


def divided(value: Wide, split: Split) -> Wide:
    """Cut a factor of a value's axes in two; of neurons, the side that does not grow becomes positions."""
    layout = tuple(
        tuple(g for f in axis for g in (split.parts if f.key == split.factor.key else (f,)))
        for axis in value.layout
    )
    if split.factor.kind == POSITION:
        order = tuple(g for f in value.order for g in (split.parts if f.key == split.factor.key else (f,)))
        return Wide(layout, order, value.terms, value.root, value.function)
    (groups,) = (f for f in split.parts if f.kind == POSITION)
    slow = split.parts[0] is groups
    order = (groups, *value.order)
    terms = grouped(value.terms, groups.size, value.positions, slow)
    if value.root is None:
        return Wide(layout, order, terms)
    root = Wide(layout, order, grouped(value.root.terms, groups.size, value.positions, slow))
    return Wide(layout, order, terms, root, value.function)


def grouped(terms: tuple[Term, ...], number: int, total: int, slow: bool) -> tuple[Term, ...]:
    """Cut neurons of a sum into `number` groups, slower than its positions."""
    found = []
    for term in terms:
        atom = _heads(term.atom, number, slow)
        where = term.where
        coefficient = (
            term.coefficient.at(torch.arange(number * total) % total)
            if term.coefficient.leaves
            else (term.coefficient)
        )
        if isinstance(term.atom, One):
            moved_to: Where = None if where is None else where.repeat(number)
        elif where is None and term.atom.positions == total:
            moved_to = None
        else:
            inner = torch.arange(total) if where is None else where
            if term.atom.positions == 1 and where is None:
                inner = torch.zeros(total, dtype=torch.long)
            groups = torch.arange(number)[:, None] * term.atom.positions
            moved_to = torch.where(inner < 0, inner, inner + groups).flatten()
        found.append(Term(atom, coefficient, moved_to))
    return tuple(found)


def _heads(atom: Any, number: int, slow: bool) -> Any:
    if isinstance(atom, One):
        return atom
    if isinstance(atom, Field):
        raise Unmatched("data that differ from neuron to neuron are cut into groups of neurons")
    cuts = atom.__dict__.setdefault("_cuts", {})
    made = cuts.get((number, slow))
    if made is not None:
        return made
    if isinstance(atom, Image):
        root = atom.root
        order = (Factor(POSITION, (number,)), *root.order)
        inner = Wide(((),), order, grouped(root.terms, number, root.positions, slow))
        made = Image(number * atom.positions, atom.support, inner, atom.function)
    else:
        made = Heads(number * atom.positions, atom.support, atom, number, slow)
    cuts[number, slow] = made
    return made


def places(value: Wide) -> Tensor:
    """Return the stored position, counted from 1, of every entry of a value in the shape of the first pass."""
    where = torch.arange(1, value.positions + 1).reshape([f.size for f in value.order])
    factors = flat(value.layout)
    physical = positions(value.layout)
    at = {f.key: i for i, f in enumerate(value.order)}
    where = where.permute([at[f.key] for f in physical])
    shape = [f.size if f.kind == POSITION else 1 for f in factors]
    where = where.reshape(shape).expand([f.size for f in factors])
    return where.reshape([count(axis) for axis in value.layout])


def decoded(probe: Tensor, layout: Layout) -> Tensor:
    """Read what `places` became as stored positions of a new layout, -1 for none.

    Raises:
        Unmatched: It differs between samples or neurons.
    """
    factors = flat(layout)
    probe = probe.reshape([f.size for f in factors])
    for i, f in enumerate(factors):
        if f.kind != POSITION:
            first = probe.narrow(i, 0, 1)
            if not torch.equal(probe, first.expand_as(probe)):
                raise Unmatched(f"it moves entries between {f.kind}s")
            probe = first
    return probe.flatten() - 1


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
    args, kwargs = _resized(op)
    args, kwargs = tree_map_only(Ref, lambda r: fact.places, (args, kwargs))
    assert op.func is not None, "a recorded operation"
    try:
        made = op.func(*args, **kwargs)
    except Exception as error:
        reader.refuse(op, f"it cannot be followed on a parameter ({error})")
    for i, places in enumerate(t for t in tree_flatten(made)[0] if isinstance(t, Tensor)):
        reader.put(op, Weight(fact.name, places, fact.scale), i)


@rule(*ALONG)
def along(reader: Reader, op: Op) -> None:
    """Read some positions of a value, or some groups of its neurons."""
    fact = reader.facts[op.node.inputs[0]]
    if isinstance(fact, Weight):
        moved_weight(reader, op, fact)
        return
    value = wide(reader, op, fact)
    others = op.node.inputs[1:]
    if any(reader._depends(i) for i in others) or any(
        not isinstance(reader.facts[i], Finite) for i in others
    ):
        reader.refuse(op, "which entries it reads depends on the input")
    value = _cut_for(reader, op, value)
    args, kwargs = _resized(op)
    first = [True]

    def probe(ref: Ref) -> Tensor:
        if first[0]:
            first[0] = False
            return places(value)
        found = reader.seen(ref.value)
        assert found is not None, "a finite value was seen"
        return found

    args, kwargs = tree_map_only(Ref, probe, (args, kwargs))
    assert op.func is not None, "a recorded operation"
    try:
        made = op.func(*args, **kwargs)
    except RuntimeError:  # operations of floating-point numbers alone
        first[0] = True
        args, kwargs = tree_map_only(Tensor, lambda t: t.double(), (args, kwargs))
        made = op.func(*args, **kwargs)
    if op.name == "constant_pad_nd" and len(op.args) > 2 and op.args[2]:
        reader.refuse(op, f"it pads with {op.args[2]} instead of 0")
    for i, t in enumerate(t for t in tree_flatten(made)[0] if isinstance(t, Tensor)):
        layout = _layout_after(reader, op, value, reader.shapes(op.node.outputs[i]))
        reader.put(op, read(value, layout, positions(layout), decoded(t.round().long(), layout)), i)


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
        if _axis_sizes(axis, passes) == tuple(size) and not (len(axis) == 1 and axis[0].kind == POSITION):
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
            if len(set(groups)) != 1:
                raise Unmatched("it reads a number of neurons that does not grow with the width")
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


@rule(*JOINS)
def join(reader: Reader, op: Op) -> None:
    """Put values side by side along positions, or along neurons."""
    refs = op.args[0]
    facts = [reader.fact(ref) for ref in refs]
    dim = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim", 0)
    if all(isinstance(f, Weight) for f in facts):
        reader.refuse(op, "it joins parameters to one matrix")
    example = next(f for f in facts if isinstance(f, Wide))
    kept = [
        (ref, fact) for ref, fact in zip(refs, facts, strict=True) if 0 not in reader.shapes(ref.value)[0]
    ]
    rank = len(example.layout) + (op.name == "stack")
    dim %= rank
    shapes = reader.shapes(op.node.outputs[0])
    values = [_as_wide(reader, op, fact, example, reader.shapes(ref.value), dim) for ref, fact in kept]
    if op.name == "cat" and any(f.kind == NEURON for f in example.layout[dim]):
        reader.put(op, _side_by_side(values, dim))
        return
    if op.name == "cat" and any(f.kind == SAMPLE for f in example.layout[dim]):
        raise Unmatched("it joins samples")
    base = [axis for i, axis in enumerate(values[0].layout) if op.name == "stack" or i != dim]
    base.insert(dim, (Factor(POSITION, tuple(s[dim] for s in shapes)),))
    if not shapes[0][dim] > 1:
        base[dim] = ()
    layout: Layout = tuple(
        axis if i == dim else tuple(Factor(POSITION, f.sizes) if f.kind == POSITION else f for f in axis)
        for i, axis in enumerate(base)
    )
    terms: list[Term] = []
    assert op.func is not None, "a recorded operation"
    for i, value in enumerate(values):
        parts = [places(v) if j == i else torch.zeros_like(places(v)) for j, v in enumerate(values)]
        parts = torch.broadcast_tensors(*parts) if op.name == "stack" else parts
        where = decoded(op.func(list(parts), dim), layout)
        terms += moved(value.terms, where)
    if len(values) == 1:
        reader.put(op, read(values[0], layout, positions(layout), where))
        return
    reader.put(op, Wide(layout, positions(layout), combine(terms)))
    reader.says("side by side")


def _as_wide(
    reader: Reader, op: Op, fact: Any, example: Wide, shapes: tuple[tuple[int, ...], ...], dim: int
) -> Wide:
    if isinstance(fact, Weight):
        from similitude.kernels.rules_entrywise import rows_of

        fact = rows_of(reader, op, fact, against=example, bias=False)
    if isinstance(fact, Wide):
        samples = tuple(
            old if not axis and any(f.kind == SAMPLE for f in old) and i != dim else axis
            for i, (axis, old) in enumerate(zip(fact.layout, example.layout, strict=True))
        )
        return Wide(samples, fact.order, fact.terms, fact.root, fact.function)
    if not isinstance(fact, Finite):
        reader.refuse(op, f"it joins a {type(fact).__name__.lower()} to wide values")
    axes: list[Axis] = []
    for i, sizes in enumerate(zip(*shapes, strict=True)):
        old = example.layout[i]
        if _axis_sizes(old, len(sizes)) == tuple(sizes):
            axes.append(tuple(Factor(POSITION, f.sizes) if f.kind == POSITION else f for f in old))
        elif i == dim and any(f.kind == NEURON for f in old):
            reader.refuse(
                op,
                f"it puts {sizes[0]} finite entries beside infinitely many neurons, of which they are a vanishing part",
                "Give the data a layer of their own and add what it gives.",
            )
        else:
            axes.append(() if all(n == 1 for n in sizes) else (_new(tuple(sizes)),))
    layout = tuple(axes)
    order = positions(layout)
    coefficient = reader.coefficient(op, fact, layout, order)
    if coefficient is None:
        reader.refuse(op, "it joins constants that differ from neuron to neuron")
    terms = (
        ()
        if coefficient.scale == 0
        else (Term(ONE, coefficient, torch.zeros(count(order), dtype=torch.long)),)
    )
    return Wide(layout, order, terms)


def _side_by_side(values: list[Wide], dim: int) -> Wide:
    """Put values side by side along their axes of neurons: equal pieces of it become positions."""
    passes = len(flat((values[0].layout[dim],))[0].sizes)
    for value in values:
        if value.layout[dim][-1].kind != NEURON:
            raise Unmatched("it joins neurons that are cut with a stride")
    units = tuple(math.gcd(*(v.layout[dim][-1].sizes[i] for v in values)) for i in range(passes))
    pieces: list[Wide] = []
    for value in values:
        neuron = value.layout[dim][-1]
        groups = tuple(n // u for n, u in zip(neuron.sizes, units, strict=True))
        if len(set(groups)) != 1:
            raise Unmatched("it joins numbers of neurons that grow in different ways")
        pieces.append(divided(value, Split(neuron, cut(neuron, groups))) if groups[0] > 1 else value)
    numbers = [count(f for f in v.layout[dim] if f.kind == POSITION) for v in pieces]
    total = Factor(POSITION, (sum(numbers),) * passes)
    neuron = pieces[0].layout[dim][-1]
    base = [axis for i, axis in enumerate(pieces[0].layout) if i != dim]
    base = [tuple(Factor(POSITION, f.sizes) if f.kind == POSITION else f for f in axis) for axis in base]
    base.insert(dim, (total, neuron))
    layout = tuple(base)
    rest = tuple(f for f in positions(layout) if f.key != total.key)
    order = (total, *rest)
    inner = count(rest)
    terms: list[Term] = []
    offset = 0
    for value, number in zip(pieces, numbers, strict=True):
        own = tuple(f for f in value.layout[dim] if f.kind == POSITION)
        other = tuple(
            f for i, axis in enumerate(value.layout) if i != dim for f in axis if f.kind == POSITION
        )
        value = reordered(value, (*own, *other))
        where = torch.full((sum(numbers), inner), -1)
        where[offset : offset + number] = torch.arange(number * inner).reshape(number, inner)
        terms += moved(value.terms, where.flatten())
        offset += number
    return Wide(layout, order, combine(terms))


def alias_write(reader: Reader, op: Op) -> None:
    """Follow a write in place to the other views of its memory."""
    old, written = (reader.facts[i] for i in op.node.inputs)
    if isinstance(old, Finite) and isinstance(written, Finite):
        (index,) = op.node.outputs
        reader.facts[index] = Finite(index, old.layout)
        if reader._depends(op.node.inputs[0]) or reader._depends(op.node.inputs[1]):
            reader._dependent.add(index)
        source = op.node.inputs[0]

        def step(run: Any) -> None:
            run.values[index] = run.value(source)  # the same memory

        reader.steps.append(step)
        return
    overlap = op.args[0]
    if bool((overlap < 0).all()):
        reader.put(op, old)
        return
    if isinstance(written, Noise) or not isinstance(written, Wide):
        reader.refuse(op, "a write in place changes values of other kinds")
    after = places(written).flatten()
    there = overlap >= 0
    layout = _layout_of_view(reader, op, old, written)
    probe = torch.where(there, after[overlap.clamp_min(0)], torch.zeros_like(overlap))
    terms = moved(written.terms, decoded(probe, layout))
    if not bool(there.all()):
        if isinstance(old, Wide):
            kept = torch.where(there, torch.zeros_like(overlap), places(old))
            terms += moved(old.terms, decoded(kept, layout))
        elif not isinstance(old, Finite) or reader.number(Ref(op.node.inputs[0])) != 0:
            reader.refuse(op, "a write in place changes a part of a value that is neither wide nor 0")
    elif (
        there.all()
        and overlap.numel() == len(after)
        and torch.equal(decoded(probe, layout), torch.arange(written.positions))
    ):
        reader.put(op, Wide(layout, positions(layout), written.terms, written.root, written.function))
        return
    reader.put(op, Wide(layout, positions(layout), combine(terms)))


def _layout_of_view(reader: Reader, op: Op, old: Fact, written: Wide) -> Layout:
    shapes = reader.shapes(op.node.outputs[0])
    if isinstance(old, Wide):
        return old.layout
    neuron = next((f for f in flat(written.layout) if f.kind == NEURON), None)
    axes: list[Axis] = []
    for sizes in zip(*shapes, strict=True):
        if neuron is not None and tuple(sizes) == neuron.sizes and not any(neuron in axis for axis in axes):
            axes.append((neuron,))
        else:
            axes.append(() if all(n == 1 for n in sizes) else (_new(tuple(sizes)),))
    return tuple(axes)
