"""Values put side by side, and writes in place: positions or neurons of several values become those of one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from similitude.kernels.facts import Fact, Finite, Noise, Weight
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
)
from similitude.kernels.layouts import axis_sizes, new_factor
from similitude.kernels.moves import decoded, divided, places, read, reordered
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.values import ONE, Term, Wide, combine, moved
from similitude.scaling.dataflow.trace import Ref

JOINS = ("cat", "stack")


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
    wheres: list[Tensor] = []
    assert op.func is not None, "a recorded operation"
    for i, value in enumerate(values):
        parts = [places(v) if j == i else torch.zeros_like(places(v)) for j, v in enumerate(values)]
        parts = torch.broadcast_tensors(*parts) if op.name == "stack" else parts
        wheres.append(decoded(op.func(list(parts), dim), layout))
        terms += moved(value.terms, wheres[-1])
    if len(values) == 1:
        reader.put(op, read(values[0], layout, positions(layout), wheres[0]))
        return
    reader.put(op, Wide(layout, positions(layout), combine(terms)))
    reader.says("side by side")


def _as_wide(
    reader: Reader, op: Op, fact: Any, example: Wide, shapes: tuple[tuple[int, ...], ...], dim: int
) -> Wide:
    if isinstance(fact, Weight):
        from similitude.kernels.operands import rows_of

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
        if axis_sizes(old, len(sizes)) == tuple(sizes):
            axes.append(tuple(Factor(POSITION, f.sizes) if f.kind == POSITION else f for f in old))
        elif i == dim and any(f.kind == NEURON for f in old):
            reader.refuse(
                op,
                f"it puts {sizes[0]} finite entries beside infinitely many neurons, of which they are a vanishing part",
                "Give the data a layer of their own and add what it gives.",
            )
        else:
            axes.append(() if all(n == 1 for n in sizes) else (new_factor(tuple(sizes)),))
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
            axes.append(() if all(n == 1 for n in sizes) else (new_factor(tuple(sizes)),))
    return tuple(axes)
