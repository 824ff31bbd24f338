"""Ray: every job once, also where a worker is killed; failures named; nothing left behind in this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jobs
import pytest
import ray_jobs

from similitude.core.errors import StudyError
from similitude.runs.engine import JobsFailedError
from similitude.runs.ray import RayEngine, pickled
from tests.waiting import running, soon

HERE = Path(__file__).parent


def compute(engine, function, work, **options):
    done = {}
    engine.map(function, work, on_done=lambda job, result: done.update({job: result}), **options)
    return done


def ray_processes():
    """Return the processes of this machine that are Ray's, by their command lines; its agents outlive a kill by 65 s."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes()
        except OSError:
            continue
        if b"raylet" in line or b"gcs_server" in line or line.startswith(b"ray::_serve"):
            found.add(int(file.parent.name))
    return {pid for pid in found if running(pid)}


def test_every_job_is_done_also_lambdas_and_what_is_not_hashable(ray_engine):
    assert compute(ray_engine, jobs.square, range(9)) == {x: x * x for x in range(9)}
    assert compute(ray_engine, lambda x: -x, range(3)) == {0: 0, 1: -1, 2: -2}
    found = []
    ray_engine.map(len, [[1], [1, 2]], on_done=lambda job, result: found.append((job, result)))
    assert sorted(found) == [([1], 1), ([1, 2], 2)]


def test_a_failed_job_is_named_and_the_others_are_done(ray_engine):
    done = {}
    with pytest.raises(JobsFailedError) as caught:
        ray_engine.map(
            jobs.fail_at_three,
            range(6),
            on_done=lambda job, result: done.update({job: result}),
            name=lambda x: f"width={x}",
        )
    assert done == {x: x for x in range(6) if x != 3}
    (failure,) = caught.value.failures
    assert (failure.job, failure.name, failure.reason) == (3, "width=3", "ValueError: three is bad")
    assert "in fail_at_three" in failure.traceback
    with pytest.raises(JobsFailedError, match=r"'1'\. The first: .*pickle"):
        compute(ray_engine, jobs.unpicklable, [1])


def test_a_job_whose_worker_is_killed_is_done_again(ray_engine, tmp_path):
    assert compute(ray_engine, ray_jobs.die_first_time, [tmp_path / "died"]) == {
        tmp_path / "died": "second time"
    }


def test_a_worker_killed_from_outside_costs_no_job(ray_engine, tmp_path):
    victims = []

    def kill_one():
        assert soon(lambda: list(tmp_path.iterdir()))
        victims.append(int(next(tmp_path.iterdir()).stem))
        os.kill(victims[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    results = []
    ray_engine.map(
        ray_jobs.tell_pid_and_wait, [tmp_path] * 6, on_done=lambda job, result: results.append(result)
    )
    killer.join()
    assert len(results) == 6
    assert victims[0] not in results, "the victim was killed in the middle of its first job"


def test_a_job_that_kills_every_worker_fails_in_the_end(ray_engine):
    done = {}
    with pytest.raises(JobsFailedError, match=r"'3'\. The first: its worker process died, 2 times in all"):
        RayEngine(retries=1).map(
            jobs.die_at_three, range(6), on_done=lambda job, result: done.update({job: result})
        )
    assert done == {x: x for x in range(6) if x != 3}


def test_an_error_in_the_caller_stops_all(ray_engine, tmp_path):
    def refuse(job, result):
        raise StudyError("the disk is full")

    started = time.monotonic()
    with pytest.raises(StudyError, match="the disk is full"):
        ray_engine.map(lambda job: job and ray_jobs.sleep_long(tmp_path), [0, 1, 1], on_done=refuse)
    assert time.monotonic() - started < 55
    assert soon(lambda: not any(running(int(file.name)) for file in tmp_path.iterdir()))


def test_at_most_so_many_jobs_at_once(ray_engine, tmp_path):
    work = [(str(tmp_path), name) for name in range(6)]
    assert set(compute(RayEngine(num_cpus=0.25, at_once=2), ray_jobs.count_at_once, work).values()) <= {1, 2}


def test_threads_follow_the_cores_of_a_job(ray_engine):
    given = os.environ.get("OMP_NUM_THREADS", "")
    for cores in (0.5, 2.0):
        expected = max(1, int(cores))
        expected = min(expected, int(given)) if given.isdecimal() else expected
        ((pid, threads, torch),) = compute(
            RayEngine(num_cpus=cores), jobs.pid_threads_and_torch, [0]
        ).values()
        assert (threads, torch) == (str(expected), False)
        assert pid != os.getpid()


def test_what_no_node_has_is_refused(ray_engine):
    with pytest.raises(
        StudyError, match=r"needs 1 CPU, 1 GPU would wait for ever .* the largest of 1 nodes has 0\."
    ):
        compute(RayEngine(num_gpus=1), jobs.square, [1])
    with pytest.raises(StudyError, match=r"needs 3 CPU .* has 2\. Ask for less"):
        compute(RayEngine(num_cpus=3), jobs.square, [1])
    with pytest.raises(StudyError, match=r"needs 1 CPU, 1 tpu-pod would"):
        compute(RayEngine(resources={"tpu-pod": 1}), jobs.square, [1])


def test_what_cannot_be_sent_is_said(ray_engine):
    lock = threading.Lock()
    with pytest.raises(StudyError, match=r"Function .*lambda.* cannot be sent to a worker of Ray.*locks"):
        ray_engine.map(lambda x: lock, [1], on_done=print)
    with pytest.raises(StudyError, match="Job 'lr=1' cannot be sent"):
        ray_engine.map(jobs.square, [lock], on_done=print, name=lambda job: "lr=1")


def test_a_task_can_be_stopped_while_it_runs_and_while_it_waits(ray_engine, tmp_path):
    tasks = ray_engine.tasks(pickled(ray_jobs.sleep_long, "it"))
    for key in range(3):  # two have room
        tasks.start(key, pickled(tmp_path, "folder"))
    began, until = set(), time.monotonic() + 60
    while len(began) < 2:
        assert time.monotonic() < until
        began |= {news.key for news in tasks.wait(20) if news.kind == "started"}
    assert soon(lambda: len(list(tmp_path.iterdir())) == 2)
    pids = [int(file.name) for file in tmp_path.iterdir()]
    for key in ({0, 1, 2} - began) | began:
        tasks.stop(key)
    stopped = []
    while len(tasks):
        stopped += [(news.key, news.kind) for news in tasks.wait(20)]
    assert sorted(stopped) == [(0, "stopped"), (1, "stopped"), (2, "stopped")]
    assert soon(lambda: not any(map(running, pids)))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"num_cpus": -1}, "num_cpus=-1"),
        ({"num_gpus": float("nan")}, "num_gpus=nan"),
        ({"memory": 0}, "memory=0"),
        ({"retries": -1}, "retries=-1"),
        ({"at_once": 0}, "at_once is at least 1"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong, text):
    with pytest.raises(StudyError, match=text):
        RayEngine(**wrong)


def test_another_cluster_than_the_connected_one_is_refused(ray_engine):
    with pytest.raises(
        StudyError, match=r"is connected to the Ray cluster at .*, not to head:6379\. Call ray\.shutdown"
    ):
        compute(RayEngine(address="head:6379"), jobs.square, [1])


def test_addresses_without_a_cluster_are_said():
    script = (
        "from similitude.core.errors import StudyError\nfrom similitude.runs.ray import RayEngine\n"
        "for address in ('127.0.0.1:1', 'ray://head:10001'):\n"
        "    try:\n        RayEngine(address=address).map(abs, [1], on_done=print)\n"
        "    except StudyError as error:\n        print(error)\n"
        "RayEngine(address='127.0.0.1:1').map(abs, [], on_done=print)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    ).stdout.splitlines()
    assert out[0].startswith("No Ray cluster at 127.0.0.1:1: ConnectionRefusedError")
    assert "`ray start --head`" in out[0]
    assert "ray://head:10001 is an address of Ray Client" in out[1]
    assert len(out) == 2


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'similitude\[ray\]'"):
        compute(RayEngine(), jobs.square, [1])


def test_similitude_does_not_import_ray():
    script = "import sys, similitude.tuning.tune, similitude.cli.app; sys.exit('ray' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_cluster_of_its_own_leaves_nothing_behind(tmp_path):
    before = ray_processes()
    ran = subprocess.run(
        [sys.executable, HERE / "ray_jobs.py", "whole"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    done = [line.split() for line in ran.stdout.splitlines() if line.startswith("done")]
    assert sorted(int(x) for _, x, _, _ in done) == [0, 1, 2, 3, 4, 5]
    assert {folder for *_, folder in done} == {tmp_path.name}
    assert "environment True" in ran.stdout
    assert "handlers True True" in ran.stdout
    assert soon(lambda: ray_processes() <= before)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_when_this_process_is_stopped_its_cluster_goes_too(end, tmp_path):
    before = ray_processes()
    process = subprocess.Popen(
        [sys.executable, HERE / "ray_jobs.py", "interrupted", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert soon(lambda: list(tmp_path.iterdir()), 60)
    if end == signal.SIGINT:
        os.killpg(process.pid, end)  # as Ctrl-C does: to the whole group
    else:
        process.send_signal(end)
    out, err = process.communicate(timeout=60)
    if end == signal.SIGINT:
        assert (out, process.returncode) == ("interrupted\n", 0), err
    assert soon(lambda: ray_processes() <= before, 60)


@pytest.mark.slow
def test_jobs_of_a_node_that_dies_are_done_on_another(tmp_path):
    """Three nodes of one cluster, one of them killed with its workers in the middle of its jobs."""
    script = HERE / "ray_node_death.py"
    ran = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
    done, lost, elsewhere = map(int, ran.stdout.splitlines()[-1].split())
    assert lost > 0, "the node died without a job"
    assert (done, elsewhere) == (12, 12)
