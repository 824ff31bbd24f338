from __future__ import annotations

import pickle
import time
from dataclasses import replace

import optuna
import pytest

from similitude.runs.lease import Owner
from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.trials.history import LEASE_KEY
from similitude.tuning.trials.leases import OWNER_KEY, Renewal, abandoned, renew, take
from tests.tuning.sampler_runs import LADDER


def running() -> tuple[optuna.Study, int]:
    study = optuna.create_study()
    return study, study.ask()._trial_id


def test_a_trial_is_abandoned_when_its_lease_has_expired():
    study, trial_id = running()
    assert abandoned(study.trials[0], now=1e12) is None  # of another sampler: nothing is known
    take(study._storage, trial_id, 100.0)
    expires = study.trials[0].user_attrs[LEASE_KEY]
    assert expires == pytest.approx(time.time() + 100.0, abs=5.0)
    assert abandoned(study.trials[0], now=expires - 1) is None
    assert "expired 7 s ago" in str(abandoned(study.trials[0], now=expires + 7))
    assert abandoned(study.trials[0], now=expires + 7, certain=True) is None
    take(study._storage, trial_id, 100.0, renewed=True)
    assert abandoned(study.trials[0], now=expires + 1000, certain=True) is not None


def test_a_trial_is_abandoned_when_its_process_is_gone():
    study, trial_id = running()
    take(study._storage, trial_id, 100.0)
    gone = replace(Owner.of_this_process(), started="another time")
    study._storage.set_trial_user_attr(trial_id, OWNER_KEY, gone.to_dict() | {"renewed": False})
    assert "ended before the trial did" in str(abandoned(study.trials[0], now=0.0, certain=True))
    far = replace(gone, host="another machine")
    study._storage.set_trial_user_attr(trial_id, OWNER_KEY, far.to_dict() | {"renewed": False})
    assert abandoned(study.trials[0], now=0.0) is None


def test_a_finished_trial_is_not_renewed():
    study, trial_id = running()
    assert renew(study._storage, trial_id, 10.0)
    study.tell(0, 1.0)
    assert not renew(study._storage, trial_id, 10.0)


def test_leases_are_renewed_in_the_background_until_they_are_removed():
    study, trial_id = running()
    renewal = Renewal(0.06)
    renewal.add(study._storage, trial_id)
    take(study._storage, trial_id, 0.0)
    deadline = time.monotonic() + 10.0
    while study.trials[0].user_attrs[LEASE_KEY] < time.time() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert study.trials[0].user_attrs[LEASE_KEY] > time.time()
    renewal.remove(study._storage, trial_id)
    thread = renewal._thread
    if thread is not None:
        thread.join(5.0)
        assert not thread.is_alive()
    last = study.trials[0].user_attrs[LEASE_KEY]
    time.sleep(0.1)
    assert study.trials[0].user_attrs[LEASE_KEY] == last


def test_optimize_renews_and_asking_does_not():
    study = optuna.create_study(sampler=CarbsSampler(LADDER, lease=0.09))
    ends = []

    def objective(trial):
        number = trial.number
        deadline = time.monotonic() + 10.0
        first = study.trials[number].user_attrs[LEASE_KEY]
        while study.trials[number].user_attrs[LEASE_KEY] == first and time.monotonic() < deadline:
            time.sleep(0.01)
        ends.append((first, study.trials[number].user_attrs[LEASE_KEY]))
        trial.set_user_attr("cost", 1.0)
        return 1.0

    study.optimize(objective, n_trials=2)
    assert all(last > first for first, last in ends)
    study.ask()
    first = study.trials[-1].user_attrs[LEASE_KEY]
    time.sleep(0.15)
    assert study.trials[-1].user_attrs[LEASE_KEY] == first


def test_a_copy_in_another_process_renews_nothing():
    study, trial_id = running()
    renewal = Renewal(1000.0)
    renewal.add(study._storage, trial_id)
    copied = pickle.loads(pickle.dumps(renewal))
    renewal.remove(study._storage, trial_id)
    assert copied.seconds == 1000.0
    assert not copied._due
