"""The plan as data: one row per tensor, JSON round trip, tables for the terminal."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from similitude.core.errors import PlanError
from similitude.scaling import apply

if TYPE_CHECKING:
    from rich.console import RenderableType

_FORMAT = 2
_FACTORS = ("fan_in_ratio", "fan_out_ratio", "init", "rescale", "lr", "eps", "weight_decay")
_HEADER = ("tensor", "role", "shape", "fan-in", "fan-out", "init", "rescale", "lr", "eps", "wd")


@dataclass(frozen=True)
class PlanRow:
    """One tensor of the plan. Factors are ratios of the target to the base; 1 at the base size.

    Attributes:
        name: The tensor's name in the model.
        role: What it does: one of `similitude.scaling.rules.ROLES`, or "undecided" where no factor depends
            on it.
        shape: Shape at the target.
        base_shape: Shape at the base.
        fan_in_ratio: Target over base of the side that is contracted; 1 where it does not grow.
        fan_out_ratio: The same for the side that is produced.
        init: Standard deviation at the target over that at the base, once the plan is applied.
        rescale: What `Plan.apply_` multiplies the target's own initial values by, so that `init` holds.
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


@dataclass(frozen=True)
class Refusal:
    """A tensor that was not planned, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Hook:
    """A multiplier that no tensor can carry: the input of one module is scaled in the forward pass.

    Attributes:
        module: Name of the module.
        factor: What its first positional input is multiplied by.
        reason: Which multiplier it is, and why no tensor can carry it.
    """

    module: str
    factor: float
    reason: str


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
        family: The optimizer's family, "sgd" or "entrywise".
        base: Size that hyperparameters are tuned at, e.g. `{"width": 256}`.
        target: Size that the plan is for.
        rows: One row per tensor, in the model's order.
        refused: Tensors without a row; while there are any, the plan cannot be applied.
        notes: What a user should know and the rows cannot say.
        decay: "shrink" or "gradient", see `similitude.scaling.optimizers.OptimizerSpec`.
        defaults: The optimizer's own defaults (eps, weight decay, ...), which `groups` starts from.
        hooks: Multipliers that go into the forward pass because no tensor can carry them; mostly none.
        branches: The residual branches that were found, in the order of the forward pass.
        knobs: Multipliers of the base by role, as given: `{"lookup": {"lr": 0.125}}`.
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

    def raise_if_bad(self) -> None:
        """Raise if a tensor was refused.

        Raises:
            RoleError: The plan has refused tensors, and cannot be applied.
        """
        apply.require_roles(self)

    def apply_(self, model: nn.Module) -> nn.Module:
        """Rescale the initial values of a freshly built target in place, and return it.

        Applying the same plan to the same model again changes nothing.

        Args:
            model: The target as `make(target)` returns it, on any device and in any floating-point type.

        Raises:
            RoleError: The plan has refused tensors.
            PlanError: The model is not the target, was trained, or was scaled before.
        """
        return apply.apply_(self, model)

    def groups(self, model: nn.Module, *, lr: float, **optimizer_defaults: Any) -> list[dict[str, Any]]:
        """Return plain parameter groups for the optimizer, with the factors worked in.

        Args:
            model: The target.
            lr: Learning rate as tuned at the base.
            **optimizer_defaults: Other options as tuned at the base (`weight_decay`, `eps`, `betas`, ...).
                What is not given is the default of the optimizer that the plan was made for.

        Returns:
            One group per set of factors; every trainable tensor is in exactly one.

        Raises:
            RoleError: A trainable tensor was refused.
            PlanError: The model is not the target, or an option does not exist or has an impossible value.

        Example:
            `torch.optim.AdamW(plan.groups(model, lr=3e-3, weight_decay=0.1))`
        """
        return apply.groups(self, model, lr=lr, **optimizer_defaults)

    @property
    def is_identity(self) -> bool:
        """Whether the plan changes nothing, as at the base size and under the rule sp."""
        return not self.refused and all(
            row.rescale == row.lr == row.eps == row.weight_decay == 1.0 for row in self.rows
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"format": _FORMAT, **json.loads(json.dumps(asdict(self), default=str))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """Read what `to_dict` wrote.

        Raises:
            PlanError: The data is not a plan of this format.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            found = data.get("format") if isinstance(data, Mapping) else type(data).__name__
            raise PlanError(
                f"this is not a plan of format {_FORMAT} (found {found}). Make and save it again."
            )
        try:
            values = {f.name: data[f.name] for f in fields(cls)}
            values["rows"] = tuple(_record(PlanRow, row) for row in data["rows"])
            values["refused"] = tuple(_record(Refusal, row) for row in data["refused"])
            values["notes"] = tuple(data["notes"])
            values["hooks"] = tuple(_record(Hook, hook) for hook in data["hooks"])
            values["branches"] = tuple(_record(Branch, branch) for branch in data["branches"])
            return cls(**values)
        except (KeyError, TypeError) as error:
            raise PlanError(f"the plan is incomplete: {error}. Make and save it again.") from error

    def save(self, path: str | Path) -> Path:
        """Write the plan as JSON, whole or not at all, and return the path.

        Raises:
            PlanError: The file cannot be written.
        """
        path = Path(path)
        if path.is_dir() or not path.name:
            raise PlanError(
                f"the plan cannot be written to {path}: it is a folder. Name a file, e.g. plan.json."
            )
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            raise PlanError(
                f"the plan cannot be written to {path}: {error.strerror}. Choose another path."
            ) from error
        return path

    @classmethod
    def load(cls, path: str | Path) -> Plan:
        """Read a plan that `save` wrote.

        Raises:
            PlanError: The file cannot be read or is not a plan.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise PlanError(f"the plan {path} cannot be read: {error.strerror}. Check the path.") from error
        except ValueError as error:
            raise PlanError(f"{path} is not a saved plan: {error}. Make and save it again.") from error
        return cls.from_dict(data)

    @property
    def _title(self) -> str:
        return f"{self.rule}, {self.optimizer}, width {self.base} -> {self.target}"

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (row.name, row.role, _shapes(row), *(f"x{getattr(row, factor):.4g}" for factor in _FACTORS))
            for row in self.rows
        ]

    def _remarks(self) -> list[str]:
        refused = [f"REFUSED {r.name} {_size(r.shape)}: {r.reason}" for r in self.refused]
        return refused + [f"note: {note}" for note in self.notes]

    def __str__(self) -> str:
        table = [_HEADER, *self._cells()]
        widths = [max(len(line[i]) for line in table) for i in range(len(_HEADER))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        ]
        reasons = [f"{row.name}: {row.reason}" for row in self.rows]
        return "\n".join([self._title, *self._remarks(), *lines, "why", *reasons])

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self._title, title_justify="left")
        for i, head in enumerate(_HEADER):
            table.add_column(head, justify="right" if i > 2 else "left", overflow="fold")
        for cells in self._cells():
            table.add_row(*map(Text, cells))
        remarks = [Text(r, style="red" if r.startswith("REFUSED") else "") for r in self._remarks()]
        reasons = [Text(f"{row.name}: {row.reason}", style="dim") for row in self.rows]
        return Group(*remarks, table, *reasons)


def _record(kind: type, data: Mapping[str, Any]) -> Any:
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in data.items()})


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _shapes(row: PlanRow) -> str:
    return _size(row.shape) if row.shape == row.base_shape else f"{_size(row.base_shape)}->{_size(row.shape)}"
