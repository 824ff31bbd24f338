"""Renewing leases in the background, so that long computations keep their cells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from similitude.core.errors import StudyError
from similitude.runs.lease import Lease

_RENEWALS_PER_LEASE = 3  # so that two in a row may come late


@contextmanager
def renewed(leases: Sequence[Lease], renew: Callable[[Sequence[Lease]], Any]) -> Iterator[None]:
    """Renew leases while the body of the `with` computes.

    Args:
        leases: The leases.
        renew: Renews them; it is called from a thread.

    Raises:
        StudyError: A renewal failed; raised at the end of the body, unless that raises itself.
    """
    stop = threading.Event()
    errors: list[StudyError] = []

    def renew_until_stopped() -> None:
        while not stop.wait(min(lease.seconds for lease in leases) / _RENEWALS_PER_LEASE):
            try:
                renew(leases)
            except StudyError as error:
                errors.append(error)
                return

    thread = threading.Thread(target=renew_until_stopped, name="similitude leases", daemon=True)
    if leases:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if leases:
            thread.join()
    if errors:
        raise errors[0]
