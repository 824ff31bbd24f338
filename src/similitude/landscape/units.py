"""Curvature in the units of an optimizer: eta times lambda, against the largest value at which steps stay stable.

With its state held fixed, an optimizer is gradient descent with momentum on a loss whose parameters are measured in units
of their own, scale = sqrt(preconditioner). There, stability is a bound on learning rate times largest eigenvalue
(Cohen et al., arXiv 2207.14484, for Adam).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn, optim

from similitude.core.errors import CurvatureError
from similitude.landscape.preconditioners import (
    KNOWN_NAMES,
    Group,
    Law,
    Preconditioner,
    State,
    preconditioner_of,
    step_count,
)
from similitude.landscape.vectors import ParameterSpace
from similitude.scaling.axes import some

_INSTEAD = "Curvature.directional_sharpness(update) measures the curvature along its own steps"


@dataclass(frozen=True, eq=False)
class Units:
    """What an optimizer in its present state makes of curvature.

    The sharpness that it sees is the largest eigenvalue of diag(scale) (H + diag(shift)) diag(scale); steps come down to
    the minimum of a quadratic loss while `eta` times it is below `threshold`, and run away above.

    Attributes:
        name: The method, e.g. "gradient descent", "heavy ball", "Nesterov", "AdamW".
        threshold: Largest stable value of eta times sharpness.
        formula: The threshold as text.
        eta: Learning rate, the largest of the parameter groups; others enter `scale` by their ratio to it.
        scale: Square root of the preconditioner, shape (dim,); zero where the optimizer moves nothing.
        shift: Weight decay that is added to the gradient, hence to the Hessian's diagonal, shape (dim,); None without.
        steps: Steps that the preconditioner has seen; None where it does not depend on them.
        frozen: Names of trainable parameters that the optimizer does not move: it does not hold them, or they never had a
            gradient.
    """

    name: str
    threshold: float
    formula: str
    eta: float
    scale: Tensor
    shift: Tensor | None = None
    steps: int | None = None
    frozen: tuple[str, ...] = ()


def units_of(optimizer: optim.Optimizer, space: ParameterSpace) -> Units:
    """Read off an optimizer the units in which it sees curvature, and the threshold in them.

    Exact for the optimizer with its preconditioner held fixed, decoupled weight decay included: that shrinks oscillations
    by 1 - lr wd, which multiplies the squared scale by 2 / (2 - lr wd).

    Args:
        optimizer: Of torch.optim (SGD, Adam, AdamW, Adamax, NAdam, RAdam, RMSprop, Adagrad), or a wrapper that passes
            steps on to one it holds as `.optimizer` (Accelerate, Lightning). It is only read.
        space: The parameters of the model that the curvature is of.

    Returns:
        Threshold, learning rate and scale at the optimizer's present state.

    Raises:
        CurvatureError: The optimizer has no threshold that is known (Lion, Muon, L-BFGS, own classes), has no state yet,
            holds none of the parameters, ascends, or has groups of different thresholds.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> sgd = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        >>> units = units_of(sgd, ParameterSpace.of(model))
        >>> units.name, round(units.threshold, 12), units.eta, units.scale.tolist()
        ('heavy ball', 3.8, 0.5, [1.0, 1.0, 1.0])

    Source: Cohen et al., "Adaptive Gradient Methods at the Edge of Stability", arXiv 2207.14484, for Adam; every
        threshold is 2 over the weight with which a gradient that changes its sign every step enters a step.
    """
    inner = _unwrapped(optimizer)
    entry = preconditioner_of(inner)
    if entry is None:
        raise CurvatureError(
            f"no threshold is known for {type(inner).__name__}: there is one where a step is a fixed factor per entry "
            f"times an average of gradients ({KNOWN_NAMES}), not where it is made of signs, orthogonalized matrices or "
            f"something else. {_INSTEAD}."
        )
    held = _held(inner, space)
    law = _common_law(held, entry)
    eta = max(_rate(part) for part in held.values())
    moved = _with_state(inner, held, entry)

    def squared(name: str, p: nn.Parameter) -> Tensor | None:
        return _squared_scale(moved[name], entry, eta).expand_as(p) if name in moved else None

    def added_decay(name: str, p: nn.Parameter) -> Tensor | None:
        if name not in moved or entry.decoupled(moved[name].group):
            return None
        return torch.full_like(p, float(moved[name].group["weight_decay"]), dtype=space.dtype)

    shift = space.map(added_decay)
    decoupled = all(entry.decoupled(part.group) for part in moved.values())
    return Units(
        name=f"{law.name}W" if law.name == "Adam" and decoupled else law.name,
        threshold=law.threshold,
        formula=law.formula,
        eta=eta,
        scale=space.map(squared).sqrt_(),
        shift=shift if bool(shift.any()) else None,
        steps=max(int(step_count(part.state)) for part in moved.values()) if entry.needs else None,
        frozen=tuple(name for name in space.names if name not in moved),
    )


@dataclass(frozen=True)
class _Held:
    """A parameter as its optimizer holds it: the number and the options of its group, and its state."""

    name: str
    number: int
    group: Group
    state: State


def _unwrapped(optimizer: Any) -> optim.Optimizer:
    """Return what makes the steps: the inner optimizer of a wrapper that keeps no state of its own."""
    while True:
        if not isinstance(optimizer, optim.Optimizer):
            raise CurvatureError(
                f"a {type(optimizer).__name__} is no optimizer: its learning rate and state set the units of curvature. "
                "Pass the torch.optim.Optimizer that trains the model."
            )
        inner = getattr(optimizer, "optimizer", None)
        # Lookahead and the like hold an optimizer too, and change its steps: they remember something themselves.
        if not isinstance(inner, optim.Optimizer) or optimizer.state is not inner.state:
            return optimizer
        optimizer = inner


def _held(optimizer: optim.Optimizer, space: ParameterSpace) -> dict[str, _Held]:
    """Find the parameters of a space in an optimizer, by name."""
    names = {id(p): name for name, p in zip(space.names, space.tensors, strict=True)}
    held = {
        names[id(p)]: _Held(names[id(p)], number, group, optimizer.state.get(p, {}))
        for number, group in enumerate(optimizer.param_groups)
        for p in group["params"]
        if id(p) in names
    }
    if not held:
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        raise CurvatureError(
            f"none of the {count} tensors of this {type(optimizer).__name__} is among the {len(names)} trainable "
            f"parameters of the model ({some(space.names)}). Make the optimizer from model.parameters() of this model, "
            "after it was moved, copied or loaded."
        )
    return held


def _common_law(held: dict[str, _Held], entry: Preconditioner) -> Law:
    """Return the law of all groups; groups of different thresholds have no common one."""
    laws: dict[int, Law] = {}
    for part in held.values():
        if part.group.get("maximize", False):
            raise CurvatureError(
                f"parameter group {part.number} has maximize=True: going up, positive curvature makes steps run away "
                f"at any rate. Minimize the negative loss, or use what has no threshold: {_INSTEAD}."
            )
        laws.setdefault(part.number, entry.law(part.group))
    (first, law), *others = laws.items()
    for number, other in others:
        if not math.isclose(law.threshold, other.threshold, rel_tol=1e-9):
            raise CurvatureError(
                f"parameter groups {first} and {number} have thresholds {law.threshold:.4g} ({law.formula}) and "
                f"{other.threshold:.4g} ({other.formula}): no number bounds both. Give all groups the same momentum or "
                f"betas; or {_INSTEAD}."
            )
    return law


def _rate(part: _Held) -> float:
    rate = float(part.group["lr"])
    if not (math.isfinite(rate) and rate >= 0):
        raise CurvatureError(
            f"parameter group {part.number} has learning rate {rate}: units are learning rate times curvature. "
            "Set it to a finite number, 0 or more."
        )
    return rate


def _with_state(
    optimizer: optim.Optimizer, held: dict[str, _Held], entry: Preconditioner
) -> dict[str, _Held]:
    """Return the parameters whose state is there; those that never had a gradient have none, and never moved."""
    if not entry.needs:
        return held
    there = {
        name: part
        for name, part in held.items()
        if all(need in part.state for need in entry.needs) and step_count(part.state) > 0
    }
    if not there:
        raise CurvatureError(
            f"this {type(optimizer).__name__} has no state of the {len(held)} parameters yet: the sizes of the gradients "
            "that it has seen set its units. Take a step first: loss.backward(), optimizer.step()."
        )
    return there


def _squared_scale(part: _Held, entry: Preconditioner, eta: float) -> Tensor:
    """Return the square of the scale of one parameter, of its shape or of shape ()."""
    rate = float(part.group["lr"])
    factor = entry.factor(part.group, part.state) * (rate / eta if eta > 0 else 1.0)
    if entry.decoupled(part.group):
        shrink = rate * float(part.group["weight_decay"])
        if not shrink < 2:
            raise CurvatureError(
                f"learning rate x weight decay is {shrink:g} for {part.name!r}: at 2 or more, decay alone makes weights "
                "grow. Lower one of them."
            )
        factor = factor * (2 / (2 - shrink))
    if bad := int((~torch.isfinite(factor)).sum()):
        raise CurvatureError(
            f"{bad} of {factor.numel()} entries of the state of {part.name!r} give no finite step: the second moment is "
            f"zero with eps = {float(part.group.get('eps', 0)):g}, or not a number. Pass eps > 0, or go back to before "
            "the run diverged."
        )
    return factor
