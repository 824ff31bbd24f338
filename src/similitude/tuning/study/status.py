"""How a tuning study stands: its trials by what became of them, what it has spent, what it will end at."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from similitude.tuning.study.stored import stored_budget, stored_cost
from similitude.tuning.trials.costs import TOLD, in_cost_units, paid
from similitude.tuning.trials.failures import FAILURE_KEY, learnt
from similitude.tuning.trials.history import LEASE_KEY, as_number
from similitude.tuning.trials.retry import REASON_KEY


@dataclass(frozen=True)
class TrialLine:
    """One trial, for tables.

    Attributes:
        number: Its number.
        value: Its value, the last one reported where it did not end; None without any.
        cost: What it cost so far; None where that is not known.
        note: What there is to say of it.
    """

    number: int
    value: float | None
    cost: float | None
    note: str = ""


@dataclass(frozen=True)
class TuningStatus:
    """How a study stands.

    Attributes:
        study: Its name.
        direction: "minimize" or "maximize".
        finished: Trials with a value.
        pruned: Trials that a pruner ended.
        failures: Trials that failed by their configuration's fault, by kind.
        lost: Trials given up after faults of code or machines.
        waiting: Trials that wait to be run.
        running: Trials that are being run; one whose process has not been heard of is noted.
        spent: What all trials have cost so far.
        total: What they may cost together; None without a limit.
        per_trial: What one may cost; likewise.
        unit: In which unit; empty where nobody said.
        best: The best value as observed; `similitude tune front` says what to use instead.
    """

    study: str
    direction: str
    finished: int
    pruned: int
    failures: dict[str, int]
    lost: int
    waiting: int
    running: tuple[TrialLine, ...]
    spent: float
    total: float | None
    per_trial: float | None
    unit: str
    best: TrialLine | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)


def status_of(study: optuna.Study, *, now: float | None = None) -> TuningStatus:
    """Say how a study stands.

    Args:
        study: The study.
        now: Seconds since 1970; the clock where None.
    """
    now = time.time() if now is None else now
    trials = study.get_trials(deepcopy=False)
    budget, cost = stored_budget(study), stored_cost(study)
    kinds = {t.number: t.user_attrs.get(FAILURE_KEY) for t in trials if t.state.is_finished()}
    done = [t for t in trials if t.state == TrialState.COMPLETE and not learnt(kinds[t.number])]
    ended = [t for t in trials if t.state.is_finished() and t not in done and not learnt(kinds[t.number])]
    lost = sum(t.state == TrialState.FAIL or kinds[t.number] == "machine" for t in ended)
    sign = -1 if study.direction == StudyDirection.MAXIMIZE else 1
    valued = [(sign * t.value, t.number) for t in done if t.value is not None]
    best = trials[min(valued)[1]] if valued else None
    return TuningStatus(
        study=study.study_name,
        direction=study.direction.name.lower(),
        finished=len(done),
        pruned=len(ended) - lost,
        failures=dict(Counter(str(kind) for kind in kinds.values() if learnt(kind))),
        lost=lost,
        waiting=sum(t.state == TrialState.WAITING for t in trials),
        running=tuple(_running(t, now, cost) for t in trials if t.state == TrialState.RUNNING),
        spent=paid(trials, cost, now=now),
        total=in_cost_units(budget.total, budget, cost),
        per_trial=in_cost_units(budget.per_trial, budget, cost),
        unit="seconds" if cost == "seconds" else budget.unit or "",
        best=None if best is None else line_of(best, cost=cost),
    )


def line_of(trial: FrozenTrial, *, cost: str = TOLD) -> TrialLine:
    """Return one trial for tables, with its failure or the reason why it has no value.

    Args:
        trial: The trial.
        cost: Where costs come from, as its study says.
    """
    kind, reason = trial.user_attrs.get(FAILURE_KEY), trial.user_attrs.get(REASON_KEY)
    value = trial.value
    if value is None and trial.intermediate_values:
        value = trial.intermediate_values[max(trial.intermediate_values)]
    told = as_number(trial.user_attrs.get(TOLD if cost == "seconds" else cost))
    note = ": ".join(str(part) for part in (kind, reason) if part)
    return TrialLine(
        trial.number,
        value if value is not None and math.isfinite(value) else None,
        told if math.isfinite(told) else None,
        note,
    )


def _running(trial: FrozenTrial, now: float, cost: str) -> TrialLine:
    line = line_of(trial, cost=cost)
    left = trial.user_attrs.get(LEASE_KEY)
    note = "" if left is None or left > now else f"not heard of for {now - left:.0f} s after its lease"
    return TrialLine(line.number, line.value, line.cost, note)
