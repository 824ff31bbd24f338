from __future__ import annotations

import optuna
import pytest

from similitude.core.errors import TuningError
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.space.dimensions import Choice, Linear, Log
from similitude.tuning.space.space import Space
from similitude.tuning.study.warm import warm_start
from similitude.tuning.trials.history import History
from tests.tuning.sampler_runs import LADDER, objective_of, searched, sequence

WIDER = Space(
    size=Log(10.0, low=2.0, high=1e3),
    rate=Log(1e-2),
    decay=Log(0.1),
    schedule=Choice("cosine", "linear"),
    final=Linear(0.1, low=0.0, high=1.0, when={"schedule": "linear"}),
)


def old_study() -> optuna.Study:
    """Six finished trials of Optuna's sampler, one beyond the new space, a failure, a fault, and one still running."""
    study = optuna.create_study(study_name="old", sampler=optuna.samplers.RandomSampler(seed=0))
    for size in (3.0, 10.0, 30.0, 100.0, 300.0, 1.5):
        study.enqueue_trial({"size": size, "rate": 0.1})
    study.optimize(objective_of(LADDER), n_trials=6)
    study.optimize(lambda trial: LADDER.fail(trial, "oom") if LADDER.suggest(trial) else 0.0, n_trials=1)
    study.optimize(lambda trial: float("nan"), n_trials=1)
    study.ask()
    return study


def test_trials_of_another_sampler_are_taken_over_with_new_dimensions_at_their_center():
    new = optuna.create_study(sampler=CarbsSampler(WIDER))
    result = warm_start(new, old_study())
    assert result.taken == 6
    assert result.left_out == {
        "lie outside the space": 1,
        "ended without a value or a reason of their own": 2,
    }
    assert str(result).startswith("6 of 9 trials taken over; 1 lie outside the space; 2 ended")
    first = {"size": 3.0, "rate": 0.1, "decay": 0.1, "schedule": "cosine"}
    assert new.trials[0].params == first
    history = History.from_study(new, WIDER)
    assert history.costs.tolist() == [3.0, 10.0, 30.0, 100.0, 300.0]
    assert [f.kind for f in history.failures] == ["oom"]


def test_nothing_is_added_twice_and_the_search_goes_on_from_there():
    new, old = optuna.create_study(sampler=CarbsSampler(WIDER)), old_study()
    warm_start(new, old)
    again = warm_start(new, old)
    assert again.taken == 0
    assert again.left_out["are there already"] == 6
    new.optimize(objective_of(WIDER), n_trials=1)
    assert (
        sequence(new)[-1]["size"] != WIDER.center["size"]
    )  # with so much known it does not begin at the center


def test_costs_are_translated_and_checked():
    old = old_study()
    new = optuna.create_study(sampler=CarbsSampler(WIDER))
    warm_start(new, old, cost=lambda trial: 2.0 * trial.params["size"])
    assert new.trials[0].user_attrs["cost"] == 6.0
    assert old.trials[0].duration is not None
    seconds = old.trials[0].duration.total_seconds()
    timed = optuna.create_study(sampler=CarbsSampler(WIDER, cost="seconds"))
    warm_start(timed, old, cost="seconds")
    assert timed.trials[0].user_attrs["cost"] == pytest.approx(seconds)
    with pytest.raises(TuningError, match=r"Trial 0 of study 'old' told cost -1"):
        warm_start(optuna.create_study(), old, space=WIDER, cost=lambda trial: -1.0)


def test_the_space_is_that_of_the_call_the_sampler_or_the_study():
    old = searched(trials=2)
    assert warm_start(optuna.create_study(), old, space=LADDER).taken == 2
    described = searched(trials=1)
    described.sampler = optuna.samplers.RandomSampler()
    assert warm_start(described, old).taken == 2
    with pytest.raises(TuningError, match="does not say what its space is"):
        warm_start(optuna.create_study(), old)


def test_studies_of_opposite_directions_are_refused():
    with pytest.raises(TuningError, match=r"directions maximize.*minimize"):
        warm_start(optuna.create_study(direction="maximize"), searched(trials=1), space=LADDER)


def test_costs_are_taken_over_under_the_name_that_the_new_study_reads():
    old = old_study()
    for cost in ("flops", "seconds"):
        new = optuna.create_study(sampler=CarbsSampler(WIDER, cost=cost))
        warm_start(new, old, cost=lambda trial: 2.0 * trial.params["size"])
        history = History.from_study(new, WIDER, cost=cost)
        assert history.costs.tolist() == [6.0, 20.0, 60.0, 200.0, 600.0]
        assert not history.left_out
    stored = optuna.create_study()
    stored.set_user_attr("similitude:cost", "flops")
    warm_start(stored, old, space=WIDER)
    assert stored.trials[0].user_attrs["flops"] == 3.0


def test_what_is_no_study_is_refused():
    with pytest.raises(TuningError, match="None is no study"):
        warm_start(old_study(), None)  # type: ignore[arg-type]
