"""`similitude transfer` on the user's own code: results, and every way to get it wrong."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import similitude as sim
from similitude.core.errors import ReportError
from similitude.runs.ledger import Ledger
from similitude.runs.lock import FileLock

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
COMMAND = [sys.executable, "-c", "from similitude.cli.app import main; main()"]
CELLS = 18  # 3 rates x 2 seeds at the base, and again under 2 rules


def test_a_study_from_end_to_end(transfer, cli):
    ran = transfer()
    assert ran.code in (0, 1, 3)
    assert f"{CELLS} runs in" in ran.out
    assert "widths 8, 16; 3 learning rates from 0.00049 to 0.062; 2 seeds; 4 steps of Adam" in ran.out
    assert Path("similitude-runs/report.html").read_text().startswith("<!doctype html>".upper()[:2])
    again = transfer(json=True)
    assert again.code == ran.code
    data = again.json
    assert (data["name"], data["cells_found"], data["cells_run"], data["interrupted"]) == (
        "make",
        CELLS,
        0,
        False,
    )
    assert set(data["rules"]) == {"sp", "mup"}
    for rule in data["rules"].values():
        assert {"optima", "shift", "shift_interval", "verdict", "loss_at_transferred", "loss_at_best"} <= set(
            rule
        )
    assert data["report"] == str(Path("similitude-runs/report.html").resolve())
    read = sim.read_study("similitude-runs", "make").to_dict()
    assert json.dumps(data["rules"], sort_keys=True) == json.dumps(_strict(read["rules"]), sort_keys=True)
    written = cli("report", "--json").json
    assert [e["name"] for e in written["experiments"]] == ["make"]


def _strict(data):
    from similitude.core.plain import finite

    return finite(data)


def test_the_code_is_that_of_the_last_rules_verdict(transfer):
    for rules in ("sp,mup", "mup,sp"):
        ran = transfer(rules=rules, json=True, lr_min="2^-12", lr_max="2^-2", points=4)
        last = ran.json["rules"][rules.split(",")[-1]]
        assert ran.code == {"transfers": 0, "shifts": 1, "diverged": 1}.get(last["verdict"], 3)


def test_nan_at_every_rate_is_a_bad_verdict_with_a_report(transfer):
    ran = transfer(loss="user_models.py:nan_loss", json=True)
    assert ran.code == 1
    assert {rule["verdict"] for rule in ran.json["rules"].values()} == {"diverged"}
    assert ran.json["rules"]["mup"]["loss_at_best"] is None
    assert Path(ran.json["report"]).exists()


@pytest.mark.parametrize(
    ("factory", "texts"),
    [
        ("nosuchmodule:make", ["there is no module 'nosuchmodule'", "path/to/file.py:name"]),
        ("user_modles:make", ["there is no module 'user_modles'", "Did you mean user_models:make?"]),
        ("user_model.py:make", ["there is no file 'user_model.py'", "Did you mean user_models.py:make?"]),
        ("user_models.py:mak", ["'user_models.py' has no 'mak'", "Did you mean user_models.py:make?"]),
        ("user_models.py:zzz", ["has no 'zzz'", "check the name"]),
        ("user_models.py", ["'user_models.py' names no object", "file.py:name"]),
        ("user_models.py:a_number", ["is a int, which cannot be called", "def make(width)"]),
        ("user_models.py:no_argument", ["make(8) failed with TypeError", "make must take the width alone"]),
        (
            "user_models.py:two_arguments",
            ["missing 1 required positional argument: 'depth'", "lambda width:"],
        ),
        ("user_models.py:no_module", ["make(width=8) returned a list, not an nn.Module"]),
        (
            "user_models.py:deeper",
            ["make(width=8) and make(width=16) have different parameters", "Keep depth and structure"],
        ),
        ("user_models.py:fixed", ["have the same shapes", "Pass it on to the model's hidden sizes"]),
        ("user_models.py:Table", ["'pos'", "roles="]),
    ],
)
def test_wrong_factories(transfer, factory, texts):
    ran = transfer(factory)
    assert ran.code == 2
    for text in texts:
        assert text in ran.message
    assert not Path("similitude-runs").exists()


def test_a_refused_tensor_is_named_before_training(transfer):
    ran = transfer("user_models.py:Parametrised")
    assert ran.code == 2
    assert "RoleError" in ran.message
    assert "apply the rule twice" in ran.message
    assert not Path("similitude-runs").exists()


def test_a_tied_head_is_planned(transfer):
    ran = transfer("user_models.py:tied", data="text", json=True)
    assert ran.code in (0, 1, 3)
    rows = {row["name"]: row["multiplier"] for row in ran.json["plans"]["mup"]["rows"]}
    assert rows["norm.weight"] == 0.5


def test_a_role_can_be_named(transfer, cli):
    ran = transfer("user_models.py:Table", **{"role.pos": "input", "role.net.1.weight": "input"}, json=True)
    assert ran.code in (0, 1, 3)
    rows = {row["name"]: row["role"] for row in ran.json["plans"]["mup"]["rows"]}
    assert rows["pos"] == rows["net.1.weight"] == "input"
    assert transfer("user_models.py:Table", role="pos=input", name="written otherwise").code == ran.code


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def make(width:", "SyntaxError"),
        ("import nosuchdependency", "No module named 'nosuchdependency'"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)
def test_a_file_that_cannot_be_imported(transfer, source, text):
    Path("broken_models.py").write_text(source)
    ran = transfer("broken_models.py:make")
    assert ran.code == 2
    assert "importing 'broken_models' failed" in ran.message
    assert text in ran.message
    assert "-c 'import broken_models'" in ran.message


@pytest.mark.parametrize(
    ("name", "text"),
    [("json.py", "another module 'json' is in use"), ("my.models.py", "Rename it, e.g. my_models.py")],
)
def test_a_file_whose_name_means_another_module(transfer, name, text):
    Path(name).write_text("def make(width): ...")
    ran = transfer(f"{name}:make")
    assert (ran.code, text in ran.message) == (2, True)


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({"points": 1}, ["1 learning rate from", "at least 5 points", "--points 8"]),
        ({"points": 0}, ["0 learning rates"]),
        ({"points": 2}, ["the grid has 2 learning rates", "needs at least 3"]),
        ({"lr_min": "0"}, ["--lr-min 0 is not a positive learning rate", "2^-10"]),
        ({"lr_min": "-0.001"}, ["--lr-min -0.001 is not a positive"]),
        ({"lr_min": "-2^0.5"}, ["--lr-min -2^0.5 is not a positive"]),
        ({"lr_min": "0^-1"}, ["--lr-min 0^-1 is not a positive"]),
        ({"lr_max": "nan"}, ["--lr-max nan is not a positive"]),
        ({"lr_max": "10^400"}, ["--lr-max 10^400 is not a positive"]),
        ({"lr_max": "big"}, ["--lr-max big is not a positive"]),
        ({"lr_min": "2^-4", "lr_max": "2^-11"}, ["from 0.0625 to 0.000488281", "0 < lowest < highest"]),
        ({"widths": "64,,128"}, ["--widths 64,,128: '' is not a whole number"]),
        ({"widths": "64,wide"}, ["'wide' is not a whole number"]),
        ({"widths": "8"}, ["a comparison needs at least 2"]),
        ({"widths": "8,8"}, ["more than once"]),
        ({"widths": "-8,8"}, ["the width -8 is not a positive whole number"]),
        ({"seeds": 0}, ["--seeds 0 is too small: give at least 1"]),
        ({"seeds": -1}, ["--seeds -1"]),
        ({"steps": 0}, ["--steps 0 is too small: give at least 1"]),
        ({"workers": 0}, ["--workers 0 is too small"]),
        ({"warmup": 9}, ["--warmup 9 does not fit into --steps 4"]),
        ({"batch_size": 0}, ["batch_size=0"]),
        ({"noise": -1}, ["noise=-1", "at least 0"]),
        ({"data": "nosuch"}, ["'nosuch' is not a data set", "digits"]),
        ({"data": "digit"}, ["Did you mean 'digits'?"]),
        ({"data": "npz=missing.npz"}, ["missing.npz"]),
        ({"data": "npz="}, ["has no path after the '='", "npz=images.npz"]),
        ({"data": "npz"}, ["needs a path"]),
        ({"data": "user_models.py:no_batches"}, ["has no batch(), evaluation(), describe()"]),
        ({"data": "user_models.py:failing_batches"}, ["failing_batches() failed with OSError: no such disk"]),
        ({"optimizer": "Adamm"}, ["torch.optim has no optimizer 'Adamm'", "Did you mean Adam"]),
        ({"optimizer": "sgd"}, ["Did you mean SGD?"]),
        ({"optimizer": "LBFGS"}, ["LBFGS has no rule yet", "Supported are"]),
        ({"optimizer": "user_models.py:make"}, ["optimizer make cannot be built"]),
        ({"rules": "mupp"}, ["rule 'mupp' is unknown", "'mup'"]),
        ({"rules": ","}, ["name at least one rule"]),
        ({"rules": "mup,mup"}, ["each once"]),
        ({"loss": "user_models.py:a_number"}, ["cannot be called", "loss(model, batch)"]),
        ({"loss": "user_models.py:bad_loss"}, ["'user_models.bad_loss' failed: TypeError", "one number"]),
        ({"role.nosuch": "input"}, ["nosuch"]),
        ({"role.1.weight": "inptu"}, ["inptu"]),
        ({"role": "input"}, ["--role input names no tensor and role", "--role.pos input"]),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_options(transfer, options, texts):
    ran = transfer(**options)
    assert (ran.code, ran.out.count("Traceback")) == (2, 0)
    for text in texts:
        assert text in ran.message
    assert not Path("similitude-runs").exists()


OWN_BATCHES = """
import torch
from tests.cases import TeacherBatches

def batches():
    return TeacherBatches(inputs=64, classes=10, size=8, dtype=torch.float32)
"""


def test_options_without_effect_are_said(transfer):
    Path("user_data.py").write_text(OWN_BATCHES)
    assert "Note: --context has no effect on --data digits." in transfer(context=3).out
    assert (
        "Note: --noise has no effect on --data user_data.py:batches."
        in transfer(data="user_data.py:batches", noise=1, name="objects").out
    )


def test_the_users_own_files_and_objects(transfer):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), rng.integers(0, 10, 60)
    np.savez("mine.npz", x_train=images[:50], y_train=labels[:50], x_test=images[50:], y_test=labels[50:])
    assert transfer(data="npz=mine.npz", name="files").code in (0, 1, 3)
    Path("user_data.py").write_text(OWN_BATCHES)
    ran = transfer(data="user_data.py:batches", name="objects", json=True)
    assert ran.json["settings"]["data"] == "linear teacher"


def test_other_data_of_the_same_name_and_size_is_another_study(transfer):
    rng = np.random.default_rng(0)
    for expected in ("runs in", "digest was"):
        x, y = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8), rng.integers(0, 10, 60)
        np.savez("mine.npz", x_train=x[:50], y_train=y[:50], x_test=x[50:], y_test=y[50:])
        ran = transfer(data="npz=mine.npz")
        assert expected in ran.out + ran.message


def test_what_the_users_code_prints_is_not_in_the_json(transfer):
    ran = transfer("user_models.py:talkative", json=True)
    assert "I talk" in ran.err
    assert ran.json["name"] == "talkative"


def test_an_error_is_the_json_object(transfer):
    ran = transfer("user_models.py:deeper", json=True)
    assert ran.code == 2
    assert ran.json["error"]["type"] == "PlanError"
    assert ran.json["error"]["message"] in ran.message or "different parameters" in ran.message


def test_another_experiment_in_the_folder(transfer):
    transfer()
    ran = transfer(steps=5)
    assert ran.code == 2
    assert "steps was 4, is now 5" in ran.message
    assert "another folder or study name" in ran.message
    assert transfer(json=True).json["cells_found"] == CELLS


def test_a_storage_below_a_file(transfer):
    Path("file").write_text("")
    ran = transfer(storage="file/study")
    assert ran.code == 2
    assert "file/study cannot hold a study" in ran.message
    assert "Choose another folder" in ran.message


def test_a_folder_that_does_not_let_us_write(transfer, monkeypatch):
    def refuse(self):
        from similitude.runs.faults import storage_fault

        raise storage_fault(self.path, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(FileLock, "_open", refuse)
    ran = transfer()
    assert ran.code == 2
    assert "study.journal cannot be opened or written: Permission denied" in ran.message
    assert "Choose a folder that you may write to" in ran.message


def test_a_corrupt_study_is_left_as_it_is(transfer):
    transfer()
    journal = Path("similitude-runs/study.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:5], b"\0garbage\n", *lines[6:]])
    journal.write_bytes(damaged)
    ran = transfer()
    assert ran.code == 2
    assert "study.journal is corrupt at line 6" in ran.message
    assert "Restore a copy of it, or start in another folder" in ran.message
    assert journal.read_bytes() == damaged


def test_a_report_that_cannot_be_written_does_not_take_the_results(transfer, monkeypatch):
    ran = transfer(report="user_models.py/report.html", json=True)
    assert (ran.code, ran.json["report"], ran.json["cells_run"]) == (2, None, CELLS)
    assert "a part of the path is a file" in ran.message
    assert "`similitude report` writes it again" in ran.message

    def refuse(*arguments, **options):
        raise ReportError("the disk is full.")

    monkeypatch.setattr("similitude.report.html.write_report", refuse)
    ran = transfer()
    assert (ran.code, "No report: the disk is full." in ran.out) == (2, True)


@contextmanager
def full_disk():
    """As on a full disk, no file can grow beyond 29 kB in this process: the journal ends with 36."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (29_000, before[1])
    )  # Python ignores the signal that goes with it
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_nothing(transfer):
    with full_disk():
        ran = transfer()
    assert ran.code == 2
    assert (
        "study.journal cannot grow: File too large. Every cell finished so far is kept. Free some"
        in ran.message
    )
    kept = len(Ledger.open("similitude-runs", "make").finished())
    assert 0 < kept < CELLS
    assert transfer(json=True).json["cells_found"] == kept


OPTIONS = [
    "transfer", "user_models.py:make", "--data=digits", "--widths=8,16", "--points=3", "--seeds=2",
    "--batch-size=8",
]  # fmt: skip
INTERRUPTING = """
import signal
import torch
from tests.cases import TeacherBatches

class Interrupting(TeacherBatches):
    drawn = 0

    def batch(self, seed, step):
        Interrupting.drawn += 1
        if Interrupting.drawn == LAST:
            signal.raise_signal(signal.SIGINT)
        return super().batch(seed, step)

def batches():
    return Interrupting(inputs=64, classes=10, size=8, dtype=torch.float32)
"""


def test_ctrl_c_in_the_middle_writes_the_report_and_leaves_with_130(transfer):
    """The same in a process of its own, where the signal comes at any time: the slow test below."""
    # One batch to probe, 2 seeds x 4 steps at the base, and the next width is under way.
    Path("user_data.py").write_text(INTERRUPTING.replace("LAST", str(1 + 2 * 4 + 3)))
    ran = transfer(data="user_data.py:batches", json=True)
    assert ran.code == 130
    assert "Interrupted: finished runs are kept, and the same command continues from them." in ran.err
    data = ran.json
    assert data["interrupted"] is True
    assert 0 < data["cells_run"] < CELLS
    assert data["cells_run"] + data["cells_missing"] == CELLS
    assert Path(data["report"]).exists()
    resumed = transfer(data="user_data.py:batches", json=True).json
    assert (resumed["cells_found"], resumed["cells_missing"]) == (data["cells_run"], 0)


def limit_files():
    """Fill the disk of a new process for as long as it lives."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (29_000, 29_000))


@pytest.mark.slow
def test_a_full_disk_in_a_process_of_its_own_leaves_every_other_cell_to_the_next(transfer):
    ran = subprocess.run(
        [*COMMAND, *OPTIONS, "--steps=4"],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=60, preexec_fn=limit_files,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "study.journal cannot grow: File too large." in ran.stderr
    kept = len(Ledger.open("similitude-runs", "make").finished())
    assert 0 < kept < CELLS
    resumed = transfer(json=True).json
    assert (resumed["cells_found"], resumed["cells_run"], resumed["cells_missing"]) == (kept, CELLS - kept, 0)


@pytest.mark.slow
def test_ctrl_c_in_a_process_of_its_own_leaves_with_130(transfer):
    process = subprocess.Popen(
        [*COMMAND, *OPTIONS, "--steps=100", "--json"],
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = Path("similitude-runs/study.journal")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and '"state":1' in journal.read_text():  # the first cell is finished
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Interrupted: finished runs are kept, and the same command continues from them." in err
    data = json.loads(out)
    assert data["interrupted"] is True
    assert 0 < data["cells_run"] < CELLS
    assert data["cells_run"] + data["cells_missing"] == CELLS
    assert Path(data["report"]).exists()
    resumed = transfer(steps=100, json=True).json
    assert (resumed["cells_found"], resumed["cells_missing"]) == (data["cells_run"], 0)
