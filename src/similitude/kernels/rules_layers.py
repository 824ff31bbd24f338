"""Layers with a random matrix: linear ones, convolutions, embeddings; each makes a Gaussian."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from similitude.kernels.entries import plus, times
from similitude.kernels.facts import Finite, Weight
from similitude.kernels.first_layers import FEW_INPUTS, is_uniform
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    SAMPLE,
    Axis,
    Factor,
    Layout,
    Unmatched,
    count,
    positions,
)
from similitude.kernels.moves import read, reordered
from similitude.kernels.operands import shifted_by
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import (
    Coefficient,
    Data,
    Leaf,
    Linear,
    Rows,
    Taps,
    Term,
    Wide,
    part_of,
    support,
)
from similitude.scaling.dataflow.trace import Ref


def contracted(
    reader: Reader, op: Op, argument: Ref | Wide, axis: int, weight: Weight, rows: Tensor, *, out_axis: int
) -> Wide:
    """Contract an axis of a value with a random matrix.

    Args:
        reader: The reader.
        op: The operation.
        argument: The value.
        axis: Its axis that is summed over.
        weight: The parameter.
        rows: Places of its entries, (neurons, contracted).
        out_axis: Where the axis of neurons is among the result's axes.
    """
    fact = argument if isinstance(argument, Wide) else reader.fact(argument)
    sizes = reader.out_sizes(op, out_axis)
    if rows.unique().numel() != rows.numel():
        reader.refuse(
            op, f"entries of '{weight.name}' occur more than once in the matrix that it contracts with"
        )
    use(reader, op, weight, rows)
    neurons: Axis = () if all(n == 1 for n in sizes) else (Factor(NEURON, sizes),)
    part = rows.contiguous().numpy().tobytes()
    fan_in = rows.shape[1]
    if isinstance(fact, Wide):
        check_growth(reader, op, fact, axis)
        inside = tuple(f for f in fact.layout[axis] if f.kind == POSITION)
        rest = tuple(f for f in fact.order if f.key not in {g.key for g in inside})
        value = reordered(fact, (*rest, *inside))
        outer, taps = count(rest), None
        if inside:
            taps = Taps(torch.arange(outer * count(inside)).reshape(outer, count(inside)))
        layout = tuple(a for i, a in enumerate(fact.layout) if i != axis)
        source: Wide | Data = value
        order = rest
    elif isinstance(fact, Finite) and reader.number(argument) == 0 and fact.layout is not None:
        zeros = tuple(a for i, a in enumerate(fact.layout) if i != axis)
        zeros = tuple(tuple(f for f in a if f.kind != NEURON) for a in zeros)
        made = [*zeros]
        made.insert(out_axis if out_axis >= 0 else len(made) + 1 + out_axis, neurons)
        return Wide(tuple(made), positions(tuple(made)), ())
    elif isinstance(fact, Finite):
        if fact.layout is None:
            raise Unmatched("which axes of its operand count samples cannot be told")
        if any(f.kind == SAMPLE for f in fact.layout[axis]):
            raise Unmatched("it sums over samples")
        index = fact.index
        features = Factor(NEURON, tuple(s[axis] for s in reader.shapes(index)))
        labelled = tuple((features,) if i == axis else a for i, a in enumerate(fact.layout))
        if any(f.kind == NEURON for i, a in enumerate(fact.layout) for f in a if i != axis):
            raise Unmatched("finite values with another axis that grows with the width")
        order = positions(labelled)
        outer, taps = count(order), None

        def read(run: Run) -> Tensor:
            found = gathered(run, run.value(index), labelled, order, neurons=True).to(run.dtype)
            return found.expand(found.shape[0], outer, found.shape[2])

        source = Data(outer, features.size, read)
        layout = tuple(a for i, a in enumerate(labelled) if i != axis)
    else:
        reader.refuse(op, f"it contracts a {type(fact).__name__.lower()} with a random matrix")
    reader.scales.matrix(weight.name, fan_in, scale=weight.scale, grows=isinstance(fact, Wide))
    atom = Linear(outer, support(weight.name), weight.name, part, source, taps, fan_in)
    made = [*layout]
    made.insert(out_axis if out_axis >= 0 else len(made) + 1 + out_axis, neurons)
    note = f"random matrix '{weight.name}', {reader.scales.notes[weight.name, 'matrix']}"
    if isinstance(source, Data) and is_uniform(reader.scales, weight.name):
        note += ", taken as Gaussian"
        if fan_in <= FEW_INPUTS:
            warnings.warn(
                f"'{weight.name}' is uniform and reads {fan_in} input{'s' if fan_in > 1 else ''}; the kernel takes it as "
                "Gaussian, which functions of such a layer are not. explain() tells by how much they differ.",
                stacklevel=2,
            )
    reader.says(note)
    return Wide(tuple(made), order, (Term(atom, Coefficient()),))


def check_growth(reader: Reader, op: Op, value: Wide, axis: int) -> None:
    """Refuse a sum over an axis that is not one of infinitely many neurons."""
    neurons = [f for f in value.layout[axis] if f.kind == NEURON]
    if not neurons:
        elsewhere = any(f.kind == NEURON for a in value.layout for f in a)
        reader.refuse(
            op,
            "it contracts positions of a wide value with random numbers, which stay random at infinite width"
            if elsewhere
            else "it contracts a random value of one neuron, which stays random at infinite width",
        )
    (neuron,) = neurons
    if reader.program.wider and len(set(neuron.sizes)) == 1:
        reader.refuse(
            op,
            f"it sums over {neuron.size} random neurons at every width: a bottleneck, random at infinite width",
            "Let it grow with the width.",
        )


def use(reader: Reader, op: Op, weight: Weight, rows: Tensor) -> None:
    """Refuse a parameter without entries, or one used in two ways, e.g. as a matrix and as its transpose."""
    if rows.numel() == 0:
        shape = tuple(reader.program.parameters[weight.name].shape)
        reader.refuse(
            op,
            f"the parameter '{weight.name}' of shape {shape} has no entries",
            "Make its layer wider than 0.",
        )
    uses = reader.__dict__.setdefault("_uses", {})
    for other in uses.setdefault(weight.name, []):
        if other.shape == rows.shape and torch.equal(other, rows):
            return
        if set(other.flatten().tolist()) & set(rows.flatten().tolist()):
            reader.refuse(
                op,
                f"the parameter '{weight.name}' is used in two ways (a matrix and its transpose, an embedding and a "
                "readout, or in parts that overlap), which has no rule",
                "Untie the two uses.",
            )
    uses[weight.name].append(rows)


def matrix_of(reader: Reader, op: Op, left: Any, right: Any) -> Wide:
    """Return the product of two matrices of which one is random."""
    one, two = reader.fact(left), reader.fact(right)
    if isinstance(one, Weight) and isinstance(two, Weight):
        reader.refuse(op, "it multiplies two random parameters")
    if isinstance(two, Weight):
        rows = two.places.movedim(0, -1) if two.places.dim() > 1 else two.places[None]
        return contracted(reader, op, left, -1 % _rank(reader, left), two, rows, out_axis=-1)
    assert isinstance(one, Weight), "one operand is random"
    rows = one.places if one.places.dim() > 1 else one.places[None]
    return contracted(reader, op, right, 0, one, rows, out_axis=0)


def _rank(reader: Reader, argument: Ref) -> int:
    return len(reader.shapes(argument.value)[0])


@rule("mm", "matmul")
def mm(reader: Reader, op: Op) -> None:
    """Multiply matrices."""
    if not _any_weight(reader, op.args[:2]):
        from similitude.kernels.rules_attention import bmm

        bmm(reader, op)
        return
    reader.put(op, matrix_of(reader, op, op.args[0], op.args[1]))


@rule("addmm", "linear", "addmv", "baddbmm")
def addmm(reader: Reader, op: Op) -> None:
    """Multiply matrices and add a bias."""
    if op.name == "linear":
        x, w = op.args[0], op.args[1]
        bias = op.args[2] if len(op.args) > 2 else None
        weight = reader.fact(w)
        if not isinstance(weight, Weight):
            reader.refuse(op, "its matrix is not a random parameter")
        value = contracted(reader, op, x, _rank(reader, x) - 1, weight, weight.places, out_axis=-1)
        beta = alpha = 1.0
    else:
        bias, left, right = op.args[:3]
        alpha, beta = float(op.kwargs.get("alpha", 1)), float(op.kwargs.get("beta", 1))
        if not _any_weight(reader, (left, right)):
            from similitude.kernels.rules_attention import bmm

            bmm(reader, op)
            return
        if op.name == "addmv":
            value = vector_of(reader, op, left, right)
        elif op.name == "baddbmm":
            value = batched(reader, op, left, right)
        else:
            value = matrix_of(reader, op, left, right)
    reader.put(op, with_bias(reader, op, times(value, Coefficient(alpha)), bias, beta))


def with_bias(reader: Reader, op: Op, value: Wide, bias: Any, beta: float = 1.0) -> Wide:
    """Add a bias."""
    if bias is None or beta == 0:
        return value
    fact = reader.fact(bias)
    if isinstance(fact, Wide):
        return plus(reader, op, value, times(fact, Coefficient(beta)))
    before = reader._line
    found = shifted_by(reader, op, value, fact, bias, beta)
    reader._line = before
    return found


def _any_weight(reader: Reader, arguments: Any) -> bool:
    return any(isinstance(reader.fact(a), Weight) for a in arguments)


def vector_of(reader: Reader, op: Op, left: Any, right: Any) -> Wide:
    """Multiply a matrix with a random vector."""
    weight = reader.fact(right)
    if not isinstance(weight, Weight):
        reader.refuse(op, "it multiplies a random matrix with a vector, samples not along the first axis")
    fact = reader.fact(left)
    rows = weight.places[None]
    return _without_neurons(reader, op, left, fact, weight, rows)


def _without_neurons(reader: Reader, op: Op, left: Any, fact: Any, weight: Weight, rows: Tensor) -> Wide:
    if not isinstance(fact, Wide):
        reader.refuse(op, "it contracts finite values with a random vector")
    axis = len(fact.layout) - 1
    check_growth(reader, op, fact, axis)
    use(reader, op, weight, rows)
    inside = tuple(f for f in fact.layout[axis] if f.kind == POSITION)
    rest = tuple(f for f in fact.order if f.key not in {g.key for g in inside})
    value = reordered(fact, (*rest, *inside))
    taps = Taps(torch.arange(value.positions).reshape(count(rest), count(inside))) if inside else None
    reader.scales.matrix(weight.name, rows.shape[1], scale=weight.scale)
    part = rows.contiguous().numpy().tobytes()
    atom = Linear(count(rest), support(weight.name), weight.name, part, value, taps, rows.shape[1])
    reader.says(f"random vector '{weight.name}', {reader.scales.notes[weight.name, 'matrix']}")
    return Wide(fact.layout[:-1], rest, (Term(atom, Coefficient()),))


@rule("mv", "dot")
def mv(reader: Reader, op: Op) -> None:
    """Multiply a matrix with a vector."""
    reader.put(op, vector_of(reader, op, op.args[0], op.args[1]))


def batched(reader: Reader, op: Op, left: Any, right: Any) -> Wide:
    """Multiply batches of matrices of which one is random: the same in all of them, or one for each position."""
    on_right = isinstance(reader.fact(right), Weight)
    value, weight = (left, reader.fact(right)) if on_right else (right, reader.fact(left))
    if not isinstance(weight, Weight) or isinstance(reader.fact(value), Weight):
        reader.refuse(op, "it multiplies two random parameters")
    places = weight.places.mT if on_right else weight.places
    axis, out_axis = _rank(reader, value) - (1 if on_right else 2), -1 if on_right else -2
    places = places.reshape(-1, *places.shape[-2:])
    if torch.equal(places, places[:1].expand_as(places)):
        return contracted(reader, op, value, axis, weight, places[0], out_axis=out_axis)
    fact = reader.fact(value)
    groups = tuple(f for a in fact.layout[:-2] for f in a) if isinstance(fact, Wide) else ()
    if not isinstance(fact, Wide) or any(f.kind != POSITION for f in groups) or count(groups) != len(places):
        reader.refuse(op, f"it multiplies with another part of '{weight.name}' at each sample or neuron")
    rest = tuple(f for f in fact.order if f not in groups)
    stored = reordered(fact, (*groups, *rest))
    axes = tuple(() if i < len(fact.layout) - 2 else a for i, a in enumerate(fact.layout))
    made = [
        contracted(
            reader, op, read(stored, axes, rest, torch.arange(count(rest)) + i * count(rest)), axis, weight, rows,
            out_axis=out_axis,
        )
        for i, rows in enumerate(places)
    ]  # fmt: skip
    terms: list[Term] = []
    for i, one in enumerate(made):
        where = torch.full((len(places), one.positions), -1)
        where[i] = torch.arange(one.positions)
        own = part_of(support(weight.name), i, len(places))
        terms += [Term(replace(t.atom, support=own), t.coefficient, where.flatten()) for t in one.terms]
    reader.says(f"random matrices '{weight.name}', one for each position")
    return Wide((*fact.layout[:-2], *made[0].layout[-2:]), (*groups, *made[0].order), tuple(terms))


@rule("bmm")
def bmm_rule(reader: Reader, op: Op) -> None:
    """Multiply batches of matrices."""
    if _any_weight(reader, op.args[:2]):
        reader.put(op, batched(reader, op, op.args[0], op.args[1]))
        return
    from similitude.kernels.rules_attention import bmm

    bmm(reader, op)


@rule("embedding")
def embedding(reader: Reader, op: Op) -> None:
    """Look rows of a random matrix up."""
    weight, tokens = reader.fact(op.args[0]), reader.fact(op.args[1])
    if not isinstance(weight, Weight) or not isinstance(tokens, Finite) or weight.places.dim() != 2:
        reader.refuse(op, "it looks values up that are not rows of a random parameter")
    if tokens.layout is None:
        raise Unmatched("which axes of its indices count samples cannot be told")
    use(reader, op, weight, weight.places.T)
    layout: Layout = (*tokens.layout, (Factor(NEURON, reader.out_sizes(op, -1)),))
    order = positions(layout)
    index, axes = tokens.index, tokens.layout
    padding = op.args[2] if len(op.args) > 2 else -1
    values = reader.program.parameters[weight.name]
    # A padding row is zero by convention, and untrained: it counts as a row of its own where it is.
    zero = padding if padding is not None and padding >= 0 and not bool(values[padding].any()) else None
    reader.scales.rows(weight.name, zero)

    def read(run: Run) -> Tensor:
        return gathered(run, run.value(index), axes, order)

    rows = Rows(count(order), support(weight.name), weight.name, b"", read, "rows", 0)
    reader.says(f"rows of '{weight.name}', {reader.scales.notes[weight.name, 'rows']}")
    coefficient = Coefficient()
    if zero is not None:
        coefficient = Coefficient(1.0, (Leaf(lambda run: (read(run) != zero).to(run.dtype)),))
    reader.put(op, Wide(layout, order, (Term(rows, coefficient),)))
