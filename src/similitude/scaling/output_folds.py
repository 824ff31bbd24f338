"""The multiplier of the network's output (richness, paper 1), put into the tensors that make it."""

from __future__ import annotations

from collections.abc import Sequence

from similitude.core.citation import cites
from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.proportion import Way, taken, trained_nodes, ways
from similitude.scaling.dataflow.structure import Structure
from similitude.scaling.folding import Folds, names_of
from similitude.scaling.roles import RoleResult


@cites(1, "Section 2: the output is divided by gamma")
def fold_output(structure: Structure, results: tuple[RoleResult, ...], *, gamma: float, folds: Folds) -> None:
    """Let the tensors that the output is proportional to carry 1 / gamma; a tied head's carrier gets it elsewhere.

    The output is what the model returns; where that is a loss, or ends in a softmax, the values that it is computed
    from. Routers and gates carry nothing: the output is not proportional to them.

    Args:
        structure: What the forward pass does.
        results: The roles.
        gamma: The richness.
        folds: What is folded so far; multipliers and notes are added.

    Raises:
        PlanError: No rescaling of tensors divides the output by gamma and changes nothing else.
    """
    flow = structure.flow
    found = ways(flow)
    targets, left, notes = _outputs(flow, found)
    if targets:
        values, uses = taken(found, targets)
        why = _read_elsewhere(flow, found, values, targets) or _used_elsewhere(structure, results, uses)
    else:
        uses = frozenset[int]()
        why = (
            found[left[0]].why
            if left
            else "no tensor that it returns depends on a parameter and on the sample"
        )
    if why:
        uses = _named(structure, results)
        if not uses:
            raise PlanError(_refusal(structure, gamma, why))
        notes = [f"gamma: the output is not proportional to what carries 1/gamma, which you named ({why})"]
    elif left:
        reasons = "; ".join(dict.fromkeys(found[value].why for value in left))
        notes.append(
            f"gamma divides {len(targets)} of {len(targets) + len(left)} outputs; of the others: {reasons}"
        )
    tied = {result.name for result in results if result.tied}
    for name in names_of(structure, uses):
        if name not in tied:
            folds.put(name, 1.0 / gamma, f"output / gamma {gamma:g}")
    folds.notes += notes


def weight_layers(flow: Flow) -> int:
    """Count the weight layers on the longest path of a pass: matrices and tables that a value goes through.

    This is L in the exponents of the richness: an MLP of two hidden layers has three. A matrix that a path goes through
    several times is one layer, so that a recurrent net has as many at every length of the sample; a table that is also
    the head is two.
    """
    at: dict[int, set[tuple[str, frozenset[str]]]] = {}
    for use in flow.uses:
        if use.kind in ("contract", "lookup"):
            at.setdefault(use.node, set()).add((use.kind, frozenset(use.weight.dims)))
    layers: dict[int, frozenset[tuple[str, frozenset[str]]]] = {}
    for node in flow.trace.nodes:
        deepest = max((layers.get(value, frozenset()) for value in node.inputs), key=len, default=frozenset())
        for value in node.outputs:
            layers[value] = deepest | at.get(node.index, set())
    return max(map(len, layers.values()), default=0)


def _outputs(flow: Flow, found: list[Way]) -> tuple[list[int], list[int], list[str]]:
    """Return the values that gamma divides, outputs that no factor gets into, and what is to be said."""
    trace = flow.trace
    above = _above(flow, trace.outputs)
    returns = [value for value in trace.returns if above & _own(flow, value)]
    outside = above & ~_above(flow, returns)
    matrices = [use for use in flow.uses if use.kind == "contract"]
    if any(outside >> use.node & 1 for use in matrices):
        returns = []  # a loss that goes on with parameters: the model's own call does not end in its output
    good: dict[int, None] = {}
    bad: dict[int, None] = {}
    read: set[int] = set()
    trained = trained_nodes(flow)
    producer = {value: node for node in trace.nodes for value in node.outputs}
    for output in returns or trace.outputs:
        if not flow.facts[output].active:
            continue
        todo, behind = [output], False
        while todo:
            value = todo.pop()
            node = producer.get(value)
            if not flow.facts[value].ancestors & trained:
                continue
            if not found[value].why:
                good[value] = None
                if behind:
                    read.add(value)
            elif node is not None and (not trace.values[output].shape or node.op in ops.CHOICE or behind):
                if _ends_here(flow, node.index, node.inputs, node.op):
                    bad[value] = None
                else:
                    behind = True
                    todo += node.inputs
            else:
                bad[value] = None
    last = _last(flow, [*good, *bad])
    shapes = dict.fromkeys(_shape(flow, value) for value in good if value in last & read)
    notes = [f"gamma divides what the loss or softmax reads ({shape})" for shape in shapes]
    return [v for v in good if v in last], [v for v in bad if v in last], notes


def _ends_here(flow: Flow, index: int, inputs: Sequence[int], op: str) -> bool:
    """Tell whether an operation is one of a network rather than of a loss."""
    if index in flow.contractions or op in ops.NORM:
        return True
    made = [value for value in inputs if flow.facts[value].active]
    return op in ops.ADD and any(
        _own(flow, a) & flow.facts[b].ancestors for a in made for b in made if a != b and _own(flow, a)
    )


def _last(flow: Flow, values: Sequence[int]) -> set[int]:
    """Keep the values that no other one depends on, and one of every view."""
    kept: dict[int, int] = {}
    for value in values:
        own = _own(flow, value)
        if not any(other != value and flow.facts[other].ancestors & own for other in values):
            kept.setdefault(flow.facts[value].root, value)
    return set(kept.values())


def _own(flow: Flow, value: int) -> int:
    """Return the bit of the node that made a value: the highest of its ancestors."""
    ancestors = flow.facts[value].ancestors
    return 1 << ancestors.bit_length() - 1 if ancestors else 0


def _above(flow: Flow, values: Sequence[int]) -> int:
    bits = 0
    for value in values:
        bits |= flow.facts[value].ancestors
    return bits


def _shape(flow: Flow, value: int) -> str:
    return "x".join(map(str, flow.trace.values[value].shape)) or "a number"


def _read_elsewhere(flow: Flow, found: list[Way], values: frozenset[int], targets: Sequence[int]) -> str:
    """Say which operation reads a value that is divided, and takes it elsewhere than to the output."""
    above = _above(flow, targets)
    inner = values - set(targets)
    for node in flow.trace.nodes:
        if above >> node.index & 1 and inner & set(node.inputs):
            passed = {value for output in node.outputs if output in values for value in found[output].through}
            if not inner & set(node.inputs) <= passed:
                module = f" in {node.module!r}" if node.module else ""
                return f"what makes it is also read by {node.op.rstrip('_')}{module}, where a factor would change more"
    return ""


def _used_elsewhere(structure: Structure, results: tuple[RoleResult, ...], uses: frozenset[int]) -> str:
    """Say which tensor that would carry the factor has another place too."""
    tied = {result.name for result in results if result.tied}
    for name in names_of(structure, uses):
        others = {use.index for use in structure.uses[name]} - uses
        if others and name not in tied:
            return f"{name!r} makes it and has another place too, where a factor would change more"
    return ""


def _named(structure: Structure, results: tuple[RoleResult, ...]) -> frozenset[int]:
    """Return the uses, with their biases, of heads that the user named."""
    flow = structure.flow
    found: set[int] = set()
    for result in results:
        if result.overridden and result.role == "output":
            for use in (use for use in structure.uses[result.name] if not use.how):  # no unit matrix
                found |= flow.facts[flow.uses[use.index].output].carriers or {use.index}
    return frozenset(found)


def _refusal(structure: Structure, gamma: float, why: str) -> str:
    layers = max(1, weight_layers(structure.flow))
    before = 'name the matrix before that as the one that carries it (roles={"...": "output"}), '
    named = before if why.startswith("it ends in") else ""
    last = [use for use in structure.flow.uses if use.kind == "contract"][-1:]
    seen = f" (its last matrix is {some(last[0].weight.dims)})" if last else ""
    return (
        f"gamma={gamma:g} divides the output by {gamma:g}, and no tensors carry that: {why}{seen}. End the model in a "
        f"matrix, or in a gain or a scale (nn.Parameter) that multiplies the output; {named}or plan with gamma=1, "
        f"train similitude.scaling.outputs.Divided(model, {gamma:g}), and multiply learning rates by "
        f"similitude.scaling.richness.lr_scale({gamma:g}, {layers}, plan.family)."
    )
