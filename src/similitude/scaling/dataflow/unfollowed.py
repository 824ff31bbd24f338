"""What changes with the width in a forward pass and no tensor answers for: told to the user, never guessed."""

from __future__ import annotations

from typing import Any

from torch.utils._pytree import tree_flatten

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.claims import REGISTERED
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.trace import Node

_FOLLOWED = ops.MUL | ops.DIV


def unfollowed(first: Flow, second: Flow) -> tuple[str, ...]:
    """Name sums over growing sides and numbers that differ between two passes, where no rule follows them.

    Args:
        first: The pass at the smaller size.
        second: The pass at the larger one.

    Returns:
        One sentence for each.
    """
    found = {}
    if len(first.loose_sums) == len(second.loose_sums):
        for (module, small), (_, large) in zip(first.loose_sums, second.loose_sums, strict=True):
            if small != large:
                found[
                    f"{_place(module)} sums activations over a side that grows ({small} -> {large} entries at the "
                    "traced sizes), and no tensor answers for the sum: it grows with the width. Take the mean, or "
                    "check the plan with similitude.check"
                ] = None
    for node in first.trace.nodes:
        foreign = "::" in node.op and node.op not in REGISTERED and node.index not in first.contractions
        if foreign and any(first.facts[value].active for value in node.outputs):
            found[
                f"{_place(node.module)} has the operation {node.op}, of which nothing is known: no factor is followed "
                "through it. Say what it does: similitude.register_operation"
            ] = None
    nodes = first.trace.nodes, second.trace.nodes
    if [n.op for n in nodes[0]] == [n.op for n in nodes[1]]:
        for a, b in zip(*nodes, strict=True):
            for small, large in _numbers(first, a, b):
                found[
                    f"{_place(a.module)} has a number in the operation {a.op} that changes with the width, {small:.4g} "
                    f"-> {large:.4g} at the traced sizes, which this plan does not follow"
                ] = None
    return tuple(found)


def _numbers(flow: Flow, a: Node, b: Node) -> list[tuple[float, float]]:
    """Pair the numbers of one operation that differ, where it is not one whose numbers are followed."""
    followed = a.op in _FOLLOWED or ops.ATTENTION in a.op or a.index in flow.contractions
    if followed or not any(flow.facts[v].active for v in a.outputs):
        return []
    pairs = zip(_floats(a), _floats(b), strict=False)
    return [(x, y) for x, y in pairs if x != y and not (x != x and y != y)]


def _floats(node: Node) -> list[float]:
    given: Any = (node.args, {k: v for k, v in node.kwargs.items() if k != "alpha" or node.op not in ops.ADD})
    return [x for x in tree_flatten(given)[0] if isinstance(x, float)]


def _place(module: str) -> str:
    return f"the forward pass in {module!r}" if module else "the forward pass"
