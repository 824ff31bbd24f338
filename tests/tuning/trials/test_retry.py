from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from similitude.tuning.carbs import CarbsSampler
from similitude.tuning.trials.history import History
from similitude.tuning.trials.leases import OWNER_KEY
from similitude.tuning.trials.retry import RETRY_KEY, place, recover, run_again
from tests.tuning.sampler_runs import LADDER, ladder, objective_of, searched, sequence

LATER = 4e9  # seconds since 1970, past every lease


def left_alone(study: optuna.Study) -> optuna.Trial:
    """Ask for a trial, and leave it as a worker does that dies."""
    trial = study.ask()
    LADDER.suggest(trial)
    return trial


def bury(study: optuna.Study, *trials: optuna.Trial) -> None:
    """Let some running trials look like those of processes that are gone."""
    for trial in trials:
        owner = study.trials[trial.number].user_attrs[OWNER_KEY] | {"started": "another time"}
        trial.set_user_attr(OWNER_KEY, owner)


def states(study: optuna.Study) -> list[str]:
    return [trial.state.name for trial in study.trials]


def test_an_abandoned_trial_is_ended_without_blame_and_enqueued_once():
    study = searched(trials=3)
    ghost = left_alone(study)
    assert recover(study) == []
    assert recover(study, now=LATER) == [3]
    assert recover(study, now=LATER) == []
    assert states(study) == ["COMPLETE"] * 3 + ["FAIL", "WAITING"]
    history = History.from_study(study)
    assert not history.failures
    assert len(history.waiting) == 1
    study.optimize(objective_of(LADDER), n_trials=1)
    assert study.trials[4].params == ghost.params
    assert states(study)[-1] == "COMPLETE"


def test_a_retry_that_is_abandoned_too_is_not_run_again():
    study = searched(trials=1)
    left_alone(study)
    recover(study, now=LATER)
    left_alone(study)
    assert recover(study, now=LATER) == [2]
    assert states(study) == ["COMPLETE", "FAIL", "FAIL"]
    assert not History.from_study(study).failures
    study.optimize(objective_of(LADDER), n_trials=1)
    assert sequence(study)[3] != sequence(study)[1]


def test_retries_are_counted_by_the_tries_that_began():
    study = searched(trials=1)
    left_alone(study)
    for number in range(1, 5):
        assert recover(study, now=LATER, retries=3) == [number]
        if number <= 3:
            left_alone(study)
    assert states(study) == ["COMPLETE"] + ["FAIL"] * 4
    first = study.trials[1].params
    assert all(t.params == first for t in study.trials[2:])


def test_a_trial_killed_before_it_had_a_configuration_is_asked_for_anew():
    study = searched(trials=1)
    study.ask()  # no value was suggested
    assert recover(study, now=LATER, retries=0) == [1]
    study.optimize(objective_of(LADDER), n_trials=1)
    assert sequence(study)[2] == sequence(searched(trials=2))[1]


def test_trials_of_other_samplers_are_left_alone():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.ask()
    assert recover(study, now=LATER) == []
    assert states(study) == ["RUNNING"]


def test_optimize_takes_over_the_trial_of_a_dead_process_where_it_stands():
    whole = sequence(searched(trials=7))
    study = searched(trials=4)
    bury(study, left_alone(study))
    study.optimize(objective_of(LADDER), n_trials=3)
    assert states(study) == ["COMPLETE"] * 4 + ["FAIL"] + ["COMPLETE"] * 3
    assert [t.params for t in study.trials if t.state == TrialState.COMPLETE] == whole
    assert study.trials[5].user_attrs[RETRY_KEY]["of"] == 4


def test_several_dead_trials_are_all_run_again():
    study = searched(trials=3)
    ghosts = [left_alone(study) for _ in range(3)]
    bury(study, *ghosts)
    study.optimize(objective_of(LADDER), n_trials=3)
    assert states(study)[3:6] == ["FAIL"] * 3
    assert sorted(map(str, sequence(study)[6:])) == sorted(str(g.params) for g in ghosts)


def test_places_skip_the_numbers_that_retries_used_up():
    study = searched(trials=2)
    left_alone(study)
    recover(study, now=LATER)
    study.optimize(objective_of(LADDER), n_trials=2)
    trials = study.get_trials(deepcopy=False)
    assert [place(trials, t) for t in trials] == [0, 1, 2, 2, 3]


def test_a_machine_fault_is_run_again_once_and_never_learnt():
    def objective(trial):
        LADDER.suggest(trial)
        LADDER.fail(trial, "machine", "the node was lost")

    study = searched(trials=1)
    study.optimize(objective, n_trials=2)
    assert states(study) == ["COMPLETE", "PRUNED", "PRUNED"]
    assert sequence(study)[1] == sequence(study)[2]
    assert not History.from_study(study).failures
    study.optimize(objective_of(LADDER), n_trials=1)
    assert sequence(study)[3] != sequence(study)[2]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (float("nan"), "nan"),
        (np.float32("nan"), "nan"),
        ([float("nan")], "nan"),
        (MemoryError("16 GB"), "oom"),
        (OverflowError("too large"), "diverged"),
        (np.linalg.LinAlgError("singular"), "diverged"),
    ],
    ids=str,
)
def test_what_a_configuration_did_is_learnt_at_once(fault, kind):
    def objective(trial):
        LADDER.suggest(trial)
        if isinstance(fault, Exception):
            raise fault
        return fault

    study = searched(trials=2)
    study.optimize(objective, n_trials=2, catch=(MemoryError, OverflowError, np.linalg.LinAlgError))
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert sequence(study)[2] != sequence(study)[3]
    failures = History.from_study(study).failures
    assert [(f.number, f.kind) for f in failures] == [(2, kind), (3, kind)]


def test_nan_that_is_told_is_learnt_and_a_failure_that_is_told_is_run_again():
    study = searched(trials=1)
    for value, state in ((float("nan"), None), (None, TrialState.FAIL), (None, TrialState.FAIL)):
        trial = study.ask()
        LADDER.suggest(trial)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Optuna's, of the nan
            study.tell(trial, value, state=state)
    assert sequence(study)[1] != sequence(study)[2] == sequence(study)[3]
    assert [(f.number, f.kind) for f in History.from_study(study).failures] == [(1, "nan"), (3, "nan")]


def test_an_error_that_is_caught_twice_is_learnt():
    def objective(trial):
        LADDER.suggest(trial)
        raise ValueError("odd heads")

    study = searched(trials=2)
    study.optimize(objective, n_trials=2, catch=(ValueError,))
    assert states(study) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    failures = History.from_study(study).failures
    assert [(f.number, f.kind) for f in failures] == [(3, "nan")]


@pytest.mark.parametrize("run_anew", [True, False], ids=["script", "notebook"])
def test_errors_of_code_that_is_mended_between_two_runs_are_not_learnt(run_anew):
    def broken(trial):
        LADDER.suggest(trial)
        raise NameError("torhc")

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    for _ in range(3):
        if run_anew:
            study.sampler = CarbsSampler(LADDER)
        with pytest.raises(NameError):
            study.optimize(broken, n_trials=5)
    assert not History.from_study(study, LADDER).failures
    study.optimize(objective_of(LADDER), n_trials=2)
    assert LADDER.center in [t.params for t in study.trials if t.state == TrialState.COMPLETE]


def test_a_trial_is_enqueued_again_only_once():
    study = searched(trials=1)
    left_alone(study)
    trial = study.trials[1]
    assert run_again(study, trial)
    assert not run_again(study, trial)
    assert not run_again(study, study.trials[0], retries=0)


def test_an_interrupted_study_is_continued_with_the_same_trial():
    interrupts = iter([False, True, False, False])

    def objective(trial):
        value, cost = ladder(LADDER.suggest(trial))
        if next(interrupts):
            raise KeyboardInterrupt
        trial.set_user_attr("cost", cost)
        return value

    study = optuna.create_study(sampler=CarbsSampler(LADDER))
    with pytest.raises(KeyboardInterrupt):
        study.optimize(objective, n_trials=3)
    study.optimize(objective, n_trials=2)
    finished = [t.params for t in study.trials if t.state == TrialState.COMPLETE]
    assert finished == sequence(searched(trials=3))


def journal(file: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(file)))


def _worker(file: Path, kill_at: int | None) -> None:
    study = optuna.load_study(study_name="s", storage=journal(file), sampler=CarbsSampler(LADDER))

    def objective(trial: optuna.Trial) -> float:
        value, cost = ladder(LADDER.suggest(trial))
        if trial.number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        trial.set_user_attr("cost", cost)
        return value

    study.optimize(objective, n_trials=3)


def test_the_trial_of_a_killed_process_is_run_by_the_next_one(tmp_path: Path):
    file = tmp_path / "journal.log"
    study = optuna.create_study(study_name="s", storage=journal(file))
    context = multiprocessing.get_context("fork")  # a new interpreter would take seconds to import torch
    for kill_at in (2, None):
        process = context.Process(target=_worker, args=(file, kill_at))
        process.start()
        process.join(120)
        assert process.exitcode == (0 if kill_at is None else -signal.SIGKILL)
    finished = [t.params for t in study.trials if t.state == TrialState.COMPLETE]
    assert finished == sequence(searched(trials=5))
    assert [t.number for t in study.trials if t.state != TrialState.COMPLETE] == [2]
    assert not History.from_study(study).failures
