"""What a user should know of a plan and its rows cannot say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from similitude.scaling.axes import some
from similitude.scaling.dataflow.structure import Structure
from similitude.scaling.factors import is_matrix
from similitude.scaling.folding import Folds
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
) -> list[str]:
    """Write the notes of a plan.

    Args:
        structure: What the forward pass does, where it was traced.
        rows: The plan's rows.
        folds: Its folded multipliers.
        own: The measured init, by tensor.
        spec: Its optimizer.
        rule: Its rule.
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
    if structure is not None and rule != "sp":
        notes += structure.notes
    if structure is not None and not structure.matched:
        notes.append(
            "the forward pass takes other ways at other sizes (routing that depends on data), so uses were paired "
            "by tensor"
        )
    matrices = [row for row in rows if is_matrix(row.role, row.shape)]
    if spec.family == "orthogonalized" and len(matrices) < len(rows):
        notes.append(
            f"{spec.name} trains the {len(matrices)} matrices of the plan; factors of the other "
            f"{len(rows) - len(matrices)} tensors are for AdamW: similitude.split makes one optimizer of both"
        )
    return notes + list(spec.warnings)


def _init_notes(own: Mapping[str, OwnInit]) -> list[str]:
    """Say once what is worth knowing of the measured init, with the tensors that it holds for."""
    by_note: dict[str, list[str]] = {}
    for name, init in own.items():
        if init.note:
            by_note.setdefault(init.note, []).append(name)
    return [f"{note}: {some(names)}" for note, names in by_note.items()]
