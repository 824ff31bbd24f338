"""Which parameters a traced pass reaches: those that are returned, and those that leave no use behind."""

from __future__ import annotations

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow, Use
from similitude.scaling.dataflow.trace import Trace


def returned(flow: Flow) -> list[Use]:
    """List the outputs of a pass that are made of parameters alone, such as a learned spread of actions.

    Returns:
        One use of kind "returned" each, numbered after those of the flow.
    """
    producers = {value: node.index for node in flow.trace.nodes for value in node.outputs}
    found = []
    for value in dict.fromkeys(flow.trace.outputs):
        weight = flow.facts[value].weight
        if weight is not None:
            node = producers.get(value, len(flow.trace.nodes) - 1)
            found.append(Use(len(flow.uses) + len(found), node, "returned", weight, value, -1, value))
    return found


def without_use(flow: Flow) -> dict[str, str]:
    """Name the parameters that a pass works with although they have no use.

    Returns:
        Parameter name -> the last operation that read it and that the outputs depend on.
    """
    used = {name for use in flow.uses for name in (*use.weight.dims, use.weight.gain)}
    live = _live(flow.trace)
    found: dict[str, str] = {}
    for node in flow.trace.nodes:
        if node.index not in live or node.op in ops.SHAPE:
            continue
        for value in node.inputs:
            weight = flow.facts[value].weight
            for name in weight.dims if weight is not None else ():
                if name not in used:
                    found[name] = node.op
    return found


def _live(trace: Trace) -> set[int]:
    """Return the nodes that the outputs depend on; all where the outputs are of a kind that is not known."""
    if not trace.outputs:
        return {node.index for node in trace.nodes}
    wanted, live = set(trace.outputs), set()
    for node in reversed(trace.nodes):
        if not wanted.isdisjoint(node.outputs):
            live.add(node.index)
            wanted.update(node.inputs)
    return live
