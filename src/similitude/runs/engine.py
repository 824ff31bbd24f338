"""Engines: how the jobs of a study are computed; the one here computes them one after another."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from similitude.core.errors import StudyError

J = TypeVar("J")
R = TypeVar("R")
_NAMED = 5  # failed jobs that a message names; `failures` holds all


@dataclass(frozen=True)
class Failure:
    """A job that gave no result.

    Attributes:
        job: The job.
        name: Its name.
        reason: The error in one line.
        traceback: Where it was raised, for whoever debugs; empty where a worker process died.
    """

    job: Any
    name: str
    reason: str
    traceback: str = ""

    @classmethod
    def of(cls, job: Any, name: str, error: BaseException) -> Failure:
        """Describe an error that a job raised."""
        return cls(job, name, one_line(error), "".join(traceback.format_exception(error)))


class JobsFailedError(StudyError):
    """Some jobs gave no result; those of all the others were handed over.

    Attributes:
        failures: The failed jobs, in the order in which they failed.
    """

    def __init__(self, failures: Sequence[Failure], total: int) -> None:
        self.failures = tuple(failures)
        named = ", ".join(repr(f.name) for f in failures[:_NAMED])
        more = f" and {len(failures) - _NAMED} more" if len(failures) > _NAMED else ""
        super().__init__(
            f"{len(failures)} of {total} jobs failed: {named}{more}. The first: {failures[0].reason}. The "
            "results of the others are kept. Mend the cause, then run the same command again: it computes "
            "only what is missing."
        )


class Engine(Protocol):
    """Computes jobs. Engines differ in where, never in what: a job's result depends on the job alone."""

    def map(
        self,
        function: Callable[[J], R],
        jobs: Sequence[J],
        *,
        on_done: Callable[[J, R], None],
        name: Callable[[J], str] = str,
    ) -> None:
        """Compute every job and hand each result over as soon as it is there.

        An error in one job does not stop the others. An error in `on_done`, and `KeyboardInterrupt`, stop all
        at once; what was handed over before is then the caller's.

        Args:
            function: Computes one job. Where it runs in other processes it must be importable there: defined
                at the top level of a module, or a `functools.partial` of such.
            jobs: What to compute; plain data.
            on_done: Called in this process, one call at a time, with a job and its result.
            name: Names a job in messages.

        Raises:
            JobsFailedError: Some jobs failed; raised after all the others are done.
        """
        ...


class InProcess:
    """Compute the jobs one after another in this process, in their order.

    Example:
        >>> InProcess().map(abs, [-1, -2], on_done=lambda job, result: print(job, result))
        -1 1
        -2 2
    """

    def map(
        self,
        function: Callable[[J], R],
        jobs: Sequence[J],
        *,
        on_done: Callable[[J, R], None],
        name: Callable[[J], str] = str,
    ) -> None:
        """Compute every job; see `Engine.map`."""
        failures = []
        cause = None
        for job in jobs:
            try:
                result = function(job)
            except Exception as error:
                failures.append(Failure.of(job, name(job), error))
                cause = cause or error
            else:
                on_done(job, result)
        if failures:
            raise JobsFailedError(failures, len(jobs)) from cause


def one_line(error: BaseException) -> str:
    """Return an error's type and text as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def available_cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
