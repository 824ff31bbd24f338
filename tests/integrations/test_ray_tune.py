"""CARBS inside Ray Tune: costs and failures reach the study, which is saved, restored and continued without Ray."""

from __future__ import annotations

import functools
import math
import os
import pickle
import signal
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from ray import cloudpickle
from ray import tune as ray_tune
from ray.tune.search import ConcurrencyLimiter, Searcher

import similitude as sim
from similitude.core.errors import TuningError
from similitude.integrations.ray_tune import RAY_KEY, CarbsSearch, reporting_failures
from similitude.tuning.trials.failures import FAILURE_KEY, TrialFailure
from similitude.tuning.trials.history import History
from similitude.tuning.tune import tune

SPACE = sim.Space(lr=sim.Log(1e-2), width=sim.Log(16, low=4, high=256, integer=True, role="scale"))


def value_of(config):
    return (math.log10(config["lr"]) + 2) ** 2 + 10 / config["width"]


def result_of(config, **more):
    return {"loss": value_of(config), "cost": float(config["width"]), "training_iteration": 1, **more}


def run(search, count, first=0):
    """Play Tune: as many trials, one after another, each with the result that its configuration gives."""
    for index in range(first, first + count):
        search.on_trial_complete(f"t{index}", result_of(search.suggest(f"t{index}")))


def test_suggestions_are_those_of_the_sampler_and_costs_reach_it():
    search = CarbsSearch(SPACE, metric="loss", seed=3)
    run(search, 8)

    def objective(trial):
        values = SPACE.suggest(trial)
        trial.set_user_attr("cost", float(values["width"]))
        return value_of(values)

    plain = optuna.create_study(sampler=sim.CarbsSampler(SPACE, seed=3))
    plain.optimize(objective, n_trials=8)
    assert [(t.params, t.value) for t in search.study.trials] == [(t.params, t.value) for t in plain.trials]
    history = History.from_study(search.study)
    assert list(history.costs) == [float(t.params["width"]) for t in plain.trials]


@pytest.mark.parametrize(
    ("result", "error", "state", "kind"),
    [
        ({"loss": 1.0, "cost": 2.0}, False, "COMPLETE", None),
        ({"loss": math.nan, "cost": 2.0}, False, "PRUNED", "nan"),
        ({"loss": math.inf, "cost": 2.0}, False, "PRUNED", "diverged"),
        ({"loss": math.nan, "failure": "oom", "cost": 2.0}, False, "PRUNED", "oom"),
        ({"loss": 1.0, "failure": "cap", "cost": 2.0}, False, "PRUNED", "cap"),
        ({"loss": math.nan, "failure": "oom", "cost": 2.0}, True, "PRUNED", "oom"),
        ({"cost": 2.0}, False, "PRUNED", None),
        ({"loss": 1.0, "cost": 2.0}, True, "FAIL", "machine"),
        (None, True, "FAIL", "machine"),
        (None, False, "PRUNED", None),
    ],
)
def test_how_a_trial_ended_reaches_the_study(result, error, state, kind):
    search = CarbsSearch(SPACE, metric="loss")
    search.suggest("a")
    search.on_trial_complete("a", result, error=error)
    trial = search.study.trials[0]
    assert (trial.state.name, trial.user_attrs.get(FAILURE_KEY)) == (state, kind)
    assert trial.user_attrs.get("cost") == (2.0 if result else None)
    learnt = [failed.kind for failed in History.from_study(search.study).failures]
    assert learnt == ([kind] if kind not in (None, "machine") else [])


def test_what_a_machine_failed_is_tried_again_once():
    search = CarbsSearch(SPACE, metric="loss")
    run(search, 4)
    for name in ("first", "second", "third"):
        search.suggest(name)
        search.on_trial_complete(name, None, error=True)
    params = [t.params for t in search.study.trials]
    assert params[4] == params[5]
    assert params[6] != params[5]
    assert not History.from_study(search.study).failures


def test_values_on_the_way_and_the_cost_so_far_are_kept():
    search = CarbsSearch(SPACE, metric="score", mode="max", cost="steps")
    search.suggest("a")
    for step in (1, 2):
        search.on_trial_result("a", {"score": step / 10, "steps": 100 * step, "training_iteration": step})
    search.on_trial_result("a", {"score": math.nan, "training_iteration": 3})
    search.on_trial_result("unknown", {"score": 1.0, "training_iteration": 1})
    trial = search.study.trials[0]
    assert (trial.intermediate_values, trial.user_attrs["steps"]) == ({1: 0.1, 2: 0.2}, 200.0)
    search.on_trial_complete("a", {"score": 0.3, "steps": 300, "training_iteration": 3})
    search.on_trial_complete(
        "a", {"score": 9.0, "steps": 300, "training_iteration": 3}
    )  # Tune may say it twice
    assert search.study.best_value == 0.3
    assert not History.from_study(search.study, cost="steps").minimize


def test_no_trial_is_begun_once_the_budget_is_spent():
    search = CarbsSearch(SPACE, metric="loss", budget=sim.Budget(total=40, per_trial=30))
    limited = ConcurrencyLimiter(search, max_concurrent=1)
    begun = 0
    while (config := limited.suggest(f"t{begun}")) != Searcher.FINISHED:
        limited.on_trial_complete(f"t{begun}", result_of(config))
        begun += 1
    costs = [t.user_attrs["cost"] for t in search.study.trials]
    assert begun == len(costs)
    assert sum(costs[:-1]) < 40 <= sum(costs)


@pytest.mark.parametrize("stored", [False, True])
def test_a_search_is_saved_and_restored_with_the_trials_that_run(tmp_path, stored):
    storage = tmp_path / "runs" if stored else None
    whole = CarbsSearch(SPACE, metric="loss", storage=tmp_path / "whole" if stored else None)
    run(whole, 9)
    search = CarbsSearch(SPACE, metric="loss", storage=storage)
    run(search, 5)
    config = search.suggest("t5")
    search.save(str(tmp_path / "saved.pkl"))
    again = pickle.loads(pickle.dumps(CarbsSearch(SPACE, metric="loss", storage=storage)))
    again.restore(str(tmp_path / "saved.pkl"))
    again.on_trial_complete("t5", result_of(config))
    run(again, 3, first=6)
    assert [(t.params, t.value) for t in again.study.trials] == [
        (t.params, t.value) for t in whole.study.trials
    ]
    assert [t.user_attrs[RAY_KEY] for t in again.study.trials] == [f"t{i}" for i in range(9)]


def test_a_stored_study_goes_on_without_ray(tmp_path):
    run(CarbsSearch(SPACE, metric="loss", storage=tmp_path), 4)

    def objective(trial):
        config = SPACE.suggest(trial)
        trial.set_user_attr("cost", float(config["width"]))
        return value_of(config)

    study = tune(objective, SPACE, trials=6, storage=tmp_path, engine="inline")
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 6
    assert RAY_KEY in study.trials[3].user_attrs
    assert RAY_KEY not in study.trials[4].user_attrs


def test_wrong_use_is_said():
    with pytest.raises(TuningError, match="mode='smallest': \"min\" where"):
        CarbsSearch(SPACE, metric="loss", mode="smallest")
    search = CarbsSearch(SPACE, metric="loss")
    with pytest.raises(TuningError, match=r"param_space has ranges to search.*constants only"):
        search.set_search_properties("loss", "min", {"lr": ray_tune.loguniform(1e-4, 1e-1)})
    with pytest.raises(
        TuningError, match=r"TuneConfig\(metric='accuracy'\) and CarbsSearch\(metric='loss'\) differ"
    ):
        search.set_search_properties("accuracy", None, {"seed": 1})
    assert search.set_search_properties("loss", None, {"seed": 1})
    search.suggest("a")
    with pytest.raises(TuningError, match=r"Trial 0 told.*-1"):
        search.on_trial_complete("a", {"loss": 1.0, "cost": -1.0})
    search.suggest("b")
    with pytest.raises(TuningError, match="'explosion' is no kind of failure"):
        search.on_trial_complete("b", {"loss": 1.0, "failure": "explosion"})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError("no more"), "oom"),
        (OverflowError("too large"), "diverged"),
        (TrialFailure("cap", "too slow"), "cap"),
    ],
)
def test_errors_of_a_configuration_are_reported(monkeypatch, error, kind):
    reports = []
    monkeypatch.setattr("similitude.integrations.ray_tune.report", reports.append)

    def train(config):
        raise error

    assert reporting_failures(train, metric="loss")({}) is None
    ((metric, value), (column, told)) = reports[0].items()
    assert (metric, column, told) == ("loss", "failure", kind)
    assert math.isnan(value)


def test_other_errors_are_raised(monkeypatch):
    def train(config):
        raise KeyError("a bug of mine")

    with pytest.raises(KeyError, match="a bug of mine"):
        reporting_failures(train, metric="loss")({})


def train_some(folder, config):
    number = len(list(Path(folder).iterdir()))
    Path(folder, f"{number}.{os.getpid()}").touch()
    if number == 3:
        raise MemoryError("the fourth run has no memory")
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    for step in (1, 2):
        ray_tune.report({"loss": value_of(config) + 1 / step, "cost": float(config["width"] * step)})


@pytest.fixture
def sent_along():
    """Let Ray Tune take the functions of this file along: its workers cannot import it."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.usefixtures("sent_along")
def test_a_run_of_tune_from_end_to_end(ray_engine, tmp_path):
    """8 samples, one at a time; one runs out of memory, and one has its worker killed, which Tune tries again."""
    notes = tmp_path / "notes"
    notes.mkdir()
    search = CarbsSearch(SPACE, metric="loss")
    tuner = ray_tune.Tuner(
        reporting_failures(functools.partial(train_some, notes), metric="loss"),
        tune_config=ray_tune.TuneConfig(
            search_alg=search, num_samples=8, max_concurrent_trials=1, reuse_actors=True
        ),
        run_config=ray_tune.RunConfig(
            storage_path=str(tmp_path),
            name="run",
            verbose=0,
            failure_config=ray_tune.FailureConfig(max_failures=1),
        ),
    )
    results = tuner.fit()
    trials = search.study.trials
    assert len(results) == len(trials) == 8
    assert not results.errors
    assert len(list(notes.iterdir())) == 9, "one was begun twice"
    assert [t.user_attrs.get(FAILURE_KEY) for t in trials] == [
        None,
        None,
        None,
        "oom",
        None,
        None,
        None,
        None,
    ]
    for trial in trials:
        if trial.number != 3:
            assert trial.value == pytest.approx(value_of(trial.params) + 0.5)
            assert trial.user_attrs["cost"] == 2 * trial.params["width"]
            assert set(trial.intermediate_values) == {1, 2}
    saved = CarbsSearch(SPACE, metric="loss")
    saved.restore_from_dir(str(tmp_path / "run"))
    assert len(saved.study.trials) == 8


@pytest.mark.parametrize(
    ("given", "law"),
    [
        ({"metric": 3}, "metric=3: give the name of the column"),
        ({"metric": "loss", "cost": lambda values: 1.0}, "give the name of the column that holds"),
        ({"metric": "loss", "budget": 50}, "budget=50: say what it limits"),
        ({"metric": "loss", "mode": "minimize"}, "mode='minimize'"),
    ],
)
def test_wrong_settings_are_named(given, law):
    with pytest.raises(TuningError, match=law):
        CarbsSearch(SPACE, **given)


@pytest.mark.parametrize("column", ["loss", "cost"])
def test_a_column_that_is_no_number_is_named(column):
    search = CarbsSearch(SPACE, metric="loss")
    search.suggest("a")
    with pytest.raises(TuningError, match=f"{column}='low'"):
        search.on_trial_complete("a", {"loss": 1.0, "cost": 1.0, column: "low"})


def test_a_budget_of_hours_counts_the_seconds_that_tune_measures():
    budget = sim.Budget(total=1, per_trial=0.5, unit="hours")
    search = CarbsSearch(SPACE, metric="loss", cost="time_total_s", budget=budget)
    for name in "abc":
        search.suggest(name)
        search.on_trial_complete(name, {"loss": 1.0, "time_total_s": 1500.0})
    assert search.suggest("d") == Searcher.FINISHED
    assert len(search.study.trials) == 3


@pytest.mark.filterwarnings("ignore:4 of 4 finished trials have no user attribute")
def test_a_budget_that_no_column_counts_towards_stops_the_search():
    search = CarbsSearch(SPACE, metric="loss", budget=sim.Budget(total=5))
    for name in "abcd":
        search.suggest(name)
        search.on_trial_complete(name, {"loss": 1.0})
    with pytest.raises(TuningError, match="None of the 4 finished trials tells what it cost"):
        search.suggest("e")
    assert len(search.study.trials) == 4
