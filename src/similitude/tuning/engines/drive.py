"""Work through a tuning study: take trials, run them on an engine, tell what they came to, until the study ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState

from similitude.core.errors import TuningError
from similitude.tuning.arguments import whole
from similitude.tuning.engines.engine import Cap, Runner, TrialEngine
from similitude.tuning.engines.turns import FAULTS_KEY, LEASE_SECONDS, Turns
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.costs import TOLD, check_told, committed, computed, in_cost_units, paid
from similitude.tuning.trials.failures import FAILURE_KEY, learnt
from similitude.tuning.trials.history import SECONDS_KEY, SPACE_KEY, Cost, stored_space
from similitude.tuning.trials.outcome import Objective, Outcome
from similitude.tuning.trials.retry import REASON_KEY, RETRIES

_LOOK_SECONDS = 1.0  # between looks at the study while trials run: progress, and trials of dead processes
_IN_A_ROW = 3  # trials that end in faults, one after another, with which a study stops


@dataclass(frozen=True)
class Ends:
    """When a study ends; whichever comes first.

    Attributes:
        trials: Trials that the study is to have, with a value or failed by their own fault.
        here: Trials that this process is to run, of however many there are.
        cost: What all trials may cost together, in the unit of their costs.

    Raises:
        TuningError: None of them is given, or one is no number above 0; numbers of trials are whole.
    """

    trials: int | None = None
    here: int | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if not given:
            raise TuningError(
                "The study has no end: give a budget for all trials (Budget(total=...), or --budget), or their number "
                "(trials=..., or --trials)."
            )
        for name in ("trials", "here"):
            if name in given:
                whole(given[name], name, least=1, why="a number of trials to run")
        assert self.cost is None or self.cost > 0, self.cost  # it comes of a budget, which was checked


@dataclass(frozen=True)
class TuningProgress:
    """How far a study is.

    Attributes:
        study: Its name.
        finished: Trials with a value.
        failed: Trials that failed by their configuration's fault, or were pruned.
        lost: Trials that were given up after faults of code or machines.
        running: Trials that are being run, by whatever process.
        spent: What all trials have cost so far.
        best: The best value so far, as observed; None where there is none.
        ends: When the study ends.
        seconds_left: Until then, as things go; infinite where nothing can be said yet.
    """

    study: str
    finished: int
    failed: int
    lost: int
    running: int
    spent: float
    best: float | None
    ends: Ends
    seconds_left: float


def drive(
    objective: Objective,
    study: optuna.Study,
    *,
    engine: TrialEngine,
    ends: Ends,
    budget: Budget,
    cost: Cost = "cost",
    retries: int = RETRIES,
    lease: float = LEASE_SECONDS,
    on_progress: Callable[[TuningProgress], None] | None = None,
) -> None:
    """Run trials of a study until it ends. Any number of processes may do so at once.

    Args:
        objective: What is tuned.
        study: The study.
        engine: Where trials run.
        ends: When the study ends; trials that run then are still finished.
        budget: What one trial may cost.
        cost: Where costs come from.
        retries: How often a trial is run again whose process crashed, or which raised an error.
        lease: Seconds after which a trial whose process has not been heard of is run by another.
        on_progress: Called often with a `TuningProgress`.

    Raises:
        TuningError: Trials end in faults one after another.
        KeyboardInterrupt: Passed on, after the trials that ran have been left for the next call.
    """
    turns = Turns(study, lease=lease)
    work = _Work(turns, engine, ends, cost, retries, on_progress)
    cap = cap_of(budget, cost)
    with turns.kept(), engine.open(objective, cap=cap) as runner:
        try:
            work.run(runner)
        finally:
            turns.give_all_back()


def cap_of(budget: Budget, cost: Cost) -> Cap:
    """Return what one trial may take: measured time where the budget counts in it, else the cost that it tells."""
    if cost == "seconds":
        return Cap(seconds=in_cost_units(budget.per_trial, budget, cost))
    return Cap(cost=budget.per_trial, attribute=cost) if isinstance(cost, str) else Cap()


class _Work:
    def __init__(
        self,
        turns: Turns,
        engine: TrialEngine,
        ends: Ends,
        cost: Cost,
        retries: int,
        on_progress: Callable[[TuningProgress], None] | None,
    ) -> None:
        self._turns, self._engine, self._ends, self._cost = turns, engine, ends, cost
        self._retries, self._on_progress = retries, on_progress
        self._space = stored_space(turns.study) if SPACE_KEY in turns.study.user_attrs else None
        self._running = self._begun = self._in_a_row = 0
        self._started, self._looked = time.monotonic(), -math.inf
        self._first: tuple[int, float] | None = None

    def run(self, runner: Runner) -> None:
        while True:
            self._turns.recover()
            trials = self._turns.study.get_trials(deepcopy=False)
            if self._ends.cost is not None and self._ends.trials is None and self._ends.here is None:
                check_told(trials, self._cost, self._ends.cost)
            more = self._wanted(trials)
            while more and self._running < self._engine.workers and runner.ready():
                trial = self._turns.take(self._wanted)
                more = trial is not None
                if trial is not None:
                    self._begin(trial, runner)
            if more:
                runner.ready()  # ahead of time, while others run
            elif not self._running:
                self._look(always=True)
                return
            for trial, outcome in runner.wait(_LOOK_SECONDS):
                self._running -= 1
                self._tell(trial, outcome)
            self._look()

    def _begin(self, trial: optuna.Trial, runner: Runner) -> None:
        if self._space is not None:
            self._space.suggest(trial)  # at once, so that others see where it is
        self._running += 1
        self._begun += 1
        runner.start(trial)

    def _wanted(self, trials: Sequence[FrozenTrial]) -> bool:
        ends = self._ends
        if ends.here is not None and self._begun >= ends.here:
            return False
        running = sum(t.state == TrialState.RUNNING for t in trials)
        if ends.trials is not None and sum(map(_counts, trials)) + running >= ends.trials:
            return False
        return ends.cost is None or committed(trials, self._cost, now=time.time()) < ends.cost

    def _tell(self, trial: optuna.Trial, outcome: Outcome) -> None:
        if outcome.state == "fault":
            self._fault(trial, outcome)
            return
        self._in_a_row = 0
        self._charge(trial, outcome)
        if outcome.state == "value":
            self._turns.tell(trial, value=outcome.value, state=TrialState.COMPLETE)
            return
        if outcome.state == "failed":
            self._note(trial, **{FAILURE_KEY: outcome.kind, REASON_KEY: outcome.reason})
        self._turns.tell(trial, value=None, state=TrialState.PRUNED)

    def _fault(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Run a trial again that ended for no fault of its configuration, or give it up."""
        tries = int(trial.user_attrs.get(FAULTS_KEY) or 0) + 1
        self._note(trial, **{FAULTS_KEY: tries, REASON_KEY: outcome.reason})
        if tries <= self._retries:
            self._begun -= 1
            self._turns.give_back(trial.number)
            return
        self._in_a_row += 1
        # Where nothing has worked yet it is the code, most likely: the trial waits until that is mended.
        ever = any(_counts(t) for t in self._turns.study.get_trials(deepcopy=False))
        if not ever:
            self._note(trial, **{FAULTS_KEY: 0})
            self._turns.give_back(trial.number)
        else:
            self._turns.give_up(trial, outcome.reason)
        if not ever or self._in_a_row >= _IN_A_ROW:
            many = f"{self._in_a_row} trials one after another" if ever else f"Trial {trial.number}"
            stop = TuningError(
                f"{many} of {self._turns.study.study_name!r} failed {tries} times, which is no fault of a configuration. "
                f"The last error: {outcome.reason}. What is finished is kept. Mend the cause, then run the same again: "
                f"it goes on where it stopped."
            )
            if outcome.traceback:
                stop.add_note(outcome.traceback)
            raise stop

    def _charge(self, trial: optuna.Trial, outcome: Outcome) -> None:
        """Store a cost that the objective need not tell; our sampler does so too, others do not."""
        if self._cost == "seconds":
            self._note(trial, **{SECONDS_KEY: outcome.seconds, TOLD: outcome.seconds})
        elif callable(self._cost):
            self._note(trial, **{TOLD: computed(self._cost, trial.number, trial.params)})

    def _note(self, trial: optuna.Trial, **attributes: object) -> None:
        if self._turns.holds(trial.number):
            for name, value in attributes.items():
                trial.set_user_attr(name, value)

    def _look(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if self._on_progress is None or (not always and now - self._looked < _LOOK_SECONDS):
            return
        self._looked = now
        self._on_progress(self._progress(now))

    def _progress(self, now: float) -> TuningProgress:
        study = self._turns.study
        trials = study.get_trials(deepcopy=False)
        spent = paid(trials, self._cost, now=time.time())
        counted = sum(map(_counts, trials))
        first = self._first = self._first or (counted, spent)
        rates = [
            (share, total - share, share - before)
            for share, total, before in (
                (counted, self._ends.trials, first[0]),
                (spent, self._ends.cost, first[1]),
                (self._begun - self._running, self._ends.here, 0),
            )
            if total is not None and share > before
        ]
        elapsed = now - self._started
        left = min((max(rest, 0) * elapsed / gained for _, rest, gained in rates), default=math.inf)
        values = [t.value for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
        best = min if study.direction == optuna.study.StudyDirection.MINIMIZE else max
        return TuningProgress(
            study=study.study_name,
            finished=sum(t.state == TrialState.COMPLETE for t in trials),
            failed=sum(_counts(t) and t.state != TrialState.COMPLETE for t in trials),
            lost=sum(t.state == TrialState.FAIL and not _counts(t) for t in trials),
            running=sum(t.state == TrialState.RUNNING for t in trials),
            spent=spent,
            best=best(values, default=None),
            ends=self._ends,
            seconds_left=left,
        )


def _counts(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those that a study is to have: it ended, and not by a machine's fault."""
    if trial.state == TrialState.FAIL:
        return learnt(trial.user_attrs.get(FAILURE_KEY))
    return trial.state.is_finished()
