"""Trials in processes of their own: killed at their caps with all they started, run again once when they crash."""

import os
import signal
import subprocess
import sys
import time

import optuna
import pytest
import tuning_objectives as objectives
from optuna.samplers import RandomSampler
from tuning_objectives import SPACE, value_of

import similitude as sim
from similitude.core.errors import TuningError
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.tune import tune

needs_groups = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")


@pytest.fixture
def study():
    return optuna.create_study(sampler=RandomSampler(seed=0))


def alive(pid):
    """Whether a process is there and not merely unburied."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_an_objective_of_optunas_own_kind_sees_its_trial_from_afar(study):
    tune(objectives.plain, study, trials=4, workers=2)
    assert [t.state.name for t in study.trials] == ["COMPLETE"] * 4
    for trial in study.trials:
        params = trial.params
        assert trial.user_attrs["asked"] == params
        assert trial.value == params["x"] ** 2 + params["n"] + (params["kind"] == "a")
        assert trial.intermediate_values == {0: params["x"]}


def test_the_values_are_those_of_trials_in_this_process(tmp_path):
    apart = tune(objectives.good, SPACE, trials=4, storage=tmp_path / "apart")
    here = tune(objectives.good, SPACE, trials=4, storage=tmp_path / "here", engine="inline")
    assert [(t.params, t.value) for t in apart.trials] == [(t.params, t.value) for t in here.trials]


@pytest.mark.slow
def test_running_trials_count_towards_the_budget_before_they_tell_their_cost(study):
    tune(objectives.of_one_cost, study, workers=2, trials=2)
    tune(objectives.of_one_cost, study, workers=4, budget=sim.Budget(total=90))
    assert [t.user_attrs["cost"] for t in study.trials] == [10.0] * 9


def test_a_trial_is_killed_at_its_cap_in_seconds_and_its_last_value_kept(study):
    tune(objectives.endless, study, trials=1, budget=sim.Budget(per_trial=0.5, unit="seconds"))
    trial = study.trials[0]
    assert (trial.state.name, trial.user_attrs[FAILURE_KEY]) == ("PRUNED", "cap")
    assert trial.value == trial.intermediate_values[max(trial.intermediate_values)] < 100
    assert 0.5 <= trial.user_attrs["cost"] < 5
    assert "may for 0.5 s" in trial.user_attrs["similitude:failure:reason"]


def test_a_trial_is_killed_when_the_cost_that_it_tells_passes_the_cap(study):
    tune(objectives.dear, study, trials=1, budget=sim.Budget(per_trial=20, unit="dollar"))
    trial = study.trials[0]
    assert (trial.state.name, trial.user_attrs[FAILURE_KEY]) == ("PRUNED", "cap")
    assert 20 < trial.user_attrs["cost"] < 1000


@needs_groups
def test_what_a_killed_trial_started_is_killed_with_it(study, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNING_TEST_PID", str(tmp_path / "pid"))
    tune(objectives.with_a_child, study, trials=1, budget=sim.Budget(per_trial=3, unit="seconds"))
    pid = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 5
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(pid)


def test_a_killed_process_is_no_failure_and_its_trial_runs_again_once(study, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNING_TEST_NOTE", str(tmp_path / "note"))
    tune(objectives.killed_once, study, trials=4)
    assert (tmp_path / "note").read_text().split() == ["0", "1", "2", "2", "3"]
    assert [(t.number, t.state.name) for t in study.trials] == [(n, "COMPLETE") for n in range(4)]
    assert all(t.user_attrs.get(FAILURE_KEY) is None for t in study.trials)
    assert all(t.value == value_of(t.params) for t in study.trials)


@pytest.mark.slow
def test_a_process_that_is_killed_again_costs_its_trial_and_nothing_else(study):
    tune(objectives.killed_always, study, trials=3)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    lost = study.trials[1].user_attrs
    assert lost.get(FAILURE_KEY) is None
    assert "killed by SIGKILL" in lost["similitude:failure:reason"]


def test_what_cannot_be_sent_to_a_process_is_said(study):
    with pytest.raises(TuningError, match=r"cannot be sent to a process of its own.*engine=\"inline\""):
        tune(lambda trial: 0.0, study, trials=1)
    assert not study.trials


@needs_groups
def test_ctrl_c_ends_the_processes_and_leaves_their_trials_to_be_run(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "import similitude as sim, tuning_objectives as o\n"
        "from similitude.tuning.tune import tune\n"
        "if __name__ == '__main__':\n"
        "    tune(o.with_a_child, o.SPACE, trials=1, storage='runs')\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNING_TEST_PID": str(tmp_path / "pid")}
    process = subprocess.Popen(
        [sys.executable, str(program)], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    until = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert errors.count("KeyboardInterrupt") == 1
    assert not alive(int((tmp_path / "pid").read_text()))
    study = tune(objectives.good, SPACE, trials=1, storage=tmp_path / "runs", engine="inline")
    assert [(t.state.name, t.params) for t in study.trials] == [("COMPLETE", SPACE.center)]


def test_numbers_of_numpy_are_stored_as_plain_ones(tmp_path):
    study = tune(objectives.in_numpy, SPACE, trials=1, storage=tmp_path)
    assert study.trials[0].user_attrs["cost"] == float(study.trials[0].params["width"])
