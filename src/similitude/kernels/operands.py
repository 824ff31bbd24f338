"""What may be added to a wide value or multiplied with it: numbers, finite values, data, rows of a random parameter."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from similitude.kernels.alignment import aligned
from similitude.kernels.entries import plus, times
from similitude.kernels.facts import Finite, Weight
from similitude.kernels.functions import applied
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    Axis,
    Factor,
    Layout,
    Unmatched,
    count,
    positions,
)
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import (
    ONE,
    Coefficient,
    Field,
    Filter,
    Leaf,
    Linear,
    Rows,
    Term,
    Wide,
    support,
)
from similitude.scaling.dataflow.trace import Ref


def shifted_by(reader: Reader, op: Op, value: Wide, other: Any, argument: Any, sign: float) -> Wide:
    """Add a number, a finite value or a parameter to a wide value."""
    number = reader.number(argument)
    other = drawn_bias(reader, value, other, number)
    if isinstance(other, Weight):
        rows = rows_of(reader, op, other, against=value, bias=True)
        value = plus(reader, op, value, times(rows, Coefficient(sign * other.scale)))
        number = reader.scales.start(other.name)
        if number == 0:
            return value
    if number is not None:
        if number == 0 and no_larger(reader, op, argument, value):
            return value
        constant = constant_like(value, Coefficient(sign * number))
        return _with_function(plus(reader, op, value, constant), value, sign * number)
    if not isinstance(other, Finite):
        reader.refuse(op, f"it adds a {type(other).__name__.lower()} to a wide value")
    return plus(reader, op, value, finite_value(reader, op, other, value, sign))


def drawn_bias(reader: Reader, value: Wide, other: Any, number: float | None) -> Any:
    """Return a constant bias of a layer as a random one where it may be drawn, is trained, or has a variance given.

    Args:
        reader: The reader.
        value: What the layer gives.
        other: The bias as it was read; it is returned where it stays a constant.
        number: The number that it is.
    """
    if not isinstance(other, Finite) or number is None:
        return other
    weight = reader.as_weight(other, value)
    scales = reader.scales
    if weight is None or not (
        scales.trains_zeros or scales.bias_variance is not None or scales.one_draw(weight.name)
    ):
        return other
    return weight


def _with_function(total: Wide, value: Wide, shift: float) -> Wide:
    """Keep that a function of a Gaussian plus a number is one."""
    if value.root is None or value.function is None:
        return Wide(total.layout, total.order, total.terms)
    function = applied("add", torch.add, (value.function, shift), {})
    return Wide(total.layout, total.order, total.terms, value.root, function)


def constant_like(value: Wide, coefficient: Coefficient) -> Wide:
    """Return a number at every position of a value, as a value."""
    where = torch.zeros(value.positions, dtype=torch.long)
    return Wide(value.layout, value.order, (Term(ONE, coefficient, where),))


def finite_value(reader: Reader, op: Op, finite: Finite, value: Wide, sign: float) -> Wide:
    """Return a finite value as one that meets a wide value: its neurons are equal, or data."""
    shapes = reader.shapes(finite.index)
    rank = len(value.layout)
    if len(shapes[0]) > rank:
        reader.refuse(op, "it broadcasts a wide value to more axes")
    axes: list[Axis] = []
    missing = rank - len(shapes[0])
    sizes = list(zip(*shapes, strict=True))
    for i, axis in enumerate(value.layout):
        size = tuple(sizes[i - missing]) if i >= missing else ()
        if not size or all(n == 1 for n in size):
            axes.append(tuple(f for f in axis if f.kind == NEURON))  # a number for all neurons
        elif axis:
            axes.append(tuple(Factor(POSITION, f.sizes) if f.kind == POSITION else f for f in axis))
        else:
            axes.append((Factor(POSITION if sizes[i - missing][0] == size[1] else "sample", size),))
    layout = tuple(axes)
    order = positions(layout)
    coefficient = reader.coefficient(op, finite, layout, order)
    if coefficient is not None:
        where = torch.zeros(count(order), dtype=torch.long)
        return Wide(layout, order, (Term(ONE, coefficient * Coefficient(sign), where),))

    def read(run: Run) -> Tensor:
        return gathered(run, run.value(finite.index), layout, order, neurons=True).to(run.dtype)

    neuron = next(f for axis in layout for f in axis if f.kind == NEURON)
    if len(set(neuron.sizes)) > 1:
        reader.refuse(
            op,
            "it adds constants that differ from neuron to neuron along an axis that grows with the width, of which the "
            "limit is not known",
        )
    atom = Field(count(order), frozenset(), read)
    return Wide(layout, order, (Term(atom, Coefficient(sign)),))


def rows_of(reader: Reader, op: Op, weight: Weight, *, against: Wide | None, bias: bool) -> Wide:
    """Return a parameter that is added entry by entry as a value: each position a row of its own."""
    shape = weight.places.shape
    layout_of = against.layout if against is not None else None
    axes: list[Axis] = []
    wide_dim = None
    passes = len(reader.shapes(op.node.outputs[0]))
    out = reader.shapes(op.node.outputs[0])
    rank = len(out[0])
    for i, size in enumerate(shape):
        at = i - len(shape)
        there: Axis = () if layout_of is None or -at > len(layout_of) else layout_of[at]
        sizes = tuple(s[rank + at] for s in out)
        if size == 1:
            axes.append(())
        elif any(f.kind == NEURON for f in there) or (layout_of is None and i == len(shape) - 1):
            axes.append((Factor(NEURON, sizes),))
            wide_dim = i
        else:
            axes.append((Factor(POSITION, (size,) * passes),))
    one_neuron = against is not None and not any(f.kind == NEURON for axis in against.layout for f in axis)
    if wide_dim is None and one_neuron and weight.places.numel() == 1:
        wide_dim = len(shape) - 1 if shape else None
        if wide_dim is None:
            weight, shape, wide_dim = (
                Weight(weight.name, weight.places.reshape(1), weight.scale),
                torch.Size([1]),
                0,
            )
            axes = [()]
    if wide_dim is None:
        reader.refuse(
            op,
            f"the random parameter '{weight.name}' of shape {tuple(shape)} has no axis of neurons where it is added, so "
            "that it stays random at infinite width",
        )
    layout: Layout = tuple(axes)
    by_row = weight.places.movedim(wide_dim, -1).reshape(-1, shape[wide_dim])
    start = by_row - by_row[:, :1]
    if not torch.equal(start, start[:1].expand_as(start)):
        raise Unmatched("it adds rows of a parameter that are cut in different ways")
    _, index = torch.unique(by_row[:, 0], return_inverse=True)
    key = start[0].numpy().tobytes()
    fan_in, role = 0, "rows"
    layers = [t.atom for t in against.terms if isinstance(t.atom, Linear)] if against is not None else []
    if bias and layers and sum(n != 1 for n in shape) <= 1:
        role, fan_in = "bias", layers[0].fan_in
        reader.scales.bias(
            weight.name,
            fan_in,
            grows=isinstance(layers[0].source, Wide) and not isinstance(layers[0], Filter),
        )
    else:
        reader.scales.rows(weight.name)
    rows = by_row[:, 0].clone()
    part = key + (b"" if len(rows) > 1 else rows.numpy().tobytes())
    numbers = index[None] if len(rows) > 1 else torch.zeros(1, 1, dtype=torch.long)
    atom = Rows(len(rows), support(weight.name), weight.name, part, lambda run: numbers, role, fan_in)
    return Wide(layout, positions(layout), (Term(atom, Coefficient()),))


def add_rows(reader: Reader, op: Op, weight: Weight, other: Any, signs: tuple[float, float]) -> Wide:
    """Add a parameter to finite values: data that meet random entries."""
    rows = times(rows_of(reader, op, weight, against=None, bias=False), Coefficient(signs[0] * weight.scale))
    fact = reader.fact(other)
    number = reader.number(other)
    shape = reader.shapes(op.node.outputs[0])
    if number is not None:
        if number != 0:
            rows = plus(reader, op, rows, constant_like(rows, Coefficient(signs[1] * number)))
    elif isinstance(fact, Finite):
        layout = list(rows.layout)
        missing = len(shape[0]) - len(layout)
        layout = [()] * missing + layout
        if fact.layout is None:
            raise Unmatched("axes of the data that it adds cannot be told")
        whole: list[Axis] = []
        for i, axis in enumerate(layout):
            j = i - len(shape[0]) + len(fact.layout)
            own = fact.layout[j] if j >= 0 else ()
            whole.append(axis or own)
        value = Wide(tuple(whole), positions(tuple(whole)), ())
        rows = plus(reader, op, rows, finite_value(reader, op, fact, value, signs[1]))
    return rows


def no_larger(reader: Reader, op: Op, argument: Any, value: Wide) -> bool:
    """Tell whether an operand leaves the shape of a value as it is."""
    if not isinstance(argument, Ref):
        return True
    return reader.shapes(op.node.outputs[0])[0] == tuple(count(axis) for axis in value.layout)


def scaled_by(reader: Reader, op: Op, value: Wide, other: Any, argument: Any, divide: bool = False) -> Wide:
    """Multiply a wide value with a number or finite values."""
    number = reader.number(argument)
    if number is not None and no_larger(reader, op, argument, value):
        growth = reader.growth(op, argument)
        if divide:
            return times(value, Coefficient(1 / number, growth=1 / growth))
        return times(value, Coefficient(number, growth=growth))
    if not isinstance(other, Finite):
        reader.refuse(op, f"it multiplies a wide value with a {type(other).__name__.lower()}")
    ones = finite_value_axes(reader, op, other, value)
    if ones is None:
        reader.refuse(op, "it multiplies neurons with finite numbers that differ from neuron to neuron")
    layout, order, (value, _) = aligned([value, ones])
    coefficient = reader.coefficient(op, other, layout, order)
    assert coefficient is not None, "numbers do not differ from neuron to neuron"
    if divide:
        coefficient = Coefficient(
            1 / coefficient.scale, tuple(Leaf(_reciprocal(leaf)) for leaf in coefficient.leaves)
        )
    return times(value, coefficient)


def _reciprocal(leaf: Leaf) -> Any:
    return lambda run: 1 / run.read(leaf)


def finite_value_axes(reader: Reader, op: Op, finite: Finite, value: Wide) -> Wide | None:
    """Return a value without terms that has a finite value's axes; None where it differs from neuron to neuron."""
    found = finite_value(reader, op, finite, value, 1.0)
    if any(isinstance(t.atom, Field) for t in found.terms):
        return None
    return Wide(found.layout, found.order, ())
