"""Sums and means: over positions a value of the same kind, over infinitely many neurons a finite number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from similitude.kernels.entries import times
from similitude.kernels.labels import (
    NEURON,
    POSITION,
    SAMPLE,
    Axis,
    Factor,
    Layout,
    Unmatched,
    count,
    grow,
    positions,
)
from similitude.kernels.moves import reordered
from similitude.kernels.program import Op
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_layers import check_growth
from similitude.kernels.rules_move import wide
from similitude.kernels.run import Run, spread
from similitude.kernels.values import Coefficient, Mix, One, Term, Wide
from similitude.scaling.dataflow.trace import Ref

POOLS = (
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool1d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "cumsum",
)  # fmt: skip


def mix(reader: Reader, value: Wide, layout: Layout, matrix: Tensor) -> Wide:
    """Return sums over the stored positions of a value, by a matrix (positions, new positions)."""
    order = positions(layout)
    held = matrix.contiguous()

    def read(run: Run) -> Tensor:
        return held.to(run.dtype)

    # Of the same input of another sum the matrix has to be the same object, so that it is made once.
    atom = Mix(count(order), value.support, value, read)
    reader.says("sum over positions")
    return Wide(layout, order, (Term(atom, Coefficient()),))


def _dims(op: Op, rank: int) -> list[int]:
    dims = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim")
    if dims is None or dims == []:
        return list(range(rank))
    return sorted(d % rank for d in ([dims] if isinstance(dims, int) else dims))


def _keeps(op: Op) -> bool:
    return bool(op.args[2] if len(op.args) > 2 else op.kwargs.get("keepdim", False))


def after(layout: Layout, dims: list[int], keep: bool) -> Layout:
    """Return the axes after a sum over some of them."""
    return tuple(() if i in dims else axis for i, axis in enumerate(layout) if keep or i not in dims)


@rule("mean", "sum")
def mean(reader: Reader, op: Op) -> None:
    """Sum over axes."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    dims = _dims(op, len(value.layout))
    keep = _keeps(op)
    inside = [f for d in dims for f in value.layout[d]]
    if any(f.kind == SAMPLE for f in inside):
        reader.refuse(op, "it sums over samples, so that there is no kernel of two of them")
    if not any(f.kind == NEURON for f in inside):
        _fixed_number(reader, op, inside)
        total = count(inside) if op.name == "mean" else 1
        reader.put(op, summed(reader, value, dims, keep, 1 / total))
        return
    over_neurons(reader, op, value, dims, keep)


def _fixed_number(reader: Reader, op: Op, inside: Sequence[Factor]) -> None:
    if grow(inside):
        reader.refuse(
            op,
            f"it sums over {count(inside)} heads or groups, whose number grows with the width beside their size",
        )


def summed(reader: Reader, value: Wide, dims: list[int], keep: bool, weight: float) -> Wide:
    """Sum over axes of positions."""
    inside = {f.key for d in dims for f in value.layout[d]}
    gone = tuple(f for f in value.order if f.key in inside)
    rest = tuple(f for f in value.order if f.key not in inside)
    layout = after(value.layout, dims, keep)
    if not gone:
        return times(Wide(layout, value.order, value.terms, value.root, value.function), Coefficient(weight))
    value = reordered(value, (*gone, *rest))
    matrix = torch.eye(count(rest), dtype=torch.float64).repeat(count(gone), 1) * weight
    found = mix(reader, value, layout, matrix)
    return Wide(layout, rest, found.terms)


def over_neurons(reader: Reader, op: Op, value: Wide, dims: list[int], keep: bool) -> None:
    """Average over neurons: a finite number, the expectation."""
    for d in dims:
        if any(f.kind == NEURON for f in value.layout[d]):
            check_growth(reader, op, value, d)
    layout = after(value.layout, dims, keep)
    inside = {f.key for d in dims for f in value.layout[d]}
    size = count(f for d in dims for f in value.layout[d]) if op.name == "sum" else 1
    number = mean_number(value)
    if number is not None and (op.name == "mean" or number == 0):
        index = op.node.outputs[0]
        reader.remember(index, torch.full(reader.shapes(index)[0], number, dtype=torch.float64))
        reader.constant(op, layout, number)
        return
    if op.name == "sum" and reader.program.wider:
        reader.refuse(op, "it sums over infinitely many neurons without dividing by their number")

    def compute(run: Run) -> Tensor:
        found = run.mean(value)
        found = run.zeros((1, 1)) if found is None else found
        found = averaged(found, value, inside) * size
        return spread(run, found, layout, [f for f in value.order if f.key not in inside])

    reader.says("mean over neurons: its expectation")
    reader.finite(op, 0, layout, compute)


def mean_number(value: Wide) -> float | None:
    """Return the mean of a Gaussian value where it is one number for all samples and positions."""
    if not value.gaussian:
        return None
    ones = [t for t in value.terms if isinstance(t.atom, One)]
    if any(t.coefficient.leaves or (t.where is not None and bool((t.where < 0).any())) for t in ones):
        return None
    if any(isinstance(t.atom, Mix) for t in value.terms):
        return None
    return sum(t.coefficient.scale for t in ones)


def averaged(values: Tensor, value: Wide, inside: set[int]) -> Tensor:
    """Average numbers (n or 1, positions or 1) over some factors of the positions."""
    if values.shape[1] == 1:
        return values
    dims = [i + 1 for i, f in enumerate(value.order) if f.key in inside]
    found = values.reshape(-1, *(f.size for f in value.order))
    return found.mean(dims).reshape(len(values), -1) if dims else values


def moments(
    reader: Reader,
    op: Op,
    value: Wide,
    dims: list[int],
    keep: bool,
    finish: Callable[[Tensor, Tensor, Run], Tensor],
) -> tuple[Layout, Callable[[Run], Tensor]]:
    """Return what computes a function of the mean and of the mean square over neurons as a tensor of the module."""
    for d in dims:
        if any(f.kind == NEURON for f in value.layout[d]):
            check_growth(reader, op, value, d)
    layout = after(value.layout, dims, keep)
    inside = {f.key for d in dims for f in value.layout[d]}
    order = [f for f in value.order if f.key not in inside]

    def compute(run: Run) -> Tensor:
        mean = run.mean(value)
        mean = run.zeros((1, 1)) if mean is None else averaged(mean, value, inside)
        square = averaged(run.variance(value), value, inside)
        return spread(run, finish(mean, square, run), layout, order)

    return layout, compute


@rule("var", "std", "var_mean", "std_mean", "linalg_vector_norm", "norm")
def variance(reader: Reader, op: Op) -> None:
    """Take the variance, or the length, over neurons."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    rank = len(value.layout)
    if op.name in ("linalg_vector_norm", "norm"):
        power = op.args[1] if len(op.args) > 1 else 2
        dims = op.args[2] if len(op.args) > 2 and op.args[2] is not None else list(range(rank))
        keep = bool(op.args[3]) if len(op.args) > 3 else bool(op.kwargs.get("keepdim", False))
        if power != 2:
            reader.refuse(op, f"a norm of power {power} has no rule")
    else:
        dims = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim")
        keep = bool(op.kwargs.get("keepdim", False))
    dims = sorted(
        d % rank for d in (range(rank) if dims is None else [dims] if isinstance(dims, int) else dims)
    )
    inside = [f for d in dims for f in value.layout[d]]
    if any(f.kind == SAMPLE for f in inside) or not any(f.kind == NEURON for f in inside):
        reader.refuse(
            op, "a variance over samples or positions alone is random at infinite width, and has no rule"
        )
    size = count(inside)
    if op.name in ("linalg_vector_norm", "norm"):
        if reader.program.wider:
            reader.refuse(
                op, "the length of infinitely many neurons is infinite", "Divide by the root of their number."
            )
        finish = lambda mean, square, run: (square * size).sqrt()  # noqa: E731
    elif op.name.startswith("std"):
        finish = lambda mean, square, run: (square - mean.square()).sqrt()  # noqa: E731
    else:
        finish = lambda mean, square, run: square - mean.square()  # noqa: E731
    reader.says("moment over neurons: its expectation")
    layout, compute = moments(reader, op, value, dims, keep, finish)
    reader.finite(op, 0, layout, compute)
    if op.name.endswith("_mean"):
        layout, compute = moments(
            reader, op, value, dims, keep, lambda mean, square, run: mean.expand_as(square)
        )
        reader.finite(op, 1, layout, compute)


@rule(*POOLS)
def pool(reader: Reader, op: Op) -> None:
    """Apply an operation that is linear over a grid of positions."""
    value = wide(reader, op, reader.facts[op.node.inputs[0]])
    shapes = reader.shapes(op.node.outputs[0])
    if op.name == "cumsum":
        dim = op.args[1] % len(value.layout)
        axes = [dim]
    else:
        axes = list(range(2, len(value.layout)))
        if len(shapes[0]) != len(value.layout) or len(value.layout) < 3:
            raise Unmatched("a grid without samples or channels")
    inside = tuple(f for d in axes for f in value.layout[d])
    if any(f.kind != POSITION for f in inside):
        raise Unmatched("it sums over samples or neurons")
    _fixed_number(reader, op, inside)
    rest = tuple(f for f in value.order if f.key not in {g.key for g in inside})
    value = reordered(value, (*rest, *inside))
    number = count(inside)
    grid = [math.prod(f.size for f in value.layout[d]) for d in axes]
    basis = torch.eye(number, dtype=torch.float64)
    arguments = tree_map_only(Ref, lambda r: None, (op.args[1:], op.kwargs))
    assert op.func is not None, "a recorded operation"
    if op.name == "cumsum":
        made = op.func(basis.reshape(number, *grid), 1)
    else:
        made = op.func(basis.reshape(number, 1, *grid), *arguments[0], **arguments[1])
    matrix = made.reshape(number, -1)
    if rest:
        matrix = torch.kron(torch.eye(count(rest), dtype=torch.float64), matrix)
    new: list[Axis] = []
    for d, axis in enumerate(value.layout):
        size = shapes[0][d]
        new.append(axis if d not in axes else () if size == 1 else (Factor(POSITION, (size,) * len(shapes)),))
    layout = tuple(new)
    found = mix(reader, value, layout, matrix)
    order = (*rest, *(f for d in axes for f in layout[d]))
    reader.put(op, Wide(layout, order, found.terms))


@rule(
    "max_pool2d_with_indices",
    "max_pool1d",
    "max_pool2d",
    "adaptive_max_pool2d",
    "max_pool3d_with_indices",
    "amax",
)
def maximum(reader: Reader, op: Op) -> None:
    """Refuse maxima of several Gaussians."""
    reader.refuse(
        op,
        "the maximum of several Gaussians has no closed form",
        "Average pooling, or a stride, has one.",
    )
