"""Tensors that are made in the shape of others, and copies into them."""

from __future__ import annotations

import math

import torch
from torch.utils._pytree import tree_map_only

from similitude.kernels.facts import Finite
from similitude.kernels.labels import Layout, count
from similitude.kernels.layouts import expanded
from similitude.kernels.program import Op, PerSample
from similitude.kernels.reader import Reader, rule
from similitude.kernels.rules_move import wide
from similitude.kernels.run import Run
from similitude.kernels.values import Wide

_FILL = {"zeros": 0.0, "ones": 1.0, "empty": 0.0}


@rule(
    "empty_like", "zeros_like", "ones_like", "full_like", "new_empty", "new_zeros", "new_ones", "new_full",
    "new_empty_strided",
)  # fmt: skip
def fresh(reader: Reader, op: Op) -> None:
    """Make a constant tensor; one without values counts as zeros until it is written."""
    kind = op.name.removeprefix("new_").removesuffix("_strided").removesuffix("_like")
    fill = float(op.args[-1]) if kind == "full" else _FILL[kind]
    (index,) = op.node.outputs
    before = reader.program.seen[index]
    seen = torch.full_like(before, fill, dtype=before.dtype)
    reader.remember(index, seen)
    shapes = reader.shapes(index)
    per_sample = [
        PerSample(a - 2 * (b - a), b - a) if a != b else a for a, b in zip(shapes[0], shapes[1], strict=True)
    ]

    def step(run: Run) -> None:
        sizes = tree_map_only(PerSample, lambda s: s.base + s.slope * run.samples, per_sample)
        run.values[index] = torch.full(sizes, fill, dtype=seen.dtype, device=run.device)

    source = reader.facts[op.node.inputs[0]]
    layout: Layout | None = reader.fresh(index)
    if (isinstance(source, Wide) and op.name.endswith("_like")) or (
        isinstance(source, Finite) and op.name.endswith("_like")
    ):
        layout = source.layout
    reader.facts[index] = Finite(index, layout)
    reader.steps.append(step)


@rule("copy")
def copy(reader: Reader, op: Op) -> None:
    """Write one value over another."""
    target, source = op.node.inputs[0], wide(reader, op, reader.facts[op.node.inputs[1]])
    shapes = reader.shapes(target)
    layout = expanded(source.layout, shapes)
    if [count(axis) for axis in layout] != [math.prod(s) for s in zip(shapes[0], strict=True)] or any(
        f.key not in {g.key for g in source.order} and f.kind == "position" for axis in layout for f in axis
    ):
        reader.refuse(op, "it repeats a value in a copy")
    reader.put(op, Wide(layout, source.order, source.terms, source.root, source.function))
