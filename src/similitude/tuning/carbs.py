"""CARBS as a sampler of Optuna: what it reads from a study and writes to it around each suggestion of the search."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, TrialState

from similitude.core.citation import cites
from similitude.core.errors import TuningError
from similitude.core.seeding import derive
from similitude.tuning.arguments import check_budget, check_lease, check_seed, whole
from similitude.tuning.engines.one_thread import one_thread
from similitude.tuning.original.suggest import check_original, suggest_original
from similitude.tuning.search.suggest import suggest
from similitude.tuning.space.description import check_objectives, describe
from similitude.tuning.space.space import Space
from similitude.tuning.trials import costs, retry
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.history import PARAMS_KEY, Cost, History
from similitude.tuning.trials.leases import LEASE_SECONDS, Renewal, take
from similitude.tuning.trials.told import told

BUDGET_KEY = "similitude:budget"
"""User attribute of a study that holds its budget."""


@cites(10, "Section 3")
class CarbsSampler(BaseSampler):
    """Search the front of cost and quality locally, from a cheap start outwards, with plain Optuna around it.

    The study has one objective; what a trial cost is told by the objective, and is the other axis of the front.
    Failures are learnt (`space.fail`), a machine's faults are run again, several processes may work on one study.
    A suggestion depends on the seed, the place of the trial in the study and what the study shows, and on nothing
    else: no random generator is kept, so any worker would suggest the same.

    Args:
        space: What is tuned. The order of its dimensions changes nothing, nor do their units.
        seed: Of the search.
        cost: Name of the user attribute in which the objective tells what a trial cost; or "seconds", to measure
            the time; or a function of the configuration, where the cost is known beforehand. It is the last that
            the search uses best: nothing has to be learnt. The default is "seconds" where the budget counts seconds,
            minutes or hours, else the attribute "cost".
        budget: What the study and each trial may cost, in the unit of the cost. Once the finished and running trials
            cost `total`, `study.optimize` stops. Configurations likely to cost more than `per_trial` are avoided;
            under a plain `study.optimize` nothing ends a trial that does.
        compat: "carbs" for the published algorithm, flaws included; the default is ours.
        lease: Seconds after which a running trial without a sign of life counts no more. `study.optimize` gives
            signs of life by itself; between `study.ask` and `study.tell` there are none.
        retries: How often a trial is run again that its machine failed.

    Raises:
        TuningError: An argument is none of these.

    Example:
        >>> import optuna
        >>> from similitude.tuning.space.dimensions import Log
        >>> space = Space(width=Log(64, integer=True, role="scale"), lr=Log(1e-3))
        >>> def objective(trial):
        ...     values = space.suggest(trial)
        ...     trial.set_user_attr("cost", float(values["width"]))
        ...     return 1 / values["width"] + abs(values["lr"] - 0.01)
        >>> verbosity = optuna.logging.get_verbosity()
        >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
        >>> study = optuna.create_study(sampler=CarbsSampler(space, budget=Budget(per_trial=1000)))
        >>> study.optimize(objective, n_trials=3)
        >>> optuna.logging.set_verbosity(verbosity)
        >>> study.trials[0].params == space.center
        True
    """

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: Cost | None = None,
        budget: Budget | None = None,
        compat: Literal["carbs"] | None = None,
        lease: float = LEASE_SECONDS,
        retries: int = retry.RETRIES,
    ) -> None:
        if not isinstance(space, Space):
            raise TuningError(f"{space!r} is no space. Name what is tuned, e.g. sim.Space(lr=sim.Log(3e-3)).")
        if compat not in (None, "carbs"):
            raise TuningError(f'compat={compat!r}: leave it out, or say "carbs" for the published algorithm.')
        self.space = space
        self.seed = check_seed(seed)
        self.budget = check_budget(budget)
        self.cost: Cost = costs.cost_source(cost, self.budget)
        self.compat = compat
        self.retries = whole(retries, "retries", least=0, why="how often a trial is run again")
        self._searched = _searched(space)
        if compat == "carbs":
            check_original(self._searched)
        self._renewal = Renewal(check_lease(lease))
        self._warned: set[str] = set()
        self._passed: set[int] = set()
        self._ended_any = False

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return the whole space, from the first trial on."""
        return self.space.distributions()

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Describe the search in the study, hand on trials of dead processes, and take a lease on this trial.

        Raises:
            TuningError: The study is of another search, or its budget is spent.
        """
        storage, in_loop = study._storage, _in_optimize(study)
        try:
            check_objectives(study)
            describe(study, self.space, cost=self.cost, notes={BUDGET_KEY: self.budget.to_dict()})
            self._check_budget(study, in_loop=in_loop)
        except TuningError:
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)  # nobody runs it now
            raise
        take(storage, trial._trial_id, self._renewal.seconds, renewed=in_loop)
        if in_loop:
            self._renewal.add(storage, trial._trial_id)
        fixed = trial.system_attrs.get("fixed_params")
        retry.reclaim(
            study, now=time.time(), retries=self.retries, certain=True, heir=trial if fixed is None else None
        )
        if fixed is not None and self._is_complete(fixed):  # Optuna then does not ask for anything
            self._publish(study, trial, fixed)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Suggest a configuration, and publish it for the other workers.

        Args:
            study: The study.
            trial: The trial.
            search_space: What Optuna asks for: the space, or a part of it.

        Returns:
            A value for each name; of dimensions that are not there with the others, the one at the center.

        Raises:
            TuningError: The study has several objectives, or a trial told a cost that is none.
        """
        check_objectives(study)
        with one_thread():  # and one at a time: a thread sees what another one has just published
            newest = study._storage.get_trial(trial._trial_id)
            values = {k: v for k, v in retry.configuration(newest).items() if k in self.space}
            if not self._is_complete(values):
                values = self._completed(self._suggested(study, newest) | values)
            self._publish(study, trial, values)
        drawn = {}
        for name, distribution in search_space.items():
            value = values.get(name, self.space[name].first) if name in self.space else None
            if name not in self.space or not _has(distribution, value):
                value = self.sample_independent(study, trial, name, distribution)
            drawn[name] = value
        return drawn

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw a parameter at random that the objective asks for beside the space, and warn: nothing is learnt of it.

        Args:
            study: The study.
            trial: The trial.
            param_name: The parameter.
            param_distribution: Its range.

        Raises:
            TuningError: The study has several objectives.
        """
        check_objectives(study)
        if param_name not in self._warned:
            self._warned.add(param_name)
            warnings.warn(self._beside(param_name, param_distribution), stacklevel=2)
        random = RandomSampler(seed=derive(self.seed, "beside", trial.number, param_name) % 2**32)
        return random.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Store what the trial cost, have it run again if its machine failed, and stop a study that spent its budget.

        Raises:
            TuningError: The trial told a cost that is not a finite number above 0.
        """
        self._renewal.remove(study._storage, trial._trial_id)
        self._ended_any = True
        costs.settle(study, trial, state, retry.configuration(trial), self.cost)
        kind = trial.user_attrs.get(FAILURE_KEY)
        passed = False
        if state == TrialState.FAIL and kind is None:
            why = told()
            kind, passed = why.kind, why.passed
            if kind is not None:
                study._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, kind)
        if kind == "machine" or (state == TrialState.FAIL and kind is None):
            again = retry.run_again(study, trial, retries=self.retries)
            if passed and not again and retry.forerunner(trial) in self._passed:
                # An error that was caught, twice in one run, is no accident of the machine, nor an error of the code
                # that was mended in between.
                study._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, "nan")
        if passed:
            self._passed.add(trial.number)
        if self.exhausted(study) and _in_optimize(study):
            study.stop()
        if "the cost" not in self._warned and costs.warn_of_missing(
            retry.all_trials(study), self.cost, total=self._total
        ):
            self._warned.add("the cost")

    def reseed_rng(self) -> None:
        """Do nothing: no random generator is kept, and threads that share the sampler suggest different points."""

    def spent(self, study: optuna.Study) -> float:
        """Return what the trials of a study have cost so far, failed and running ones included."""
        return costs.paid(retry.all_trials(study), self.cost, now=time.time())

    def exhausted(self, study: optuna.Study) -> bool:
        """Tell whether a study has spent its budget."""
        return self._total is not None and self.spent(study) >= self._total

    @property
    def _total(self) -> float | None:
        return costs.in_cost_units(self.budget.total, self.budget, self.cost)

    def _suggested(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        number = retry.place(retry.all_trials(study), trial)
        history = History.from_study(study, self._searched, cost=self.cost, exclude=trial.number)
        cap = costs.in_cost_units(self.budget.per_trial, self.budget, self.cost)
        if self.compat == "carbs":
            point = suggest_original(history, seed=self.seed, number=number, cap=cap)
        else:
            point = suggest(history, seed=self.seed, number=number, cap=cap, cost_of=self._cost_of())
        distributions = self.space.distributions()
        values = self._searched.values_at(point)
        return {name: _within(distributions[name], value) for name, value in values.items()}

    def _cost_of(self) -> Callable[[Mapping[str, Any]], float] | None:
        """Return the cost of a configuration of what is searched, where the cost is known beforehand."""
        if isinstance(self.cost, str):
            return None
        cost = self.cost
        if len(self._searched) == len(self.space):
            return lambda values: costs.foreseen(cost, values)
        return lambda values: costs.foreseen(cost, self._completed(values))

    def _publish(self, study: optuna.Study, trial: FrozenTrial, values: Mapping[str, Any]) -> None:
        storage, trial_id = study._storage, trial._trial_id
        there = {name: values[name] for name in self.space.active(values) if name in values}
        storage.set_trial_system_attr(trial_id, PARAMS_KEY, json.dumps(there))
        if callable(self.cost):
            storage.set_trial_user_attr(trial_id, costs.TOLD, costs.computed(self.cost, trial.number, there))

    def _completed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values with those dimensions at their center that are there only because of an enqueued value."""
        found: dict[str, Any] = {}
        for name, dim in self.space.items():
            if name in self.space.active(found | {name: None}):
                found[name] = values.get(name, dim.first)
        return found

    def _is_complete(self, values: Mapping[str, Any]) -> bool:
        return all(name in values for name in self.space.active(values))

    def _check_budget(self, study: optuna.Study, *, in_loop: bool) -> None:
        if not self.exhausted(study):
            return
        if not (self._ended_any and in_loop):
            raise TuningError(
                f"The budget is spent: its trials cost {self.spent(study):.4g} of {self._total:.4g}. Nothing was run. "
                "Give CarbsSampler a larger Budget(total=...) to go on."
            )
        study.stop()  # another process spent the rest since this one looked

    def _beside(self, name: str, distribution: BaseDistribution) -> str:
        law = "it is not in the space"
        if name in self.space:
            law = f"the space has it as {self.space.distributions()[name]}"
        return (
            f"The objective asks for {name!r} as {distribution}, and {law}: it is drawn at random, and nothing is "
            "learnt from it. Take every parameter from space.suggest(trial), and put what is missing into the space."
        )


def _searched(space: Space) -> Space:
    """Return what is searched: dimensions that have several values, in an order that depends on their names alone.

    Every dimension stands after those that it depends on; these are kept although they may have one value.
    """
    parents = {parent for dim in space.values() for parent in dim.when or {}}
    free = {n: dim for n, dim in sorted(space.items()) if n in parents or not dim.distribution().single()}
    left, placed = free or dict(space), dict[str, Any]()
    while left:
        name = next(n for n, dim in left.items() if all(parent in placed for parent in dim.when or {}))
        placed[name] = left.pop(name)
    return Space(placed)


def _in_optimize(study: optuna.Study) -> bool:
    return bool(getattr(study._thread_local, "in_optimize_loop", False))


def _has(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return isinstance(value, int | float) and distribution._contains(distribution.to_internal_repr(value))


def _within(distribution: BaseDistribution, value: Any) -> Any:
    """Return a value that Optuna can store: dimensions without bounds have some there, very far out."""
    if isinstance(distribution, CategoricalDistribution):
        return value
    low, high = distribution.low, distribution.high  # type: ignore[attr-defined]
    return min(max(value, low), high)
