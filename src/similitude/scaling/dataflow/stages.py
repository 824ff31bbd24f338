"""Stages of a residual network: runs of residual additions on one stream, and how their number grows with the depth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.branch_numbers import branch_numbers, change
from similitude.scaling.dataflow.facts import Flow, Use
from similitude.scaling.dataflow.residual import Residual, producers

Stage = tuple[Residual, ...]
"""Residual additions on one stream, in the order of the pass."""

_EXACT = 1e-6  # relative error of numbers that the forward pass computes from the depth


@dataclass(frozen=True)
class StageGrowth:
    """One stage of the deep network beside the same stage of the base.

    Attributes:
        residuals: Its residual additions at the target's depth.
        base_count: Their number at the base's depth; 1 where the base has none.
        number: Target over base of the constant by which the forward pass itself multiplies its branches, relative to
            the stream; None where it differs between the branches.
    """

    residuals: Stage
    base_count: int
    number: float | None = 1.0

    @property
    def ratio(self) -> float:
        """Branches at the target over branches at the base."""
        return len(self.residuals) / self.base_count


@dataclass(frozen=True)
class DepthGrowth:
    """What the depth changes in a family of networks.

    Attributes:
        stages: Every stage of the target.
        ratios: Ratio of branches by tensor, for tensors inside a branch; of nested branches the product.
        uses: Ratio of the number of uses, for tensors that several branches share.
        unclear: Tensors that stages of different growth share, with the reason.
        notes: What a user should know.
    """

    stages: tuple[StageGrowth, ...]
    ratios: dict[str, float]
    uses: dict[str, float]
    unclear: dict[str, str]
    notes: tuple[str, ...] = ()


def stages(flow: Flow, residuals: tuple[Residual, ...]) -> tuple[Stage, ...]:
    """Group residual additions by their stream.

    An addition continues the stage of an earlier one where its stream is that one's sum, maybe times a number or with
    earlier states added. Where nothing continues a sum so, the addition whose stream comes from it through a norm
    (post-norm blocks) or an activation does. A projection ends a stage.

    Args:
        flow: The pass.
        residuals: Its residual additions, in order.
    """
    producer = producers(flow)
    by_sum = {flow.trace.nodes[r.add].outputs[0]: i for i, r in enumerate(residuals)}
    inner = {pair[0] for pair in _nested(flow, residuals)}
    direct: dict[int, int] = {}
    for i, residual in enumerate(residuals):
        before = [by_sum[root] for root in residual.roots if root in by_sum]
        if before:
            direct[i] = max(before)
    continued = {before for i, before in direct.items() if residuals[i].add not in inner}
    ends = {use.node for use in flow.uses if use.kind in ("contract", "lookup")} | flow.contractions.keys()
    by_add = {residual.add: i for i, residual in enumerate(residuals)}
    stage_of: list[int] = []
    for i, residual in enumerate(residuals):
        before = direct.get(i)
        if before is None:
            through = next(_behind(flow, residual.stream, producer, ends, by_add), None)
            before = None if through in continued else through
        elif residual.add in inner and before in continued:
            before = None  # an addition inside a branch that starts at the stream is not on the stream
        stage_of.append(i if before is None or before >= i else stage_of[before])
    groups: dict[int, list[Residual]] = {}
    for residual, stage in zip(residuals, stage_of, strict=True):
        groups.setdefault(stage, []).append(residual)
    return tuple(map(tuple, groups.values()))


def depth_growth(
    flow: Flow, residuals: tuple[Residual, ...], base_flow: Flow, base_residuals: tuple[Residual, ...]
) -> DepthGrowth:
    """Compare the residual branches of a deep network with those of the base, at one width.

    Stages of both depths are paired in their order. Where their numbers differ, and for additions inside branches, they
    are paired by the names of the tensors in their branches.

    Args:
        flow: The pass at the target's depth.
        residuals: Its residual additions.
        base_flow: The pass at the base's depth.
        base_residuals: Its residual additions.
    """
    nested, base_nested = _nested(flow, residuals), _nested(base_flow, base_residuals)
    mine, theirs = stages(flow, residuals), stages(base_flow, base_residuals)
    known = set(base_flow.trace.shapes)
    outer, base_outer = (
        [stage for stage in all_stages if not _is_nested(stage, pairs)]
        for all_stages, pairs in ((mine, nested), (theirs, base_nested))
    )
    pairs = _paired(outer, base_outer, known)
    inner = [stage for stage in mine if stage not in outer]
    pairs |= _paired(inner, [stage for stage in theirs if stage not in base_outer], known, in_order=False)
    found, notes, unclear = [], [], {}
    for stage in mine:
        match = pairs.get(stage)
        if match is not None:
            number = _number(flow, stage, base_flow, match)
            found.append(StageGrowth(stage, len(match), number))
            if not any(_contains(flow, each, residuals) for each in stage):
                unclear |= _deepened(flow, stage, base_flow, match, known)
            continue
        alike = {len(each) / len(pairs[each]) for each in inner if each in pairs}
        if stage in inner:  # a chain inside a block that the base has fewer of
            ratio = alike.pop() if len(alike) == 1 else 1.0
            found.append(StageGrowth(stage, max(1, round(len(stage) / ratio))))
            continue
        notes.append(
            f"a stage of {len(stage)} residual branches (the first ends in {_quoted(stage[0].branch.ends)}) has none at "
            "the base: they are counted from one"
        )
        found.append(StageGrowth(stage, 1))
    ratios, shared = _ratios(found, nested)
    uses = _counts(flow), _counts(base_flow)
    grown = {
        name: uses[0][name] / uses[1][name]
        for name in ratios
        if name in uses[1] and uses[0].get(name, 0) != uses[1][name]
    }
    inside, base_inside = ({name for stage in each for name in _names(stage)} for each in (mine, theirs))
    outside, beside = _outside(flow, base_flow, (inside, base_inside), uses)
    return DepthGrowth(tuple(found), ratios, grown, unclear | shared | outside, (*notes, *beside))


def _behind(
    flow: Flow, value: int, producers: dict[int, int], ends: set[int], by_add: dict[int, int]
) -> Iterator[int]:
    """Walk back from a value to residual additions, without passing a matrix."""
    waiting, seen = [value], set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in by_add:
            yield by_add[node]
        elif node not in ends:
            waiting += flow.trace.nodes[node].inputs


def _nested(flow: Flow, residuals: tuple[Residual, ...]) -> set[tuple[int, int]]:
    """List pairs (inner, outer) of additions of which the inner one is a part of the outer one's branch alone."""
    found = set()
    for outer in residuals:
        inside, passing = flow.facts[outer.value].ancestors, flow.facts[outer.stream].ancestors
        for inner in residuals:
            if inner.add == outer.add or not inside >> inner.add & 1 or passing >> inner.add & 1:
                continue
            descends = flow.facts[flow.trace.nodes[inner.add].outputs[0]].ancestors >> outer.start & 1
            if not descends or outer.start == inner.add:
                continue
            if inner.roots == outer.roots or not _on_stream(flow, inner, outer, residuals):
                found.add((inner.add, outer.add))
    return found


def _on_stream(flow: Flow, inner: Residual, outer: Residual, residuals: tuple[Residual, ...]) -> bool:
    """Tell whether an addition is on a stream that began before the outer branch did: the outer one is a long skip."""
    sums = {flow.trace.nodes[r.add].outputs[0]: r for r in residuals}
    waiting, seen = [inner], set()
    while waiting:
        each = waiting.pop()
        if each.add in seen:
            continue
        seen.add(each.add)
        for root in each.roots:
            if root in sums:
                waiting.append(sums[root])
            elif not flow.facts[root].ancestors >> outer.start & 1:
                return True
    return False


def _is_nested(stage: Stage, nested: set[tuple[int, int]]) -> bool:
    inner = {pair[0] for pair in nested}
    return all(residual.add in inner for residual in stage)


def _names(stage: Stage) -> set[str]:
    return {name for residual in stage for name in residual.branch.inside}


def _paired(
    mine: list[Stage], theirs: list[Stage], known: set[str], *, in_order: bool = True
) -> dict[Stage, Stage]:
    """Pair stages of two depths: in order where there are as many, else those whose tensors overlap most."""
    if in_order and len(mine) == len(theirs):
        return dict(zip(mine, theirs, strict=True))

    def overlap(one: Stage, other: Stage) -> float:
        names, others = _names(one) & known, _names(other)
        return len(names & others) / max(1, len(names | others))

    scores = sorted(
        ((overlap(one, other), -i, -j) for i, one in enumerate(mine) for j, other in enumerate(theirs)),
        reverse=True,
    )
    found: dict[Stage, Stage] = {}
    taken: set[int] = set()
    for score, i, j in scores:
        if score > 0 and mine[-i] not in found and -j not in taken:
            found[mine[-i]] = theirs[-j]
            taken.add(-j)
    return found


def matrices_in(flow: Flow, residual: Residual) -> int:
    """Count the matrices on the longest way through a branch."""
    inside = flow.facts[residual.value].ancestors
    at = {use.node for use in flow.uses if use.kind == "contract"}
    layers: dict[int, int] = {}
    for node in flow.trace.nodes[residual.start + 1 : residual.add]:
        if not inside >> node.index & 1:
            continue
        deepest = max((layers.get(value, 0) for value in node.inputs), default=0)
        for value in node.outputs:
            layers[value] = deepest + (node.index in at)
    return layers.get(residual.value, 0)


def _contains(flow: Flow, residual: Residual, residuals: tuple[Residual, ...]) -> bool:
    """Tell whether a branch goes through other residual additions, which are counted for themselves."""
    inside, passing = flow.facts[residual.value].ancestors, flow.facts[residual.stream].ancestors
    return any(inside >> each.add & 1 and not passing >> each.add & 1 for each in residuals)


def _deepened(flow: Flow, stage: Stage, base_flow: Flow, base: Stage, known: set[str]) -> dict[str, str]:
    """Return the new tensors of branches that become deeper themselves, with the reason why they have no rule."""
    now, before = (max(matrices_in(f, r) for r in s) for f, s in ((flow, stage), (base_flow, base)))
    if now <= before:
        return {}
    reason = (
        f"its residual branch itself has {now} matrices in a row and {before} at the base: depth rules are about how "
        "many branches there are. Keep the layers of a branch fixed, or train the depth as it is (depth_rule='sp')"
    )
    return dict.fromkeys(sorted(_names(stage) - known), reason)


def _outside(
    flow: Flow,
    base_flow: Flow,
    inside: tuple[set[str], set[str]],
    uses: tuple[dict[str, int], dict[str, int]],
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Tell what the depth adds outside of every branch: matrices, with the reason why they have no rule, and a note
    on vectors that act on the stream. Heads and norms may stand there."""
    reason = (
        "the depth adds it outside of every residual branch that was found, as in a plain stack of layers, and depth "
        "rules are about branches. Write the block as x + f(x), or train the depth as it is (depth_rule='sp')"
    )
    refused: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    for kinds in (("contract",), ("bias", "gain")):
        now, before = (_beside(f, kinds, names) for f, names in zip((flow, base_flow), inside, strict=True))
        if len(now) <= len(before):  # as many as at the base, whatever their names
            continue
        new = {
            name: reason
            for use in now
            for name in use.weight.dims
            if uses[0].get(name, 0) > uses[1].get(name, 0)
        }
        if kinds == ("contract",):
            refused = new
        elif new:
            notes = (
                f"{_quoted(tuple(new)[:4])} and the like act on the stream outside of every residual branch; their "
                "number grows with the depth, and they keep the rates of the base. Put them inside a branch",
            )
    return refused, notes


def _beside(flow: Flow, kinds: tuple[str, ...], inside: set[str]) -> list[Use]:
    """List the uses of some kinds outside of every branch; without norms, and without matrices that nothing reads on."""
    return [
        use
        for use in flow.uses
        if use.kind in kinds
        and not inside & set(use.weight.dims)
        and flow.trace.nodes[use.node].op not in ops.NORM
        and (use.kind != "contract" or use.index in flow.read_later)
    ]


def _number(flow: Flow, stage: Stage, base_flow: Flow, base: Stage) -> float | None:
    """Compare the constants before branches of the same tensors; None where they do not change alike."""
    before = {r.branch.ends: r for r in base}
    changes = [
        change(branch_numbers(flow, r), branch_numbers(base_flow, before[r.branch.ends]))
        for r in stage
        if r.branch.ends in before
    ]
    known = [ratio for ratio in changes if ratio is not None and ratio > 0]
    if len(known) < len(changes) or (known and max(known) / min(known) - 1 > _EXACT):
        return None
    return 1.0 if not known or abs(known[0] - 1) < _EXACT else known[0]


def _ratios(
    found: list[StageGrowth], nested: set[tuple[int, int]]
) -> tuple[dict[str, float], dict[str, str]]:
    """Return each tensor's ratio of branches: the product over branches inside branches."""
    homes: dict[str, list[StageGrowth]] = {}
    for growth in found:
        for name in _names(growth.residuals):
            homes.setdefault(name, []).append(growth)
    ratios, unclear = {}, {}
    for name, everywhere in homes.items():
        growths = [growth for growth in everywhere if growth.ratio != 1.0]
        chain = all(
            _inside(a, b, nested) or _inside(b, a, nested) for a in growths for b in growths if a is not b
        )
        if chain:
            ratios[name] = 1.0
            for growth in growths:
                ratios[name] *= growth.ratio
        elif len({growth.ratio for growth in growths}) == 1:
            ratios[name] = growths[0].ratio
        else:
            grown = ", ".join(f"x{growth.ratio:.4g}" for growth in growths)
            unclear[name] = (
                f"it is inside branches of several stages, whose numbers of branches grow differently ({grown}), so that "
                "no single factor fits. Use one tensor per stage, or let the stages grow alike"
            )
    return ratios, unclear


def _inside(inner: StageGrowth, outer: StageGrowth, nested: set[tuple[int, int]]) -> bool:
    return any((a.add, b.add) in nested for a in inner.residuals for b in outer.residuals)


def _counts(flow: Flow) -> dict[str, int]:
    """Count how often the same entries of each tensor are used; slices of one tensor for every layer are not shared."""
    producer = producers(flow)
    counts: dict[tuple[str, object], int] = {}
    for use in flow.uses:
        part = _part(flow, use.weight_value, producer)
        for name in (*use.weight.dims, *filter(None, [use.weight.gain])):
            counts[name, part] = counts.get((name, part), 0) + 1
    most: dict[str, int] = {}
    for (name, _), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return most


def _part(flow: Flow, value: int, producer: dict[int, int]) -> tuple[object, ...]:
    """Return how a value was cut out of its tensor: the operations with their numbers; empty for the whole of it."""
    cuts: list[object] = []
    while (node := producer.get(value)) is not None:
        at = flow.trace.nodes[node]
        if at.op not in ops.SHAPE:
            break
        before, after = (math.prod(flow.trace.values[v].shape) for v in (at.inputs[0], value))
        if after < before:
            cuts.append((at.op, at.args[1:], tuple(sorted(at.kwargs.items()))))
        value = at.inputs[0]
    return tuple(map(str, cuts))


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names)) or "an operation without parameters"
