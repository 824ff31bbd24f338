"""Studies worked through in this process: how trials end, when a study ends, faults, budgets, progress, interruption."""

import math

import optuna
import pytest
import tuning_objectives as objectives
from optuna.samplers import RandomSampler
from tuning_objectives import SPACE, value_of

import similitude as sim
from similitude.core.errors import TuningError
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.history import History
from similitude.tuning.tune import tune

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def run(tmp_path):
    """Tune in this process, in one folder."""

    def run(objective, **given):
        return tune(objective, SPACE, engine="inline", storage=tmp_path, **given)

    return run


def plain_study():
    return optuna.create_study(sampler=RandomSampler(seed=0))


def test_every_way_of_ending_is_recorded_as_what_it_is(run):
    study = run(objectives.by_number, trials=8)
    kinds = [(t.state.name, t.user_attrs.get(FAILURE_KEY)) for t in study.trials]
    assert kinds == [
        ("COMPLETE", None),
        ("PRUNED", "nan"),
        ("PRUNED", "diverged"),
        ("PRUNED", "oom"),
        ("PRUNED", "diverged"),
        ("PRUNED", "diverged"),
        ("COMPLETE", None),
        ("COMPLETE", None),
    ]
    for trial in study.trials:
        if trial.state.name == "COMPLETE":
            assert trial.value == value_of(trial.params)
    history = History.from_study(study)
    assert [f.number for f in history.failures] == [1, 2, 3, 4, 5]


def test_the_study_is_that_of_a_plain_optimize_with_the_same_sampler(run, tmp_path):
    study = run(objectives.good, trials=7)
    other = optuna.create_study(sampler=sim.CarbsSampler(SPACE, seed=0))
    other.optimize(objectives.good, n_trials=7)
    assert [(t.params, t.value) for t in study.trials] == [(t.params, t.value) for t in other.trials]


def test_calls_go_on_where_the_last_one_stopped(run):
    assert len(run(objectives.good, trials=3).trials) == 3
    assert len(run(objectives.good, trials=3).trials) == 3
    assert len(run(objectives.good, trials=100, here=2).trials) == 5


def test_any_study_of_optuna_can_be_driven():
    study = tune(objectives.plain, plain_study(), engine="inline", trials=10)
    assert len(study.trials) == 10
    assert all(t.user_attrs["asked"] == t.params for t in study.trials)


def test_maximization(tmp_path):
    study = tune(objectives.good, SPACE, engine="inline", storage=tmp_path, trials=2, direction="maximize")
    assert study.direction.name == "MAXIMIZE"
    with pytest.raises(TuningError, match="has another direction: 'maximize', and 'minimize' was given"):
        tune(objectives.good, SPACE, engine="inline", storage=tmp_path, trials=2)


def test_the_total_budget_in_cost_units_ends_the_study(run):
    study = run(objectives.good, budget=sim.Budget(total=60))
    costs = [t.user_attrs["cost"] for t in study.trials]
    assert sum(costs) >= 60 > sum(costs[:-1])
    more = run(objectives.good, budget=sim.Budget(total=120))
    costs = [t.user_attrs["cost"] for t in more.trials]
    assert sum(costs) >= 120 > sum(costs[:-1])


def test_failed_trials_are_paid_for_too():
    def failing(trial):
        SPACE.suggest(trial)
        trial.set_user_attr("cost", 1.0)
        SPACE.fail(trial, "oom")

    study = tune(failing, plain_study(), engine="inline", budget=sim.Budget(total=5))
    assert len(study.trials) == 5


def test_a_soft_cap_ends_whoever_asks(run):
    study = run(objectives.pruned_when_told, trials=1, budget=sim.Budget(per_trial=0.2, unit="seconds"))
    trial = study.trials[0]
    assert (trial.state.name, trial.user_attrs[FAILURE_KEY]) == ("PRUNED", "cap")
    assert trial.value == trial.intermediate_values[max(trial.intermediate_values)]
    assert 0.2 < trial.user_attrs["cost"] < 5


def test_a_pruner_still_prunes_and_that_is_no_failure():
    class Always(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return True

    study = optuna.create_study(sampler=RandomSampler(seed=0), pruner=Always())
    tune(objectives.plain, study, engine="inline", trials=3)
    assert [t.state.name for t in study.trials] == ["PRUNED"] * 3
    assert all(t.user_attrs.get(FAILURE_KEY) is None for t in study.trials)


class Flaky:
    """Raises an error at some tries of some trials."""

    def __init__(self, *faults):
        self.faults = faults
        self.tries = []

    def __call__(self, trial):
        self.tries.append(trial.number)
        if (trial.number, self.tries.count(trial.number)) in self.faults:
            raise OSError("the network is gone")
        return objectives.good(trial)


def test_an_error_is_tried_once_more_under_the_same_number_with_the_same_values(run, tmp_path):
    undisturbed = tune(objectives.good, SPACE, engine="inline", trials=5, storage=tmp_path / "other")
    flaky = Flaky((2, 1), (3, 1))
    study = run(flaky, trials=5)
    assert flaky.tries == [0, 1, 2, 2, 3, 3, 4]
    assert [(t.params, t.value) for t in study.trials] == [(t.params, t.value) for t in undisturbed.trials]


def test_an_error_that_stays_gives_one_trial_up_without_blame(run):
    study = run(Flaky((1, 1), (1, 2)), trials=4)
    lost = study.trials[1]
    assert (lost.state.name, lost.user_attrs.get(FAILURE_KEY)) == ("FAIL", None)
    assert "network is gone" in lost.user_attrs["similitude:failure:reason"]
    assert sum(t.state.name == "COMPLETE" for t in study.trials) == 4
    assert not History.from_study(study).failures


def test_code_that_never_works_stops_at_once_and_its_trial_waits_until_it_is_mended(run):
    with pytest.raises(
        TuningError, match=r"(?s)Trial 0 of 'tuning' failed 2 times.*ValueError: a bug of mine"
    ):
        run(objectives.broken, trials=5)
    study = run(objectives.good, trials=5)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 5


def test_three_lost_in_a_row_stop_the_study(run):
    faults = [(number, n) for number in (2, 3, 4, 5) for n in (1, 2)]
    with pytest.raises(TuningError, match="3 trials one after another of 'tuning' failed 2 times"):
        run(Flaky(*faults), trials=10)


def test_ctrl_c_leaves_a_study_that_goes_on_as_if_nothing_had_been(run, tmp_path):
    def impatient(trial):
        if trial.number == 2:
            raise KeyboardInterrupt
        return objectives.good(trial)

    with pytest.raises(KeyboardInterrupt):
        run(impatient, trials=5)
    study = run(objectives.good, trials=5)
    undisturbed = tune(objectives.good, SPACE, engine="inline", trials=5, storage=tmp_path / "other")
    assert [(t.params, t.value) for t in study.trials] == [(t.params, t.value) for t in undisturbed.trials]


def test_a_cost_that_is_none_is_refused_by_name(run):
    def free(trial):
        SPACE.suggest(trial)
        trial.set_user_attr("cost", 0.0)
        return 1.0

    with pytest.raises(TuningError, match=r"Trial 0 told cost 0\.0"):
        run(free, trials=3)


def test_progress_counts_and_estimates(run):
    seen = []
    study = run(objectives.by_number, trials=8, on_progress=seen.append)
    last = seen[-1]
    assert last.best == min(t.value for t in study.trials if t.state.name == "COMPLETE")
    assert (last.finished, last.failed, last.lost, last.running) == (3, 5, 0, 0)
    assert last.seconds_left == 0
    assert last.spent == 8
    assert all(math.isinf(p.seconds_left) or p.seconds_left >= 0 for p in seen)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no end"),
        ({"trials": 0}, "trials=0 is not a number of trials to run: give a whole number of at least 1"),
        ({"trials": 2.5}, "trials=2.5 is not a number"),
        ({"trials": True}, "trials=True is not a number"),
        ({"trials": "5"}, "trials='5' is not a number"),
        ({"trials": 1, "here": 0}, "here=0 is not a number"),
        ({"trials": 1, "engine": None}, "engine=None is none"),
        ({"trials": 1, "workers": 1.5}, "workers=1.5 is not a number"),
        ({"trials": 1, "direction": "maximise"}, "direction='maximise': \"minimize\" where"),
        ({"trials": 1, "budget": 50}, "budget=50: say what it limits"),
        ({"trials": 1, "seed": -1}, "seed=-1 is not the seed"),
        ({"trials": 1, "name": None}, "name=None is no name"),
        ({"trials": 1, "lease": 0}, "lease=0: give the seconds"),
        ({"trials": 1, "lease": float("nan")}, "lease=nan: give the seconds"),
        ({"trials": 1, "engine": "thread"}, "is none"),
        ({"trials": 1, "engine": "inline", "workers": 2}, "one trial at a time"),
        ({"trials": 1, "workers": 0}, "at least 1"),
        ({"trials": 1, "cost": "seconds", "budget": sim.Budget(total=1, unit="gpu-hour")}, "measures time"),
    ],
)
def test_wrong_use_is_said(tmp_path, given, message):
    with pytest.raises(TuningError, match=message):
        tune(objectives.good, SPACE, storage=tmp_path, **given)
    assert not list(tmp_path.iterdir())


def test_another_space_or_seed_needs_another_name(run, tmp_path):
    run(objectives.good, trials=1)
    with pytest.raises(TuningError, match="has another seed: 0, and 1 was given"):
        run(objectives.good, trials=2, seed=1)
    with pytest.raises(TuningError, match="has another space"):
        tune(objectives.good, sim.Space(lr=sim.Log(1.0)), engine="inline", storage=tmp_path, trials=2)


def test_measured_seconds_are_the_objectives_alone(tmp_path):
    ours = tune(objectives.good, SPACE, engine="inline", trials=1, cost="seconds", storage=tmp_path)
    trial = ours.trials[0]
    assert trial.duration is not None
    assert trial.user_attrs["cost"] == trial.user_attrs["similitude:seconds"] < trial.duration.total_seconds()
    assert History.from_study(ours, cost="seconds").costs == [trial.user_attrs["cost"]]


def test_what_is_neither_space_nor_study_nor_storage_is_said(tmp_path):
    with pytest.raises(TuningError, match="is neither a space nor a study"):
        tune(objectives.good, {"lr": sim.Log(1.0)}, trials=1, engine="inline", storage=tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TuningError, match="is neither a space nor a study"):
        tune(SPACE, objectives.good, trials=1, engine="inline", storage=tmp_path)  # type: ignore[arg-type]
    for storage in (None, optuna.storages.InMemoryStorage()):
        with pytest.raises(TuningError, match="give a folder or an Optuna storage URL"):
            tune(objectives.good, SPACE, trials=1, engine="inline", storage=storage)  # type: ignore[arg-type]
    several = optuna.create_study(directions=["minimize", "minimize"])
    with pytest.raises(TuningError, match="2 objectives"):
        tune(objectives.good, several, trials=1, engine="inline")
    assert not several.trials


def test_a_study_brings_the_budget_and_the_cost_of_its_sampler():
    def objective(trial):
        values = SPACE.suggest(trial)
        trial.set_user_attr("flops", float(values["width"]))
        return value_of(values)

    sampler = sim.CarbsSampler(SPACE, cost="flops", budget=sim.Budget(total=100))
    study = tune(objective, optuna.create_study(sampler=sampler), engine="inline")
    widths = [t.params["width"] for t in study.trials]
    assert sum(widths[:-1]) < 100 <= sum(widths)
    assert sampler.spent(study) == sum(widths)


@pytest.mark.filterwarnings("ignore:4 of 4 finished trials have no user attribute")
def test_a_budget_that_could_never_be_spent_stops_the_study(run):
    def silent(trial):
        return value_of(SPACE.suggest(trial))

    with pytest.raises(TuningError, match="None of the 4 finished trials tells what it cost"):
        run(silent, budget=sim.Budget(total=50), trials=None)
    assert len(run(silent, trials=6, budget=sim.Budget(total=50)).trials) == 6  # its number ends it
