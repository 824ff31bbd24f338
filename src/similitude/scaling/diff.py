"""What differs between two plans: settings, tensors, roles, factors, and multipliers in the forward pass."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from similitude.scaling.axes import some
from similitude.scaling.plan_text import size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from similitude.scaling.records import Plan, PlanRow

_SAME = 1e-9  # relative difference of two factors that rounding explains
_FACTORS = {
    "fan_in_ratio": "r_in",
    "fan_out_ratio": "r_out",
    "init": "init",
    "rescale": "apply",
    "lr": "lr",
    "eps": "eps",
    "weight_decay": "weight decay",
}
_REFUSED = "refused"


@dataclass(frozen=True)
class Change:
    """Something that is not a number and differs.

    Attributes:
        name: A tensor's name; empty for a setting of the whole plan.
        what: "role", "shape", "optimizer family", "rule", "base", ...
        old: In the first plan.
        new: In the second.
    """

    name: str
    what: str
    old: str
    new: str


@dataclass(frozen=True)
class FactorChange:
    """One factor of one tensor that differs.

    Attributes:
        name: The tensor, or the module of a hook.
        factor: "r_in", "r_out", "init", "apply", "lr", "eps", "weight decay" or "hook".
        old: In the first plan.
        new: In the second.
    """

    name: str
    factor: str
    old: float
    new: float

    @property
    def ratio(self) -> float:
        """New over old; inf where the old one is 0."""
        return self.new / self.old if self.old else math.inf


@dataclass(frozen=True)
class PlanDiff:
    """How a second plan differs from a first; empty where both treat every tensor alike.

    What was measured with chance in it (the size of a fresh tensor) and texts (evidence, reasons, notes) are
    not compared.

    Attributes:
        settings: Rule, optimizer, weight decay, depth rule, gamma, sizes, knobs.
        added: Tensors that only the second plan has.
        removed: Tensors that only the first plan has.
        roles: Roles that differ; "refused" where a plan has none. Other properties that are no numbers too.
        factors: Factors that differ.
    """

    settings: tuple[Change, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    roles: tuple[Change, ...] = ()
    factors: tuple[FactorChange, ...] = ()

    def __bool__(self) -> bool:
        return any((self.settings, self.added, self.removed, self.roles, self.factors))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "equal": not self,
            "settings": [asdict(change) for change in self.settings],
            "added": list(self.added),
            "removed": list(self.removed),
            "roles": [asdict(change) for change in self.roles],
            "factors": [
                {**asdict(change), "ratio": change.ratio if change.old else None} for change in self.factors
            ],
        }

    def __str__(self) -> str:
        return (
            "\n".join(f"{mark} {text}" for mark, text in self._lines())
            or "the plans treat every tensor alike"
        )

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        styles = {"+": "green", "-": "red", "~": "yellow", "*": "bold"}
        lines = [Text(f"{mark} {text}", style=styles[mark]) for mark, text in self._lines()]
        return Group(*lines) if lines else Text(str(self))

    def _lines(self) -> Iterator[tuple[str, str]]:
        for change in self.settings:
            yield "*", f"{change.what}: {change.old} -> {change.new}"
        for name in self.removed:
            yield "-", name
        for name in self.added:
            yield "+", name
        alike: dict[str, list[str]] = {}
        for change in self.roles:
            alike.setdefault(f"{change.what} {change.old} -> {change.new}", []).append(change.name)
        for change in self.factors:
            text = f"{change.factor} x{change.old:.6g} -> x{change.new:.6g}"
            text += f" (x{change.ratio:.6g})" if change.old else ""
            alike.setdefault(text, []).append(change.name)
        for text, names in alike.items():
            yield "~", f"{text}: {some(names)}"


def diff(a: Plan, b: Plan) -> PlanDiff:
    """Compare two plans.

    Args:
        a: The first plan.
        b: The second plan.

    Returns:
        What differs; false as a condition where nothing does.
    """
    old, new = _by_name(a), _by_name(b)
    both = [name for name in old if name in new]
    return PlanDiff(
        settings=tuple(_settings(a, b)),
        added=tuple(name for name in new if name not in old),
        removed=tuple(name for name in old if name not in new),
        roles=tuple(change for name in both for change in _roles(name, old[name], new[name])),
        factors=(*(c for name in both for c in _factors(name, old[name], new[name])), *_hooks(a, b)),
    )


def _by_name(plan: Plan) -> dict[str, PlanRow | None]:
    """Rows by tensor; a refused tensor has none."""
    return {row.name: row for row in plan.rows} | dict.fromkeys(r.name for r in plan.refused)


def _settings(a: Plan, b: Plan) -> Iterator[Change]:
    for what, old, new in (
        ("rule", a.rule, b.rule),
        ("optimizer", a.optimizer, b.optimizer),
        ("optimizer family", a.family, b.family),
        ("weight decay", a.decay, b.decay),
        ("weight decay over widths", a.weight_decay, b.weight_decay),
        ("depth rule", _depth_rule(a), _depth_rule(b)),
        ("gamma", f"{a.gamma:g}", f"{b.gamma:g}"),
        ("base", size(a.base), size(b.base)),
        ("target", size(a.target), size(b.target)),
        ("knobs", _knobs(a), _knobs(b)),
        ("defaults of the optimizer", _defaults(a, b), _defaults(b, a)),
    ):
        if old != new:
            yield Change("", what, old, new)


def _depth_rule(plan: Plan) -> str:
    return "none" if plan.depth_rule is None else f"alpha {plan.depth_rule:g}"


def _knobs(plan: Plan) -> str:
    knobs = [
        f"{role} {kind} x{value:.6g}"
        for role, knob in sorted(plan.knobs.items())
        for kind, value in sorted(knob.items())
        if value != 1.0
    ]
    return ", ".join(knobs) or "none"


def _defaults(plan: Plan, other: Plan) -> str:
    """Write the defaults that differ, of two plans for the same optimizer; another one has its own."""
    if plan.optimizer != other.optimizer:
        return ""
    names = sorted({*plan.defaults, *other.defaults})
    # As JSON writes them, a tuple is a list.
    mine, others = ({n: str(_plain(p.defaults.get(n))) for n in names} for p in (plan, other))
    return ", ".join(f"{name}={mine[name]}" for name in names if mine[name] != others[name])


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _roles(name: str, old: PlanRow | None, new: PlanRow | None) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            yield Change(name, "role", old.role if old else _REFUSED, new.role if new else _REFUSED)
        return
    for what, before, after in (
        ("role", old.role, new.role),
        ("shape", str(old.shape), str(new.shape)),
        ("base shape", str(old.base_shape), str(new.base_shape)),
        ("tied to", ", ".join(old.aliases) or "none", ", ".join(new.aliases) or "none"),
        ("trained as", old.family, new.family),
        ("makes queries", _yes(old.query), _yes(new.query)),
    ):
        if before != after:
            yield Change(name, what, before, after)


def _factors(name: str, old: PlanRow | None, new: PlanRow | None) -> Iterator[FactorChange]:
    if old is None or new is None:
        return
    for attribute, label in _FACTORS.items():
        before, after = getattr(old, attribute), getattr(new, attribute)
        if not math.isclose(before, after, rel_tol=_SAME):
            yield FactorChange(name, label, before, after)


def _hooks(a: Plan, b: Plan) -> Iterator[FactorChange]:
    """Compare hooks; a module without one is scaled by 1."""
    old, new = ({(h.module, h.side): h.factor for h in plan.hooks} for plan in (a, b))
    for key in {**old, **new}:
        before, after = old.get(key, 1.0), new.get(key, 1.0)
        if not math.isclose(before, after, rel_tol=_SAME):
            yield FactorChange(key[0], "hook" if key[1] == "input" else "output hook", before, after)
