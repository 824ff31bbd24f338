"""What is tuned at the base of a model family: its learning rate, options of its optimizer, and knobs of its roles."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from similitude.core.errors import TuningError
from similitude.scaling.knobs import Knobs, knobs_as_data, parse_knobs
from similitude.scaling.optimizers import OptimizerLike
from similitude.training.build import build_optimizer
from similitude.tuning.space.dimensions import Log
from similitude.tuning.space.space import Space

RATE = "lr"
DECAY = "weight_decay"

_MULTIPLIED = ("lookup", "output")  # roles whose balance with the matrices a base most often has wrong


@dataclass(frozen=True)
class BaseSettings:
    """How the base is trained: what a configuration of the search means.

    Attributes:
        lr: Learning rate.
        options: Other options of the optimizer, e.g. `{"weight_decay": 0.1}`.
        knobs: Multipliers by role, as `similitude.plan` takes them: `{"output": {"multiplier": 0.5}}`.
    """

    lr: float
    options: Mapping[str, float] = field(default_factory=dict)
    knobs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def settings_of(values: Mapping[str, Any]) -> BaseSettings:
    """Read a configuration.

    Args:
        values: By name: "lr"; "output.multiplier", "hidden.init" or "embedding.lr" for the knob of a role; any other
            name is an option of the optimizer.

    Example:
        >>> settings_of({"lr": 0.01, "weight_decay": 0.1, "output.multiplier": 0.5}).knobs
        {'output': {'multiplier': 0.5}}
    """
    knobs: dict[str, dict[str, float]] = {}
    options: dict[str, float] = {}
    for name, value in values.items():
        role, dot, part = name.rpartition(".")
        if dot:
            knobs.setdefault(role, {})[part] = float(value)
        elif name != RATE:
            options[name] = float(value)
    return BaseSettings(float(values[RATE]), options, knobs)


def merged(fixed: Knobs | None, tuned: Knobs) -> dict[str, dict[str, float]]:
    """Return knobs that stay and knobs that are tuned in one; where both name a part of a role, the tuned one counts.

    Example:
        >>> merged({"head": {"init": 0}}, {"output": {"multiplier": 2.0}})
        {'output': {'init': 0.0, 'multiplier': 2.0}}
    """
    found = knobs_as_data(parse_knobs(fixed))
    for role, parts in knobs_as_data(parse_knobs(tuned)).items():
        found[role] = found.get(role, {}) | parts
    return found


def default_space(roles: Collection[str], optimizer: OptimizerLike, *, lr: float) -> Space:
    """Return what is tuned where the user names nothing: the rate, the decay, the matrices' init, and multipliers.

    Args:
        roles: Roles that the model's tensors have.
        optimizer: The optimizer; its weight decay is tuned where its default is not 0.
        lr: Learning rate at which the search begins.

    Example:
        >>> list(default_space({"input", "hidden", "output"}, torch.optim.AdamW, lr=2**-8))
        ['lr', 'weight_decay', 'hidden.init', 'output.multiplier']
    """
    decay = options_of(optimizer).get(DECAY, 0.0)
    found = {RATE: Log(lr, role="transfer")}
    if decay:
        found[DECAY] = Log(float(decay), role="transfer")
    if "hidden" in roles:
        found["hidden.init"] = Log(1.0, role="transfer")
    found |= {f"{role}.multiplier": Log(1.0, role="transfer") for role in _MULTIPLIED if role in roles}
    return Space(found)


def check_space(space: Space, optimizer: OptimizerLike) -> Space:
    """Return a space whose dimensions are all knobs of a base, with the role that they have there: "transfer".

    Args:
        space: What is to be tuned.
        optimizer: The optimizer, whose options may be tuned.

    Raises:
        TuningError: There is no learning rate, a dimension is not logarithmic or is of role "scale", or the optimizer
            has no such option.
        PlanError: A role, or a part of its knob, does not exist.
    """
    if RATE not in space:
        raise TuningError(
            f"The space has {', '.join(space.names)}, and no {RATE!r}: the learning rate of the base is what everything "
            f"else is relative to. Add it, e.g. sim.Space({RATE}=sim.Log(2**-8), ...)."
        )
    known = options_of(optimizer)
    for name, dim in space.items():
        if dim.role == "scale":
            raise TuningError(
                f"{name} has role 'scale', and a model family is tuned at one size, its base: sizes are widths= (or "
                'depths=) and target=. Leave it out, or give it role="transfer".'
            )
        if not isinstance(dim, Log) or dim.when:
            raise TuningError(
                f"{name} is a {dim.kind} dimension{' with a condition' if dim.when else ''}: knobs of a base are "
                "positive factors, which the verification moves by octaves. Make it a sim.Log without a condition."
            )
        role, dot, part = name.rpartition(".")
        if dot:
            parse_knobs({role: {part: 1.0}})
        elif name != RATE and not isinstance(known.get(name), int | float):
            numbers = ", ".join(sorted(k for k, v in known.items() if isinstance(v, float)))
            raise TuningError(
                f"{name!r} is no option of the optimizer that is one number; it has {numbers}. Knobs of roles are "
                "written 'output.multiplier', 'hidden.init' or 'embedding.lr'."
            )
    return space


def options_of(optimizer: OptimizerLike) -> dict[str, Any]:
    """Return the options that an optimizer has, with the values that it starts from."""
    return dict(build_optimizer(optimizer, [nn.Parameter(torch.zeros(1))]).defaults)
