"""Values that are made of parameters and constants alone, and the numbers that operations multiply by."""

from __future__ import annotations

import math
from dataclasses import replace

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.dims import moved, pad, unknown
from similitude.scaling.dataflow.facts import CONSTANT, Flow, Weight
from similitude.scaling.dataflow.ops import contraction
from similitude.scaling.dataflow.trace import Node


def derived(node: Node, flow: Flow) -> Weight:
    """Tell what a value is made of that depends on parameters and constants alone."""
    values, facts = flow.trace.values, flow.facts
    rank = len(values[node.outputs[0]].shape)
    inputs = [facts[v] for v in node.inputs]
    parts = [(v, f.weight) for v, f in zip(node.inputs, inputs, strict=True) if f.weight is not None]
    _, first = parts[0]
    how = frozenset().union(*(w.how for _, w in parts))
    names = {name for _, w in parts for name in w.dims}
    blank = {name: unknown(rank) for name in names}
    if node.op == "_weight_norm_interface" and len(parts) == 2:
        direction, gain = first, parts[1][1]
        return Weight(direction.dims, how, direction.scale, next(iter(gain.dims)))
    found = contraction(node, {v: len(values[v].shape) for v in node.inputs})
    sides = (found.left, found.right) if found is not None else ()
    if sum(facts[side.value].weight is not None for side in sides) == 1:
        return Weight(blank, how | {CONSTANT}, first.scale)  # with its bias, if it has one
    if node.op in ops.SHAPE and len(parts) == 1:
        shape, new = values[node.inputs[0]].shape, values[node.outputs[0]].shape
        return replace(first, dims={n: moved(node, d, shape, new) for n, d in first.dims.items()})
    if node.op in ops.JOIN:
        dims = {n: d for _, w in parts for n, d in w.dims.items()}
        stacked = {n: ((None, *d) if node.op == "stack" else d) for n, d in dims.items()}
        return Weight(stacked, how, first.scale)
    if node.op in (*ops.MUL, *ops.DIV, "neg") and len(parts) == 1:
        constant = constant_of(node, flow)
        scale = first.scale if constant is None else first.scale * constant
        return replace(first, scale=scale, dims=first.dims if _same_rank(rank, first) else blank)
    if node.op in ops.ADD and len(parts) == 2:
        dims = {n: d for _, w in parts for n, d in w.dims.items()}
        return Weight({n: pad(d, rank) for n, d in dims.items()}, how, first.scale)
    if len(parts) > 1:
        normalized = set(first.dims) == set(parts[1][1].dims) and node.op in (*ops.DIV, *ops.MUL)
        if normalized and _same_rank(rank, first):
            whole = math.prod(values[parts[1][0]].shape) == 1 and parts[1][1].how & (ops.NORMS | {"sum"})
            return Weight(
                first.dims, frozenset({"norm of all entries" if whole else "normalized"}), first.scale
            )
        return Weight(blank, how | {f"product ({node.op})"}, first.scale)
    dims = first.dims if _same_rank(rank, first) else blank
    return replace(first, dims=dims, how=how | {node.op})


def constant_of(node: Node, flow: Flow) -> float | None:
    """Return the number that a node multiplies its tensor by; None where it is no single number."""
    numbers = [a for a in node.args[:2] if isinstance(a, int | float) and not isinstance(a, bool)]
    items = [
        flow.trace.values[v].item
        for v in node.inputs
        if not flow.facts[v].active and flow.facts[v].weight is None
    ]
    known: list[float] = [float(n) for n in numbers] + [i for i in items if i is not None]
    if node.op == "neg":
        return -1.0
    if len(known) != 1:
        return None
    if node.op in ops.DIV:
        return 1.0 / known[0] if known[0] else None
    return known[0]


def keyword(node: Node, name: str) -> float:
    """Return a number that an operation multiplies one of its terms by; 1 where it is not given."""
    given = node.kwargs.get(name, 1)
    return float(given) if isinstance(given, int | float) and given else 1.0


def _same_rank(rank: int, weight: Weight) -> bool:
    return all(len(d) == rank for d in weight.dims.values())
