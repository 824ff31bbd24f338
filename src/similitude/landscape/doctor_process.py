"""Run code that may crash, hang or change a model in a copy of this process, and learn how it ended."""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from typing import Any, NoReturn

import torch

LATE = "it did not end within"
"""How the error of work begins whose time was over."""

_TRIAL = 60.0  # seconds that a copy may take to begin on a busy machine


@dataclass(frozen=True)
class Ended:
    """How work in another process ended.

    Attributes:
        items: What it gave before it ended.
        error: Type and text of the exception that ended it, or how the process died; empty where it finished.
        died: Whether the process itself ended: by a signal, or because its time was over.
    """

    items: tuple[Any, ...]
    error: str = ""
    died: bool = False


def can_fork() -> bool:
    """Tell whether a copy of this process can compute gradients: on Linux, before CUDA is in use; one is tried.

    A copy of a process that has used CUDA cannot, nor one whose autograd has begun threads for other devices; and macOS's
    own libraries do not survive a copy.
    """
    if sys.platform != "linux" or torch.cuda.is_initialized():
        return False
    return in_child(_gradient, timeout=_TRIAL).items == (6.0,)


def _gradient() -> Iterator[float]:
    """Differentiate the square at 3."""
    x = torch.tensor(3.0, requires_grad=True)
    yield float(torch.autograd.grad(x * x, x)[0])


def in_child(work: Callable[[], Iterable[Any]], *, timeout: float) -> Ended:
    """Run an iterator in a copy of this process; nothing that it does is seen here but what it gives.

    The copy sees every object as it is, so that nothing has to be imported or pickled but the results. It computes on one
    thread, as the threads of this process are not copied, and its standard streams are closed.

    Args:
        work: Returns an iterator of objects that can be pickled.
        timeout: Seconds that the work may take for each of them.

    Returns:
        What it gave, and how it ended.

    Example:
        >>> in_child(lambda: iter([1, 2]), timeout=10)
        Ended(items=(1, 2), error='', died=False)
        >>> in_child(lambda: (1 / n for n in (1, 0)), timeout=10)
        Ended(items=(1.0,), error='ZeroDivisionError: division by zero', died=False)
    """
    reader, writer = Pipe(duplex=False)
    with warnings.catch_warnings():
        # Python warns of copies of processes with threads: locks may be held. A copy that waits for one times out.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _be_child(work, writer)
    writer.close()
    items: list[Any] = []
    try:
        error, died = _listen(reader, items, timeout)
    finally:
        reader.close()
        os.kill(pid, signal.SIGKILL)  # it is not waited for yet, so that the number is still its own
        status = os.waitpid(pid, 0)[1]
    return Ended(tuple(items), _cause(status) if error is None else error, died)


def _listen(reader: Any, items: list[Any], timeout: float) -> tuple[str | None, bool]:
    """Collect what comes; return the error (None where the process went away without a word), and whether it died."""
    while reader.poll(timeout):
        try:
            finished, content = pickle.loads(reader.recv_bytes())
        except EOFError:
            return None, True
        if finished:
            return content, False
        items.append(content)
    return f"{LATE} {timeout:g} s", True


def _cause(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"the process was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"the process left with code {os.WEXITSTATUS(status)}"


def _be_child(work: Callable[[], Iterable[Any]], writer: Any) -> NoReturn:
    """Do the work and leave, whatever happens, without what a Python process does at its end."""
    try:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is an answer here, not something to debug
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        sys.stdout = sys.stderr = os.fdopen(silent, "w")  # notebooks have streams of their own
        torch.set_num_threads(1)
        error = ""
        try:
            for item in work():
                writer.send_bytes(pickle.dumps((False, item)))
        except BaseException as failure:  # an exit or an interrupt inside is an answer too
            error = f"{type(failure).__name__}: {failure}"
        writer.send_bytes(pickle.dumps((True, error)))
    finally:
        os._exit(0)
