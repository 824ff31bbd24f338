import errno
import os
import signal
import subprocess
import sys

import pytest

from similitude.core.errors import ReportError
from similitude.report.files import check_writable, write_atomically


def test_makes_folders_and_replaces_the_old_file(tmp_path):
    path = tmp_path / "a" / "b" / "report.html"
    assert write_atomically(path, "old") == path
    write_atomically(str(path), "new, and µ")
    assert path.read_text(encoding="utf-8") == "new, and µ"
    assert os.listdir(path.parent) == ["report.html"]


def test_a_symbolic_link_is_followed_and_the_umask_respected(tmp_path):
    (tmp_path / "real.html").write_text("old")
    (tmp_path / "link.html").symlink_to("real.html")
    write_atomically(tmp_path / "link.html", "new")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text() == "new"
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "real.html").stat().st_mode == plain.stat().st_mode


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(ReportError, match=r"it is a folder. Pass the path of a file, e.g. .*report\.html"):
        write_atomically(tmp_path, "text")


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ReportError, match="a part of the path is a file, not a folder"):
        write_atomically(tmp_path / "file" / "report.html", "text")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(ReportError, match="Pass a shorter path"):
        write_atomically(tmp_path / ("x" * 300), "text")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ReportError, match="does not let you write"):
        write_atomically(tmp_path / "report.html", "text")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "Change its permissions"),
        (errno.EROFS, "read-only disk"),
        (errno.EIO, "Input/output error. Pass a path elsewhere"),
    ],
)
def test_a_disk_that_fails_half_way_keeps_the_old_file(tmp_path, monkeypatch, number, words):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ReportError, match=words):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


LIMITED = """
import resource, sys
from similitude.report.files import check_writable, write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomically(sys.argv[1], "x" * 100_000)
"""

KILLED = """
import os, signal, sys
from similitude.report.files import check_writable, write_atomically
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], "new")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits and signals of POSIX")
def test_a_limit_of_the_system_is_met_for_real(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    run = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=False)
    assert "ReportError: cannot write" in run.stderr
    assert "larger than this system allows" in run.stderr
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_kill_before_the_rename_keeps_the_old_file(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    run = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert run.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_what_cannot_be_written_is_told_before(tmp_path):
    kept = tmp_path / "kept.html"
    kept.write_text("kept")
    check_writable(kept)
    check_writable(tmp_path / "new" / "report.html")
    assert (kept.read_text(), os.listdir(tmp_path / "new")) == ("kept", [])
    for path, words in (
        (tmp_path, "it is a folder"),
        (kept / "report.html", "a part of the path is a file"),
        (tmp_path / ("x" * 300), "shorter path"),
    ):
        with pytest.raises(ReportError, match=words):
            check_writable(path)


def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ReportError, match="a device or a pipe"):
        write_atomically(pipe, "text")
    assert pipe.is_fifo()
