"""What the process of one trial does: import the objective, call it, ask the study's process for everything else."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from similitude.runs.engine import one_line
from similitude.runs.worker import limit_threads
from similitude.tuning.engines.forwarded import ForwardedTrial
from similitude.tuning.trials.outcome import Outcome, evaluate


def serve(connection: Connection, objective: bytes, threads: int) -> None:
    """Run one trial.

    Args:
        connection: To the process that keeps the study.
        objective: The pickled objective.
        threads: How many threads it may use.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the study's process, which then ends this one
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, so that what the trial starts can be ended with it
    limit_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the study's process is gone
        try:
            call = pickle.loads(objective)
        except BaseException as error:
            connection.send_bytes(pickle.dumps(("ready",)))
            connection.recv_bytes()
            outcome = Outcome("fault", reason=f"the objective cannot be imported: {one_line(error)}")
        else:
            connection.send_bytes(pickle.dumps(("ready",)))
            outcome = evaluate(call, RemoteTrial(connection, pickle.loads(connection.recv_bytes())))
        connection.send_bytes(pickle.dumps(("ended", outcome)))


class RemoteTrial(ForwardedTrial):
    """The trial of a study that another process keeps.

    Args:
        connection: To that process.
        number: The trial's number.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection, self._number = connection, number
        self._lock = threading.Lock()

    @property
    def number(self) -> int:
        """The trial's number in its study, from 0."""
        return self._number

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            self._connection.send_bytes(pickle.dumps((name, args, kwargs)))
            good, reply = pickle.loads(self._connection.recv_bytes())
        if not good:
            raise reply
        return reply


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)  # with whatever the trial has started
    os._exit(1)
