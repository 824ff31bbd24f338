"""Tensors of networks of several depths, paired by their kind: their name with the number of the block as *."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from similitude.checking.ladder import Rung
from similitude.checking.probe import Key
from similitude.scaling.patterns import name_patterns
from similitude.scaling.records import Branch, Plan, PlanRow


@dataclass(frozen=True)
class Kinds:
    """Which tensors are of one kind, at every depth.

    Attributes:
        names: For every plan the kind of each tensor, by name.
        partial: Kinds that some depths lack.
    """

    names: tuple[Mapping[str, str], ...]
    partial: tuple[str, ...]

    def plan(self, plan: Plan, at: int) -> Plan:
        """Return a plan with one row per kind, whose factors are the geometric means of its tensors.

        Args:
            plan: The plan of one depth.
            at: Which of the depths it is.
        """
        names = self.names[at]
        members: dict[str, list[PlanRow]] = {}
        for row in plan.rows:
            members.setdefault(names[row.name], []).append(row)
        found = tuple(
            Branch(*(tuple(dict.fromkeys(names[n] for n in part)) for part in (branch.ends, branch.inside)))
            for branch in plan.branches
        )
        rows = tuple(_row(kind, rows) for kind, rows in members.items())
        return replace(plan, rows=rows, branches=tuple(dict.fromkeys(found)))

    def rung(self, rung: Rung, at: int) -> Rung:
        """Return what a run gave by kind: root mean squares over its tensors, and geometric means of rates.

        Args:
            rung: The run at one depth.
            at: Which of the depths it is.
        """
        names = self.names[at]
        squares: dict[Key, list[float]] = {}
        for (name, quantity, use), value in rung.measures.items():
            if name in names:
                squares.setdefault((names[name], quantity, use), []).append(value**2)
        run = rung.run
        trained = {names[name] for name in run.gradients if name not in run.rates and name in names}
        rates = {kind: 0.0 if 0.0 in v else _mean(v) for kind, v in _by_kind(run.rates, names).items()}
        return Rung(
            {key: math.sqrt(sum(found) / len(found)) for key, found in squares.items()},
            replace(
                run,
                gradients={kind: max(v) for kind, v in _by_kind(run.gradients, names).items()},
                rates={kind: rate for kind, rate in rates.items() if kind not in trained},
                decays={kind: _mean(v) for kind, v in _by_kind(run.decays, names).items()},
            ),
            frozenset((names[name], use) for name, use in rung.outer if name in names),
        )

    def renamed(self, evaluation: Mapping[str, list[list[float]]]) -> dict[str, list[list[float]]]:
        """Return numbers by tensor, of tensors that all depths have under one name, by kind.

        Args:
            evaluation: What `Ladder.evaluation` gave.
        """
        return {self.names[0].get(name, name): paths for name, paths in evaluation.items()}


def kinds_of(plans: Sequence[Plan]) -> Kinds:
    """Pair the tensors of several depths.

    In a name those numbers are left out that differ between the depths: the block's is, a stage's or an expert's is
    not. Tensors that share such a name and differ in their role or in their place (inside a residual branch, at its
    end, outside) are of different kinds.

    Args:
        plans: The plan of every depth.
    """
    every = [[name for row in plan.rows for name in (row.name, *row.aliases)] for plan in plans]
    patterns = name_patterns(every)
    keys: list[dict[str, tuple[str, str, str]]] = []
    for plan in plans:
        ends = {name for branch in plan.branches for name in branch.ends}
        inside = {name for branch in plan.branches for name in branch.inside}
        keys.append({})
        for row in plan.rows:
            place = (
                "ends a branch" if row.name in ends else "in a branch" if row.name in inside else "outside"
            )
            key = (patterns[row.name], row.role, place)
            keys[-1].update(dict.fromkeys((row.name, *row.aliases), key))
    used = dict.fromkeys(key for one in keys for key in one.values())
    stars = [key[0] for key in used]
    display = {key: key[0] if stars.count(key[0]) == 1 else f"{key[0]} ({key[1]}, {key[2]})" for key in used}
    names = tuple({name: display[key] for name, key in one.items()} for one in keys)
    everywhere = set.intersection(*(set(one.values()) for one in names))
    return Kinds(names, tuple(kind for kind in display.values() if kind not in everywhere))


def _row(kind: str, rows: Sequence[PlanRow]) -> PlanRow:
    factors = {
        name: _mean([getattr(row, name) for row in rows])
        for name in ("init", "rescale", "lr", "eps", "weight_decay", "multiplier", "depth_ratio")
    }
    return replace(rows[0], name=kind, aliases=(), **factors)


def _by_kind(values: Mapping[str, float], names: Mapping[str, str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for name, value in values.items():
        if name in names:
            found.setdefault(names[name], []).append(value)
    return found


def _mean(values: Sequence[float]) -> float:
    """Return the geometric mean, exactly where all values are one; 0 where one of them is."""
    if min(values) == max(values):
        return values[0]
    return math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0
