"""The multiplier of the network's output (richness, paper 1), put into the tensors that make it."""

from __future__ import annotations

from similitude.core.citation import cites
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.structure import Structure
from similitude.scaling.folding import Folds, names_of
from similitude.scaling.roles import RoleResult


@cites(1, "Section 2: the output is divided by gamma")
def fold_output(
    structure: Structure, results: tuple[RoleResult, ...], *, gamma: float, folds: Folds
) -> list[str]:
    """Let the heads that make the network's output carry 1 / gamma; a tied head's carrier gets it elsewhere.

    Routers, gates and other matrices with an output role whose product is read by a matrix again are left alone.

    Args:
        structure: What the forward pass does.
        results: The roles.
        gamma: The richness.
        folds: What is folded so far; multipliers are added.

    Returns:
        The matrices that are heads, tied ones included.
    """
    flow = structure.flow
    last = set(final_heads(flow))
    heads: dict[str, None] = {}
    for result in results:
        mine = [use for use in structure.uses[result.name] if use.index in last]
        tied = {use.index for use in result.tied}
        if not mine or (result.role != "output" and not tied & {use.index for use in mine}):
            continue
        heads[result.name] = None
        for use in mine:
            carriers = flow.facts[flow.uses[use.index].output].carriers or frozenset([use.index])
            for name in names_of(structure, carriers):
                if name == result.name and tied:
                    continue
                if f"output / gamma {gamma:g}" not in folds.carries.get(name, ()):
                    folds.put(name, 1.0 / gamma, f"output / gamma {gamma:g}")
    return list(heads)


def final_heads(flow: Flow) -> list[int]:
    """List the contractions that no other contraction descends from: those that make the network's output."""
    nodes = list(flow.contractions)
    below = 0
    for node in nodes:
        outputs = flow.trace.nodes[node].outputs
        below |= flow.facts[outputs[0]].ancestors & ~(1 << node) if outputs else 0
    return [use for node, use in flow.contractions.items() if use >= 0 and not below >> node & 1]


def weight_layers(flow: Flow) -> int:
    """Count the weight layers on the longest path of a pass: matrices and tables that a value goes through.

    This is L in the exponents of the richness: an MLP of two hidden layers has three.
    """
    layers: dict[int, int] = {}
    at = {use.node for use in flow.uses if use.kind in ("contract", "lookup")}
    for node in flow.trace.nodes:
        deepest = max((layers.get(value, 0) for value in node.inputs), default=0)
        for value in node.outputs:
            layers[value] = deepest + (node.index in at)
    return max(layers.values(), default=0)
