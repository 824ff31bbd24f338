"""The search as a search algorithm of Ray Tune: told of costs and of failures, which Tune itself does not carry."""

from __future__ import annotations

import functools
import math
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from similitude.core.errors import TuningError
from similitude.integrations.ray_tune_searcher import Searcher, has_domains, report
from similitude.tuning.arguments import check_budget
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.space import Space
from similitude.tuning.study.stored import open_tuning
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.costs import check_told, in_seconds
from similitude.tuning.trials.failures import FAILURE_KEY, FailureKind, TrialFailure, check_kind
from similitude.tuning.trials.leases import LEASE_SECONDS, Renewal, take
from similitude.tuning.trials.outcome import arithmetic, out_of_memory

__all__ = ["RAY_KEY", "CarbsSearch", "reporting_failures"]

RAY_KEY = "similitude:ray_trial"
"""User attribute of a trial: Ray Tune's identifier of it."""

TIME = "time_total_s"
"""Column in which Ray Tune itself tells the seconds that a trial has run."""

Mode = Literal["min", "max"]


class CarbsSearch(Searcher):
    """Search the front of cost and quality inside Ray Tune, as `similitude.CarbsSampler` does inside Optuna.

    The trials make an Optuna study, `search.study`, which laws, dashboards and `similitude tune` read; in a `storage` it
    may be continued without Ray. What a trial's last result says counts: its metric, its cost, and which failure of its
    configuration it reports, if any. A metric that is not finite is such a failure. A trial that Tune ends with an error,
    its own retries spent (`FailureConfig`), is a machine's fault: it is run again once, and nothing is learnt from it.
    `reporting_failures` tells the one from the other for errors that a function raises.

    Args:
        space: What is tuned. A `param_space` beside it holds constants only.
        metric: Column of the results that is tuned.
        mode: "min" or "max": whether small or large values of it are good.
        cost: Column that holds what a trial has cost so far; "time_total_s" for the seconds that Tune measures,
            in which a budget in minutes or hours then counts.
        failure: Column that names the failure: "nan", "diverged", "oom", "cap", or "machine".
        budget: What the study may cost, after which no trial is begun, and each trial, which the search respects.
        seed: Of the search.
        storage: A folder, or an Optuna storage URL; in memory where None, and then saved by Tune.
        name: Name of the study.

    Raises:
        TuningError: The study in the storage is another one.

    Example:
        `Tuner(train, tune_config=TuneConfig(search_alg=CarbsSearch(space, metric="loss"), num_samples=50))`
    """

    def __init__(
        self,
        space: Space,
        *,
        metric: str,
        mode: Mode = "min",
        cost: str = "cost",
        failure: str = "failure",
        budget: Budget | None = None,
        seed: int = 0,
        storage: str | Path | None = None,
        name: str = "tuning",
    ) -> None:
        if mode not in ("min", "max"):
            raise TuningError(
                f'mode={mode!r}: "min" where small values are good, "max" where large ones are.'
            )
        if not isinstance(metric, str):
            raise TuningError(f"metric={metric!r}: give the name of the column of the results that is tuned.")
        super().__init__(metric=metric, mode=mode)
        limits = check_budget(budget)
        if cost == TIME:
            limits = in_seconds(limits)
        self._sampler = CarbsSampler(space, seed=seed, cost=cost, budget=limits)
        if not isinstance(self._sampler.cost, str):
            raise TuningError(f"cost={cost!r}: give the name of the column that holds what a trial has cost.")
        self._cost, self._failure, self._name = self._sampler.cost, failure, name
        self._place = None if storage is None else str(storage)
        self._memory = InMemoryStorage() if storage is None else None
        self._renewal = Renewal(LEASE_SECONDS)
        self._study: optuna.Study | None = None

    @property
    def study(self) -> optuna.Study:
        """The study; it is made when it is first asked for.

        Raises:
            TuningError: The stored study is another one.
        """
        if self._study is None:
            self._study = self._open()
        return self._study

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Compare with what else Ray Tune was told; called by it where there is a `param_space`.

        Raises:
            TuningError: `param_space` has ranges of its own, or metric and mode are others than here.
        """
        if has_domains(config):
            raise TuningError(
                "param_space has ranges to search, and CarbsSearch has its own space. Put them there, e.g. "
                "Space(lr=Log(3e-3)), and keep constants only in param_space."
            )
        for name, here, there in (("metric", self.metric, metric), ("mode", self.mode, mode)):
            if there not in (None, here):
                raise TuningError(
                    f"TuneConfig({name}={there!r}) and CarbsSearch({name}={here!r}) differ: give the same to both."
                )
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of a new trial, or that the budget is spent; called by Ray Tune.

        Raises:
            TuningError: Several trials have ended, and none reported a cost: the budget would never be spent.
        """
        if self._sampler.exhausted(self.study):
            return Searcher.FINISHED
        if self._sampler.budget.total is not None:
            check_told(self.study.get_trials(deepcopy=False), self._cost, self._sampler.budget.total)
        trial = self.study.ask()
        trial.set_user_attr(RAY_KEY, trial_id)
        take(trial.storage, trial._trial_id, LEASE_SECONDS, renewed=True)
        self._renewal.add(trial.storage, trial._trial_id)
        return self._sampler.space.suggest(trial)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Store a value on the way, and the cost so far; called by Ray Tune."""
        trial = self._running(trial_id)
        if trial is None:
            return
        value = self._value(result)
        if value is not None and math.isfinite(value):
            step = int(result.get("training_iteration", 0))
            self.study._storage.set_trial_intermediate_value(trial._trial_id, step, value)
        self._store_cost(trial, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell the study what a trial came to; called by Ray Tune.

        Raises:
            TuningError: The cost is not a finite number above 0, or the metric is no number.
        """
        trial = self._running(trial_id)
        if trial is None:
            return
        result = result or {}
        self._renewal.remove(self.study._storage, trial._trial_id)
        self._store_cost(trial, result)
        value, kind = self._value(result), self._kind(result, error)
        if (
            kind is None and value is not None
        ):  # also where a scheduler stopped it early: its cost then says so
            self.study.tell(trial.number, value)
            return
        if kind is not None:
            self.study._storage.set_trial_user_attr(trial._trial_id, FAILURE_KEY, kind)
        self.study.tell(trial.number, state=TrialState.FAIL if kind == "machine" else TrialState.PRUNED)

    def save(self, checkpoint_path: str) -> None:
        """Save what is needed to go on; called by Ray Tune."""
        alive = [trial.user_attrs[RAY_KEY] for trial in self._of_ray() if trial.state == TrialState.RUNNING]
        Path(checkpoint_path).write_bytes(pickle.dumps({"memory": self._memory, "alive": alive}))

    def restore(self, checkpoint_path: str) -> None:
        """Go on from what was saved, with the trials that ran then; called by Ray Tune."""
        state = pickle.loads(Path(checkpoint_path).read_bytes())
        self._memory, self._study = state["memory"], None
        for trial_id in state["alive"]:
            trial = self._running(trial_id)
            if trial is not None:  # its process was the one that Tune ran in; now it is this one
                take(self.study._storage, trial._trial_id, LEASE_SECONDS, renewed=True)
                self._renewal.add(self.study._storage, trial._trial_id)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_study": None}  # opened anew where it is needed; Ray Tune stores the search

    def _open(self) -> optuna.Study:
        sampler = self._sampler
        direction = "minimize" if self.mode == "min" else "maximize"
        if self._place is None:
            return optuna.create_study(
                storage=self._memory,
                study_name=self._name,
                sampler=sampler,
                direction=direction,
                load_if_exists=True,
            )
        study, _ = open_tuning(
            self._place,
            self._name,
            sampler.space,
            budget=sampler.budget,
            cost=sampler.cost,
            seed=sampler.seed,
            direction=direction,
        )
        study.sampler = sampler
        return study

    def _of_ray(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if RAY_KEY in trial.user_attrs]

    def _running(self, trial_id: str) -> FrozenTrial | None:
        """Return the trial that runs under Tune's identifier; None if it has ended, or another process took it over."""
        found = (t for t in reversed(self._of_ray()) if t.user_attrs[RAY_KEY] == trial_id)
        trial = next(found, None)
        return trial if trial is not None and trial.state == TrialState.RUNNING else None

    def _store_cost(self, trial: FrozenTrial, result: Mapping[str, Any]) -> None:
        told = result.get(self._cost)
        if told is None:
            return
        if isinstance(told, str):
            raise TuningError(f"Trial {trial.number} reported {self._cost}={told!r}: a cost is a number.")
        self.study._storage.set_trial_user_attr(trial._trial_id, self._cost, float(told))

    def _value(self, result: Mapping[str, Any]) -> float | None:
        value = result.get(self.metric)
        if value is None:
            return None
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TuningError(
                f"A result has {self.metric}={value!r:.60}, which is no number. Report one by "
                f"tune.report({{{self.metric!r}: loss, ...}})."
            ) from None

    def _kind(self, result: Mapping[str, Any], error: bool) -> FailureKind | None:
        if result.get(self._failure):
            return check_kind(str(result[self._failure]))
        if error:
            return "machine"
        value = self._value(result)
        if value is None or math.isfinite(value):
            return None
        if math.isnan(value):
            return "nan"
        return "diverged"


def reporting_failures(
    train: Callable[[dict[str, Any]], Any], *, metric: str, failure: str = "failure"
) -> Callable[[dict[str, Any]], Any]:
    """Return a function for Ray Tune that reports failures of its configuration in place of raising them.

    Memory that runs out, arithmetic that breaks down, and `TrialFailure` end the trial with a last result that says so,
    which `CarbsSearch` learns from; any other error is raised.

    Args:
        train: Trains one configuration and reports to Tune.
        metric: Column that is tuned; not a number in that last result.
        failure: Column that names the failure.

    Example:
        `Tuner(reporting_failures(train, metric="loss"), tune_config=TuneConfig(search_alg=search, num_samples=50))`
    """

    @functools.wraps(train)
    def reporting(config: dict[str, Any]) -> Any:
        try:
            return train(config)
        except Exception as error:
            kind = _kind_of(error)
            if kind is None:
                raise
        report({metric: math.nan, failure: kind})
        return None

    return reporting


def _kind_of(error: Exception) -> FailureKind | None:
    if isinstance(error, TrialFailure):
        return check_kind(error.kind)
    if out_of_memory(error):
        return "oom"
    if arithmetic(error):
        return "diverged"
    return None
