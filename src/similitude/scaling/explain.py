"""Explain one tensor of a plan: what was seen of it, its role, and the derivation of every factor."""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from similitude.core.errors import PlanError
from similitude.scaling.axes import some
from similitude.scaling.derivation import Derivation, derive
from similitude.scaling.plan_text import shape, title
from similitude.scaling.rules import ROLES

if TYPE_CHECKING:
    from rich.console import RenderableType

    from similitude.scaling.records import Plan, PlanRow, Refusal


@dataclass(frozen=True)
class Explanation:
    """Why one tensor of a plan is treated as it is.

    Attributes:
        name: The name that was asked for.
        plan: What the plan is for, in one line.
        role: The tensor's role; "refused" where it has none.
        shape: Shape at the target.
        base_shape: Shape at the base; that of the target for a refused tensor.
        aliases: Other names of the same tensor.
        evidence: What the tensor was seen to do; for a refused one, why its role cannot be told.
        sides: Both fans at base and target with their ratios, in words; empty for a refused tensor.
        derivations: Every factor with its steps.
        carries: One sentence for each forward multiplier that the tensor carries.
        places: Where it stands in the network: queries of attention, residual branches, hooks.
        reason: The rule and the own init as the planner wrote them down.
        override: For a refused tensor the line that names its role by hand.
    """

    name: str
    plan: str
    role: str
    shape: tuple[int, ...]
    base_shape: tuple[int, ...]
    aliases: tuple[str, ...] = ()
    evidence: str = ""
    sides: tuple[str, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    carries: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    reason: str = ""
    override: str = ""

    @property
    def refused(self) -> bool:
        """Whether the plan has no role for the tensor."""
        return bool(self.override)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        data = asdict(self)
        lists = ("shape", "base_shape", "aliases", "sides", "carries", "places")
        data.update({key: list(data[key]) for key in lists})
        data["derivations"] = [{**d, "steps": list(d["steps"])} for d in data["derivations"]]
        return data

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        first, *others = self._lines()
        styled = [Text(line, style="red" if self.refused else "") for line in others]
        return Group(Text(first, style="bold"), *styled)

    def _lines(self) -> list[str]:
        grown = shape(self.shape)
        if self.shape != self.base_shape:
            grown = f"{shape(self.base_shape)} -> {grown}"
        lines = [f"{self.name}: {self.role}, {grown} ({self.plan})"]
        if self.refused:
            return [*lines, f"refused: {self.evidence}", f"to name its role: {self.override}"]
        lines += [f"one tensor with {some(self.aliases)}"] if self.aliases else []
        lines += [f"seen: {self.evidence}"] if self.evidence else []
        lines += self.sides
        lines += [f"carries: {sentence}" for sentence in self.carries]
        lines += self.places
        lines += [line for derivation in self.derivations for line in str(derivation).splitlines()]
        return lines + ([f"planned: {self.reason}"] if self.reason else [])


def explain(plan: Plan, name: str) -> Explanation:
    """Derive every factor of one tensor from the plan's own data; no model is needed.

    Args:
        plan: The plan.
        name: Name of the tensor, or of one that it is tied to.

    Raises:
        PlanError: The plan has no tensor of this name; close names are listed.
    """
    for row in plan.rows:
        if name in (row.name, *row.aliases):
            return _planned(plan, row, name)
    for refusal in plan.refused:
        if name == refusal.name:
            return _refused(plan, refusal)
    names = [n for row in plan.rows for n in (row.name, *row.aliases)] + [r.name for r in plan.refused]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or [
        n for n in names if name and name in n
    ]
    hint = f"Close names: {some(close)}." if close else f"It has {some(names)}."
    raise PlanError(f"the plan has no tensor {name!r} among its {len(names)}. {hint}")


def _planned(plan: Plan, row: PlanRow, name: str) -> Explanation:
    return Explanation(
        name=name,
        plan=title(plan),
        role=row.role,
        shape=row.shape,
        base_shape=row.base_shape,
        aliases=tuple(other for other in (row.name, *row.aliases) if other != name),
        evidence=row.evidence,
        sides=(
            _side("r_in", "fan-in", row.fan_in_ratio, row.fan_in),
            _side("r_out", "fan-out", row.fan_out_ratio, row.fan_out),
        ),
        derivations=derive(plan, row),
        carries=row.carries,
        places=tuple(_places(plan, row)),
        reason=row.reason,
    )


def _refused(plan: Plan, refusal: Refusal) -> Explanation:
    others = ", ".join(f'"{role}"' for role in ROLES if role != "input")
    return Explanation(
        name=refusal.name,
        plan=title(plan),
        role="refused",
        shape=refusal.shape,
        base_shape=refusal.shape,
        evidence=refusal.reason,
        override=f'similitude.plan(..., roles={{"{refusal.name}": "input"}}) (or {others}); on the command line '
        f"--role.{refusal.name} input",
    )


def _side(symbol: str, what: str, ratio: float, fan: tuple[float, float] | None) -> str:
    if fan is None:
        return f"{what}: {symbol} = {ratio:.6g}"
    return f"{what}: {fan[0]:g} -> {fan[1]:g}, {symbol} = {ratio:.6g}"


def _places(plan: Plan, row: PlanRow) -> list[str]:
    names = {row.name, *row.aliases}
    found = ["makes the queries of attention"] if row.query else []
    for number, branch in enumerate(plan.branches, start=1):
        if names & {*branch.ends, *branch.inside}:
            place = "ends" if names & set(branch.ends) else "is inside"
            found.append(f"{place} residual branch {number} of {len(plan.branches)}")
    owners = {name.rpartition(".")[0] for name in names}
    hooks = [hook for hook in plan.hooks if hook.module in owners]
    return found + [f"{h.place} is scaled x{h.factor:.6g} by a hook: {h.reason}" for h in hooks]
