"""Residual branches of a traced pass: additions in which one side descends from the other through a matrix."""

from __future__ import annotations

from dataclasses import dataclass

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow
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
    """

    add: int
    stream: int
    value: int
    start: int
    branch: Branch


def branches(found: tuple[Residual, ...]) -> tuple[Branch, ...]:
    """List the branches of residual additions by their tensors, each once."""
    return tuple(dict.fromkeys(residual.branch for residual in found))


def residuals(flow: Flow) -> tuple[Residual, ...]:
    """Find the residual additions of a pass, in its order.

    An addition is residual where one operand, or a summand of it, is an ancestor of the other operand through
    at least one contraction. Concatenation, gates and polynomials such as x + x^3 are not.
    """
    # Parts of one value have their node in common, so what descends from one cannot be told from the others.
    producer = {
        value: node.index
        for node in flow.trace.nodes
        if node.op not in ops.SHAPE or len(node.outputs) == 1
        for value in node.outputs
    }
    reads: dict[int, list[int]] = {}
    for node in flow.trace.nodes:
        for value in node.inputs:
            reads.setdefault(value, []).append(node.index)
    found = []
    for add in flow.adds:
        left, right = flow.trace.nodes[add].inputs[:2]
        for stream, branch in ((left, right), (right, left)):
            through = _between(flow, stream, branch, producer)
            if through is not None:
                ends = _branch(flow, add, stream, branch, through, reads)
                found.append(Residual(add, stream, branch, through, ends))
                break
    return tuple(found)


def _between(flow: Flow, stream: int, branch: int, producer: dict[int, int]) -> int | None:
    """Return the node of the summand of `stream` that the branch starts from; None where there is none."""
    below = flow.facts[branch].ancestors
    roots = flow.facts[stream].skips | {flow.facts[stream].root}
    nodes = {producer[root] for root in roots if root in producer}
    # The latest summand, which is found at once, so that hundreds of branches take no longer than their number.
    for node in sorted((n for n in nodes if below >> n & 1), reverse=True):
        if any(_has(flow, c, node) and below >> c & 1 for c in flow.contractions if c != node):
            return node
    return None


def _has(flow: Flow, node: int, ancestor: int) -> bool:
    outputs = flow.trace.nodes[node].outputs
    return bool(outputs) and bool(flow.facts[outputs[0]].ancestors >> ancestor & 1)


def _branch(flow: Flow, add: int, stream: int, value: int, start: int, reads: dict[int, list[int]]) -> Branch:
    facts, passing = flow.facts[value], flow.facts[stream].ancestors
    inside: dict[str, None] = {}
    for use in flow.uses:
        if use.node == start or not facts.ancestors >> use.node & 1:
            continue
        # What makes the value that the branch starts from (a stem, a norm of the stream) is outside.
        from_stream = _has(flow, use.node, start)
        beside = not from_stream and not passing >> use.node & 1
        if from_stream or (beside and _serves_only(flow, use.output, facts.ancestors, add, reads)):
            inside.update(dict.fromkeys((*use.weight.dims, *filter(None, [use.weight.gain]))))
    last = facts.carriers if facts.carriers is not None else facts.origin
    ends = {name: None for use in sorted(last) for name in flow.uses[use].weight.dims if name in inside}
    return Branch(tuple(ends), tuple(inside))


def _serves_only(flow: Flow, value: int, branch: int, add: int, reads: dict[int, list[int]]) -> bool:
    """Tell whether a value acts through one branch alone, as keys and values that read another stream do."""
    waiting, seen = [value], set()
    while waiting:
        for node in reads.get(waiting.pop(), ()):
            if node == add or node in seen:
                continue
            if not branch >> node & 1:
                return False
            seen.add(node)
            waiting += flow.trace.nodes[node].outputs
    return bool(seen)
