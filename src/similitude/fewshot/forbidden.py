"""Files that a learner must not read while it works: recognised by their contents, so that copies are caught too."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from similitude.core.errors import EvaluationError

MOST_LOOKED_AT = 5_000
"""Files that are looked at where a command names a folder or a pattern; the published folder has 96."""


@dataclass(frozen=True)
class Forbidden:
    """The files, as plain data that can be sent to other processes.

    Attributes:
        checksums: For each size in bytes, the SHA-256 of the files of that size.
        path: The folder or zip that the data was read from, absolute.
    """

    checksums: Mapping[int, frozenset[str]]
    path: str

    def matches(self, file: Any) -> bool:
        """Return whether a file has the contents of one of them.

        Args:
            file: A path or a file descriptor; what is not there or no ordinary file does not match.
        """
        try:
            found = os.stat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_size not in self.checksums:
                return False
            if isinstance(file, int):
                data = os.pread(file, found.st_size, 0)
            else:
                with open(file, "rb") as stream:
                    data = stream.read()
        except (OSError, ValueError, TypeError):
            return False
        return hashlib.sha256(data).hexdigest() in self.checksums[found.st_size]

    def named_in(self, command: str, folder: str = "") -> str:
        """Return the word of a command that leads to one of the files; empty where none does.

        Args:
            command: The command; its words may be files, patterns of files, or folders that hold one at most two levels
                below.
            folder: Where it is started, if not here; it is a word like the others.
        """
        folder = os.path.abspath(folder) if folder else ""
        for word in filter(None, (folder, *_BETWEEN_WORDS.split(command))):
            if self._leads_here(os.path.join(folder, word)):
                return word
        return ""

    def _leads_here(self, path: str) -> bool:
        if os.path.realpath(path) == self.path:
            return True
        found = islice(glob.iglob(path), MOST_LOOKED_AT) if glob.has_magic(path) else [path]
        return any(self.matches(place) or self._holds(place) for place in found)

    def _holds(self, folder: str) -> bool:
        if not os.path.isdir(folder):
            return False
        top = glob.escape(folder)
        below = chain.from_iterable(glob.iglob(os.path.join(top, deeper)) for deeper in ("*", "*/*"))
        return any(self.matches(file) for file in islice(below, MOST_LOOKED_AT))


@contextmanager
def refusing(forbidden: Forbidden) -> Iterator[list[str]]:
    """Refuse to open the files, or to start commands that name where they are, while the body runs.

    Python's audit events are listened to, from all threads of this process. The listener stays for the life of the
    process, as those of Python do, and does nothing outside of the body.

    Args:
        forbidden: The files.

    Yields:
        What was refused so far, also where the body caught the error.

    Raises:
        EvaluationError: In the body, from the call that opens a file or starts a command.
    """
    refused: list[str] = []
    _listen()
    watch = (forbidden, refused)
    _WATCHES.append(watch)
    try:
        yield refused
    finally:
        _WATCHES.remove(watch)


_WATCHES: list[tuple[Forbidden, list[str]]] = []
_LISTENING = threading.Event()
_LOCK = threading.Lock()
_WITHIN = threading.local()
_BETWEEN_WORDS = re.compile(r"[\s'\"=;|<>&()\x00]+")
_COMMANDS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"})


def _listen() -> None:
    with _LOCK:
        if not _LISTENING.is_set():
            sys.addaudithook(_heard)
            _LISTENING.set()


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if not _WATCHES or (event != "open" and event not in _COMMANDS) or getattr(_WITHIN, "hook", False):
        return
    _WITHIN.hook = True  # what follows opens files itself
    try:
        for forbidden, refused in list(_WATCHES):
            if event == "open":
                opened = any(map(forbidden.matches, _places(arguments[0])))
                said = f"opened {arguments[0]!r}" if opened else ""
            else:
                started_in = arguments[2] if event == "subprocess.Popen" else None
                word = forbidden.named_in(_text(arguments[:2]), _text(started_in) if started_in else "")
                said = f"started a command that names {word!r}" if word else ""
            if said:
                refused.append(said)
                raise EvaluationError(
                    f"a learner {said}, which is the data that it is tested on. It is given all that it may see: the "
                    "examples of one split, and queries."
                )
    finally:
        _WITHIN.hook = False


def _places(file: Any) -> Iterator[Any]:
    """Yield what a file that is opened may be: of a relative path also that below every folder that is open (dir_fd)."""
    yield file
    if isinstance(file, str | bytes) and not os.path.isabs(file) and os.path.isdir("/dev/fd"):
        for descriptor in os.listdir("/dev/fd"):
            yield f"/dev/fd/{descriptor}/{os.fsdecode(file)}"


def _text(argument: Any) -> str:
    if isinstance(argument, bytes):
        return os.fsdecode(argument)
    if isinstance(argument, list | tuple):
        return " ".join(map(_text, argument))
    return str(argument)
