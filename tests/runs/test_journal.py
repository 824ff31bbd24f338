"""The journal file: torn and damaged lines, full disks, dead holders of its lock."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crash_program import GRID, value
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from similitude.core.errors import StudyError
from similitude.runs import lock as locks
from similitude.runs.journal import JournalFile
from similitude.runs.ledger import Ledger
from similitude.runs.lock import FileLock


def record(n):
    return {"op_code": 99, "worker_id": "w", "n": n, "text": 'é"\n'}


def finish(ledger, cells):
    for lease in ledger.claim(cells):
        ledger.finish(lease, value(lease.cell))


def test_a_line_torn_at_any_byte_is_put_aside_and_the_file_goes_on(tmp_path):
    whole = JournalFile(tmp_path / "whole")
    whole.append_logs([record(n) for n in range(3)])
    data = whole.path.read_bytes()
    start = data.rstrip(b"\n").rfind(b"\n") + 1
    assert len(data) - start > 40
    for cut in range(start, len(data)):
        path = tmp_path / f"cut{cut}"
        path.write_bytes(data[:cut])
        journal = JournalFile(path)
        assert list(journal.read_logs(0)) == [record(0), record(1)]
        assert path.read_bytes() == data[:cut], "reading must not write"
        journal.append_logs([record(3)])
        assert list(journal.read_logs(1)) == [record(1), record(3)]
        assert list(JournalFile(path).read_logs(0)) == [record(0), record(1), record(3)]
        kept = journal.torn.read_bytes() if journal.torn.exists() else b""
        assert kept == (data[start:cut] + b"\n" if cut > start else b"")


def test_a_torn_line_longer_than_a_block(tmp_path):
    journal = JournalFile(tmp_path / "journal")
    journal.append_logs([record(0)])
    tail = b'{"op_code": 1, "text": "' + b"x" * 200_000
    with open(journal.path, "ab") as file:
        file.write(tail)
    journal.append_logs([record(1)])
    assert list(journal.read_logs(0)) == [record(0), record(1)]
    assert journal.torn.read_bytes() == tail + b"\n"


def test_optuna_reads_what_is_written_and_the_other_way_round(tmp_path):
    ledger = Ledger.open(tmp_path, "demo")
    ledger.populate(GRID)
    finish(ledger, GRID[:5])
    path = tmp_path / "study.journal"
    theirs = JournalStorage(JournalFileBackend(str(path)))
    study_id = theirs.get_study_id_from_name("demo")
    assert theirs.get_n_trials(study_id) == len(GRID)
    theirs.set_study_user_attr(study_id, "note", "seen")
    assert ledger.study.user_attrs["note"] == "seen"


@pytest.mark.parametrize(
    "damage",
    [
        b"garbage",
        b"",
        b"[1, 2]",
        b'{"op_code": 4}',
        b'{"op_code": 4, "worker_id": "x"}',
        b'{"op_code": 77, "worker_id": "x"}',
        b'{"op_code": 8, "worker_id": "x", "trial_id": 0, "user_attr": {"a": 1, "b": 2}}',
        b"\x00" * 40,
        b"\xff\xfe{}",
    ],
)
def test_a_damaged_line_is_named_and_the_file_left_alone(tmp_path, damage):
    ledger = Ledger.open(tmp_path, "demo")
    ledger.populate(GRID[:6])
    path = tmp_path / "study.journal"
    lines = path.read_bytes().split(b"\n")
    lines[3] = damage
    path.write_bytes(b"\n".join(lines) + b"torn")
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"study\.journal is corrupt at line 4: .* Restore a copy of it"):
        Ledger.open(tmp_path, "demo").populate(GRID)
    assert path.read_bytes() == before
    assert not path.with_name("study.journal.torn").exists()


def test_a_file_that_was_never_a_journal(tmp_path):
    (tmp_path / "study.journal").write_text("Dear diary,\ntoday\n")
    with pytest.raises(StudyError, match="corrupt at line 1"):
        Ledger.open(tmp_path, "demo")


def test_a_journal_shortened_or_removed_in_use(tmp_path):
    ledger = Ledger.open(tmp_path, "demo")
    ledger.populate(GRID[:6])
    path = tmp_path / "study.journal"
    data = path.read_bytes()
    path.write_bytes(data[: data.find(b"\n") + 1])
    with pytest.raises(StudyError, match="removed, replaced or shortened"):
        ledger.status()
    path.unlink()
    with pytest.raises(StudyError, match="removed, replaced or shortened"):
        ledger.status()


@pytest.mark.parametrize(
    "interruption", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_write_that_stops_half_way_is_taken_back(tmp_path, monkeypatch, interruption):
    ledger = Ledger.open(tmp_path, "demo")
    ledger.populate(GRID[:6])
    finish(ledger, GRID[:2])
    leases = ledger.claim(GRID[2:4])
    write = os.write
    calls = []

    def half(descriptor, data):
        calls.append(data)
        if len(calls) % 2:
            return write(descriptor, data[: len(data) // 2])
        raise interruption

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises((StudyError, KeyboardInterrupt)) as caught:
            ledger.finish(leases[0], 1.0)
    if isinstance(interruption, OSError):
        assert "No space left" in str(caught.value)
        assert "Free some space" in str(caught.value)
    data = (tmp_path / "study.journal").read_bytes()
    assert data.endswith(b"\n")
    assert all(json.loads(line) for line in data.splitlines())
    assert Ledger.open(tmp_path, "demo").status().finished == 2
    ledger.finish(leases[0], 1.0)
    assert Ledger.open(tmp_path, "demo").status().finished == 3


def test_a_full_disk_keeps_what_is_finished(tmp_path):
    program = (
        "import resource, sys\n"
        "from crash_program import work\n"
        "from similitude.core.errors import StudyError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
        "try:\n    work(sys.argv[1], sys.argv[2], 0)\n"
        "except StudyError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "study"), str(tmp_path / "log")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    assert "study.journal cannot grow: File too large" in run.stdout
    assert "run the same command again" in run.stdout
    ledger = Ledger.open(tmp_path / "study", "crash")
    before = {cell: result.value for cell, result in ledger.finished().items()}
    assert 0 < len(before) < len(GRID)
    assert len(ledger.recover()) > 0  # the process is gone, so what it was running waits again
    finish(ledger, GRID)
    after = ledger.finished()
    assert len(after) == len(GRID)
    assert all(repr(after[cell].value) == repr(known) for cell, known in before.items())


def test_folders_that_cannot_hold_a_study(tmp_path):
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StudyError, match=r"is a file, not a folder\. Choose another folder"):
            Ledger.open(where, "demo")
    (tmp_path / "study.journal").mkdir()
    with pytest.raises(StudyError, match="is a folder, but a study keeps a file"):
        Ledger.open(tmp_path, "demo")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_study_that_cannot_be_written_can_be_read(tmp_path, monkeypatch, code):
    # Tests may run as root, whom permissions do not bind, so the system's refusal is imitated.
    ledger = Ledger.open(tmp_path, "demo", fingerprint={"a": 1})
    ledger.populate(GRID)
    finish(ledger, GRID[:3])
    system_open = os.open

    def refuse(path, flags, *rest, **more):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(code, os.strerror(code), path)
        return system_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    reader = Ledger.open(tmp_path, "demo", fingerprint={"a": 1})
    assert len(reader.finished()) == 3
    with pytest.raises(StudyError, match=r"study\.journal cannot be opened or written: .* Choose a folder"):
        reader.claim(GRID)
    with pytest.raises(StudyError, match="cannot be opened or written"):
        Ledger.open(tmp_path, "other")
    assert reader.status().waiting == len(GRID) - 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path):
    path = tmp_path / "journal"
    child = os.fork()
    if not child:
        with FileLock(path).held():
            (tmp_path / "held").touch()
            time.sleep(60)
    while not (tmp_path / "held").exists():
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    before = time.monotonic()
    with FileLock(path).held():
        assert time.monotonic() - before < 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("flock", [True, False])
def test_a_batch_is_one_step_for_others(tmp_path, monkeypatch, flock):
    if not flock:
        monkeypatch.setattr(locks, "fcntl", None)
    path = tmp_path / "journal"
    JournalFile(path).append_logs([record(0)])
    child = os.fork()
    if not child:
        journal = JournalFile(path)
        with journal.batch():
            (tmp_path / "held").touch()
            for n in range(5):
                time.sleep(0.02)
                journal.append_logs([record(n)])
        os._exit(0)
    while not (tmp_path / "held").exists():
        time.sleep(0.001)
    journal = JournalFile(path)
    journal.append_logs([record("mine")])
    os.waitpid(child, 0)
    assert [log["n"] for log in journal.read_logs(0)] == [0, 0, 1, 2, 3, 4, "mine"]
    assert {file.name for file in tmp_path.iterdir()} == {"journal", "held"}
