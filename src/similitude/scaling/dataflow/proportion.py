"""Which uses of parameters a value of a traced pass is proportional to: where a factor on it can be put.

`Facts.carriers` answers the same for every reader of a value in one run and gives up at products; here a product is as
large as one of its operands, and every refusal has a reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow, Use
from similitude.scaling.dataflow.ops import contraction
from similitude.scaling.dataflow.trace import Node, Ref

_NEVER = -1e4  # what masks write in place of logits: a factor on it changes nothing


@dataclass(frozen=True)
class Way:
    """How a factor gets into a value.

    Attributes:
        through: Values that take the factor for it.
        uses: Uses of parameters that take it at its own node.
        nodes: Bit set of the nodes of all uses that take it, through other values too.
        why: Why no rescaling of parameters is a factor on the value; "" where there is one.
    """

    through: tuple[int, ...] = ()
    uses: frozenset[int] = frozenset()
    nodes: int = 0
    why: str = ""


def ways(flow: Flow) -> list[Way]:
    """Find for every value of a pass how a positive factor gets into it.

    Returns:
        By value. A sum takes the factor in every term, a product in one operand that the other does not depend on.
    """
    return _Walk(flow).found


def taken(found: list[Way], values: Iterable[int]) -> tuple[frozenset[int], frozenset[int]]:
    """Return all values that take a factor so that some get it, and the uses that it goes to.

    Args:
        found: What `ways` found.
        values: Those that are to be multiplied.
    """
    seen: set[int] = set()
    uses: set[int] = set()
    todo = list(values)
    while todo:
        value = todo.pop()
        if value not in seen:
            seen.add(value)
            uses |= found[value].uses
            todo += found[value].through
    return frozenset(seen), frozenset(uses)


def trained_nodes(flow: Flow) -> int:
    """Return the nodes where parameters meet a value, as a bit set."""
    bits = 0
    for use in flow.uses:
        bits |= 1 << use.node
    return bits


class _Walk:
    def __init__(self, flow: Flow) -> None:
        self.flow, self.facts, self.values = flow, flow.facts, flow.trace.values
        self.rank = {value.index: len(value.shape) for value in self.values}
        self.at: dict[int, list[Use]] = {}
        self.trained = trained_nodes(flow)
        for use in flow.uses:
            self.at.setdefault(use.node, []).append(use)
        self.found = [Way(why=_source(value.kind)) for value in self.values]
        for node in flow.trace.nodes:
            way = self._way(node)
            for output in node.outputs:
                self.found[output] = way

    def _way(self, node: Node) -> Way:
        if not any(self.facts[value].active for value in node.outputs):
            return Way(why="it is a constant or made of parameters alone")
        met = contraction(node, self.rank)
        if met is not None:
            bias = [] if met.bias is None else [met.bias]
            return self._terms(node, bias, self._product(node, met.left.value, met.right.value))
        if ops.ATTENTION in node.op:
            return self._factor(node.inputs[2], node.inputs[:2])
        if node.op in ops.LOOKUP and any(use.kind == "lookup" for use in self.at.get(node.index, ())):
            return self._own(node, self.at[node.index])
        if node.op in ops.NORM:
            return self._norm(node)
        if node.op in ops.ADD:
            numbers = [a for a in node.args[:2] if isinstance(a, int | float) and a != 0]
            return Way(why=_ADDED.format("a number")) if numbers else self._terms(node, node.inputs[:2])
        if node.op in ops.JOIN:
            return self._terms(node, node.inputs)
        if node.op in ops.MUL:
            return (
                self._product(node, node.inputs[0], node.inputs[-1])
                if len(node.inputs) > 1
                else self._same(node)
            )
        if node.op in ops.DIV:
            if not isinstance(node.args[0], Ref):
                return Way(why="a number is divided by it")
            return self._factor(node.inputs[0], node.inputs[1:])
        if node.op in ("masked_fill", "masked_fill_"):
            return self._masked(node, node.inputs[:1], node.args[2])
        if node.op == "where" and len(node.inputs) == 3:
            return self._terms(node, node.inputs[1:])
        if node.op in ("prelu", "_prelu_kernel"):
            return self._factor(node.inputs[0], ())
        if node.op in ("maximum", "minimum"):
            return self._terms(node, node.inputs)
        if node.op in (ops.SHAPE - {"slice_scatter"}) | ops.LINEAR | ops.HOMOGENEOUS:
            return self._same(node)
        return Way(why=f"it ends in {node.op.rstrip('_')}, which does not keep a scale")

    def _same(self, node: Node) -> Way:
        return self._factor(node.inputs[0], ())

    def _factor(self, value: int, others: Iterable[int]) -> Way:
        """Put the factor into one operand, which the others must not depend on."""
        way = self.found[value]
        if way.why:
            return way
        if any(self.facts[other].ancestors & way.nodes for other in others):
            return Way(
                why="it is divided or multiplied by what comes from the same tensors, as by its own length"
            )
        return Way((value,), nodes=way.nodes)

    def _product(self, node: Node, left: int, right: int) -> Way:
        """Put the factor into a weight as it is, else into an operand."""
        own = [
            use
            for use in self.at.get(node.index, ())
            if use.weight_value in (left, right) and not use.weight.how
        ]
        if own:
            return self._own(node, own)
        first = self._factor(left, (right,))
        if not first.why:
            return first
        second = self._factor(right, (left,))
        if not second.why:
            return second
        return first if self.facts[left].active else second

    def _own(self, node: Node, uses: Iterable[Use]) -> Way:
        bent = next((use for use in uses if use.weight.how), None)
        if bent is not None:
            return Way(why=f"what ends it enters through {', '.join(sorted(bent.weight.how))}")
        return Way((), frozenset(use.index for use in uses), 1 << node.index)

    def _terms(self, node: Node, terms: Iterable[int], first: Way | None = None) -> Way:
        """Put the factor into every term of a sum, or every part of what is put together."""
        way = first or Way()
        for term in terms:
            if way.why:
                break
            facts, item = self.facts[term], self.values[term].item
            if (
                not facts.active
                and facts.weight is None
                and item is not None
                and (item == 0 or item < _NEVER)
            ):
                continue
            uses = [use for use in self.at.get(node.index, ()) if use.weight_value == term]
            each = self._own(node, uses) if uses else self.found[term]
            if each.why:
                plain = facts.weight is None and not facts.ancestors & self.trained
                return Way(why=_ADDED.format(_source_of(facts.active)) if plain else each.why)
            through = way.through if uses else (*way.through, term)
            way = replace(
                way,
                through=through,
                uses=way.uses | each.uses if uses else way.uses,
                nodes=way.nodes | each.nodes,
            )
        return way

    def _masked(self, node: Node, value: Iterable[int], fill: object) -> Way:
        number = self.values[fill.value].item if isinstance(fill, Ref) else fill
        if isinstance(number, int | float) and (number == 0 or number < _NEVER):
            return self._terms(node, value)
        return Way(why="a mask writes a number into it")

    def _norm(self, node: Node) -> Way:
        uses = self.at.get(node.index, [])
        first = next(
            (i for i, a in enumerate(node.args) if isinstance(a, Ref) and self.facts[a.value].weight), None
        )
        if not uses or first is None or node.args[first - 1] is None:
            return Way(why="it ends in a norm without a gain")
        return self._own(node, uses)


_ADDED = "it is a sum with {} that no parameter makes"


def _source_of(active: bool) -> str:
    return "an input" if active else "a constant"


def _source(kind: str) -> str:
    what = "an input" if kind == "input" else "a constant or made of parameters alone"
    return f"it is {what}"
