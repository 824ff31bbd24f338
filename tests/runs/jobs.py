"""Functions that worker processes can import, and a study that a test interrupts."""

import os
import signal
import sys
import time


def square(x):
    return x * x


def fail_at_three(x):
    if x == 3:
        raise ValueError("three is\nbad")
    return x


def die_at_three(x):
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def pid_threads_and_torch(x):
    import similitude.runs.ledger  # noqa: F401

    return os.getpid(), os.environ["OMP_NUM_THREADS"], "torch" in sys.modules


def torch_threads(x):
    import torch

    return torch.get_num_threads()


def slow(x):
    time.sleep(0.05 if x < 4 else 60)
    return os.getpid()


def unpicklable(x):
    return lambda: x


if __name__ == "__main__":
    from similitude.runs.pool import ProcessPool

    try:
        ProcessPool(2).map(slow, range(8), on_done=lambda job, result: print(job, result, flush=True))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
