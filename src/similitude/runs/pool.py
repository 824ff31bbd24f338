"""The engine that computes jobs side by side in processes of this machine, any of which may die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from similitude.core.errors import StudyError
from similitude.runs.engine import Failure, J, JobsFailedError, R, available_cores, one_line
from similitude.runs.worker import compute, limit_threads

_PATIENCE_SECONDS = 5.0  # between asking a worker to end and making it end


@dataclass(frozen=True)
class ProcessPool:
    """Compute jobs in several fresh processes; the cores are shared out evenly among them.

    A script that uses it needs the usual guard, `if __name__ == "__main__":`, because each process imports it
    anew.

    Attributes:
        workers: Number of processes; by default as many as there are cores.

    Raises:
        StudyError: Fewer than one worker is asked for.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise StudyError(
                f"A pool of {self.workers} workers computes nothing. Ask for at least 1, or use InProcess()."
            )

    def map(
        self,
        function: Callable[[J], R],
        jobs: Sequence[J],
        *,
        on_done: Callable[[J, R], None],
        name: Callable[[J], str] = str,
    ) -> None:
        """Compute every job; see `Engine.map`.

        Raises:
            StudyError: The function or a job cannot be sent to another process, or no process can be started.
        """
        sent = _pickled(function, f"Function {getattr(function, '__qualname__', function)!r}")
        waiting = [(job, _pickled(job, f"Job {name(job)!r}")) for job in reversed(jobs)]
        count = min(self.workers or available_cores(), len(jobs))
        threads = max(1, available_cores() // max(1, count))
        failures: list[Failure] = []
        workers: list[_Worker] = []
        try:
            while waiting or any(worker.jobs for worker in workers):
                while len(workers) < min(count, len(waiting) + sum(len(w.jobs) for w in workers)):
                    workers.append(_Worker(sent, threads))
                for worker in workers:
                    if waiting and worker.ready and not worker.jobs:
                        worker.give(*waiting.pop())
                for worker in _with_news(workers):
                    message = worker.receive()
                    if message is None:
                        workers.remove(worker)
                        if not worker.ready:
                            raise worker.stillborn()
                        failures += [Failure(job, name(job), worker.death()) for job in worker.jobs]
                    elif worker.jobs:
                        job = worker.jobs.pop()
                        result, reason, trace = pickle.loads(message)
                        if reason is None:
                            on_done(job, result)
                        else:
                            failures.append(Failure(job, name(job), reason, trace))
                    else:
                        worker.ready = True
        except BaseException:
            for worker in workers:
                worker.process.terminate()
            raise
        finally:
            for worker in workers:
                worker.connection.close()
            for worker in workers:
                worker.end()
        if failures:
            raise JobsFailedError(failures, len(jobs))


class _Worker:
    """One process, seen from outside."""

    def __init__(self, function: bytes, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function, threads))
        self.ready = False
        self.jobs: list[Any] = []  # at most the one that it computes
        try:
            with interrupts_withheld():
                self.process.start()
        except OSError as error:
            raise StudyError(
                f"No worker process can be started: {one_line(error)}. Close other programs, or ask for "
                "fewer workers."
            ) from error
        finally:
            theirs.close()

    def give(self, job: Any, sent: bytes) -> None:
        self.jobs.append(job)
        with suppress(OSError):  # a dead process: its end is noticed when it is listened to
            self.connection.send_bytes(sent)

    def receive(self) -> bytes | None:
        """Return the next message, or None if the process is dead."""
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            self.end()
            return None

    def stillborn(self) -> StudyError:
        """Return the error that says that worker processes cannot be used at all."""
        return StudyError(
            f"A worker process could not take a first job: {self.death()}. What it printed says why. In a "
            f'script, start the study below `if __name__ == "__main__":`; or use InProcess().'
        )

    def death(self) -> str:
        code = self.code or 0
        if code < 0:
            hint = "; the system does so when memory runs out" if -code == signal.SIGKILL else ""
            return f"its process was killed by {signal.Signals(-code).name}{hint}"
        return f"its process ended with exit code {code}"

    def end(self) -> None:
        """See the process off: at once if it is dead or idle, by force if it does not go."""
        self.connection.close()
        self.process.join(_PATIENCE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.code = self.process.exitcode
        self.process.close()


def _with_news(workers: Sequence[_Worker]) -> list[_Worker]:
    spoke = wait([worker.connection for worker in workers])
    return [worker for worker in workers if worker.connection in spoke]


def _pickled(what: Any, name: str) -> bytes:
    try:
        return pickle.dumps(what)
    except Exception as error:  # whatever the user's class raises
        raise StudyError(
            f"{name} cannot be sent to a worker process: {one_line(error)}. Define it at the top level of a "
            "module (no lambda, no local function), or use InProcess()."
        ) from error


@contextmanager
def interrupts_withheld() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it is for this one, which then ends them in order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would let interrupts through again if it were started inside
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, function: bytes, threads: int) -> None:
    """Compute jobs as they come, in a worker process, until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):
        connection.send_bytes(b"ready")  # to nobody, where the others did its job while it started
        while True:
            connection.send_bytes(compute(function, connection.recv_bytes(), threads))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
