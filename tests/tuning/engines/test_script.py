"""Programs as objectives: called with the values as options, read by the JSON lines that they print."""

import math
import stat
import textwrap
import time
from pathlib import Path

import optuna
import pytest
from optuna.samplers import RandomSampler

import similitude as sim
from similitude.core.errors import TuningError
from similitude.tuning.engines.script import Script
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.outcome import evaluate
from similitude.tuning.tune import tune

SPACE = sim.Space(
    lr=sim.Log(1e-2),
    act=sim.Choice("relu", "gelu"),
    slope=sim.Linear(0.5, low=0, high=1, when={"act": "relu"}),
)

READING = """
    import json, os, sys
    given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
"""


@pytest.fixture
def program(tmp_path):
    """Write a program and return its objective."""

    def write(body):
        path = tmp_path / "train.py"
        path.write_text(textwrap.dedent(READING) + textwrap.dedent(body))
        return Script.of(path, SPACE)

    return write


@pytest.fixture
def trial():
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    return study.ask()


def test_values_are_options_and_the_last_result_counts(program, trial):
    script = program(
        """
        print("epoch 1 {of 2}")
        print(json.dumps({"value": 9.0}))
        print(json.dumps({"lr": 1.0}))
        print(json.dumps({"value": float(given["--lr"]), "cost": 2.5}))
        print(json.dumps(sorted(given)), file=sys.stderr)
        """
    )
    assert script(trial) == trial.params["lr"]
    assert trial.user_attrs["cost"] == 2.5


def test_dimensions_that_are_not_there_are_not_given(program):
    script = program('print(json.dumps({"value": len(given)}))')
    relu = optuna.trial.FixedTrial({"lr": 1e-2, "act": "relu", "slope": 0.5})
    gelu = optuna.trial.FixedTrial({"lr": 1e-2, "act": "gelu"})
    assert (script(relu), script(gelu)) == (3.0, 2.0)


def test_the_number_of_the_trial_is_in_the_environment(program, trial):
    script = program('print(json.dumps({"value": int(os.environ["SIMILITUDE_TRIAL"]) + 7}))')
    assert script(trial) == trial.number + 7


def test_values_on_the_way_are_reported_and_pruned_by(program):
    class AfterTwo(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return len(trial.intermediate_values) == 2

    script = program(
        """
        for step in range(1000):
            print(json.dumps({"step": step, "value": 1.0 - step, "cost": step + 1}))
        print(json.dumps({"value": 0.0}))
        """
    )
    study = optuna.create_study(sampler=RandomSampler(seed=0), pruner=AfterTwo())
    tune(script, study, trials=1, engine="inline")
    assert study.trials[0].state.name == "PRUNED"
    assert study.trials[0].intermediate_values == {0: 1.0, 1: 0.0}
    assert study.trials[0].user_attrs["cost"] == 2


@pytest.mark.parametrize("text", ["NaN", "null"])
def test_a_value_that_is_none_is_a_failure(program, trial, text):
    outcome = evaluate(program(f"print('{{\"value\": {text}}}')"), trial)
    assert (outcome.state, outcome.kind) == ("failed", "nan")


def test_a_failure_that_it_tells_is_one_whatever_its_exit_code(program, trial):
    outcome = evaluate(
        program("print(json.dumps({'failure': 'oom', 'reason': '80 GB'})); sys.exit(1)"), trial
    )
    assert (outcome.state, outcome.kind) == ("failed", "oom")
    assert "80 GB" in outcome.reason
    assert trial.user_attrs[FAILURE_KEY] == "oom"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.exit(3)", "ended with exit code 3"),
        ("print(json.dumps({'value': 1.0})); sys.exit(1)", "ended with exit code 1"),
        ("os.kill(os.getpid(), 9)", "was killed by signal 9"),
        ("print('done')", "printed no result"),
        ("print(json.dumps({'value': 'good'}))", "is no number"),
        ("print(json.dumps({'failure': 'sad'}))", "'sad' is no kind of failure"),
    ],
)
def test_what_goes_wrong_is_no_verdict_and_is_said(program, trial, body, message):
    outcome = evaluate(program(body), trial)
    assert outcome.state == "fault"
    assert message in outcome.reason


def test_any_program_of_the_system_will_do(tmp_path, trial):
    path = tmp_path / "train.sh"
    path.write_text('#!/bin/sh\necho "{\\"value\\": $#}"\n')
    with pytest.raises(TuningError, match=r"chmod \+x"):
        Script.of(path, SPACE)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    assert Script.of(path, SPACE)(trial) in (4.0, 6.0)
    with pytest.raises(TuningError, match="There is no program"):
        Script.of(tmp_path / "nothing.py", SPACE)


def test_a_program_that_passes_its_cap_is_killed_in_its_process(tmp_path, program, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = program(
        """
        import time
        open("pid", "w").write(str(os.getpid()))
        print(json.dumps({"step": 0, "value": 5.0}))
        time.sleep(600)
        """
    )
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    tune(script, study, trials=1, budget=sim.Budget(per_trial=1.5, unit="seconds"))
    assert study.trials[0].user_attrs[FAILURE_KEY] == "cap"
    assert study.trials[0].value == 5.0
    assert math.isclose(study.trials[0].user_attrs["cost"], 1.5, abs_tol=3)
    pid = int((tmp_path / "pid").read_text())
    stat_file = Path(f"/proc/{pid}/stat")
    until = time.monotonic() + 5
    while stat_file.exists() and stat_file.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until, "the program lives on"
        time.sleep(0.05)


def test_a_failure_tells_its_cost_and_other_numbers_keep_their_names(program, trial):
    outcome = evaluate(
        program("print(json.dumps({'failure': 'oom', 'cost': 3, 'flops': 7e9, 'who': 'me'}))"), trial
    )
    assert outcome.kind == "oom"
    assert {key: trial.user_attrs.get(key) for key in ("cost", "flops", "who", "failure")} == {
        "cost": 3.0,
        "flops": 7e9,
        "who": None,
        "failure": None,
    }


def test_a_cost_of_another_name_ends_the_budget(program, tmp_path):
    script = program("print(json.dumps({'value': 1.0, 'flops': 7.0}))")
    budget = sim.Budget(total=20)
    study = tune(script, SPACE, budget=budget, cost="flops", engine="inline", storage=tmp_path)
    assert [t.user_attrs["flops"] for t in study.trials] == [7.0] * 3
