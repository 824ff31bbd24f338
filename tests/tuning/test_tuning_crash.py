"""Tuning studies killed at random moments: nothing lost, nothing twice, the same trials as undisturbed."""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from crash_tuning import SPACE, value_of, work
from private_postgres import private_postgres

from similitude.runs.storage import open_store
from similitude.tuning.engines.turns import ORPHANED_KEY
from similitude.tuning.trials.failures import FAILURE_KEY

PROGRAM = Path(__file__).with_name("crash_tuning.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run(sampler, storage, log, trials, *options, timeout=300):
    command = [sys.executable, str(PROGRAM), sampler, storage, str(log), str(trials), *map(str, options)]
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=timeout, check=True
    )
    return ran.stdout.split()


def trials_of(storage):
    return optuna.load_study(study_name="crash", storage=open_store(storage, create=False).storage).trials


def sequence(storage):
    return [
        (t.number, t.state.name, t.params, t.value, t.user_attrs.get(FAILURE_KEY)) for t in trials_of(storage)
    ]


def assert_nothing_twice(log):
    """No trial was started after somebody had found it finished."""
    finished = set()
    for line in log.read_text().splitlines():
        what, number = line.split()
        if what == "finished":
            finished.add(number)
        else:
            assert number not in finished


def killed_and_resumed(sampler, storage, tmp_path, *, kills, trials):
    """Kill a study so often, finish it, and compare it with one that nobody disturbed."""
    log = tmp_path / "log"
    assert run(sampler, storage, log, trials, "within", kills) == [str(-signal.SIGKILL)] * kills
    early = {t.number: (t.params, t.value) for t in trials_of(storage) if t.state.is_finished()}
    assert 0 < len(early) < trials, "the kills did not hit the work; change their moments"
    work(sampler, storage, log, trials)  # in this process: another than those that were killed
    assert_nothing_twice(log)
    there = sequence(storage)
    assert [number for number, *_ in there] == list(range(trials))
    assert all(state == ("PRUNED" if number % 7 == 3 else "COMPLETE") for number, state, *_ in there)
    assert all(value == value_of(params) for _, state, params, value, _ in there if state == "COMPLETE")
    assert all((params, value) == early[number] for number, _, params, value, _ in there if number in early)
    work(sampler, str(tmp_path / "undisturbed"), tmp_path / "other-log", trials)
    assert there == sequence(str(tmp_path / "undisturbed"))
    return Counter(t.user_attrs.get(ORPHANED_KEY, 0) for t in trials_of(storage))


@contextmanager
def place_of(kind, folder):
    """Give the folder or URL of a storage of a kind."""
    if kind == "journal":
        yield str(folder / "study")
    elif kind == "postgres":
        with private_postgres() as url:
            yield url
    else:
        # In memory where the system has such a folder: what is tested are kills, not losses of power.
        memory = Path("/dev/shm")
        with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else folder) as place:
            yield f"sqlite:///{place}/study.db"


@needs_fork
def test_kills_at_random_moments(tmp_path):
    killed_and_resumed("light", str(tmp_path / "study"), tmp_path, kills=3, trials=20)


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("place", ["journal", "sqlite", "postgres"])
def test_twenty_kills_at_random_moments(tmp_path, place):
    with place_of(place, tmp_path) as storage:
        orphaned = killed_and_resumed("light", storage, tmp_path, kills=20, trials=80)
    assert sum(n for times, n in orphaned.items() if times) > 3


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("place", ["journal", "sqlite", "postgres"])
def test_twenty_kills_of_the_search_itself(tmp_path, place):
    with place_of(place, tmp_path) as storage:
        killed_and_resumed("carbs", storage, tmp_path, kills=20, trials=70)


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("place", ["journal", "sqlite", "postgres"])
def test_four_processes_of_a_hundred_trials_each(tmp_path, place):
    with place_of(place, tmp_path) as storage:
        assert run("light", storage, tmp_path / "log", 100, "side-by-side", 4) == ["0"] * 4
        there = trials_of(storage)
    assert [t.number for t in there] == list(range(400))
    assert all(t.state.name == ("PRUNED" if t.number % 7 == 3 else "COMPLETE") for t in there)
    assert all(set(t.params) == set(SPACE) for t in there)
    starts = [line.split()[1] for line in (tmp_path / "log").read_text().splitlines() if "started" in line]
    assert sorted(map(int, starts)) == list(range(400))
