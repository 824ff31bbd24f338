"""Convolutions: random matrices over channels and a window of positions, in groups of channels, or of single ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from similitude.kernels.entries import plus, times
from similitude.kernels.facts import Finite, Weight
from similitude.kernels.labels import NEURON, POSITION, Factor, Layout, Unmatched, count, positions
from similitude.kernels.moves import reordered
from similitude.kernels.operands import drawn_bias, rows_of, shifted_by
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_layers import check_growth, use
from similitude.kernels.run import Run, gathered
from similitude.kernels.values import Coefficient, Data, Filter, Linear, Taps, Term, Wide, support


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
    few = groups > 1 and _few_channels(op, shapes, groups)
    reader.scales.matrix(weight.name, fan_in, scale=weight.scale, grows=isinstance(fact, Wide) and not few)
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
    kind = "transposed convolution" if transposed else "convolution"
    own = support(weight.name)
    if few and isinstance(source, Wide):
        kind = f"{kind} of {'single' if in_channels == groups else 'few'} neurons each"
        atom = Filter(len(index), own | source.support, weight.name, part, source, taps, fan_in)
    else:
        atom = Linear(len(index), own, weight.name, part, source, taps, fan_in)
    layout: Layout = (samples, (neurons,), *((g,) if g.size > 1 else () for g in grid))
    order = tuple(g for g in grid if g.size > 1)
    reader.says(f"{kind} with '{weight.name}', {reader.scales.notes[weight.name, 'matrix']}")
    value = Wide(layout, order, (Term(atom, Coefficient()),))
    if bias is not None:
        value = _with_channel_bias(reader, op, value, bias)
    del out_channels, output_padding
    reader.put(op, value)


def _few_channels(op: Op, shapes: Sequence[Sequence[int]], groups: int) -> bool:
    """Tell whether a group has a fixed number of channels: one, or as many at every width."""
    here = shapes[0][1] // groups
    return here == 1 or (op.wider is not None and shapes[-1][1] // op.wider.args[8] == here)


def _with_channel_bias(reader: Reader, op: Op, value: Wide, bias: Any) -> Wide:
    fact = drawn_bias(reader, value, reader.fact(bias), reader.number(bias))
    if isinstance(fact, Weight):
        shape = (-1, *[1] * (len(value.layout) - 2))
        fact = Weight(fact.name, fact.places.reshape(shape), fact.scale)
        rows = rows_of(reader, op, fact, against=value, bias=True)
        value = plus(reader, op, value, times(rows, Coefficient(fact.scale)))
        number = reader.scales.start(fact.name)
    else:
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
