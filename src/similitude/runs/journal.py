"""Optuna's journal in one file, made safe against killed processes, full disks and damaged files.

The format is that of Optuna's `JournalFileBackend` (one JSON object a line), which its dashboard and tools
read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from similitude.core.errors import StudyError
from similitude.runs.faults import put_on_disk, storage_fault
from similitude.runs.lock import FileLock

_BLOCK = 1 << 16


class JournalFile(BaseJournalBackend):
    """Backend of `optuna.storages.JournalStorage` for one local or shared file.

    What it adds to Optuna's own file backend:

    - A line without its end (a process killed, or a disk full, in mid-write) is cut off before the next write
      and kept in `<file>.torn`; Optuna's backend would glue the next record to it and never read past that
      point again.
    - The lock dies with its holder, so nothing waits for a process that is gone.
    - `batch` makes many records one atomic step against other processes, with one flush to disk.
    - A damaged line is named by its number, and the file is left as it is.

    Args:
        path: The journal; it is created by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn = path.with_name(path.name + ".torn")
        self.line = 0  # the last line handed out, to name it where its content makes no sense
        self._starts = [0]  # byte offset of every complete line, and of the end of the last
        self._lock = FileLock(path)
        self._batches = 0
        self._unflushed = False

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the records from one on; a last line that is not complete yet is left for later."""
        known = min(log_number_from, len(self._starts) - 1)
        try:
            file = open(self.path, "rb")  # noqa: SIM115 (closed by the `with` below)
        except FileNotFoundError as error:
            if self._starts[-1]:
                raise self._replaced() from error
            return
        except OSError as error:
            raise storage_fault(self.path, error) from error
        with file:
            if os.fstat(file.fileno()).st_size < self._starts[-1]:
                raise self._replaced()
            file.seek(self._starts[known])
            for number, line in enumerate(file, start=known):
                if not line.endswith(b"\n"):
                    return
                record = self._parse(line, number + 1)
                if number + 1 == len(self._starts):
                    self._starts.append(self._starts[number] + len(line))
                if number >= log_number_from:
                    self.line = number + 1
                    yield record

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records; they are on the disk when this returns, or when the enclosing `batch` ends.

        Raises:
            StudyError: The file cannot be written. What it held before is intact.
        """
        data = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        with self.batch():
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
            except FileNotFoundError as error:
                raise self._replaced() from error
            try:
                self._cut_torn_line(descriptor, keep=True)
                try:
                    self._unflushed = True
                    while data:
                        data = data[os.write(descriptor, data) :]
                except BaseException:
                    # Complete lines stay, for another process may have read them; a piece of a line is ours
                    # alone.
                    self._cut_torn_line(descriptor, keep=False)
                    raise
            except OSError as error:
                raise storage_fault(self.path, error) from error
            finally:
                os.close(descriptor)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Keep other processes from writing meanwhile, and flush to the disk once, at the end.

        A process killed inside leaves the records that it had written so far, each of them whole.
        """
        with self._lock.held():
            self._batches += 1
            try:
                yield
            finally:
                self._batches -= 1
                if not self._batches and self._unflushed:
                    self._unflushed = False
                    put_on_disk(self.path, os.O_RDWR)

    def _cut_torn_line(self, descriptor: int, *, keep: bool) -> None:
        size = os.fstat(descriptor).st_size
        if not size or _read_at(descriptor, size - 1, 1) == b"\n":
            return
        tail = b""
        while len(tail) < size and b"\n" not in tail:
            start = max(0, size - len(tail) - _BLOCK)
            tail = _read_at(descriptor, start, size - len(tail) - start) + tail
        tail = tail[tail.rfind(b"\n") + 1 :]
        if keep:
            with suppress(OSError), open(self.torn, "ab") as torn:  # a courtesy, which a full disk may refuse
                torn.write(tail + b"\n")
        os.ftruncate(descriptor, size - len(tail))

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise corrupt(self.path, number, str(error)) from error
        if not isinstance(record, dict) or "op_code" not in record or "worker_id" not in record:
            raise corrupt(self.path, number, "not a record of an Optuna journal")
        return record

    def _replaced(self) -> StudyError:
        return StudyError(
            f"The study file {self.path} was removed, replaced or shortened while it was in use: "
            f"{self._starts[-1]} bytes were read from it before. Restore it, then run the same command "
            "again; do not copy over a study that is running."
        )


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)  # writes are not affected: they append
    return os.read(descriptor, length)


def corrupt(path: Path, line: int, reason: str) -> StudyError:
    """Return the error that says that a study file is damaged at a line, and that nothing was done to it."""
    return StudyError(
        f"The study file {path} is corrupt at line {line}: {reason}. The file was left as it is. Restore a "
        f"copy of it, or start in another folder (to keep the cells of the first {line - 1} lines, delete "
        "the rest of the file)."
    )
