"""The same forward pass at two small sizes, side by side: uses of every tensor with their sides, forward
numbers that change with the size, attention logits, and residual branches."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from similitude.scaling.axes import Factory, Size
from similitude.scaling.dataflow.fans import Fan, Fans
from similitude.scaling.dataflow.interpret import Flow, Use, analyse
from similitude.scaling.dataflow.passes import Sample, two_passes
from similitude.scaling.dataflow.reached import without_use
from similitude.scaling.dataflow.residual import Residual, branches, residuals
from similitude.scaling.dataflow.unfollowed import unfollowed
from similitude.scaling.records import Branch

_FLAT = 0.02  # exponents of the width below this are rounding


@dataclass(frozen=True)
class TensorUse:
    """One use of one tensor, seen at both sizes.

    Attributes:
        index: Number of the use in the pass at the smaller size.
        kind: "contract", "lookup", "gain", "bias", "concat" or the name of an operation.
        op: The operation, as PyTorch calls it.
        module: Innermost module that ran it.
        fans: Sides, where the tensor is contracted.
        problem: Why the sides cannot be told, if so.
        how: Operations between the tensor and its use that are not linear.
        gain_of: Whether this tensor holds the lengths of a weight-normalized matrix.
        partner: Under weight norm, the other of the two tensors of lengths and directions.
        read_later: Whether what it produces is contracted again.
        batched: Dimensions of the tensor that neither side contains, e.g. experts or heads.
        exponent: Power of the width by which the forward pass multiplies this use's output.
        late: The part of it that comes after the last operation that is not linear.
        before: The same as `exponent` for what it is contracted with, as far as no other tensor answers for it.
        parts: How many tensors make the weight.
        summed: Whether what it gives is summed over a side that grows.
    """

    index: int
    kind: str
    op: str
    module: str
    fans: Fans | None = None
    problem: str = ""
    how: frozenset[str] = frozenset()
    gain_of: bool = False
    partner: str = ""
    read_later: bool = False
    batched: tuple[int, ...] = ()
    exponent: float = 0.0
    late: float = 0.0
    before: float = 0.0
    parts: int = 1
    summed: bool = False


@dataclass(frozen=True)
class Attention:
    """A contraction of two activations over a side that grows.

    Attributes:
        node: Its node in the pass at the smaller size.
        growth: Power of the width by which the contracted side grows.
        exponent: Power of the width of the constants that already multiply the logits.
        operands: Carriers of its two operands; None where nothing can carry a factor.
        origin: Uses that either operand comes from.
        module: Innermost module that ran it.
    """

    node: int
    growth: float
    exponent: float
    operands: tuple[frozenset[int] | None, frozenset[int] | None]
    origin: frozenset[int]
    module: str


@dataclass(frozen=True)
class Structure:
    """What a model family does with its tensors, whatever the target's size.

    Attributes:
        sizes: The two sizes that were traced.
        flow: The pass at the smaller one.
        uses: Per tensor, in the order of the pass.
        attention: Contractions of two activations over a growing side.
        residuals: Residual additions of the pass at the smaller size.
        notes: What changes with the width and no tensor answers for.
        matched: Whether both passes used the same tensors in the same order.
        growing: Which dimensions of every tensor grow with the width.
    """

    sizes: tuple[Size, Size]
    flow: Flow
    uses: Mapping[str, tuple[TensorUse, ...]]
    attention: tuple[Attention, ...]
    residuals: tuple[Residual, ...]
    notes: tuple[str, ...]
    matched: bool
    growing: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The residual branches by their tensors, each once."""
        return branches(self.residuals)


def study(
    make: Factory, sample: Sample, *, base: Size, target: Size, loss: Callable[..., Any] | None, seed: int
) -> Structure:
    """Trace a model family at two small sizes and compare the passes.

    Args:
        make: The family.
        sample: What the model is called with.
        base: Size of the base.
        target: Size of the target; it is traced only where the family has no other size.
        loss: `loss(model, sample)`, traced instead of the model's own call where given.
        seed: Seed of the builds.

    Raises:
        PlanError: The model cannot be called with the sample, or no two sizes can be traced.
    """
    small, large, passes = two_passes(make, sample, base, target, loss, seed)
    shapes = [ran.shapes for ran in passes]
    growing = growing_dims(*shapes)
    flows = analyse(passes[0], growing), analyse(passes[1], growing)
    ratio = math.log(large["width"] / small["width"])
    first, second = flows
    matched = [(u.kind, *u.weight.dims) for u in first.uses] == [
        (u.kind, *u.weight.dims) for u in second.uses
    ]
    uses: dict[str, list[TensorUse]] = {name: [] for name in shapes[0]}
    for a, b in _pairs(first, second, matched):
        for name in a.weight.dims:
            if name in uses:
                uses[name].append(_use(name, a, b, flows, shapes, ratio))
        if a.weight.gain in uses:
            uses[a.weight.gain].append(
                _use(next(iter(a.weight.dims)), a, b, flows, shapes, ratio, gain_of=True)
            )
    lost = without_use(first)
    for name, op in lost.items():
        uses[name].append(TensorUse(-1, "lost", op, ""))
    return Structure(
        (small, large),
        first,
        {name: tuple(found) for name, found in uses.items()},
        tuple(_attention(first, second, ratio)),
        residuals(first),
        unfollowed(first, second),
        matched,
        growing,
    )


def growing_dims(
    small: Mapping[str, tuple[int, ...]], large: Mapping[str, tuple[int, ...]]
) -> dict[str, frozenset[int]]:
    """Tell which dimensions of every tensor differ between two sizes."""
    return {
        name: frozenset(i for i, (a, b) in enumerate(zip(shape, large[name], strict=True)) if a != b)
        for name, shape in small.items()
    }


def _pairs(first: Flow, second: Flow, matched: bool) -> list[tuple[Use, Use]]:
    """Pair the uses of both passes: one to one, or by parameters where the passes took different ways."""
    if matched:
        return list(zip(first.uses, second.uses, strict=True))
    by_key: dict[Any, list[Use]] = defaultdict(list)
    for use in second.uses:
        by_key[_key(use)].append(use)
    found, seen = [], set()
    for use in first.uses:
        others = by_key.get(_key(use))
        if others:
            found.append((use, others.pop(0) if len(others) > 1 else others[0]))
            seen.add(_key(use))
    return found


def _key(use: Use) -> Any:
    return use.kind, tuple(sorted(use.weight.dims)), use.weight.gain, use.kept


def _use(
    name: str,
    a: Use,
    b: Use,
    flows: tuple[Flow, Flow],
    shapes: list[dict[str, tuple[int, ...]]],
    ratio: float,
    *,
    gain_of: bool = False,
) -> TensorUse:
    first, second = flows
    fans, problem, batched = None, "", ()
    if a.kind == "contract":
        fans, problem = _fans(name, a, b, flows, shapes)
        if fans is not None:
            inside = {*fans.fan_in.dims, *fans.fan_out.dims}
            batched = tuple(i for i in range(len(shapes[0][name])) if i not in inside)
    before, short = 0.0, 0.0
    if a.operand >= 0 and a.kind in ("contract", "gain") and first.facts[a.operand].unit:
        # Entries of vectors of length 1 shrink as the root of their number.
        short = -_exponent(_entries(a, first), _entries(b, second), ratio) / 2
    if a.operand >= 0 and a.kind == "contract":
        one, two = first.facts[a.operand], second.facts[b.operand]
        # What its carriers are multiplied by before a nonlinearity is theirs.
        numbers = (one.late, two.late) if one.carriers else (one.scale, two.scale)
        before = _exponent(*numbers, ratio) + short
        short = 0.0
    own = _exponent(a.weight.scale, b.weight.scale, ratio)
    after = _exponent(first.scales.get(a.index, 1.0), second.scales.get(b.index, 1.0), ratio)
    late = _exponent(first.lates.get(a.index, 1.0), second.lates.get(b.index, 1.0), ratio)
    summed = a.index in _summed(first, second)
    return TensorUse(
        a.index,
        a.kind,
        first.trace.nodes[a.node].op,
        a.module,
        fans,
        problem,
        a.weight.how,
        gain_of,
        name if gain_of else a.weight.gain,
        a.index in first.read_later,
        batched,
        own + after + short,
        late + short,
        before,
        len(a.weight.dims),
        summed,
    )


def _entries(use: Use, flow: Flow) -> int:
    shape = flow.trace.values[use.weight_value].shape
    return math.prod(shape[d] for d in use.contracted) if use.kind == "contract" else math.prod(shape)


def _summed(first: Flow, second: Flow) -> frozenset[int]:
    """Return the uses whose outputs are summed over a side that grows."""
    if len(first.sums) != len(second.sums):
        return frozenset()
    pairs = zip(first.sums, second.sums, strict=True)
    return frozenset(use for (carriers, n), (_, m) in pairs if n != m for use in carriers)


def _exponent(before: float, after: float, ratio: float) -> float:
    if before == after or not 0 < abs(before) < math.inf or not 0 < abs(after) < math.inf:
        return 0.0
    exponent = math.log(abs(after / before)) / ratio
    near = round(4 * exponent) / 4
    exponent = near if abs(exponent - near) < _FLAT else exponent
    return exponent if abs(exponent) > _FLAT else 0.0


def _fans(
    name: str, a: Use, b: Use, flows: tuple[Flow, Flow], shapes: list[dict[str, tuple[int, ...]]]
) -> tuple[Fans | None, str]:
    sizes = [_sizes(use, flow) for use, flow in ((a, flows[0]), (b, flows[1]))]
    dims = a.weight.dims[name]
    known = [_merge(dims, a.contracted), _merge(dims, a.kept)]
    pair = shapes[0][name], shapes[1][name]
    if len(a.weight.dims) > 1 and known[0] is not None and known[1] is not None:
        return Fans(Fan(known[0]), Fan(known[1])), ""  # concatenated: each part has sides of its own
    fan_in = _fan(sizes[0][0], sizes[1][0], known[0], pair, avoid=known[1] or ())
    fan_out = None
    if fan_in is not None:
        fan_out = _fan(sizes[0][1], sizes[1][1], known[1], pair, avoid=fan_in.dims)
    if fan_in is None or fan_out is None:
        side = "fan-in" if fan_in is None else "fan-out"
        i = 0 if fan_in is None else 1
        return None, (
            f"its {side} is {sizes[0][i]:g} at the smaller traced size and {sizes[1][i]:g} at the larger, which "
            f"no product of its own dimensions {pair[0]} and {pair[1]} explains"
        )
    return Fans(fan_in, fan_out), ""


def _sizes(use: Use, flow: Flow) -> tuple[float, float]:
    shape = flow.trace.values[use.weight_value].shape
    fan_in = math.prod(shape[d] for d in use.contracted)
    fan_out = math.prod(shape[d] for d in use.kept)
    if use.transposed:
        return fan_in / use.groups, fan_out * use.groups
    return fan_in, fan_out


def _merge(dims: tuple[tuple[int, ...] | None, ...], which: tuple[int, ...]) -> tuple[int, ...] | None:
    parts = [dims[d] if d < len(dims) else None for d in which]
    if any(p is None for p in parts):
        return None
    return tuple(i for p in parts if p is not None for i in p)


def _fan(
    small: float,
    large: float,
    known: tuple[int, ...] | None,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    *,
    avoid: tuple[int, ...],
) -> Fan | None:
    if small == large:
        whole = known is not None and _same(known, shapes) and math.prod(shapes[0][d] for d in known) == small
        return Fan(known) if known is not None and whole else Fan((), small)
    subsets = ([known] if known is not None else []) + _subsets(len(shapes[0]), avoid)
    for exact in (True, False):
        for dims in subsets:
            factors = [n / math.prod(s[d] for d in dims) for n, s in zip((small, large), shapes, strict=True)]
            if math.isclose(factors[0], factors[1]) and (not exact or factors[0] == 1.0):
                return Fan(tuple(dims), factors[0])
    return None


def _same(dims: tuple[int, ...], shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> bool:
    return all(shapes[0][d] == shapes[1][d] for d in dims)


def _subsets(rank: int, avoid: tuple[int, ...]) -> list[tuple[int, ...]]:
    free = [d for d in range(rank) if d not in avoid]
    return [c for n in range(1, len(free) + 1) for c in itertools.combinations(free, n)]


def _attention(first: Flow, second: Flow, ratio: float) -> list[Attention]:
    found = []
    both = ((first.logits, second.logits), (first.dots, second.dots))
    pairs = [pair for one, two in both if len(one) == len(two) for pair in zip(one, two, strict=True)]
    for a, b in pairs:
        growth = _exponent(a.size, b.size, ratio)
        if growth == 0:
            continue
        # A product of vectors of length 1 is a cosine at every size: each has entries of size^-1/2.
        short = growth * (first.facts[a.left].unit + first.facts[a.right].unit) / 2
        scales = []
        for flow, each in ((first, a), (second, b)):
            sides = flow.facts[each.left].scale * flow.facts[each.right].scale
            scales.append(sides * flow.logit_scales.get(each.index, 1.0))
        left, right = first.facts[a.left], first.facts[a.right]
        found.append(
            Attention(
                a.index,
                growth,
                _exponent(scales[0], scales[1], ratio) - short,
                (left.carriers, right.carriers),
                left.origin | right.origin,
                a.module,
            )
        )
    return found
