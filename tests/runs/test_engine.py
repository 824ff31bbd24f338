"""Engines: every job once, failures named, nothing left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest

from similitude.core.errors import StudyError
from similitude.runs.engine import InProcess, JobsFailedError, available_cores
from similitude.runs.pool import ProcessPool
from tests.waiting import running

ENGINES = [InProcess(), ProcessPool(workers=2)]
HERE = Path(__file__).parent


def compute(engine, function, work, **options):
    done = {}
    engine.map(function, work, on_done=lambda job, result: done.update({job: result}), **options)
    return done


@pytest.mark.parametrize("engine", ENGINES)
def test_every_job_is_done(engine):
    assert compute(engine, jobs.square, range(9)) == {x: x * x for x in range(9)}
    assert compute(engine, jobs.square, []) == {}
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failed_job_is_named_and_the_others_are_done(engine):
    done = {}
    with pytest.raises(JobsFailedError) as caught:
        engine.map(
            jobs.fail_at_three,
            range(6),
            on_done=lambda job, result: done.update({job: result}),
            name=lambda x: f"width={x}",
        )
    assert done == {x: x for x in range(6) if x != 3}
    assert "1 of 6 jobs failed: 'width=3'. The first: ValueError: three is bad." in str(caught.value)
    (failure,) = caught.value.failures
    assert (failure.job, failure.name, failure.reason) == (3, "width=3", "ValueError: three is bad")
    assert "in fail_at_three" in failure.traceback


@pytest.mark.parametrize("engine", ENGINES)
def test_an_error_in_the_caller_stops_all(engine):
    def refuse(job, result):
        raise StudyError("the disk is full")

    with pytest.raises(StudyError, match="the disk is full"):
        engine.map(jobs.square, range(6), on_done=refuse)
    assert multiprocessing.active_children() == []


def test_the_death_of_a_worker_is_named_and_the_others_are_done():
    done = {}
    with pytest.raises(
        JobsFailedError, match=r"'3'. The first: its process was killed by SIGKILL; .* memory"
    ):
        ProcessPool(2).map(
            jobs.die_at_three, range(6), on_done=lambda job, result: done.update({job: result})
        )
    assert done == {x: x for x in range(6) if x != 3}
    assert multiprocessing.active_children() == []


def test_many_failures_are_summed_up():
    with pytest.raises(JobsFailedError, match=r"7 of 7 jobs failed: .*'4' and 2 more") as caught:
        compute(InProcess(), lambda x: 1 / 0, range(7))
    assert len(caught.value.failures) == 7
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_workers_share_the_cores_and_nothing_of_this_process_changes():
    before = dict(os.environ)
    found = compute(ProcessPool(2), jobs.pid_threads_and_torch, range(6)).values()
    share, given = max(1, available_cores() // 2), os.environ.get("OMP_NUM_THREADS", "")
    expected = min(share, int(given)) if given.isdecimal() else share
    assert {threads for _, threads, _ in found} == {str(expected)}
    assert os.getpid() not in {pid for pid, _, _ in found}
    assert not any(torch for _, _, torch in found), "similitude.runs must not load torch"
    assert dict(os.environ) == before
    assert compute(ProcessPool(2), jobs.torch_threads, [0])[0] <= available_cores()


def test_what_cannot_be_sent_is_said():
    with pytest.raises(StudyError, match=r"Function .*lambda.* cannot be sent .* InProcess\(\)"):
        ProcessPool(1).map(lambda x: x, [1], on_done=print)
    with pytest.raises(StudyError, match="Job 'lr=1' cannot be sent"):
        ProcessPool(1).map(jobs.square, [lambda: 0], on_done=print, name=lambda job: "lr=1")
    with pytest.raises(JobsFailedError, match=r"'1'\. The first: .*pickle"):
        compute(ProcessPool(1), jobs.unpicklable, [1])
    with pytest.raises(StudyError, match="pool of 0 workers"):
        ProcessPool(0)


def start():
    command = [sys.executable, "jobs.py"]
    return subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_when_this_process_is_stopped_its_workers_go_too(end):
    process = start()
    lines = [process.stdout.readline().split() for _ in range(4)]
    workers = {int(pid) for _, pid in lines}
    if end == signal.SIGINT:
        os.killpg(process.pid, end)  # as Ctrl-C does: to the whole group
    else:
        process.send_signal(end)
    out, err = process.communicate(timeout=30)
    assert sorted(int(job) for job, _ in lines) == [0, 1, 2, 3]
    if end == signal.SIGINT:
        assert (out, err, process.returncode) == ("interrupted\n", "", 0)
    deadline = time.monotonic() + 10
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(running, workers))


def test_a_worker_that_comes_too_late_says_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from similitude.runs.engine import JobsFailedError\nfrom similitude.runs.pool import ProcessPool\n"
        "def work(job):\n    os._exit(7) if job == 0 else time.sleep(0.3)\n"
        "if __name__ == '__main__':\n"
        "    try:\n        ProcessPool(2).map(work, [0, 1, 2], on_done=lambda job, _: print(job))\n"
        "    except JobsFailedError as error:\n        print(error)\n"
        "else:\n    time.sleep(1)  # the one in the place of the dead is still starting when all is done\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("1\n2\n")
    assert "exit code 7" in done.stdout
    assert done.stderr == ""


def test_a_script_without_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from similitude.core.errors import StudyError\nfrom similitude.runs.pool import ProcessPool\n"
        "try:\n    ProcessPool(1).map(abs, [1], on_done=print)\n"
        "except StudyError as error:\n    print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert 'if __name__ == "__main__":' in out
