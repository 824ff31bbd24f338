"""The plan as data: one row per tensor, and what stands beside the rows. Saved by `plan_json`, shown by
`plan_text`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from similitude.scaling import apply, matching, plan_json, plan_text
from similitude.scaling.hooks import install

if TYPE_CHECKING:
    from rich.console import RenderableType

    from similitude.scaling.explain import Explanation


@dataclass(frozen=True)
class PlanRow:
    """One tensor of the plan. Factors are ratios of the target to the base; 1 at the base size.

    Attributes:
        name: The tensor's name in the model.
        role: What it does: one of `similitude.scaling.rules.ROLES`; "unused" where the sample does not
            reach it; "undecided" where no factor depends on it.
        shape: Shape at the target.
        base_shape: Shape at the base.
        fan_in_ratio: Target over base of the side that is contracted; 1 where it does not grow.
        fan_out_ratio: The same for the side that is produced.
        init: Standard deviation at the target over that at the base, once the plan is applied.
        rescale: What `Plan.apply_` multiplies the target's own initial values by, so that `init` holds; 0 where a
            knob starts the tensor at zero.
        lr: Factor on the learning rate.
        eps: Factor on Adam's eps.
        weight_decay: Factor on the weight decay.
        evidence: What the tensor was seen to do in the traced forward pass.
        reason: Which rule gave the factors, and what the tensor's own init does.
        aliases: Other names of the same tensor, where it is tied.
        family: The optimizer family that trains this tensor.
        fan_in: Fan-in at base and target, in entries; None where the tensor is no matrix.
        fan_out: The same for the fan-out.
        multiplier: Product of the forward multipliers that are folded into this tensor; 1 for most.
        carries: One sentence for each multiplier that the tensor carries.
        own_rms: Root mean square of the target's untouched init; None where it is not checked.
        own_tolerance: Largest relative deviation of its square that chance explains.
        own_bound: Largest absolute value of the untouched target where its init is uniform.
        query: Whether it makes the queries of attention and nothing else; knobs of "query" turn it.
        own_scale: Target over base of what the optimizer itself multiplies a step by, for the tensor's shape (Muon) or
            own size (LAMB, Adafactor); the factor on the learning rate has it taken out.
        depth_ratio: Residual branches of its stage at the target over those at the base; 1 outside of branches.
        uses_ratio: Its uses at the target over those at the base, where several branches share it.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    base_shape: tuple[int, ...]
    fan_in_ratio: float
    fan_out_ratio: float
    init: float
    rescale: float
    lr: float
    eps: float
    weight_decay: float
    reason: str
    aliases: tuple[str, ...] = ()
    evidence: str = ""
    family: str = ""
    fan_in: tuple[float, float] | None = None
    fan_out: tuple[float, float] | None = None
    multiplier: float = 1.0
    carries: tuple[str, ...] = ()
    own_rms: float | None = None
    own_tolerance: float = 0.0
    own_bound: float | None = None
    query: bool = False
    own_scale: float = 1.0
    depth_ratio: float = 1.0
    uses_ratio: float = 1.0


@dataclass(frozen=True)
class Refusal:
    """A tensor that was not planned, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Hook:
    """A multiplier that no tensor can carry: the input or the output of one module is scaled in the forward pass.

    Attributes:
        module: Name of the module.
        factor: What is multiplied by.
        reason: Which multiplier it is, and why no tensor can carry it.
        side: "input" (the first positional one) or "output".
    """

    module: str
    factor: float
    reason: str
    side: str = "input"

    @property
    def place(self) -> str:
        """What it scales, in words: "the input of 'lm_head'"."""
        return f"the {self.side} of {self.module!r}"


@dataclass(frozen=True)
class Branch:
    """A residual branch: a value that is added to one of its own ancestors through at least one matrix.

    Attributes:
        ends: Tensors that produce the branch's value last; a multiplier on the branch can go there.
        inside: Every tensor between the stream and the branch's end, `ends` included.
    """

    ends: tuple[str, ...]
    inside: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """How every tensor of the target is initialized and trained, relative to the base.

    Make one with `similitude.plan`. It is plain data keyed by tensor names: nothing is stored on the model.

    Attributes:
        rule: Name of the parametrization.
        optimizer: Class name of the optimizer.
        family: The optimizer's family, one of `similitude.scaling.rules.FAMILIES`.
        base: Size that hyperparameters are tuned at, by dial: `{"width": 256}`.
        target: Size that the plan is for, by the same dials.
        rows: One row per tensor, in the model's order.
        refused: Tensors without a row; while there are any, the plan cannot be applied.
        notes: What a user should know and the rows cannot say.
        decay: "shrink", "gradient", "fixed" or "none", see `similitude.scaling.optimizers.OptimizerSpec`.
        defaults: The optimizer's own defaults (eps, weight decay, ...), which `groups` starts from.
        hooks: Multipliers that go into the forward pass because no tensor can carry them; mostly none.
        branches: The residual branches that were found, in the order of the forward pass.
        knobs: Multipliers of the base by role, or of the queries, as given: `{"lookup": {"lr": 0.125}}`.
        weight_decay: What stays while the learning rate is scaled: "independent", learning rate x weight decay;
            "decoupled", the number, so that the decay of a step falls with the learning rate.
        depth_rule: Exponent alpha of the residual branches; None where the depth has no rule.
        gamma: Richness: the output is divided by it.
        layers: Weight layers on the longest path of the forward pass, which the law of the richness needs.
        chosen: Names of those defaults that are not the class's own, which `groups` sets as well.
    """

    rule: str
    optimizer: str
    family: str
    base: Mapping[str, int]
    target: Mapping[str, int]
    rows: tuple[PlanRow, ...]
    refused: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    decay: str = "shrink"
    defaults: Mapping[str, Any] = field(default_factory=dict)
    hooks: tuple[Hook, ...] = ()
    branches: tuple[Branch, ...] = ()
    knobs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    weight_decay: str = "independent"
    depth_rule: float | None = None
    gamma: float = 1.0
    layers: int = 1
    chosen: tuple[str, ...] = ()

    def raise_if_bad(self) -> None:
        """Raise if a tensor was refused.

        Raises:
            RoleError: The plan has refused tensors, and cannot be applied.
        """
        matching.require_roles(self)

    def apply_(self, model: nn.Module) -> nn.Module:
        """Rescale the initial values of a freshly built target in place, and return it.

        Where the plan has hooks, they are registered too. Applying the same plan to the same model again
        changes nothing.

        Args:
            model: The target as `make(target)` returns it, on any device that holds values and in any
                floating-point type; FSDP2 shards and `torch.compile` wrappers are fine.

        Raises:
            RoleError: The plan has refused tensors.
            PlanError: The model is not the target, was trained or scaled before, has no values yet (meta
                device), or is compiled although the plan has hooks.
        """
        return apply.apply_(self, model)

    def hook_(self, model: nn.Module) -> nn.Module:
        """Register the plan's hooks alone, and return the model.

        For a model that loads its weights from a checkpoint of a scaled one: state dicts hold everything else
        that a plan did to a model, but no hooks. Most plans have none.

        Args:
            model: The target, with or without values.

        Raises:
            PlanError: A module does not exist, is scaled by another plan, or the model is compiled already.
        """
        return install(self, model)

    def groups(
        self, model: nn.Module, *, lr: float | torch.Tensor, **optimizer_defaults: Any
    ) -> list[dict[str, Any]]:
        """Return plain parameter groups for the optimizer, with the factors worked in.

        Args:
            model: The target.
            lr: Learning rate as tuned at the base; a tensor of one number stays a tensor, as `capturable`
                optimizers need.
            **optimizer_defaults: Other options as tuned at the base (`weight_decay`, `eps`, `betas`, ...).
                Give them here and not to the optimizer, whose own values lose against those of a group.
                What is not given is the default of the optimizer that the plan was made for.

        Returns:
            One group per set of factors; every trainable tensor is in exactly one. Each group also holds
            `"lr_factor"`, its rate over `lr`.

        Raises:
            RoleError: A trainable tensor was refused.
            PlanError: The model is not the target, an option does not exist or has an impossible value, or
                the plan trains matrices and the rest by two optimizers (`similitude.split` makes both).

        Example:
            `torch.optim.AdamW(plan.groups(model, lr=3e-3, weight_decay=0.1))`
        """
        return apply.groups(self, model, lr=lr, **optimizer_defaults)

    def explain(self, name: str) -> Explanation:
        """Derive every factor of one tensor; see `similitude.scaling.explain.explain`.

        Args:
            name: Name of the tensor, or of one that it is tied to.

        Raises:
            PlanError: The plan has no tensor of this name; close names are listed.
        """
        from similitude.scaling.explain import explain

        return explain(self, name)

    @property
    def is_identity(self) -> bool:
        """Whether the plan changes nothing, as at the base size and under the rule sp."""
        return (
            not self.refused
            and all(hook.factor == 1.0 for hook in self.hooks)
            and all(row.rescale == row.lr == row.eps == row.weight_decay == 1.0 for row in self.rows)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return plan_json.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read what `to_dict` wrote.

        Raises:
            PlanError: The data is not a plan of this format, or breaks a law that every plan keeps.
        """
        return plan_json.from_dict(data)

    def save(self, path: str | Path) -> Path:
        """Write the plan as JSON, whole or not at all, and return the path.

        Raises:
            PlanError: The file cannot be written.
        """
        return plan_json.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that `save` wrote.

        Raises:
            PlanError: The file cannot be read, is not a plan, or was damaged; the row and the law are named.
        """
        return plan_json.load(path)

    def __str__(self) -> str:
        return plan_text.plain(self)

    def __rich__(self) -> RenderableType:
        return plan_text.table(self)
