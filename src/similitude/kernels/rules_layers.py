"""Layers with a random matrix: linear ones, convolutions, embeddings; each makes a Gaussian."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from similitude.kernels.entries import plus, times
from similitude.kernels.facts import Finite, Weight
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
from similitude.kernels.moves import reordered
from similitude.kernels.operands import rows_of, shifted_by
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import Coefficient, Data, Leaf, Linear, Rows, Taps, Term, Wide, support
from similitude.scaling.dataflow.trace import Ref


def contracted(
    reader: Reader, op: Op, argument: Any, axis: int, weight: Weight, rows: Tensor, *, out_axis: int
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
    fact = reader.fact(argument)
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
    reader.says(note + (", taken as Gaussian" if isinstance(source, Data) and "uniform" in note else ""))
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
    """Refuse a parameter that is used in two ways, e.g. as a matrix and as its transpose."""
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
    """Multiply batches of matrices of which one is the same random matrix in all."""
    weight = reader.fact(right)
    if not isinstance(weight, Weight):
        reader.refuse(op, "it multiplies batches with a random matrix on the left")
    places = weight.places
    while places.dim() > 2:
        if not torch.equal(places, places[:1].expand_as(places)):
            reader.refuse(
                op, f"it multiplies with another part of '{weight.name}' at each position, which has no rule"
            )
        places = places[0]
    return contracted(reader, op, left, _rank(reader, left) - 1, weight, places.T, out_axis=-1)


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


@rule("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution")
def convolution(reader: Reader, op: Op) -> None:
    """Contract channels and a window of positions."""
    x, w, bias, stride, padding, dilation, transposed, output_padding, groups = op.args[:9]
    weight, fact = reader.fact(w), reader.fact(x)
    if not isinstance(weight, Weight):
        reader.refuse(op, "its filter is not a random parameter")
    if isinstance(padding, str):
        reader.refuse(op, f"padding={padding!r} has no rule")
    places = weight.places
    out_channels, in_channels = (
        (places.shape[1] * groups, places.shape[0])
        if transposed
        else (
            places.shape[0],
            places.shape[1] * groups,
        )
    )
    kernel = tuple(places.shape[2:])
    dims = len(kernel)
    stride, padding, dilation = (tuple(v) * (dims if len(v) == 1 else 1) for v in (stride, padding, dilation))
    shapes = reader.shapes(x.value)
    for s in shapes:
        if tuple(s[2:]) != tuple(shapes[0][2:]):
            raise Unmatched("positions of a grid grow with the width or the samples")
    sizes = tuple(shapes[0][2:])
    out = tuple(reader.shapes(op.node.outputs[0])[0][2:])
    index = window(sizes, out, kernel, stride, padding, dilation, transposed=bool(transposed))
    spatial = None
    if not transposed:
        spatial = (sizes, kernel, stride, padding, dilation)
    fan_in = in_channels // groups * math.prod(kernel)
    if in_channels // groups == 1 and groups > 1:
        reader.refuse(
            op,
            f"each of its {groups} groups has one channel: a depthwise convolution multiplies the neurons with "
            "random numbers of their own, which gives neither a Gaussian nor a function of one",
        )
    if reader.program.wider and groups > 1:
        _fixed_groups(reader, op, weight, transposed)
    reader.scales.matrix(weight.name, fan_in, scale=weight.scale, grows=isinstance(fact, Wide))
    use(reader, op, weight, places.flatten(1))
    part = places.contiguous().numpy().tobytes()
    neurons = Factor(NEURON, reader.out_sizes(op, 1))
    grid = tuple(Factor(POSITION, (n,) * len(shapes)) for n in out)
    if isinstance(fact, Wide):
        check_growth(reader, op, fact, 1)
        inside = tuple(f for f in fact.layout[1] if f.kind == POSITION)
        if inside and groups > 1:
            reader.refuse(op, "its groups read channels of different laws")
        spatial_factors = tuple(f for axis in fact.layout[2:] for f in axis)
        value = reordered(fact, (*inside, *spatial_factors))
        if inside:
            kinds = count(inside)
            steps = torch.arange(kinds)[None, :, None] * math.prod(sizes)
            index = torch.where(index[:, None] < 0, -1, index[:, None] + steps).flatten(1)
            spatial = None
        source: Wide | Data = value
        samples = fact.layout[0]
        taps: Taps | None = Taps(index, spatial)
        if (
            math.prod(kernel) == 1
            and spatial is not None
            and torch.equal(index[:, 0], torch.arange(len(index)))
            and (value.positions == len(index))
        ):
            taps = None
    elif isinstance(fact, Finite):
        if groups > 1:
            reader.refuse(
                op, "groups of a convolution that read different channels of the data have different laws"
            )
        if fact.layout is None:
            raise Unmatched("which axes of its operand count samples cannot be told")
        channels = Factor(NEURON, tuple(s[1] for s in shapes))
        labelled = (fact.layout[0], (channels,), *fact.layout[2:])
        pixels, number = positions(labelled), fact.index

        def read(run: Run) -> Tensor:
            found = gathered(run, run.value(number), labelled, pixels, neurons=True).to(run.dtype)
            found = found.expand(found.shape[0], math.prod(sizes), found.shape[2])
            padded = torch.cat([found, found.new_zeros(found.shape[0], 1, found.shape[2])], 1)
            return padded[:, index.flatten()].reshape(found.shape[0], len(index), -1)

        source, samples, taps = Data(len(index), channels.size * index.shape[1], read), fact.layout[0], None
    else:
        reader.refuse(op, f"it contracts a {type(fact).__name__.lower()} with a random filter")
    atom = Linear(len(index), support(weight.name), weight.name, part, source, taps, fan_in)
    layout: Layout = (samples, (neurons,), *((g,) if g.size > 1 else () for g in grid))
    order = tuple(g for g in grid if g.size > 1)
    kind = "transposed convolution" if transposed else "convolution"
    reader.says(f"{kind} with '{weight.name}', {reader.scales.notes[weight.name, 'matrix']}")
    value = Wide(layout, order, (Term(atom, Coefficient()),))
    if bias is not None:
        value = _with_channel_bias(reader, op, value, bias)
    del out_channels, output_padding
    reader.put(op, value)


def _fixed_groups(reader: Reader, op: Op, weight: Weight, transposed: bool) -> None:
    wider = reader.program.wider[weight.name].shape
    if wider[0 if transposed else 1] == weight.places.shape[0 if transposed else 1]:
        reader.refuse(
            op, "the channels of a group do not grow with the width, so that each group stays random"
        )


def _with_channel_bias(reader: Reader, op: Op, value: Wide, bias: Any) -> Wide:
    fact = reader.fact(bias)
    if isinstance(fact, Weight):
        shape = (-1, *[1] * (len(value.layout) - 2))
        fact = Weight(fact.name, fact.places.reshape(shape), fact.scale)
        rows = rows_of(reader, op, fact, against=value, bias=True)
        return plus(reader, op, value, times(rows, Coefficient(fact.scale)))
    number = reader.number(bias)
    if number == 0:
        return value
    if number is None:
        reader.refuse(op, "its bias is finite and differs between channels")
    return shifted_by(reader, op, value, number, number, 1.0)


def window(
    sizes: tuple[int, ...],
    out: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    *,
    transposed: bool,
) -> Tensor:
    """Return which position every position of a convolution reads at every tap, (positions, taps), -1 outside."""
    rows = []
    for place in itertools.product(*map(range, out)):
        row = []
        for tap in itertools.product(*map(range, kernel)):
            index = 0
            for size, q, t, s, p, d in zip(sizes, place, tap, stride, padding, dilation, strict=True):
                if transposed:
                    at, left = divmod(q + p - t * d, s)
                    inside = left == 0 and 0 <= at < size
                else:
                    at = q * s - p + t * d
                    inside = 0 <= at < size
                index = index * size + at if inside and index >= 0 else -1
            row.append(index)
        rows.append(row)
    return torch.tensor(rows).reshape(len(rows), -1)
