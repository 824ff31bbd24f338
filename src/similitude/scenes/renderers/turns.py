"""A lock for threads that take turns; a fork of the process has it anew."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType


class Turns:
    """A lock that its holder may take again, and that is free in a fork, where no thread is left to release it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _EVERY.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.RLock()


_EVERY: weakref.WeakSet[Turns] = weakref.WeakSet()


def _renew_all() -> None:
    for one in tuple(_EVERY):
        one.renew()


os.register_at_fork(after_in_child=_renew_all)
