"""What a user should know of a plan and its rows cannot say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from similitude.scaling.axes import some
from similitude.scaling.dataflow import ops
from similitude.scaling.dataflow.facts import Flow
from similitude.scaling.dataflow.residual import Residual
from similitude.scaling.dataflow.stages import DepthGrowth, matrices_in
from similitude.scaling.dataflow.structure import Structure
from similitude.scaling.factors import Place, optimizer_notes
from similitude.scaling.folding import Folds
from similitude.scaling.inits.depths import DepthInit, init_depth_notes
from similitude.scaling.inits.survey import OwnInit
from similitude.scaling.optimizers import OptimizerSpec
from similitude.scaling.records import PlanRow


def plan_notes(
    structure: Structure | None,
    rows: Sequence[PlanRow],
    folds: Folds,
    own: Mapping[str, OwnInit],
    spec: OptimizerSpec,
    rule: str,
    depth_inits: Mapping[str, DepthInit],
    places: Mapping[str, Place],
) -> list[str]:
    """Write the notes of a plan.

    Args:
        structure: What the forward pass does, where it was traced.
        rows: The plan's rows.
        folds: Its folded multipliers.
        own: The measured init, by tensor.
        spec: Its optimizer.
        rule: Its rule.
        depth_inits: How the own init changes with the depth, for tensors where it does.
        places: Tensors inside residual branches.
    """
    notes = list(folds.notes)
    unused = [row.name for row in rows if row.role == "unused"]
    if unused:
        notes.append(
            f"never used by the sample: {some(unused, 12)}. They are left as they are; if they are trained, pass a "
            "sample that reaches them in eval mode, or name their roles"
        )
    if rule != "sp":
        notes += _init_notes(own)
    fixed = {name for name, init in own.items() if init.law == "fixed"}
    kept = [name for name in depth_inits if name not in places and (rule == "sp" or name in fixed)]
    notes += init_depth_notes(depth_inits, kept, places)
    narrow = [row.name for row in rows if row.role == "bottleneck"]
    if narrow and rule != "sp":
        notes.append(
            f"bottlenecks inside a growing network, whose output side stays or grows more slowly: {some(narrow)}. No "
            "rule is exact for them; their init follows fan-in^-1/2. Let their inner size grow with the width to transfer"
        )
    if rule == "mean_field" and sum(row.role == "hidden" for row in rows) > 0:
        notes.append(
            "mean_field with hidden matrices degenerates: their signal at initialization vanishes with the width. "
            "Use mup for more than one hidden layer"
        )
    if rule == "u_mup":
        notes.append(
            "u_mup has its ratios to your base and leaves the base's own init; similitude.unit_scaled(make, ...) gives a "
            "base of unit scale. Weights and gradients of unit size, for 8-bit numbers, need multipliers in the forward "
            "pass and are not folded"
        )
    if structure is not None and rule != "sp":
        notes += structure.notes
    if structure is not None and not structure.matched:
        notes.append(
            "the forward pass takes other ways at other sizes (routing that depends on data), so uses were paired "
            "by tensor"
        )
    return notes + optimizer_notes(rows, spec)


def depth_notes(structure: Structure, growth: DepthGrowth, alpha: float) -> list[str]:
    """Warn of branches for which a residual exponent is not proven.

    Args:
        structure: What the forward pass does at the target's depth.
        growth: What the depth changes.
        alpha: The residual exponent.
    """
    notes = []
    grown = [stage for stage in growth.stages if stage.ratio != 1.0]
    counts = ", ".join(f"{stage.base_count} -> {len(stage.residuals)}" for stage in grown)
    if counts:
        notes.append(f"residual branches by stage: {counts}; each x (ratio)^-{alpha:g}")
    else:
        notes.append(
            "no stage has more residual branches at this depth than at the base: the depth rule changes nothing"
        )
    residuals = [residual for stage in grown for residual in stage.residuals]
    curved = {op for r in residuals for op in _curved_end(structure, r)}
    if curved and alpha < 1:
        notes.append(
            f"residual branches end in a nonlinearity ({', '.join(sorted(curved))}), so that their mean is not zero and "
            f"adds up as L^{1 - alpha:.3g}: subtract the mean of a branch over its channels, end it in a matrix, or take "
            "depth_rule='complete_p'"
        )
    deep = max((matrices_in(structure.flow, r) for r in residuals), default=0)
    if deep > 1 and alpha < 1:
        notes.append(
            f"residual branches have {deep} matrices in a row, for which no depth rule with alpha < 1 is proven to "
            "transfer: inside a branch they are linearized as the depth grows. depth_rule='complete_p' (alpha 1) keeps "
            "them learning"
        )
    shared = [name for name, uses in growth.uses.items() if uses != 1.0]
    if shared and alpha < 1:
        notes.append(
            f"{some(shared)} serve several branches, whose sums are then aligned from the start: only alpha = 1 keeps "
            "them from growing with the depth"
        )
    return notes


def richness_notes(structure: Structure, gamma: float, *, zero_head: bool) -> list[str]:
    """Say for what the law of the richness is not proven, and what starts far from zero.

    Args:
        structure: What the forward pass does.
        gamma: The richness.
        zero_head: Whether a knob starts the head at zero.
    """
    notes = []
    if what := beside_layers(structure.flow, structure.residuals):
        notes.append(
            f"the learning rate's law in gamma holds for plain stacks of layers; this model has {' and '.join(what)}, so "
            "measure its exponents: `similitude gamma`"
        )
    if gamma < 1 and not zero_head:
        notes.append(
            f"gamma < 1 makes the untrained output 1/{gamma:g} = {1 / gamma:.4g} times as large: start the head at zero "
            '(knobs=dict(head={"init": 0})) or train similitude.Centred(model)'
        )
    return notes


def beside_layers(flow: Flow, found: Sequence[Residual]) -> list[str]:
    """Name what keeps a model from being the plain stack of layers for which the law of the richness is proven.

    Args:
        flow: Its forward pass.
        found: The residual additions of that pass.
    """
    norms = any(node.op in ops.NORM for node in flow.trace.nodes)
    return ["residual branches"] * bool(found) + ["norms"] * norms


def _curved_end(structure: Structure, residual: Residual) -> set[str]:
    """List the nonlinear operations between a branch's last matrix and its end, unless a mean is taken out there."""
    flow = structure.flow
    inside = flow.facts[residual.value].ancestors
    last = max((node for node in flow.contractions if inside >> node & 1), default=None)
    if last is None:
        return set()
    found: set[str] = set()
    known = ops.SHAPE | ops.LINEAR | ops.ADD | ops.MUL | ops.DIV | ops.JOIN
    for node in flow.trace.nodes[last + 1 : residual.add]:
        if not inside >> node.index & 1:
            continue
        if node.op in ops.NORM or node.op == "mean":
            found.clear()
        elif node.op not in known:
            found.add(node.op.rstrip("_"))
    return found


def _init_notes(own: Mapping[str, OwnInit]) -> list[str]:
    """Say once what is worth knowing of the measured init, with the tensors that it holds for."""
    by_note: dict[str, list[str]] = {}
    for name, init in own.items():
        if init.note:
            by_note.setdefault(init.note, []).append(name)
    return [f"{note}: {some(names)}" for note, names in by_note.items()]
