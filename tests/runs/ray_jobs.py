"""Functions that workers of Ray can import, and programs that a test interrupts."""

import os
import signal
import sys
import time
from pathlib import Path


def die_first_time(mark):
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "second time"


def tell_pid_and_wait(folder):
    pid = os.getpid()
    Path(folder, f"{pid}.begun").touch()
    time.sleep(0.5)
    return pid


def count_at_once(job):
    folder, name = job
    Path(folder, str(name)).touch()
    time.sleep(0.1)
    running = len(list(Path(folder).iterdir()))
    Path(folder, str(name)).unlink()
    return running


def sleep_long(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(60)


def of_this_script(x):
    return x, os.getpid(), Path.cwd().name


def whole():
    """Compute on a cluster of its own and say what of this process is different afterwards."""
    from similitude.runs.ray import RayEngine

    environment, handler, hook = dict(os.environ), signal.getsignal(signal.SIGTERM), sys.excepthook
    with RayEngine(address="local") as engine:
        for start in (0, 3):
            engine.map(
                of_this_script, range(start, start + 3), on_done=lambda job, found: print("done", *found)
            )
    print("environment", dict(os.environ) == environment)
    print("handlers", signal.getsignal(signal.SIGTERM) is handler, sys.excepthook is hook)


def interrupted(folder):
    from similitude.runs.ray import RayEngine

    try:
        RayEngine(address="local").map(sleep_long, [folder] * 4, on_done=print)
    except KeyboardInterrupt:
        print("interrupted", flush=True)


if __name__ == "__main__":
    interrupted(sys.argv[2]) if sys.argv[1] == "interrupted" else whole()
