"""Trials as tasks of Ray: seen from afar, killed at their caps, run again when their worker is killed."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
import tuning_objectives as objectives
from optuna.samplers import RandomSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tuning_objectives import SPACE, value_of

import similitude as sim
from similitude.core.errors import StudyError, TuningError
from similitude.tuning.engines.ray_trials import RayTrials
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.tune import trial_engine, tune
from tests.waiting import running, soon

REASON = f"{FAILURE_KEY}:reason"


@pytest.fixture
def study():
    return optuna.create_study(sampler=RandomSampler(seed=0))


def noted(folder, trial):
    """Note which process runs which trial, and take a moment."""
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", float(values["width"]))
    Path(folder, f"{trial.number}.{os.getpid()}").touch()
    time.sleep(0.02)
    return value_of(values)


def killed_first_time(folder, trial):
    values = SPACE.suggest(trial)
    trial.set_user_attr("cost", 1.0)
    mark = Path(folder, str(trial.number))
    with mark.open("a") as file:
        file.write("x")
    if trial.number == 2 and mark.read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return value_of(values)


def with_a_child(folder, trial):
    SPACE.suggest(trial)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(folder, str(os.getpid())).touch()
    Path(folder, str(child.pid)).touch()
    time.sleep(600)
    return 0.0


def test_an_objective_of_optunas_own_kind_sees_its_trial_from_afar(ray_engine, study):
    tune(objectives.plain, study, trials=4, workers=2, engine="ray")
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 4
    for trial in study.trials:
        params = trial.params
        assert trial.user_attrs["asked"] == params
        assert trial.value == params["x"] ** 2 + params["n"] + (params["kind"] == "a")
        assert trial.intermediate_values == {0: params["x"]}


@pytest.mark.slow
def test_the_values_are_those_of_trials_in_this_process(ray_engine, tmp_path):
    apart = tune(objectives.good, SPACE, trials=4, storage=tmp_path / "apart", engine="ray")
    here = tune(objectives.good, SPACE, trials=4, storage=tmp_path / "here", engine="inline")
    assert [(t.params, t.value) for t in apart.trials] == [(t.params, t.value) for t in here.trials]


@pytest.mark.slow
def test_each_way_to_end_is_told(ray_engine, study):
    tune(objectives.by_number, study, trials=7, engine="ray")
    assert [t.user_attrs.get(FAILURE_KEY) for t in study.trials] == [
        None, "nan", "diverged", "oom", "diverged", "diverged", None,
    ]  # fmt: skip


def test_a_trial_is_killed_at_its_cap_with_what_it_started(ray_engine, study, tmp_path):
    started = time.monotonic()
    objective = functools.partial(with_a_child, tmp_path)
    tune(objective, study, trials=1, budget=sim.Budget(per_trial=2, unit="seconds"), engine="ray")
    trial = study.trials[0]
    assert (trial.state.name, trial.user_attrs[FAILURE_KEY]) == ("PRUNED", "cap")
    assert "may for 2 s" in trial.user_attrs[REASON]
    assert 2 <= trial.user_attrs["cost"] < time.monotonic() - started < 60
    pids = [int(file.name) for file in tmp_path.iterdir()]
    assert len(pids) == 2
    assert soon(lambda: not any(map(running, pids)))


@pytest.mark.slow
def test_a_trial_is_killed_when_the_cost_that_it_tells_passes_the_cap(ray_engine, study):
    tune(objectives.dear, study, trials=1, budget=sim.Budget(per_trial=20, unit="dollar"), engine="ray")
    trial = study.trials[0]
    assert (trial.state.name, trial.user_attrs[FAILURE_KEY]) == ("PRUNED", "cap")
    assert 20 < trial.user_attrs["cost"] < 1000


def test_a_killed_worker_is_no_failure_and_its_trial_runs_again_once(ray_engine, study, tmp_path):
    tune(functools.partial(killed_first_time, tmp_path), study, trials=4, engine="ray")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "0": "x", "1": "x", "2": "xx", "3": "x",
    }  # fmt: skip
    assert [(t.number, t.state.name) for t in study.trials] == [(n, "COMPLETE") for n in range(4)]
    assert all(FAILURE_KEY not in t.user_attrs for t in study.trials)


@pytest.mark.slow
def test_a_worker_that_is_killed_again_costs_its_trial_and_nothing_else(ray_engine, study):
    tune(objectives.killed_always, study, trials=3, engine="ray")
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert study.trials[1].user_attrs.get(FAILURE_KEY) is None
    assert study.trials[1].user_attrs[REASON] == "its worker process died"


@pytest.mark.slow
def test_64_trials_survive_the_kill_of_a_worker_and_go_on_without_ray(ray_engine, tmp_path):
    """The study of the issue: 64 results although a worker is killed midway; then 6 more in this process."""
    notes = tmp_path / "notes"
    notes.mkdir()
    victims = []

    def kill_one_midway():
        assert soon(lambda: len(list(notes.iterdir())) > 30, 60)
        newest = max(notes.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        victims.append(newest.name.split("."))
        os.kill(int(victims[0][1]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one_midway)
    killer.start()
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal")))
    study = optuna.create_study(storage=storage, sampler=RandomSampler(seed=0))
    tune(functools.partial(noted, notes), study, trials=64, engine="ray", workers=2)
    killer.join()
    assert [(t.number, t.state.name) for t in study.trials] == [(n, "COMPLETE") for n in range(64)]
    assert all(t.value == value_of(t.params) for t in study.trials)
    ((number, _),) = victims
    runs = [file.name.split(".")[0] for file in notes.iterdir()]
    assert sorted(runs) == sorted([*map(str, range(64)), number]), (
        "one trial was begun twice, the others once"
    )
    tune(functools.partial(noted, notes), study, trials=70, engine="inline")
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 70


def test_settings_of_ray_are_read_from_the_name_of_the_engine():
    wanted = RayTrials(3, sim.RayEngine(num_cpus=0.5, address="head:6379", retries=0))
    assert trial_engine("ray:num_cpus=0.5,address=head:6379", workers=3) == wanted
    assert trial_engine("ray:retries=4").ray.retries == 4


def test_what_cannot_be_had_is_said(ray_engine, study):
    lock = threading.Lock()
    with pytest.raises(StudyError, match=r"objective .* cannot be sent to a worker of Ray"):
        tune(lambda trial: lock, study, trials=1, engine="ray")
    with pytest.raises(StudyError, match="1 GPU would wait for ever"):
        tune(objectives.good, study, trials=1, engine=RayTrials(ray=sim.RayEngine(num_gpus=1)))
    with pytest.raises(TuningError, match=r"failed 2 times.*a bug of mine"):
        tune(objectives.broken, study, trials=1, engine="ray")
    with pytest.raises(TuningError, match="workers=0 is not a number of trials"):
        RayTrials(0)
    assert [t.state.name for t in study.trials] == ["WAITING"]
