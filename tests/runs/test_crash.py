"""Studies whose process is killed, at random and at the worst moments: nothing lost, nothing run twice."""

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from crash_program import GRID, curve, value

from similitude.runs.ledger import Ledger, Status

PROGRAM = Path(__file__).with_name("crash_program.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


def start(folder, log, *options):
    command = [sys.executable, str(PROGRAM), str(folder), str(log), *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)


def run(folder, log, *options):
    process = start(folder, log, *options)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out


def bits(x):
    return struct.pack("d", x)


def assert_whole(folder):
    """Every cell is finished exactly once, with the value and curve of a run that nobody disturbed."""
    ledger = Ledger.open(folder, "crash", fingerprint={"version": 1}, create=False)
    assert ledger.status() == Status(waiting=0, running=0, finished=len(GRID), failed=0)
    finished = ledger.finished()
    assert tuple(finished) == GRID
    assert len({result.trial for result in finished.values()}) == len(GRID)
    assert sum(trial.state.name == "COMPLETE" for trial in ledger.study.trials) == len(GRID)
    for cell, result in finished.items():
        assert bits(result.value) == bits(value(cell))
        assert result.metrics == {"width": cell["width"]}
        assert ledger.curve(cell).equals(curve(cell), null_equal=True)


def assert_nothing_twice(log):
    """No cell was started after somebody had found it finished."""
    finished = set()
    for line in log.read_text().splitlines():
        what, key = line.split(" ", 1)
        if what == "finished":
            finished.add(key)
        else:
            assert key not in finished


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
@pytest.mark.slow
def test_ten_kills_in_a_row_at_random_moments(tmp_path):
    folder, log = tmp_path / "study", tmp_path / "log"
    assert run(folder, log, "within", 10).split().count(str(-signal.SIGKILL)) == 10
    done = Ledger.open(folder, "crash").status().finished
    assert 0 < done < len(GRID), "the kills did not hit the work; change their moments"
    run(folder, log)
    assert_nothing_twice(log)
    assert_whole(folder)


@needs_fork
def test_a_kill_inside_every_kind_of_write_flush_and_rename(tmp_path):
    folder, log = tmp_path / "study", tmp_path / "log"
    assert run(folder, log, "inside", 45).split().count(str(-signal.SIGKILL)) > 30
    assert folder.joinpath("study.journal.torn").exists()
    run(folder, log)
    assert_nothing_twice(log)
    assert_whole(folder)


def test_two_processes_share_the_cells(tmp_path):
    folder, log = tmp_path / "study", tmp_path / "log"
    processes = [start(folder, log) for _ in range(2)]
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert_nothing_twice(log)
    started = [line for line in log.read_text().splitlines() if line.startswith("started")]
    assert sorted(started) == sorted(f"started {cell.key}" for cell in GRID)
    assert_whole(folder)


def test_the_cells_of_a_living_process_are_left_alone(tmp_path):
    folder, log = tmp_path / "study", tmp_path / "log"
    ledger = Ledger.open(folder, "crash", fingerprint={"version": 1})
    ledger.populate(GRID)
    mine = ledger.claim(GRID[:7])
    run(folder, log)
    assert ledger.status() == Status(waiting=0, running=7, finished=len(GRID) - 7, failed=0)
    for lease in mine:
        cell = lease.cell
        ledger.finish(lease, value(cell), metrics={"width": cell["width"]}, curve=curve(cell))
    assert_whole(folder)
