"""Normalizations: averages over infinitely many neurons do not fluctuate, so that they divide by finite numbers."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from similitude.kernels.entries import times
from similitude.kernels.labels import NEURON, SAMPLE
from similitude.kernels.operands import scaled_by, shifted_by
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_layers import check_growth
from similitude.kernels.rules_move import wide
from similitude.kernels.rules_sums import averaged
from similitude.kernels.run import Run
from similitude.kernels.values import ONE, Coefficient, Leaf, One, Term, Wide, centred


def normalized(reader: Reader, op: Op, value: Wide, inside: set[int], eps: float, *, centre: bool) -> Wide:
    """Subtract the mean (where `centre`) and divide by the root of the variance, over neurons and some positions."""

    def mean_of(run: Run) -> Tensor:
        mean = run.mean(value)
        mean = run.zeros((1, 1)) if mean is None else mean
        return _back(averaged(mean, value, inside), value, inside)

    def inverse(run: Run) -> Tensor:
        square = averaged(run.variance(value), value, inside)
        if centre:
            mean = run.mean(value)
            if mean is not None:
                square = square - averaged(mean, value, inside).square()
        return _back((square + eps).rsqrt(), value, inside)

    found = value
    if centre and not centred(value):
        where = torch.zeros(value.positions, dtype=torch.long)
        term = Term(ONE, Coefficient(-1.0, (Leaf(mean_of),)), where)
        found = without_mean(value, inside) or Wide(value.layout, value.order, (*value.terms, term))
    found = times(found, Coefficient(1.0, (Leaf(inverse),)))
    reader.says("normalization by expectations over neurons")
    return found


def without_mean(value: Wide, inside: set[int]) -> Wide | None:
    """Return a Gaussian without its mean where that is all in constants that the mean over `inside` takes away."""
    rest = tuple(t for t in value.terms if not isinstance(t.atom, One))
    if (
        inside
        or not value.gaussian
        or not centred(Wide(value.layout, value.order, rest))
        or any(t.where is not None and bool((t.where < 0).any()) for t in value.terms)
    ):
        return None
    return Wide(value.layout, value.order, rest)


def _back(values: Tensor, value: Wide, inside: set[int]) -> Tensor:
    """Repeat averages over some positions at all of them."""
    if values.shape[1] == 1:
        return values
    rest = [f.size if f.key not in inside else 1 for f in value.order]
    full = [f.size for f in value.order]
    return values.reshape(-1, *rest).expand(-1, *full).reshape(len(values), -1)


def affine(reader: Reader, op: Op, value: Wide, weight: Any, bias: Any, *, channels: bool) -> Wide:
    """Multiply with gains and add biases that are one number each at the beginning."""
    for argument, multiply in ((weight, True), (bias, False)):
        if argument is None:
            continue
        number = reader.number(argument)
        if number is None:
            name = reader.program.values[argument.value].name
            if not multiply and not channels:
                value = shifted_by(reader, op, value, reader.fact(argument), argument, 1.0)
                continue
            reader.refuse(
                op,
                f"its {'gain' if multiply else 'bias'} '{name}' differs from neuron to neuron, which has no rule",
                "Start it at one number, as PyTorch does.",
            )
        if multiply:
            value = scaled_by(reader, op, value, None, number)
        elif number != 0:
            value = shifted_by(reader, op, value, number, number, 1.0)
    return value


@rule("native_layer_norm", "layer_norm")
def layer_norm(reader: Reader, op: Op) -> None:
    """Normalize over the last axes."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    shape, weight, bias, eps = op.args[1:5]
    dims = range(len(value.layout) - len(shape), len(value.layout))
    _over_neurons(reader, op, value, dims)
    inside = {f.key for d in dims for f in value.layout[d]}
    found = normalized(reader, op, value, inside, float(eps), centre=True)
    reader.put(op, affine(reader, op, found, weight, bias, channels=False))


@rule("_fused_rms_norm", "rms_norm")
def rms_norm(reader: Reader, op: Op) -> None:
    """Divide by the root mean square over the last axes."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    shape = op.args[1]
    weight = op.args[2] if len(op.args) > 2 else None
    eps = op.args[3] if len(op.args) > 3 else None
    dims = range(len(value.layout) - len(shape), len(value.layout))
    _over_neurons(reader, op, value, dims)
    inside = {f.key for d in dims for f in value.layout[d]}
    small = torch.finfo(torch.float64).eps if eps is None else float(eps)
    found = normalized(reader, op, value, inside, small, centre=False)
    reader.put(op, affine(reader, op, found, weight, None, channels=False))


def _over_neurons(reader: Reader, op: Op, value: Wide, dims: Any) -> None:
    factors = [f for d in dims for f in value.layout[d]]
    if any(f.kind == SAMPLE for f in factors):
        reader.refuse(op, "it normalizes over samples")
    for d in dims:
        if any(f.kind == NEURON for f in value.layout[d]):
            check_growth(reader, op, value, d)
            return
    reader.refuse(op, "it normalizes over positions alone, of which there are finitely many: a random scale")


@rule("native_group_norm", "group_norm")
def group_norm(reader: Reader, op: Op) -> None:
    """Normalize over groups of channels and all positions."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    weight, bias = op.args[1], op.args[2]
    groups, eps = (op.args[6], op.args[7]) if op.name == "native_group_norm" else (op.args[1], op.args[4])
    check_growth(reader, op, value, 1)
    channels = [s[1] for s in reader.shapes(op.node.inputs[0])]
    if reader.program.wider and len(op.node.outputs) > 1:
        numbers = [math.prod(s[1:]) for s in reader.shapes(op.node.outputs[1])]
        if channels[0] // numbers[0] == channels[-1] // numbers[-1]:
            reader.refuse(
                op, "channels of a group do not grow with the width, so that its scale stays random"
            )
    if len(value.layout[1]) > 1 and groups > 1:
        reader.refuse(op, "its groups have channels of different laws")
    if channels[0] == groups and groups > 1:
        reader.refuse(
            op, "each group has one channel (an instance norm), whose scale stays random at infinite width"
        )
    inside = {f.key for axis in value.layout[1:] for f in axis}
    found = normalized(reader, op, value, inside, float(eps), centre=True)
    reader.put(op, affine(reader, op, found, weight, bias, channels=True))


@rule(
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit",
    "cudnn_batch_norm",
)
def batch_norm(reader: Reader, op: Op) -> None:
    """Normalize channels: with the running statistics in eval mode, with those of the batch in training."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    weight, bias, mean, var = op.args[1:5]
    train = op.name != "_native_batch_norm_legit_no_training" and bool(op.args[5])
    eps = float(op.args[-1])
    if train:
        from similitude.kernels.rules_batch_norm import train_mode

        found = train_mode(reader, op, value, eps)
        reader.put(op, affine(reader, op, found, weight, bias, channels=True))
        reader.says("batch norm with the statistics of the batch")
        return
    numbers = [reader.number(mean), reader.number(var)]
    if None in numbers:
        reader.refuse(
            op,
            "its running statistics differ from channel to channel: a trained network has no kernel at initialization",
            "Reset them, or call .train() for the statistics of the batch.",
        )
    centre, spread = (float(x) for x in numbers if x is not None)
    reader.says("batch norm with running statistics")
    found = shifted_by(reader, op, value, -centre, -centre, 1.0) if centre else value
    found = times(found, Coefficient((spread + eps) ** -0.5))
    reader.put(op, affine(reader, op, found, weight, bias, channels=True))
