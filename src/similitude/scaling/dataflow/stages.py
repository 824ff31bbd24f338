"""Stages of a residual network: runs of residual additions on one stream, and how their number grows with the depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from similitude.scaling.dataflow.branch_numbers import branch_numbers, change
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.residual import Residual

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

    An addition continues the stage of an earlier one where its stream comes from that one's sum without a matrix
    in between: directly, through a norm (post-norm blocks) or an activation. A projection ends a stage.

    Args:
        flow: The pass.
        residuals: Its residual additions, in order.
    """
    producers = {value: node.index for node in flow.trace.nodes for value in node.outputs}
    ends = {use.node for use in flow.uses if use.kind in ("contract", "lookup")} | flow.contractions.keys()
    by_add = {residual.add: i for i, residual in enumerate(residuals)}
    stage_of: list[int] = []
    for i, residual in enumerate(residuals):
        before = next(_behind(flow, residual.stream, producers, ends, by_add), None)
        stage_of.append(i if before is None or before >= i else stage_of[before])
    groups: dict[int, list[Residual]] = {}
    for residual, stage in zip(residuals, stage_of, strict=True):
        groups.setdefault(stage, []).append(residual)
    return tuple(map(tuple, groups.values()))


def depth_growth(
    flow: Flow, residuals: tuple[Residual, ...], base_flow: Flow, base_residuals: tuple[Residual, ...]
) -> DepthGrowth:
    """Compare the residual branches of a deep network with those of the base, at one width.

    Stages are paired by the names of the tensors in their branches, of which a deeper network has those of the
    shallower one and more.

    Args:
        flow: The pass at the target's depth.
        residuals: Its residual additions.
        base_flow: The pass at the base's depth.
        base_residuals: Its residual additions.
    """
    base_stages = stages(base_flow, base_residuals)
    known = set(base_flow.trace.shapes)
    found, notes = [], []
    nested = _nested(flow, residuals)
    for stage in stages(flow, residuals):
        match = _counterpart(stage, base_stages, known)
        if match is not None:
            number = _number(flow, stage, base_flow, match)
            found.append(StageGrowth(stage, len(match), number))
            continue
        alike = {g.ratio for g in found if _is_nested(g.residuals, nested)}
        if _is_nested(stage, nested) and len(alike) == 1:  # a chain inside a block that the base has fewer of
            found.append(StageGrowth(stage, round(len(stage) / alike.pop())))
            continue
        notes.append(
            f"a stage of {len(stage)} residual branches (the first ends in {_quoted(stage[0].branch.ends)}) has none at "
            "the base: they are counted from one"
        )
        found.append(StageGrowth(stage, 1))
    ratios, unclear = _ratios(found, nested)
    return DepthGrowth(tuple(found), ratios, _uses(flow, base_flow, ratios), unclear, tuple(notes))


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
    """List pairs (inner, outer) of additions of which the inner one is a part of the outer one's branch."""
    found = set()
    for outer in residuals:
        inside = flow.facts[outer.value].ancestors
        for inner in residuals:
            out = flow.trace.nodes[inner.add].outputs[0]
            descends = flow.facts[out].ancestors >> outer.start & 1 and outer.start != inner.add
            if inner.add != outer.add and inside >> inner.add & 1 and descends:
                found.add((inner.add, outer.add))
    return found


def _is_nested(stage: Stage, nested: set[tuple[int, int]]) -> bool:
    inner = {pair[0] for pair in nested}
    return all(residual.add in inner for residual in stage)


def _names(stage: Stage) -> set[str]:
    return {name for residual in stage for name in residual.branch.inside}


def _counterpart(stage: Stage, others: tuple[Stage, ...], known: set[str]) -> Stage | None:
    """Return the base's stage whose tensors overlap most with those of a stage; None where none overlaps."""
    mine = _names(stage) & known

    def overlap(other: Stage) -> float:
        theirs = _names(other)
        return len(mine & theirs) / max(1, len(mine | theirs))

    best = max(others, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0 else None


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
    for name, growths in homes.items():
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


def _uses(flow: Flow, base_flow: Flow, ratios: dict[str, float]) -> dict[str, float]:
    """Return by how much the uses of a tensor multiply, where several branches share it."""
    counts: list[dict[str, int]] = []
    for each in (flow, base_flow):
        count: dict[str, int] = {}
        for use in each.uses:
            for name in use.weight.dims:
                count[name] = count.get(name, 0) + 1
        counts.append(count)
    return {
        name: counts[0][name] / counts[1][name]
        for name in ratios
        if name in counts[1] and counts[0].get(name, 0) != counts[1][name]
    }


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names)) or "an operation without parameters"
