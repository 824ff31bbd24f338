"""Leases of running trials: until when the process that runs one counts as alive, which process it is, its renewal."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from similitude.runs import records
from similitude.runs.lease import Owner
from similitude.tuning.trials.history import LEASE_KEY

LEASE_SECONDS = 3600.0
"""How long a trial counts as running without a sign of life."""

OWNER_KEY = "similitude:owner"
"""User attribute of a running trial: the process that runs it, and whether that renews the lease."""

_RENEWALS_PER_LEASE = 3  # so that two in a row may come late


def take(storage: BaseStorage, trial_id: int, seconds: float, *, renewed: bool = False) -> None:
    """Say that this process runs a trial.

    Args:
        storage: Where the trial is stored.
        trial_id: Its identifier there.
        seconds: How long it counts as running from now on.
        renewed: Whether the lease is renewed before that, so that an expired one means a dead process.
    """
    owner = {**Owner.of_this_process().to_dict(), "renewed": renewed}
    storage.set_trial_user_attr(trial_id, OWNER_KEY, owner)
    storage.set_trial_user_attr(trial_id, LEASE_KEY, time.time() + seconds)


def renew(storage: BaseStorage, trial_id: int, seconds: float) -> bool:
    """Start the time of a lease anew; False if the trial has ended.

    Args:
        storage: Where the trial is stored.
        trial_id: Its identifier there.
        seconds: How long it counts as running from now on.
    """
    with suppress(UpdateFinishedTrialError, KeyError):
        storage.set_trial_user_attr(trial_id, LEASE_KEY, time.time() + seconds)
        return True
    return False


def abandoned(trial: FrozenTrial, *, now: float, certain: bool = False) -> str | None:
    """Say why a running trial is run by nobody, or return None while somebody may.

    A trial without a lease was not started by a similitude sampler: nothing is known of it. Nor does this judge those
    that a driver of ours took, which takes them over itself.

    Args:
        trial: The trial.
        now: Seconds since 1970.
        certain: Whether an expired lease counts only if its owner would have renewed it.
    """
    expires = trial.user_attrs.get(LEASE_KEY)
    if trial.state != TrialState.RUNNING or expires is None or records.leases(trial):
        return None
    stored: dict[str, Any] = dict(trial.user_attrs.get(OWNER_KEY) or {})
    renewed = bool(stored.pop("renewed", False))
    owner = Owner(**stored) if stored else None
    if owner is not None and owner.is_dead():
        return f"{owner} ended before the trial did"
    if expires <= now and (renewed or not certain):
        return f"the lease of {owner or 'its process'} expired {now - expires:.0f} s ago"
    return None


class Renewal:
    """Renews leases in the background, by one thread that lives while there is any.

    Args:
        seconds: How long a lease lasts; it is renewed three times as often.

    """

    def __init__(self, seconds: float) -> None:
        assert seconds > 0, seconds
        self.seconds = seconds
        self._due: dict[tuple[BaseStorage, int], float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"seconds": self.seconds}  # a copy in another process runs no trial of this one

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["seconds"])

    def add(self, storage: BaseStorage, trial_id: int) -> None:
        """Renew the lease of a trial from now on."""
        with self._changed:
            self._due[storage, trial_id] = time.monotonic() + self.seconds / _RENEWALS_PER_LEASE
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name="similitude trials", daemon=True)
                self._thread.start()

    def remove(self, storage: BaseStorage, trial_id: int) -> None:
        """Renew it no longer; nothing happens if it was not renewed."""
        with self._changed:
            self._due.pop((storage, trial_id), None)
            self._changed.notify_all()

    def _renew(self) -> None:
        while (found := self._next()) is not None:
            storage, trial_id = found
            alive = True
            # A storage that cannot be reached now may be at the next turn; the trial itself will say so too.
            with suppress(Exception):
                alive = renew(storage, trial_id, self.seconds)
                storage.remove_session()  # databases keep one for each thread
            if not alive:
                self.remove(storage, trial_id)

    def _next(self) -> tuple[BaseStorage, int] | None:
        """Wait until a lease is due, and return its trial; None once there are none, with which the thread ends."""
        with self._changed:
            while self._due:
                trial, due = min(self._due.items(), key=lambda item: item[1])
                wait = due - time.monotonic()
                if wait <= 0:
                    self._due[trial] = time.monotonic() + self.seconds / _RENEWALS_PER_LEASE
                    return trial
                self._changed.wait(wait)
            self._thread = None
            return None
