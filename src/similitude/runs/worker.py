"""What a worker process does with a job that it is sent, whichever engine started it."""

from __future__ import annotations

import os
import pickle
import sys

from similitude.runs.engine import Failure

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def limit_threads(threads: int) -> None:
    """Let libraries that this process loads later use at most so many threads each."""
    for variable in _THREAD_VARIABLES:
        given = os.environ.get(variable, "")
        os.environ[variable] = str(min(threads, int(given)) if given.isdecimal() and int(given) else threads)


def compute(function: bytes, job: bytes, threads: int) -> bytes:
    """Compute one job.

    Args:
        function: The pickled function of a job.
        job: The pickled job.
        threads: How many threads it may use.

    Returns:
        Pickled: the result, None and ""; or None, the error in one line, and where it was raised.
    """
    try:
        work = pickle.loads(function)
        torch = sys.modules.get("torch")
        if torch is not None:  # it was loaded before the variables were set, by the script that is run
            torch.set_num_threads(min(threads, torch.get_num_threads()))
        return pickle.dumps((work(pickle.loads(job)), None, ""))
    except Exception as error:
        failure = Failure.of(None, "", error)
        return pickle.dumps((None, failure.reason, failure.traceback))
