"""What a study has shown: which trials count, with which cost, and which are failures, pending or left out."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.trial import TrialState, create_trial

import similitude as sim
from similitude.core.errors import TuningError
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.history import LEASE_KEY, PARAMS_KEY, SPACE_KEY, History

SPACE = sim.Space(lr=sim.Log(1e-2, low=1e-4, high=1.0))


def study_of(*trials, direction="minimize"):
    study = optuna.create_study(direction=direction)
    study.add_trials(list(trials))
    return study


def trial(value=None, lr=1e-1, state=TrialState.COMPLETE, **attrs):
    return create_trial(
        state=state, value=value, params={"lr": lr}, distributions=SPACE.distributions(), user_attrs=attrs
    )


def test_finished_trials_count_with_their_cost_in_units_of_the_space():
    history = History.from_study(study_of(trial(2.0, cost=3.0), trial(1.0, lr=1e-3, cost=4)), SPACE)
    assert history.points.tolist() == [[pytest.approx(1)], [pytest.approx(-1)]]
    assert history.values.tolist() == [2.0, 1.0]
    assert history.signed.tolist() == [-2.0, -1.0]
    assert history.costs.tolist() == [3.0, 4.0]
    assert history.spent == 7
    maximized = History.from_study(study_of(trial(2.0, cost=3.0), direction="maximize"), SPACE)
    assert maximized.signed.tolist() == [2.0]


def test_failures_by_the_configurations_fault_are_learnt_and_the_machines_are_not():
    study = study_of(
        trial(state=TrialState.PRUNED, cost=1.0, **{FAILURE_KEY: "oom"}),
        trial(state=TrialState.FAIL, **{FAILURE_KEY: "nan"}),
        trial(math.inf, cost=2.0),
        trial(state=TrialState.FAIL, **{FAILURE_KEY: "machine"}),
        trial(state=TrialState.FAIL),
        trial(state=TrialState.PRUNED),
        trial(1.0),
    )
    history = History.from_study(study, SPACE)
    assert [(f.kind, f.number) for f in history.failures] == [("oom", 0), ("nan", 1), ("diverged", 2)]
    assert history.spent == 3
    assert dict(history.left_out) == {
        3: "its machine failed",
        4: "its machine failed",
        5: "it was pruned before it reported a value",
        6: "it told no cost",
    }


def test_running_trials_are_pending_until_their_lease_ends():
    study = study_of(trial(1.0, cost=1.0))
    alive, dead, silent = study.ask(), study.ask(), study.ask()
    for asked in (alive, dead):
        study._storage.set_trial_system_attr(asked._trial_id, PARAMS_KEY, '{"lr": 0.1}')
    alive.set_user_attr(LEASE_KEY, 100.0)
    dead.set_user_attr(LEASE_KEY, 98.0)
    history = History.from_study(study, SPACE, now=99.0)
    assert history.waiting.tolist() == [[pytest.approx(1)]]
    assert len(History.from_study(study, SPACE, now=99.0, exclude=alive.number).waiting) == 0
    assert silent.number == 3  # it has no values yet


def test_costs_come_from_an_attribute_a_function_or_the_clock():
    study = study_of(trial(1.0, flops=5.0), trial(1.0, lr=1e-2, flops=6.0))
    assert History.from_study(study, SPACE, cost="flops").costs.tolist() == [5.0, 6.0]
    assert History.from_study(study, SPACE, cost=lambda values: 10 * values["lr"]).costs.tolist() == [
        1.0,
        0.1,
    ]
    assert (History.from_study(study, SPACE, cost="seconds").costs < 1).all()
    assert (History.from_study(study, SPACE).costs < 1).all()  # nobody told a cost


@pytest.mark.parametrize("cost", [0.0, -1.0, math.nan, math.inf, "5", True])
def test_a_cost_that_is_none_is_told_with_its_trial(cost):
    with pytest.raises(TuningError, match=r"Trial 1 told cost .* finite number above 0"):
        History.from_study(study_of(trial(1.0, cost=1.0), trial(1.0, cost=cost)), SPACE)


def test_a_study_says_what_its_space_is_or_is_asked_for_it():
    study = study_of(trial(1.0, cost=1.0))
    with pytest.raises(TuningError, match="does not say what its space is"):
        History.from_study(study)
    study.set_user_attr(SPACE_KEY, SPACE.to_dict())
    assert History.from_study(study).space == SPACE


def test_a_study_of_two_objectives_is_refused():
    with pytest.raises(TuningError, match="2 objectives"):
        History.from_study(optuna.create_study(directions=["minimize", "minimize"]), SPACE)


def test_trials_of_another_space_are_left_out():
    other = create_trial(
        value=1.0, params={"x": 1.0}, distributions={"x": optuna.distributions.FloatDistribution(0, 1)}
    )
    history = History.from_study(study_of(other, trial(1.0, cost=1.0)), SPACE)
    assert len(history.values) == 1
    assert history.left_out == ((0, "it has no configuration of this space"),)
