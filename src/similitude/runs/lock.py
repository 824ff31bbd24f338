"""A lock between processes that the kernel takes back when its holder dies, so that none goes stale."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.storages.journal import JournalFileOpenLock

from similitude.runs.faults import storage_fault

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_GRACE_SECONDS = 30  # of Optuna's lock files, used only where the file system has no flock


class FileLock:
    """An exclusive lock on a file, for the threads and processes of all machines that share it.

    A thread that holds it may take it again. On file systems without `flock`, and on Windows, a lock file of
    Optuna's is used instead; one left behind by a killed process is taken over after 30 seconds.

    Args:
        path: The file to lock; it is created where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread_lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; waits for whoever has it.

        Raises:
            StudyError: The file cannot be opened for writing.
        """
        with self._thread_lock:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            descriptor = self._open()
            lock_file = None
            try:
                if not _flock(descriptor):
                    lock_file = JournalFileOpenLock(str(self.path), grace_period=_GRACE_SECONDS)
                    lock_file.acquire()
                self._depth = 1
                yield
            finally:
                self._depth = 0
                if lock_file is not None:
                    lock_file.release()
                os.close(descriptor)

    def _open(self) -> int:
        try:
            return os.open(
                self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666
            )
        except OSError as error:
            raise storage_fault(self.path, error) from error


def _flock(descriptor: int) -> bool:
    """Lock an open file; closing it unlocks. Return False where the system cannot."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True
