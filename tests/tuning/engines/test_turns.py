"""Trials taken in turns: two processes never run one, the dead leave theirs, and every number comes once."""

import threading
import time

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from similitude.runs import records
from similitude.runs.storage import open_store
from similitude.tuning.engines.turns import ORPHANED_KEY, Turns
from similitude.tuning.trials.failures import FAILURE_KEY


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(params=["journal", pytest.param("sqlite", marks=pytest.mark.slow)])
def opened(request, tmp_path):
    """Open the study, every time as another process would."""
    where = tmp_path if request.param == "journal" else f"sqlite:///{tmp_path / 'study.db'}"

    def open_study():
        store = open_store(where)
        store.create_study("turns")
        return optuna.load_study(study_name="turns", storage=store.storage, sampler=RandomSampler(seed=0))

    return open_study


def always(trials):
    return True


def states(study):
    return [t.state.name for t in study.get_trials(deepcopy=False)]


def forget_owner(turns, trial):
    """Make the lease that of a process of another machine, of which nothing is known."""
    key = next(k for k in trial.user_attrs if k.startswith(records.LEASE))
    turns._storage.set_trial_user_attr(trial._trial_id, key, {**trial.user_attrs[key], "host": "elsewhere"})


def test_numbers_come_once_and_in_order(opened):
    one, two = Turns(opened()), Turns(opened())
    numbers = [turns.take(always).number for turns in (one, two, two, one)]
    assert numbers == [0, 1, 2, 3]
    assert states(opened()) == ["RUNNING"] * 4


def test_nothing_is_taken_or_made_when_none_is_wanted(opened):
    turns = Turns(opened())
    assert turns.take(lambda trials: len(trials) < 1).number == 0
    assert turns.take(lambda trials: len(trials) < 1) is None
    assert len(opened().trials) == 1


def test_what_is_given_back_is_taken_next_under_its_number_with_its_values(opened):
    turns = Turns(opened())
    first = turns.take(always)
    x = first.suggest_float("x", 0, 1)
    turns.take(always)
    turns.give_back(0)
    assert states(opened()) == ["WAITING", "RUNNING"]
    again = Turns(opened()).take(always)
    assert (again.number, again.suggest_float("x", 0, 1)) == (0, x)


def test_a_living_owner_keeps_its_trial_until_the_lease_is_over(opened):
    clock = Clock()
    one = Turns(opened(), lease=100, clock=clock)
    trial = one.take(always)
    forget_owner(one, one.study._storage.get_trial(trial._trial_id))
    two = Turns(opened(), lease=100, clock=clock)
    clock.now += 99
    assert two.recover() == []
    clock.now += 2
    assert two.recover() == [0]
    assert two.take(always).number == 0
    assert not one.holds(0)


def test_renewal_keeps_it_longer(opened):
    clock = Clock()
    one, two = Turns(opened(), lease=100, clock=clock), Turns(opened(), lease=100, clock=clock)
    one.take(always)
    for _ in range(3):
        clock.now += 90
        one.renew()
    assert two.recover() == []
    clock.now += 101
    assert two.recover() == [0]


def test_a_result_that_comes_too_late_is_refused(opened):
    clock = Clock()
    one, two = Turns(opened(), lease=100, clock=clock), Turns(opened(), lease=100, clock=clock)
    late = one.take(always)
    clock.now += 101
    two.recover()
    assert not one.tell(late, value=1.0, state=TrialState.COMPLETE)
    second = two.take(always)
    assert not one.tell(late, value=1.0, state=TrialState.COMPLETE)
    assert two.tell(second, value=2.0, state=TrialState.COMPLETE)
    assert [t.value for t in opened().trials] == [2.0]


def test_a_trial_of_which_every_process_dies_is_ended_at_last_without_blame(opened):
    clock = Clock()
    for times in range(6):
        turns = Turns(opened(), lease=100, clock=clock)
        assert turns.take(always).number == 0
        clock.now += 101
        Turns(opened(), clock=clock).recover()
        trial = opened().trials[0]
        assert trial.user_attrs[ORPHANED_KEY] == times + 1
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs.get(FAILURE_KEY) is None
    assert Turns(opened()).take(always).number == 1


def test_trials_of_a_plain_optimize_are_left_alone(opened):
    study = opened()
    study.ask()
    assert Turns(opened()).recover() == []
    assert states(opened()) == ["RUNNING"]


def test_what_an_earlier_try_said_of_its_failure_is_forgotten(opened):
    turns = Turns(opened())
    turns.take(always).set_user_attr(FAILURE_KEY, "diverged")
    turns.give_all_back()
    again = turns.take(always)
    assert again.user_attrs[FAILURE_KEY] is None
    turns.tell(again, value=1.0, state=TrialState.COMPLETE)
    assert opened().trials[0].value == 1.0


def test_leases_are_renewed_in_the_background(opened):
    turns = Turns(opened(), lease=0.3)
    other = Turns(opened())
    with turns.kept():
        trial = turns.take(always)
        forget_owner(turns, turns.study._storage.get_trial(trial._trial_id))
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            time.sleep(0.05)
        assert turns.holds(0)
    time.sleep(0.5)
    forget_owner(turns, turns.study._storage.get_trial(trial._trial_id))
    assert other.recover() == [0]


def test_renewals_and_reports_do_not_wait_for_one_another_for_ever(opened):
    turns = Turns(opened(), lease=0.01)
    trial = turns.take(always)

    def report():
        for step in range(200):
            trial.set_user_attr("step", step)

    with turns.kept():
        reporter = threading.Thread(target=report, daemon=True)
        reporter.start()
        reporter.join(60)
        assert not reporter.is_alive(), "the renewals of leases and the reports of a trial block one another"
