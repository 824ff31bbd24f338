"""Every use of a parameter in a traced pass, and what every value is made of: by an abstract run of the graph.

Nothing here knows a class or a name: a weight is what it is contracted, added or multiplied with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Any

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.dims import unknown
from similitude.scaling.dataflow.facts import (
    NONE,
    OUTPUT,
    Facts,
    Flow,
    Logits,
    Use,
    Weight,
    is_table,
    joined,
    unanswered,
)
from similitude.scaling.dataflow.ops import Contraction, Side, contraction
from similitude.scaling.dataflow.reached import returned
from similitude.scaling.dataflow.trace import Node, Trace
from similitude.scaling.dataflow.weights import constant_of, derived, keyword


def analyse(trace: Trace, growing: Mapping[str, frozenset[int]] | None = None) -> Flow:
    """Run the graph over facts instead of numbers.

    Args:
        trace: The pass.
        growing: Which dimensions of every parameter grow with the width. With them a table of learned vectors
            that is contracted with a matrix (latent queries, relative positions) is told from a matrix.

    Returns:
        Facts of every value, and the uses of parameters in the order of the pass.
    """
    facts = [
        Facts(root=v.index, weight=Weight({v.name: tuple((i,) for i in range(len(v.shape)))}))
        if v.kind == "parameter"
        else Facts(root=v.index)
        for v in trace.values
    ]
    flow = Flow(trace, facts)
    interpreter = _Interpreter(flow, growing or {})
    for node in trace.nodes:
        interpreter.run(node)
    read = {value for node in trace.nodes for value in node.inputs}
    for value in set(trace.outputs):
        for use in facts[value].carriers or ():
            if value in read:
                flow.exposed.add(use)
            else:
                flow.readers.setdefault(use, set()).add(OUTPUT)
    flow.uses += returned(flow)
    return flow


class _Interpreter:
    def __init__(self, flow: Flow, growing: Mapping[str, frozenset[int]]) -> None:
        self.growing = growing
        self.squares: set[int] = set()
        self.joined: dict[int, float] = {}
        self.flow, self.facts, self.values = flow, flow.facts, flow.trace.values
        self.rank = {v.index: len(v.shape) for v in self.values}

    def run(self, node: Node) -> None:
        """Set the facts of a node's outputs."""
        found = contraction(node, self.rank)
        self._read_tables(node, found)
        inputs = [self.facts[i] for i in node.inputs]
        ancestors = reduce(int.__or__, (f.ancestors for f in inputs), 1 << node.index)
        if node.op == "input":
            self._set(node, Facts(active=True, ancestors=ancestors))
            return
        if node.op in ops.FRESH:
            self._set(node, Facts(ancestors=1 << node.index))
            return
        weighty = any(f.weight is not None for f in inputs)
        active = any(f.active for f in inputs)
        if found is not None and active:
            result = self._contract(node, found)
        elif ops.ATTENTION in node.op and active:
            result = self._attention(node)
        elif node.op in ops.LOOKUP and inputs and inputs[0].weight is not None:
            result = self._lookup(node)
            active = result.weight is None
        elif weighty and not active:
            result = Facts(weight=derived(node, self.flow))
        elif not active:
            result = Facts()
        elif node.op in ops.NORM:
            result = self._norm(node, inputs)
        else:
            result = self._elementwise(node, inputs)
        result = replace(result, ancestors=ancestors, active=result.weight is None and (active or weighty))
        self._set(node, self._with_length(node, inputs, result))
        self._note_readers(node)

    def _read_tables(self, node: Node, found: Contraction | None) -> None:
        """Take a table of learned vectors for data where it meets a matrix or a norm of its own."""
        if any(self.facts[v].active for v in node.inputs):
            return
        if found is not None:
            sides = ((found.left, found.right), (found.right, found.left))
            for table, matrix in sides:
                weight, other = self.facts[table.value].weight, self.facts[matrix.value].weight
                if other is not None and is_table(weight, table.contracted, self.growing):
                    self._read_table(node, table.value)
                    return
        elif node.op in ops.NORM and sum(self.facts[v].weight is not None for v in node.inputs) > 1:
            value = node.inputs[0]
            if is_table(self.facts[value].weight, (self.rank[value] - 1,), self.growing):
                self._read_table(node, value)

    def _read_table(self, node: Node, value: int) -> None:
        use = self._use(node, "lookup", value, -1)
        self.facts[value] = Facts(
            active=True,
            carriers=frozenset([use]),
            origin=frozenset([use]),
            root=value,
            skips=frozenset([value]),
            ancestors=self.facts[value].ancestors,
        )

    def _set(self, node: Node, facts: Facts) -> None:
        viewed = next(iter(node.inputs), None) if node.op in ops.SHAPE else None
        for output in node.outputs:
            part = viewed is not None and self._size(output) < self._size(viewed)
            root = (
                output if viewed is None or part else self.facts[viewed].root
            )  # a part is a value of its own
            skips = (NONE if part else facts.skips) or frozenset([root])
            self.facts[output] = replace(facts, root=root, skips=skips)
        for use in facts.carriers or ():
            # What joined a sum later has not been multiplied by what came before it.
            self.flow.scales[use] = facts.scale / self.joined.get(use, 1.0)
            self.flow.lates[use] = facts.late / self.joined.get(use, 1.0)
        for logits in facts.logits:
            self.flow.logit_scales[logits] = facts.scale

    def _with_length(self, node: Node, inputs: list[Facts], facts: Facts) -> Facts:
        """Follow lengths of vectors, and vectors that are divided by their length."""
        if not facts.active:
            return facts
        if node.op in ops.NORMS or (node.op == "sum" and node.inputs[0] in self.squares):
            return replace(facts, length=True)
        if node.op in ops.SQUARES or (node.op in ops.MUL and len(set(node.inputs)) == 1 < len(node.inputs)):
            self.squares |= set(node.outputs)
        if node.op in (*ops.DIV, *ops.MUL) and len(inputs) == 2 and inputs[1].length and not inputs[0].length:
            return replace(facts, unit=True)
        if node.op in (*ops.MUL, *ops.DIV):  # a length times a number makes no unit vectors
            return replace(facts, unit=any(f.unit for f in inputs))
        if node.op in ops.SHAPE:
            return replace(facts, unit=inputs[0].unit, length=inputs[0].length)
        return replace(facts, length=bool(inputs) and inputs[0].length and node.op in ops.OF_LENGTH)

    def _size(self, value: int) -> int:
        return math.prod(self.values[value].shape)

    def _note_readers(self, node: Node) -> None:
        """Note where the linear part behind a carrier ends."""
        after = next((self.facts[value].carriers for value in node.outputs), None) or NONE
        fused = ops.ATTENTION in node.op
        for i, value in enumerate(node.inputs):
            kept = NONE if fused and i < 2 else after
            for use in (self.facts[value].carriers or NONE) - kept:
                self.flow.readers.setdefault(use, set()).add(node.index)

    # -- parameters that meet activations -----------------------------------------------------------------

    def _use(self, node: Node, kind: str, value: int, operand: int, **more: Any) -> int:
        weight = self.facts[value].weight
        assert weight is not None, "a use has a parameter"
        use = Use(
            len(self.flow.uses),
            node.index,
            kind,
            weight,
            value,
            operand,
            node.outputs[0] if node.outputs else -1,
            module=node.module,
            **more,
        )
        self.flow.uses.append(use)
        return use.index

    def _contract(self, node: Node, found: Contraction) -> Facts:
        left, right = self.facts[found.left.value], self.facts[found.right.value]
        for side, other in ((found.right, found.left), (found.left, found.right)):
            if self.facts[side.value].weight is not None:
                return self._matrix(node, found, side, other)
        if left.active and right.active:
            return self._two_activations(node, found.left, found.right)
        operand = left if left.active else right
        side = found.left if left.active else found.right
        self.flow.loose_sums.append(
            (node.module, math.prod(self.values[side.value].shape[d] for d in side.contracted))
        )
        self._read(operand)
        return Facts(carriers=operand.carriers, origin=operand.origin, scale=operand.scale, late=operand.late)

    def _matrix(self, node: Node, found: Contraction, side: Side, other: Side) -> Facts:
        use = self._use(
            node,
            "contract",
            side.value,
            other.value,
            contracted=side.contracted,
            kept=side.kept,
            groups=found.groups,
            transposed=found.transposed,
        )
        self._read(self.facts[other.value])
        self.flow.contractions[node.index] = use
        carriers, alpha = frozenset([use]), keyword(node, "alpha")
        if found.bias is not None and self.facts[found.bias].weight is not None:
            bias = self._use(node, "bias", found.bias, other.value)
            self.joined[bias] = alpha / keyword(node, "beta")
            carriers |= {bias}
        elif found.bias is not None and self.facts[found.bias].active:
            added = self.facts[found.bias]
            both = joined([carriers, added.carriers]) if alpha == 1 and added.scale == 1 else None
            self.flow.scales[use] = alpha
            return Facts(carriers=both, origin=carriers | added.origin)
        return Facts(carriers=carriers, origin=carriers, scale=alpha, late=alpha)

    def _two_activations(self, node: Node, left: Side, right: Side) -> Facts:
        a, b = self.facts[left.value], self.facts[right.value]
        size = 1
        for dim in left.contracted:
            size *= self.values[left.value].shape[dim]
        self._read(a)
        self._read(b)
        self.flow.logits.append(Logits(node.index, left.value, right.value, size, node.module))
        self.flow.contractions[node.index] = -1
        # Weights from a softmax times values is linear in the values.
        one = a if b.carriers is None else b if a.carriers is None else Facts()
        alpha = keyword(node, "alpha")
        return Facts(
            carriers=one.carriers,
            scale=one.scale * alpha,
            late=one.late * alpha,
            origin=a.origin | b.origin,
            logits=frozenset([node.index]),
        )

    def _attention(self, node: Node) -> Facts:
        q, k, v = (self.facts[i] for i in node.inputs[:3])
        width = self.values[node.inputs[0]].shape[-1]
        given = node.kwargs.get("scale")
        scale = float(given) if given is not None else width**-0.5
        for facts in (q, k, v):
            self._read(facts)
        self.flow.logits.append(Logits(node.index, node.inputs[0], node.inputs[1], width, node.module))
        self.flow.logit_scales[node.index] = scale
        self.flow.contractions[node.index] = -1
        origin = q.origin | k.origin | v.origin
        return Facts(carriers=v.carriers, origin=origin, scale=v.scale, late=v.late)

    def _read(self, facts: Facts) -> None:
        self.flow.read_later |= facts.origin

    def _lookup(self, node: Node) -> Facts:
        table = node.inputs[0]
        weight = self.facts[table].weight
        if self.rank[table] > 2 and weight is not None:  # whole matrices are selected, e.g. of experts
            more = self.rank[node.outputs[0]] - self.rank[table] + 1
            return Facts(
                weight=replace(weight, dims={n: (*unknown(more), *d[1:]) for n, d in weight.dims.items()})
            )
        use = self._use(node, "lookup", table, -1)
        return Facts(carriers=frozenset([use]), origin=frozenset([use]))

    def _norm(self, node: Node, inputs: list[Facts]) -> Facts:
        kinds = iter(("gain", "bias"))
        uses = frozenset(
            self._use(node, next(kinds), value, node.inputs[0])
            for value, f in zip(node.inputs[1:], inputs[1:], strict=True)
            if f.weight is not None
        )
        return Facts(carriers=uses or None, origin=inputs[0].origin | uses)

    def _elementwise(self, node: Node, inputs: list[Facts]) -> Facts:
        active = [f for f in inputs if f.active]
        if not active:
            return Facts()
        weights = [
            (v, f) for v, f in zip(node.inputs, inputs, strict=True) if f.weight is not None and not f.active
        ]
        origin = frozenset().union(*(f.origin for f in active))
        if node.op in ops.CHOICE:
            return Facts(origin=NONE)
        if weights:
            return self._with_weight(node, weights, active, origin)
        if node.op in ops.ADD:
            return self._added(node, inputs, active, origin)
        if node.op in (*ops.MUL, *ops.DIV):
            return self._scaled(node, inputs, active, origin)
        if node.op in ops.JOIN:
            fixed = any(not f.active and self._size(v) for v, f in zip(node.inputs, inputs, strict=True))
            carriers = None if fixed else joined([f.carriers for f in active])
            return Facts(carriers=carriers, origin=origin, scale=active[0].scale, late=active[0].late)
        if len(active) == 1 or node.op in (*ops.SHAPE, "copy_"):
            source = active[0]
            if node.op in ops.SHAPE:
                return replace(source, weight=None)
            entries = self._size(node.inputs[0]) // max([1, *map(self._size, node.outputs)])
            if node.op == "sum" and source.product is not None:
                product, left, right = source.product
                self.flow.dots.append(Logits(product, left, right, entries, node.module))
                more = {"carriers": source.carriers, "late": source.late} if source.carriers else {}
                return Facts(origin=origin, logits=frozenset([product]), scale=source.scale, **more)
            if node.op == "sum" and source.carriers:
                self.flow.sums.append((source.carriers, entries))
            elif node.op == "sum" and node.inputs[0] not in self.squares:
                self.flow.loose_sums.append((node.module, entries))
            if node.op in ops.LINEAR | ops.HOMOGENEOUS:
                linear = node.op in ops.LINEAR
                return Facts(
                    carriers=source.carriers,
                    origin=origin,
                    scale=source.scale,
                    late=source.late if linear else 1.0,
                    logits=source.logits if linear else NONE,
                )
            if node.op in ("masked_fill", "masked_fill_", "where"):
                return Facts(origin=origin, logits=source.logits, scale=source.scale)
        return Facts(origin=origin)

    def _with_weight(
        self, node: Node, weights: list[tuple[int, Facts]], active: list[Facts], origin: frozenset[int]
    ) -> Facts:
        operand = next(v for v in node.inputs if self.facts[v].active)
        kind = ops.MEETINGS.get(node.op, node.op)
        uses = frozenset(self._use(node, kind, value, operand) for value, _ in weights)
        if kind in ("bias", "concat"):
            alpha, scale = keyword(node, "alpha"), active[0].scale
            if node.inputs[0] != operand:  # the activation is the second term, which alpha multiplies
                active = [replace(active[0], scale=scale * alpha, late=active[0].late * alpha), *active[1:]]
                alpha, scale = 1.0, scale * alpha
            self.joined.update(dict.fromkeys(uses, scale / alpha))
        if kind == "gain":
            number = unanswered(active)
            return Facts(carriers=uses, origin=origin | uses, scale=number, late=number)
        if kind in ("bias", "concat"):
            carriers = joined([*(f.carriers for f in active), uses])
            skips = active[0].skips if kind == "bias" else NONE
            logits = active[0].logits if kind == "bias" else NONE
            return Facts(
                carriers=carriers,
                origin=origin | uses,
                skips=skips,
                logits=logits,
                scale=active[0].scale,
                late=active[0].late,
            )
        return Facts(origin=origin | uses)

    def _added(self, node: Node, inputs: list[Facts], active: list[Facts], origin: frozenset[int]) -> Facts:
        logits = frozenset().union(*(f.logits for f in active))
        number = next((f.scale for f in active if f.logits), unanswered(active))
        if len(active) == 1 and len(inputs) == 1 and constant_of(node, self.flow) == 0:
            return replace(active[0], origin=origin, logits=logits, skips=NONE)
        if len(active) < 2:
            return Facts(origin=origin, scale=number, logits=logits, skips=active[0].skips)
        alpha = keyword(node, "alpha")
        if alpha != 1.0:
            for use in active[1].carriers or ():
                self.flow.scales[use] = active[1].scale * alpha / self.joined.get(use, 1.0)
                self.flow.lates[use] = active[1].late * alpha / self.joined.get(use, 1.0)
            active = [active[0], replace(active[1], scale=active[1].scale * alpha)]
        shapes = [self.values[v].shape for v in node.inputs[:2]]
        same = [f.scale == active[0].scale for f in active]
        carriers = joined([f.carriers for f in active]) if all(same) else None
        skips = NONE
        if shapes[0] == shapes[1] and len(shapes[0]) >= 2:
            self.flow.adds.append(node.index)
            skips = frozenset([node.outputs[0]]).union(*(f.skips for f in active))
        if carriers is not None:
            number = active[0].scale
        late = active[0].late
        return Facts(carriers=carriers, origin=origin, scale=number, late=late, logits=logits, skips=skips)

    def _scaled(self, node: Node, inputs: list[Facts], active: list[Facts], origin: frozenset[int]) -> Facts:
        if len(active) == 1 and (len(inputs) == 1 or node.op in ops.MUL or inputs[0].active):
            constant = constant_of(node, self.flow)
            constant = 1.0 if constant is None else constant
            return Facts(
                carriers=active[0].carriers,
                origin=origin,
                scale=active[0].scale * constant,
                late=active[0].late * constant,
                logits=active[0].logits,
                product=active[0].product,
            )
        left, right = node.inputs[0], node.inputs[-1]
        if node.op in ops.MUL and left != right:
            origin, product = self._read_on(left, right, origin), (node.index, left, right)
            gated = self._gated(left, right)
            if gated is None:
                return Facts(origin=origin, product=product)
            return replace(gated, origin=origin, product=product, weight=None, logits=NONE, skips=NONE)
        if len(active) == 2:
            return Facts(origin=self._read_on(left, right, origin))
        return Facts(origin=origin)

    def _gated(self, left: int, right: int) -> Facts | None:
        """Return the facts of a value that a broadcast gate multiplies, where the gate does not come from it.

        The output of an expert times its weight from a router scales with the expert's last matrix.
        """
        if self._size(left) == self._size(right):
            return None
        value, gate = (left, right) if self._size(left) > self._size(right) else (right, left)
        facts, above = self.facts[value], self.facts[gate].ancestors
        if not facts.carriers or any(above >> self.flow.uses[use].node & 1 for use in facts.carriers):
            return None
        return facts

    def _read_on(self, left: int, right: int, origin: frozenset[int]) -> frozenset[int]:
        """Return where a product comes from: of a value and a gate that broadcasts only the value is read on."""
        sizes = self._size(left), self._size(right)
        return origin if sizes[0] == sizes[1] else self.facts[left if sizes[0] > sizes[1] else right].origin
