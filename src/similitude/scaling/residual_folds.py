"""Multipliers of residual branches (paper 13), put into tensors."""

from __future__ import annotations

from collections.abc import Mapping

from similitude.core.citation import cites
from similitude.scaling.axes import some
from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.residual import Residual
from similitude.scaling.dataflow.stages import DepthGrowth
from similitude.scaling.dataflow.structure import Structure
from similitude.scaling.folding import Folds, names_of
from similitude.scaling.records import Hook
from similitude.scaling.roles import RoleResult

_SAME = 1e-9  # relative: multipliers that differ by rounding are one


@cites(13, "Section 3: the branch multiplier (L / L0)^-alpha")
def fold_branches(
    structure: Structure,
    results: tuple[RoleResult, ...],
    growth: DepthGrowth,
    *,
    alpha: float,
    folds: Folds,
) -> None:
    """Let the tensors that end each residual branch carry its multiplier.

    The multiplier goes to the last tensors whose common rescaling rescales the branch: its last matrix and bias, or
    the gain of a norm or a layer scale behind them. What the forward pass itself multiplies a branch by as the
    depth grows is taken out.

    Args:
        structure: What the forward pass does at the target's depth.
        results: The roles.
        growth: What the depth changes.
        alpha: Residual exponent.
        folds: What is folded so far; multipliers, refusals and notes are added.
    """
    flow, by_name = structure.flow, {result.name: result for result in results}
    folds.notes += growth.notes
    for name, reason in growth.unclear.items():
        folds.refused.setdefault(name, reason)
    carried: dict[str, float] = {}
    asked: list[tuple[Residual, float]] = []
    wanted: dict[int, float] = {}  # use -> multiplier
    told: set[str] = set()
    modules, hooked = _returning(flow, growth), dict[str, float]()
    for stage in growth.stages:
        if stage.number is None:
            _refuse(stage.residuals, "its branches by numbers that do not change alike with the depth", folds)
            continue
        multiplier = stage.ratio**-alpha / stage.number
        if stage.number != 1.0:
            told.add(
                f"the forward pass itself multiplies branches by x{stage.number:.4g} more at this depth than at the "
                f"base: they carry the rest, x{multiplier:.4g}"
            )
        if abs(multiplier - 1.0) > _SAME:
            asked += [(residual, multiplier) for residual in stage.residuals]
    for residual, multiplier in asked:
        for use in flow.facts[residual.value].carriers or ():
            wanted[use] = wanted.get(use, 1.0) * multiplier
    for residual, multiplier in asked:
        names = _ends(structure, by_name, residual, wanted)
        if names is None:
            module = modules.get(residual.add)
            if module is None or hooked.setdefault(module, multiplier) != multiplier:
                _refuse_end(structure, residual, multiplier, folds)
            continue
        for name in names:
            carried[name] = wanted[structure.uses[name][0].index]
    for name, multiplier in carried.items():
        what = f"residual branch x{multiplier:.4g}: (branches over base's)^-{alpha:g}"
        folds.put(name, multiplier, what)
    why = "no tensor makes the branch's value in proportion (an activation or a gain of 1 + w ends it)"
    for module, multiplier in hooked.items():
        what = f"residual branch x{multiplier:.4g}: (branches over base's)^-{alpha:g}"
        folds.hooks.append(Hook(module, multiplier, f"{what}: {why}", "output"))
    folds.notes += sorted(told)


def _ends(
    structure: Structure, by_name: Mapping[str, RoleResult], residual: Residual, wanted: Mapping[int, float]
) -> list[str] | None:
    """Return the tensors that can carry a branch's multiplier: all that they make goes into such branches."""
    flow = structure.flow
    carriers = flow.facts[residual.value].carriers
    if not carriers or any(flow.uses[index].weight.how for index in carriers):
        return None
    if any(_read_elsewhere(flow, index, residual) for index in carriers):
        return None
    names = names_of(structure, carriers)
    for name in names:
        result = by_name.get(name)
        if result is None or result.tied:
            return None
        asked = {round(wanted.get(use.index, 1.0), 12) for use in structure.uses[name]}
        if len(asked) > 1:  # one tensor in several places that need different multipliers
            return None
    return names


def _returning(flow: Flow, growth: DepthGrowth) -> dict[int, str]:
    """Return the module whose output is a branch's value and nothing else, by residual addition."""
    residuals = {flow.facts[r.value].root: r for stage in growth.stages for r in stage.residuals}
    readers: dict[int, set[int]] = {}
    for node in flow.trace.nodes:
        if node.op not in ops.SHAPE:
            for value in node.inputs:
                readers.setdefault(flow.facts[value].root, set()).add(node.index)
    found: dict[int, str] = {}
    impure: set[str] = set()
    for module, value in flow.trace.exits:
        root = flow.facts[value].root
        residual = residuals.get(root)
        if residual is None or readers.get(root) != {residual.add}:
            impure.add(module)
        elif module:
            found.setdefault(residual.add, module)
    return {add: module for add, module in found.items() if module not in impure}


def _read_elsewhere(flow: Flow, index: int, residual: Residual) -> bool:
    """Tell whether what a use makes does anything else than scale the branch's value."""
    use = flow.uses[index]
    inside = flow.facts[residual.value].ancestors
    linear = {use.output}
    for node in flow.trace.nodes[use.node + 1 :]:
        if node.index == residual.add or not linear & set(node.inputs):
            continue
        if not inside >> node.index & 1:
            return True
        if any(index not in (flow.facts[value].carriers or ()) for value in node.outputs):
            return True
        linear |= set(node.outputs)
    return False


def _refuse(residuals: tuple[Residual, ...], number: str, folds: Folds) -> None:
    for residual in residuals:
        for name in residual.branch.ends:
            folds.refused.setdefault(
                name,
                f"the forward pass multiplies {number}, so the plan cannot tell what is left to do. Plan for the model "
                "without those numbers, or train it as it is (depth_rule='sp')",
            )


def _refuse_end(structure: Structure, residual: Residual, multiplier: float, folds: Folds) -> None:
    flow = structure.flow
    facts = flow.facts[residual.value]
    names = list(residual.branch.ends) or names_of(structure, facts.origin)
    carriers = facts.carriers or frozenset()
    bent = {how for index in carriers for how in flow.uses[index].weight.how}
    if not carriers:
        why = (
            "it ends in an operation that does not keep a scale (an activation such as GELU, a product of two values, or "
            "a norm without a gain)"
        )
    elif bent:
        why = f"what ends it enters through {some(sorted(bent))}, as a gain of 1 + w, and does not scale with the tensor"
    else:
        why = f"what {some(names)} makes is also read elsewhere, or the tensor has another place too"
    reason = (
        f"its residual branch needs a multiplier of x{multiplier:.4g}, and no tensor can carry it: {why}. End the branch "
        "in a matrix or a layer scale of its own, or train the depth as it is (depth_rule='sp')"
    )
    for name in names:
        folds.refused.setdefault(name, reason)
    if not names:
        folds.notes.append(f"a residual branch without parameters of its own stays as it is: {why}")
