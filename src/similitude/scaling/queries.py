"""Which tensors make the queries of attention: told by the softmax over a product of two activations, not by names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.dims import Dims, moved, pad, unknown
from similitude.scaling.dataflow.facts import Flow, Logits
from similitude.scaling.dataflow.structure import Structure
from similitude.scaling.dataflow.trace import Node
from similitude.scaling.folding import names_of

_LEFT, _RIGHT, _BATCH = 0, 1, 2  # labels of the dimensions of a product: kept of either operand, or of both
_WEIGHS = frozenset(["_softmax", "softmax", "_safe_softmax"])


@dataclass(frozen=True)
class Queries:
    """Who makes queries.

    Attributes:
        names: Tensors that make queries and nothing else, in the order of the pass.
        mixed: Tensors that make queries and something else too, such as keys and values in one matrix.
        nameless: Modules whose queries no tensor scales as a whole, since e.g. they are divided by their length.
    """

    names: tuple[str, ...] = ()
    mixed: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()


def queries_of(structure: Structure) -> Queries:
    """Find the tensors that make the queries of attention, whatever their role.

    Attention is a product of two activations whose softmax weighs a third. The queries are the operand that the
    softmax does not run over, or the first input of a fused attention. What makes them are the tensors whose common
    rescaling rescales them: a matrix and its bias, or the gain of a norm behind it.

    Args:
        structure: What the forward pass does.
    """
    flow = structure.flow
    consumers: dict[int, list[Node]] = defaultdict(list)
    for node in flow.trace.nodes:
        for value in dict.fromkeys(node.inputs):
            consumers[value].append(node)
    makers: set[int] = set()
    others: set[int] = set()
    attention: set[int] = set()
    nameless: dict[str, None] = {}
    for product in flow.logits:
        side = _query_side(flow, product, consumers)
        if side is None:
            continue
        pair = (product.left, product.right)
        query, key = (flow.facts[value] for value in (pair if side == _LEFT else pair[::-1]))
        attention.add(product.index)
        others |= key.carriers or key.origin
        # A gain of 1 + w, say, does not scale with w.
        if query.carriers and not any(flow.uses[use].weight.how for use in query.carriers):
            makers |= query.carriers
        else:
            nameless[product.module] = None
    pure = {use for use in makers - others if flow.readers.get(use, set()) <= attention}
    names = names_of(structure, frozenset(makers))
    mixed = [name for name in names if any(use.index not in pure for use in structure.uses.get(name, ()))]
    return Queries(tuple(n for n in names if n not in mixed), tuple(mixed), tuple(nameless))


def require_queries(queries: Queries) -> None:
    """Raise where a knob of the queries cannot act on the queries of every attention, and on nothing else.

    Args:
        queries: Who makes queries.

    Raises:
        PlanError: There is no attention, or no tensor makes its queries alone.
    """
    if queries.mixed:
        verb, also = ("makes", "it") if len(queries.mixed) == 1 else ("make", "they")
        raise PlanError(
            f"knobs names 'query', but {some(queries.mixed)} {verb} keys, values or something else together with the "
            f"queries: scaled, {also} would scale all of it. Give the queries a layer of their own in make, or scale "
            "their rows there."
        )
    if queries.nameless:
        raise PlanError(
            f"knobs names 'query', but no tensor scales the queries as a whole in {some(queries.nameless)}: they are "
            "normalized without a gain (or with one of 1 + a tensor), or come out of a function that is not linear. Put "
            "a gain on them, or drop the knob."
        )
    if not queries.names:
        raise PlanError(
            "knobs names 'query', but the forward pass has no attention: no softmax of a product of two activations "
            "weighs a third. Drop the knob."
        )


def _query_side(flow: Flow, product: Logits, consumers: Mapping[int, Sequence[Node]]) -> int | None:
    """Return which operand of a product is the queries; None where the product is no attention."""
    node = flow.trace.nodes[product.index]
    if ops.ATTENTION in node.op:
        return _LEFT
    values = flow.trace.values
    seen: set[int] = set()
    # Of every value that comes of the product: its dimensions, and once a softmax was taken the queries' side.
    waiting: list[tuple[int, Dims, int | None]] = [
        (value, _labels(len(values[value].shape)), None) for value in node.outputs
    ]
    while waiting:
        value, dims, side = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        for reader in consumers.get(value, ()):
            if reader.index in flow.contractions:
                if side is not None and flow.contractions[reader.index] < 0:
                    return side
                continue
            if reader.op in ops.NORM:
                continue
            after = side
            if reader.op in _WEIGHS and side is None:
                after = _kept(dims, int(reader.args[1]))
            for output in reader.outputs:
                shape, new = values[value].shape, values[output].shape
                if reader.op in ops.SHAPE:
                    follow = moved(reader, dims, shape, new)
                else:
                    follow = unknown(len(new)) if reader.op == "stack" else pad(dims, len(new))
                waiting.append((output, follow, after))
    return None


def _labels(rank: int) -> Dims:
    """Label the dimensions of a product of two operands: (..., left, right), or that of a matrix and a vector."""
    ends: Dims = ((_LEFT,), (_RIGHT,))
    return (*((_BATCH,),) * (rank - 2), *ends) if rank >= 2 else ends[:rank]


def _kept(dims: Dims, over: int) -> int:
    """Return the operand whose dimension a softmax leaves alone; the left one where that is not known."""
    run = dims[over] or ()
    return _RIGHT if _LEFT in run and _RIGHT not in run else _LEFT
