"""The constants by which the forward pass itself multiplies a residual branch, relative to its stream."""

from __future__ import annotations

import math
from collections.abc import Iterable

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.ops import contraction
from similitude.scaling.dataflow.residual import Residual
from similitude.scaling.dataflow.trace import Node
from similitude.scaling.dataflow.weights import constant_of, keyword

Numbers = tuple[float, ...]
"""Different constants before the summands of a value; one number where all of it is multiplied alike."""

_ONE: Numbers = (1.0,)
_DIGITS = 12  # products of the same constants in another order are one number
_EXACT = 1e-6  # relative error of numbers that the forward pass computes from the depth
_EPS = 1e-3  # what is added to a square up to this only keeps its root from being zero
_POWERS = {"square": 2.0, "var": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0}
_CLAMPS = {"clamp", "clamp_min"}
_CHOSEN = {"masked_fill", "masked_fill_", "where", "copy_"}


def branch_numbers(flow: Flow, residual: Residual) -> Numbers:
    """Collect the constants that a branch is multiplied by between its start and its end, over those of its stream.

    The factor of the addition (`alpha`) counts, and constants on values and on weights, before and behind
    matrices and gains. What comes before the last norm or activation that forgets a scale does not count.

    Args:
        flow: The pass.
        residual: One of its residual additions.

    Returns:
        The products of constants, one for each summand that has another: with a weight times c and a bias
        without it, (c, 1).
    """
    walk = _Walk(flow, residual.start, residual.add)
    add = flow.trace.nodes[residual.add]
    scaled = add.inputs[1] if add.op != "rsub" else add.inputs[0]
    branch, stream = (
        _times(walk.numbers(value), keyword(add, "alpha") if value == scaled else 1.0)
        for value in (residual.value, residual.stream)
    )
    return _product(branch, _power(stream, -1.0))


def change(numbers: Numbers, before: Numbers) -> float | None:
    """Compare the constants before a branch at two depths.

    Args:
        numbers: At the one.
        before: At the other.

    Returns:
        The ratio of the first to the second; None where summands of the branch change by different ratios.

    Example:
        >>> change((0.25,), (0.5,)), change((0.25, 1.0), (0.5, 1.0)), change((0.5, 1.0), (0.5, 1.0))
        (0.5, None, 1.0)
    """
    if numbers == before:
        return 1.0
    numbers, before = (tuple(n for n in each if n) for each in (numbers, before))  # zeros add nothing
    longest = max(len(numbers), len(before))
    spread = [each * longest if len(each) == 1 else each for each in (numbers, before)]
    if len(spread[0]) != len(spread[1]) or 0.0 in spread[1]:
        return None
    ratios = [a / b for a, b in zip(*spread, strict=True)]
    if any(not math.isclose(ratio, ratios[0], rel_tol=_EXACT) for ratio in ratios):
        return None
    return ratios[0]


class _Walk:
    """Numbers of the values that are made between two nodes, each found once."""

    def __init__(self, flow: Flow, start: int, end: int) -> None:
        self.flow = flow
        self.found: dict[int, Numbers] = {}
        self.producers = {value: node for node in flow.trace.nodes[start + 1 : end] for value in node.outputs}

    def numbers(self, value: int) -> Numbers:
        """Return the constants before a value; a stack of one's own, as branches may be long."""
        waiting = [value]
        while waiting:
            node = self.producers.get(waiting[-1])
            if waiting[-1] in self.found or node is None:
                self.found.setdefault(waiting.pop(), _ONE)
                continue
            missing = [v for v in self._read(node) if v not in self.found]
            if missing:
                waiting += missing
            else:
                self.found[waiting.pop()] = self._of(node)
        return self.found[value]

    def _active(self, node: Node) -> list[int]:
        return [value for value in node.inputs if self.flow.facts[value].active]

    def _read(self, node: Node) -> list[int]:
        """List the operands whose numbers the node's result has."""
        active = self._active(node)
        if node.op in ops.NORM:
            return []
        if ops.ATTENTION in node.op:
            return [node.inputs[2]]
        if node.op in ops.ADD and len(active) == 2:
            # Where one summand descends from the other, a chain of its own goes through here, with its own numbers.
            for stream, other in (active, active[::-1]):
                if self._descends(other, stream):
                    return [stream]
        return active

    def _descends(self, value: int, ancestor: int) -> bool:
        facts = self.flow.facts[ancestor]
        nodes = [self.producers[root].index for root in facts.skips | {facts.root} if root in self.producers]
        return any(self.flow.facts[value].ancestors >> node & 1 for node in nodes)

    def _of(self, node: Node) -> Numbers:
        facts, active = self.flow.facts, self._active(node)
        weights = [
            facts[v].weight for v in node.inputs if facts[v].weight is not None and not facts[v].active
        ]
        scales = [weight.scale for weight in weights if weight is not None]
        found = contraction(node, {v: len(self.flow.trace.values[v].shape) for v in node.inputs})
        if found is not None:
            sides = [self._operand(side.value) for side in (found.left, found.right)]
            product = _times(_product(*sides), keyword(node, "alpha"))
            if found.bias is None:
                return product
            return _union([product, _times(self._operand(found.bias), keyword(node, "beta"))])
        if ops.ATTENTION in node.op:
            return self.found[node.inputs[2]]
        if node.op in ops.NORM:
            return _union([(scale,) for scale in scales]) if scales else _ONE
        if node.op in ops.ADD:
            return self._sum(node)
        if node.op in (*ops.MUL, *ops.DIV):
            return self._scaled(node)
        power = _POWERS.get(node.op)
        if node.op in ops.SQUARES and len(node.args) > 1 and isinstance(node.args[1], int | float):
            power = float(node.args[1])
        if power is not None and len(active) == 1:
            return _power(self.found[active[0]], power)
        kept = (
            *ops.SHAPE,
            *ops.LINEAR,
            *ops.HOMOGENEOUS,
            *ops.NORMS,
            *ops.JOIN,
            *_CLAMPS,
            *_CHOSEN,
            "std",
            "native_dropout",
        )
        if node.op in kept and active:
            return _union([self.found[value] for value in active])
        return _ONE

    def _operand(self, value: int) -> Numbers:
        facts = self.flow.facts[value]
        if facts.active:
            return self.found[value]
        return (facts.weight.scale,) if facts.weight is not None else _ONE

    def _sum(self, node: Node) -> Numbers:
        active, read = self._active(node), self._read(node)
        number = constant_of(node, self.flow)
        if len(node.inputs) == 1 and len(active) == 1:
            tiny = number is not None and abs(number) <= _EPS
            own = self.found[active[0]]
            return own if tiny else _union([own, _ONE])
        scaled = 0 if node.op == "rsub" else 1
        terms = [
            _times(self._operand(value), keyword(node, "alpha") if at == scaled else 1.0)
            for at, value in enumerate(node.inputs[:2])
            if value in read or value not in active
        ]
        return _union(terms)

    def _scaled(self, node: Node) -> Numbers:
        facts, active = self.flow.facts, self._active(node)
        sign = -1.0 if node.op in ops.DIV else 1.0
        if len(node.inputs) == 2 and facts[node.inputs[1]].length and not facts[node.inputs[0]].length:
            return _ONE  # divided by its length
        if len(node.inputs) == 2 and all(facts[v].active or facts[v].weight is not None for v in node.inputs):
            first, second = (self._operand(value) for value in node.inputs)
            return _product(first, _power(second, sign))
        number = constant_of(node, self.flow)
        return _times(self.found[active[0]], 1.0 if number is None else number)


def _union(terms: Iterable[Numbers]) -> Numbers:
    found: dict[str, float] = {}
    for term in terms:
        for number in term:
            found.setdefault(f"{number:.{_DIGITS}g}", number)
    return tuple(found.values())


def _times(numbers: Numbers, factor: float) -> Numbers:
    return numbers if factor == 1.0 else _union([tuple(number * factor for number in numbers)])


def _product(first: Numbers, second: Numbers) -> Numbers:
    if first == _ONE or second == _ONE:
        return second if first == _ONE else first
    return _union([tuple(a * b for a in first for b in second)])


def _power(numbers: Numbers, power: float) -> Numbers:
    if numbers == _ONE:
        return numbers
    # A sign does not matter here, and a number that is zero has no power that is a number.
    return _union([tuple(abs(number) ** power for number in numbers if number)]) or _ONE
