from __future__ import annotations

import math
import time

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from similitude.core.errors import TuningError
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.trials.budget import Budget
from similitude.tuning.trials.costs import check_told, committed, in_cost_units, paid
from similitude.tuning.trials.history import History
from tests.tuning.sampler_runs import LADDER, ladder, objective_of, searched


@pytest.mark.parametrize("cost", [0.0, -1.0, math.nan, math.inf, "dear"])
def test_a_cost_that_is_none_is_refused_by_the_name_of_its_trial_and_the_study_goes_on(cost):
    told = iter([1.0, 1.0, cost, 1.0, 1.0])

    def objective(trial):
        value, _ = ladder(LADDER.suggest(trial))
        trial.set_user_attr("cost", next(told))
        return value

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    with pytest.raises(TuningError, match=rf"Trial 2 told cost {cost!r}.*a finite number above 0"):
        study.optimize(objective, n_trials=3)
    study.optimize(objective, n_trials=2)
    history = History.from_study(study, LADDER)
    assert history.numbers.tolist() == [0, 1, 3, 4]
    assert history.left_out == ((2, "it told no cost"),)


def test_a_failure_may_cost_nothing():
    def objective(trial):
        LADDER.suggest(trial)
        trial.set_user_attr("cost", 0.0)
        LADDER.fail(trial, "oom")

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    study.optimize(objective, n_trials=2)
    assert [f.kind for f in History.from_study(study, LADDER).failures] == ["oom", "oom"]


def test_a_cost_function_that_gives_no_cost_is_named_before_anything_is_run():
    study = optuna.create_study(sampler=CarbsSampler(LADDER, cost=lambda values: -values["size"]))
    with pytest.raises(TuningError, match=r"The cost function gave trial 0.*'size': 10.*-10"):
        study.ask().suggest_float("size", 1.0, 1e4, log=True)


def test_a_computed_cost_is_stored_where_everything_reads_it():
    study = searched(measure=lambda values: (ladder(values)[0], 1.0), trials=2, cost=lambda v: 2 * v["size"])
    assert [t.user_attrs["cost"] for t in study.trials] == [2 * t.params["size"] for t in study.trials]
    assert History.from_study(study).costs.tolist() == [2 * t.params["size"] for t in study.trials]


def test_seconds_are_measured():
    def objective(trial):
        LADDER.suggest(trial)
        time.sleep(0.05)
        return 1.0

    study = optuna.create_study(sampler=CarbsSampler(LADDER, cost="seconds"))
    study.optimize(objective, n_trials=2)
    for trial in study.trials:
        assert trial.duration is not None
        assert 0.05 <= trial.user_attrs["cost"] <= trial.duration.total_seconds()


def test_a_budget_of_seconds_counts_running_trials():
    study = optuna.create_study(sampler=CarbsSampler(LADDER, cost="seconds"))
    trial = study.ask()
    began = study.trials[0].datetime_start
    assert began is not None
    assert paid(study.trials, "seconds", now=began.timestamp() + 12.0) == pytest.approx(12.0)
    study.tell(trial, state=TrialState.FAIL)


def test_running_trials_are_taken_for_as_dear_as_the_finished_ones():
    study = optuna.create_study()
    for cost in (10.0, 30.0, None):  # one tells nothing
        trial = study.ask()
        if cost is not None:
            trial.set_user_attr("cost", cost)
        study.tell(trial, 1.0)
    for told in (None, 5.0, 50.0):
        trial = study.ask()
        if told is not None:
            trial.set_user_attr("cost", told)  # so far
    assert paid(study.trials, "cost", now=0.0) == 40.0 + 55.0
    assert committed(study.trials, "cost", now=0.0) == 40.0 + 20.0 + 20.0 + 50.0
    assert committed([], "cost", now=0.0) == 0.0


@pytest.mark.parametrize(
    ("unit", "factor"), [("seconds", 1.0), ("minutes", 60.0), ("hours", 3600.0), (None, 1.0)]
)
def test_limits_are_seconds_where_time_is_measured(unit, factor):
    budget = Budget(total=3.0, unit=unit)
    assert in_cost_units(budget.total, budget, "seconds") == 3.0 * factor
    assert in_cost_units(budget.total, budget, "cost") == 3.0
    assert in_cost_units(None, budget, "seconds") is None


def test_costs_that_most_trials_do_not_tell_are_asked_for_once():
    def silent(trial):
        return ladder(LADDER.suggest(trial))[0]

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    with pytest.warns(UserWarning, match=r"4 of 4 finished trials.*'cost'.*the seconds") as caught:
        study.optimize(silent, n_trials=6)
    assert len([w for w in caught if "finished trials" in str(w.message)]) == 1


def test_costs_that_few_trials_do_not_tell_pass(recwarn):
    study = searched(trials=4)
    study.optimize(lambda trial: ladder(LADDER.suggest(trial))[0], n_trials=2)
    study.optimize(objective_of(LADDER), n_trials=2)
    assert not [w for w in recwarn if "finished trials" in str(w.message)]
    assert len(History.from_study(study).points) == 6


@pytest.mark.parametrize("number", [np.float32, np.int64])
def test_costs_of_numpy_are_paid_for(number):
    study = searched(
        measure=lambda values: (ladder(values)[0], number(values["size"])),
        trials=50,
        budget=Budget(total=100.0),
    )
    assert len(study.trials) < 50
    sizes = [int(t.params["size"]) if number is np.int64 else t.params["size"] for t in study.trials]
    assert paid(study.trials, "cost", now=time.time()) == pytest.approx(sum(sizes), rel=1e-6)
    assert all(type(t.user_attrs["cost"]) is float for t in study.trials)


def test_a_cost_of_more_digits_than_a_float_has_is_refused():
    with pytest.raises(TuningError, match="Trial 0 told cost 1000"):
        searched(measure=lambda values: (1.0, 10**400), trials=1)


def test_a_budget_that_nothing_counts_towards_is_said():
    def objective(trial):
        return LADDER.suggest(trial)["rate"]

    study = optuna.create_study(sampler=CarbsSampler(LADDER, budget=Budget(total=5.0)))
    with pytest.warns(UserWarning, match="nothing of them counts towards the budget of 5"):
        study.optimize(objective, n_trials=5)
    with pytest.raises(
        TuningError, match=r"None of the 5 finished trials tells.*budget of 5 would never be spent"
    ):
        check_told(study.trials, "cost", 5.0)
    check_told(study.trials, "seconds", 5.0)
    check_told(study.trials[:3], "cost", 5.0)
    study.optimize(objective_of(LADDER), n_trials=1)
    check_told(study.trials, "cost", 5.0)


def test_a_cost_function_that_raises_is_shown_with_its_error():
    def lacking(values):
        return values["depth"]

    with pytest.raises(
        TuningError, match=r"The cost function raised KeyError: 'depth' for trial 0, \{'size': 10.0"
    ):
        searched(trials=1, cost=lacking)

    def choosy(values):
        return values["size"] if values["size"] <= 30.0 else 1 / 0

    with pytest.raises(
        TuningError, match=r"The cost function raised ZeroDivisionError.*for every configuration"
    ):
        searched(trials=30, cost=choosy)

    def bounded(values):
        return 30.0 - values["size"]

    with pytest.raises(TuningError, match=r"gave the candidate .* no cost above 0|gave trial .* cost -"):
        searched(trials=30, cost=bounded)


def test_candidates_that_are_dearer_than_a_float_holds_are_no_trouble():
    study = searched(trials=12, cost=lambda values: math.exp(values["size"]), budget=Budget(per_trial=1e40))
    assert max(t.params["size"] for t in study.trials) < math.log(1e300)
    assert len(study.trials) == 12
