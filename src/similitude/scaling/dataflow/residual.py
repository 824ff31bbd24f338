"""Residual branches of a traced pass: additions in which one side descends from the other through a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.weights import constant_of
from similitude.scaling.records import Branch


@dataclass(frozen=True)
class Residual:
    """One residual addition of a pass.

    Attributes:
        add: Its node.
        stream: The value that passes unchanged.
        value: The branch's value.
        start: Node that the branch starts from.
        branch: The tensors of the branch.
        scale: Constant by which the stream itself is multiplied before the addition.
        roots: Values that the stream is a sum of.
    """

    add: int
    stream: int
    value: int
    start: int
    branch: Branch
    scale: float = 1.0
    roots: frozenset[int] = frozenset()


@dataclass(frozen=True)
class _Found:
    """An addition that is residual, before its tensors are known."""

    add: int
    stream: int
    value: int
    start: int
    scale: float
    roots: frozenset[int]


def branches(found: tuple[Residual, ...]) -> tuple[Branch, ...]:
    """List the branches of residual additions by their tensors, each once."""
    return tuple(dict.fromkeys(residual.branch for residual in found))


def residuals(flow: Flow) -> tuple[Residual, ...]:
    """Find the residual additions of a pass, in its order.

    An addition is residual where one operand, or a summand of it, is an ancestor of the other operand through
    at least one contraction. Concatenation, gates and polynomials such as x + x^3 are not; nor is an addition of a
    stream and an earlier state of itself, as in skips over many blocks.
    """
    producer = producers(flow)
    found = []
    for add in flow.adds:
        left, right = flow.trace.nodes[add].inputs[:2]
        for stream, branch in ((left, right), (right, left)):
            roots, scale = _identity(flow, stream, producer)
            start = _between(flow, roots, branch, producer)
            if start is not None and not roots & flow.facts[branch].skips:
                found.append(_Found(add, stream, branch, start, scale, roots))
                break
    adds = frozenset(each.add for each in found)
    reads: dict[int, list[int]] = {}
    for node in flow.trace.nodes:
        for value in node.inputs:
            reads.setdefault(value, []).append(node.index)
    return tuple(
        Residual(f.add, f.stream, f.value, f.start, _branch(flow, f, reads, adds), f.scale, f.roots)
        for f in found
    )


def producers(flow: Flow) -> dict[int, int]:
    """Return the node that made each value. Parts of one value have theirs in common, and are left out."""
    return {
        value: node.index
        for node in flow.trace.nodes
        if node.op not in ops.SHAPE or len(node.outputs) == 1
        for value in node.outputs
    }


def _identity(flow: Flow, value: int, producer: Mapping[int, int]) -> tuple[frozenset[int], float]:
    """Return the values that a stream is a sum of, and the constant that multiplies it before the addition."""
    roots, scale = flow.facts[value].skips | {flow.facts[value].root}, 1.0
    while True:
        node = (
            flow.trace.nodes[producer[flow.facts[value].root]] if flow.facts[value].root in producer else None
        )
        if node is None:
            return roots, scale
        active = [v for v in node.inputs if flow.facts[v].active]
        plain = all(flow.facts[v].weight is None for v in node.inputs)
        number = (
            constant_of(node, flow) if plain and len(active) == 1 and active[0] == node.inputs[0] else None
        )
        if number is None and plain and len(active) == 1 and node.op not in ops.DIV:
            number = constant_of(node, flow)
        if (
            number is None
            or node.op not in ops.MUL | ops.DIV | ops.ADD
            or (node.op in ops.ADD and number != 0)
        ):
            return roots, scale
        scale *= 1.0 if node.op in ops.ADD else number
        value = active[0]
        roots |= flow.facts[value].skips | {flow.facts[value].root}


def _between(flow: Flow, roots: frozenset[int], branch: int, producer: Mapping[int, int]) -> int | None:
    """Return the node of the summand of a stream that the branch starts from; None where there is none."""
    below = flow.facts[branch].ancestors
    nodes = {producer[root] for root in roots if root in producer}
    # The latest summand, which is found at once, so that hundreds of branches take no longer than their number.
    for node in sorted((n for n in nodes if below >> n & 1), reverse=True):
        if any(_has(flow, c, node) and below >> c & 1 for c in flow.contractions if c != node):
            return node
    return None


def _has(flow: Flow, node: int, ancestor: int) -> bool:
    outputs = flow.trace.nodes[node].outputs
    return bool(outputs) and bool(flow.facts[outputs[0]].ancestors >> ancestor & 1)


def _branch(flow: Flow, found: _Found, reads: Mapping[int, list[int]], adds: frozenset[int]) -> Branch:
    facts, passing = flow.facts[found.value], flow.facts[found.stream].ancestors
    inside: dict[str, None] = {}
    for use in flow.uses:
        if use.node == found.start or not facts.ancestors >> use.node & 1:
            continue
        # What makes the value that the branch starts from (a stem, a norm of the stream) is outside.
        from_stream = _has(flow, use.node, found.start)
        beside = not from_stream and not passing >> use.node & 1
        if from_stream or (beside and _serves_only(flow, use.output, found, reads, adds)):
            inside.update(dict.fromkeys((*use.weight.dims, *filter(None, [use.weight.gain]))))
    last = facts.carriers if facts.carriers is not None else facts.origin
    ends = {name: None for use in sorted(last) for name in flow.uses[use].weight.dims if name in inside}
    return Branch(tuple(ends), tuple(inside))


def _serves_only(
    flow: Flow, value: int, found: _Found, reads: Mapping[int, list[int]], adds: frozenset[int]
) -> bool:
    """Tell whether a value acts through one branch alone, as keys and values that read another stream do.

    What goes through a residual addition before is on a stream of its own, and not a part of the branch.
    """
    branch = flow.facts[found.value].ancestors
    waiting, seen = [value], set()
    while waiting:
        for node in reads.get(waiting.pop(), ()):
            if node in seen or node == found.add:
                continue
            if node in adds or not branch >> node & 1:
                return False
            seen.add(node)
            waiting += flow.trace.nodes[node].outputs
    return bool(seen)
