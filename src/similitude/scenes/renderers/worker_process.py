"""A process that answers messages of JSON and arrays: started, spoken to with a time limit, ended for certain."""

from __future__ import annotations

import json
import os
import select
import shutil
import struct
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from similitude.core.errors import SceneError
from similitude.scenes.renderers.blender_worker import SCRATCH
from similitude.scenes.renderers.turns import Turns

_MOST = 1 << 20  # bytes of a header
_CHUNK = 1 << 20


class WorkerProcess:
    """A child process with two pipes; messages are a length, a header as JSON, and the bytes of arrays.

    Its temporary files are in a folder of its own, in memory where that can be: what it leaves there is removed.

    Args:
        command: What to run; the numbers of the pipes that it reads from and writes to are added to its arguments.
        name: Its name in messages.
        limit: Seconds that an answer may take.
    """

    def __init__(self, command: list[str], name: str, *, limit: float) -> None:
        self._name = name
        self._limit = limit
        self._turns = Turns()
        there, self._write = os.pipe()
        self._read, back = os.pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        scratch = tempfile.mkdtemp(prefix=SCRATCH, dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        try:
            self._process = subprocess.Popen(
                [*command, str(there), str(back)],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(there, back),
                start_new_session=True,
                env={**os.environ, "TMPDIR": scratch},
            )
        except OSError as error:
            for number in (self._write, self._read):
                os.close(number)
            os.rmdir(scratch)
            raise SceneError(f"{name}: {command[0]} cannot be run: {error.strerror}.") from error
        finally:
            os.close(there)
            os.close(back)
        os.set_blocking(self._write, False)
        os.set_blocking(self._read, False)
        self.end = weakref.finalize(
            self, _end, self._process, self._write, self._read, self._log, scratch, os.getpid()
        )

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(
        self, header: Mapping[str, Any] | None = None, arrays: Mapping[str, np.ndarray] | None = None
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Send a message, or none, and return the next answer; threads that ask are answered one after the other.

        Raises:
            SceneError: The process ended, took too long, answered what is no message, or says that something is wrong;
                but in the last case it is ended.
        """
        with self._turns:
            if not self.end.alive:
                raise SceneError(f"{self._name}: its process was ended. The next picture starts a new one.")
            try:
                answer, found = self._exchange(header, arrays or {})
            except BaseException:
                self.end()
                raise
        if "error" in answer:
            raise SceneError(f"{self._name} refused: {answer['error']}")
        return answer, found

    def _exchange(
        self, header: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        until = time.monotonic() + self._limit
        if header is not None:
            held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            shapes = [[name, array.dtype.str, list(array.shape)] for name, array in held.items()]
            text = json.dumps({**header, "arrays": shapes}).encode()
            self._put(struct.pack("<I", len(text)) + text, until)
            for array in held.values():
                self._put(array.reshape(-1).view(np.uint8).data, until)
        return self._message(until)

    def _message(self, until: float) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        size = struct.unpack("<I", self._get(4, until))[0]
        try:
            if size > _MOST:
                raise ValueError("too long")
            header = json.loads(self._get(size, until))
            told = [
                (str(name), np.dtype(kind), tuple(map(int, shape)))
                for name, kind, shape in header.pop("arrays")
            ]
            if any(
                kind.hasobject or kind.itemsize == 0 or min(shape, default=1) < 0 for _, kind, shape in told
            ):
                raise ValueError("arrays")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SceneError(
                f"{self._name} answered what is no message ({size} bytes announced). Its process is ended, and the next "
                "picture starts a new one. Is it the right program?" + self._said()
            ) from error
        arrays = {}
        for name, kind, shape in told:
            count = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
            arrays[name] = np.frombuffer(self._get(count, until), kind).reshape(shape)
        return header, arrays

    def _put(self, data: Any, until: float) -> None:
        view = memoryview(data)
        while len(view):
            self._wait(until, write=True)
            try:
                view = view[os.write(self._write, view[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone() from error

    def _get(self, count: int, until: float) -> bytearray:
        out = bytearray()
        while len(out) < count:
            self._wait(until, write=False)
            try:
                part = os.read(self._read, min(_CHUNK, count - len(out)))
            except BlockingIOError:
                continue
            if not part:
                raise self._gone()
            out += part
        return out

    def _wait(self, until: float, *, write: bool) -> None:
        left = until - time.monotonic()
        ready = left > 0 and any(
            select.select([] if write else [self._read], [self._write] if write else [], [], left)
        )
        if not ready:
            raise SceneError(
                f"{self._name} did not answer within {self._limit:g} s. Its process is ended, and the next picture "
                "starts a new one. Ask for fewer samples, or allow more time." + self._said()
            )

    def _gone(self) -> SceneError:
        try:
            status = self._process.wait(5)
        except subprocess.TimeoutExpired:
            status = None
        how = "closed its pipe" if status is None else f"ended with status {status}"
        if status is not None and status < 0:
            how = f"was killed by signal {-status}"
        return SceneError(
            f"{self._name}: its process {how}. The next picture starts a new one." + self._said()
        )

    def _said(self) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        lines = [
            line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()
        ]
        return f" It said last: {' | '.join(lines[-2:])[-300:]}" if lines else ""


def _end(process: subprocess.Popen[bytes], write: int, read: int, log: Any, scratch: str, owner: int) -> None:
    """End a process and remove its files; in a fork of its owner, close the copies of its pipes alone."""
    for number in (write, read):
        os.close(number)
    if os.getpid() == owner:
        process.kill()
        process.wait()
        log.close()
        shutil.rmtree(scratch, ignore_errors=True)
