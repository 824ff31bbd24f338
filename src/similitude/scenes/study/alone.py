"""One run at a time makes what is missing in a study's folder; others wait for it, and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from similitude.runs.faults import storage_fault

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = ".study.lock"
"""The file that is locked; the kernel takes the lock back when its holder dies."""


@contextmanager
def alone(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Keep other runs out of a folder; on Windows, and where the file system has no locks, none is kept out.

    Args:
        folder: The folder; it is made.
        on_wait: Called before waiting for another run, which may be in another thread or process.

    Raises:
        StudyError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "ab")  # noqa: SIM115, closed below, which ends the lock
    except OSError as error:
        raise storage_fault(folder / LOCK, error) from error
    with file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                pass
        yield
