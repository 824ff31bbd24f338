"""Whose turn a trial of a tuning study is: taken under a lease, renewed, given back, ended, taken over from the dead.

A trial that its process left is run again under its own number, so that an interrupted study has the same trials as one
that nobody disturbed. A process killed in the middle of a step leaves a state that the next one understands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from similitude.core.errors import StudyError, TuningError
from similitude.runs import records
from similitude.runs.grid import Cell
from similitude.runs.journal import JournalFile
from similitude.runs.lease import Lease, lapse
from similitude.runs.lock import FileLock
from similitude.runs.trials import Trials
from similitude.tuning.trials.failures import FAILURE_KEY
from similitude.tuning.trials.history import LEASE_KEY
from similitude.tuning.trials.leases import OWNER_KEY
from similitude.tuning.trials.retry import REASON_KEY, end

LEASE_SECONDS = 120.0
RENEWALS_PER_LEASE = 3  # so that two in a row may come late

FAULTS_KEY = "similitude:faults"
"""User attribute of a trial: how often its own process crashed or raised an error."""

ORPHANED_KEY = "similitude:orphaned"
"""User attribute of a trial: how often the process that was in charge of it died."""

_ORPHANINGS = 5  # a trial that takes every machine down with it must end at last


class Turns:
    """The trials of one study, as one process takes and ends them.

    Args:
        study: The study.
        lease: Seconds after which a trial whose process has not been heard of is another one's. Machines that share a
            study must agree on the time to within a fraction of it.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, study: optuna.Study, *, lease: float = LEASE_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self.study = study
        self.exclusive = exclusive(study._storage)
        self._storage = study._storage
        self._trials = Trials(study._storage, study._study_id, clock=clock)
        self._lease = lease
        self._held: dict[int, Lease] = {}
        self._lock = threading.RLock()

    def take(self, wanted: Callable[[list[FrozenTrial]], bool]) -> optuna.Trial | None:
        """Take a waiting trial, or a new one.

        Args:
            wanted: Told all trials, says whether another one is to be run.

        Returns:
            The trial, or None where none is wanted.
        """
        with self._lock, self.exclusive():
            if not wanted(self._trials.all()):
                return None
            lease = self._leased()
        try:
            trial = optuna.Trial(self.study, lease.trial_id)
        except TuningError:  # of our sampler: others may have spent the rest of the budget meanwhile
            self.give_back(lease.trial)
            if not wanted(self._trials.all()):
                return None
            raise
        if (
            OWNER_KEY in self._storage.get_trial(lease.trial_id).user_attrs
        ):  # a sampler set a lease of its own
            self._mark_alive(lease)
        return trial

    def holds(self, number: int) -> bool:
        """Whether a trial is still this process's."""
        with self._lock:
            lease = self._held.get(number)
            return lease is not None and self._trials.holds(lease)

    def tell(self, trial: optuna.Trial, *, value: float | None, state: TrialState) -> bool:
        """End a trial; False, and nothing is stored, if it has become another process's."""
        with self._lock, self.exclusive():
            mine = self.holds(trial.number)
            self._held.pop(trial.number, None)
            if not mine:
                return False
            with suppress(UpdateFinishedTrialError):
                self.study.tell(trial, value, state=state)
                return True
            return False

    def give_up(self, trial: optuna.Trial, reason: str) -> None:
        """End a trial without a value and without blame; it is not run again."""
        with self._lock, self.exclusive():
            if self.holds(trial.number):
                end(self._storage, trial._trial_id, reason)
            self._held.pop(trial.number, None)

    def give_back(self, number: int) -> None:
        """Let a trial be run again, under its number; nothing happens if it is no longer held."""
        with self._lock, self.exclusive():
            lease = self._held.pop(number, None)
            if lease is not None:
                self._trials.give_back(lease)

    def give_all_back(self) -> None:
        """Let all trials that this process holds be run again."""
        for number in list(self._held):
            self.give_back(number)

    def recover(self) -> list[int]:
        """Let the trials be run again whose process is gone or whose lease has expired.

        One that was left so more than 5 times is ended instead, without a kind of failure: nothing is learnt from it.
        Running trials that were not taken by turns, as those of a plain `study.optimize`, are left alone.

        Returns:
            Their numbers.
        """
        recovered = []
        with self._lock, self.exclusive():
            for trial in self._trials.all():
                leases = records.leases(trial)
                if trial.state != TrialState.RUNNING or not leases or self._trials.is_mine(trial):
                    continue
                reason = lapse(leases, now=self._trials.clock())
                if reason is not None and self._take_over(trial, reason):
                    recovered.append(trial.number)
        return recovered

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the leases of all trials held while the body of the `with` computes.

        A renewal that fails is tried again at the next; if none succeeds, the trial becomes another process's.
        """
        stop = threading.Event()

        def renew() -> None:
            while not stop.wait(self._lease / RENEWALS_PER_LEASE):
                with suppress(StudyError, optuna.exceptions.OptunaError, UpdateFinishedTrialError):
                    self.renew()

        thread = threading.Thread(target=renew, name="similitude trials", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def renew(self) -> None:
        """Start the time of all leases held anew."""
        # Without `exclusive`: a journal locks itself before its file, and other threads of this process write meanwhile.
        with self._lock:
            for lease in list(self._held.values()):
                if self._trials.renew(lease):
                    self._mark_alive(lease)

    def _leased(self) -> Lease:
        while True:
            waiting = [t for t in self._trials.all() if t.state == TrialState.WAITING] or [self._new()]
            for trial in waiting:
                with suppress(UpdateFinishedTrialError):
                    self._forget(trial)
                lease = self._trials.take(Cell.of(trial=trial.number), trial, seconds=self._lease)
                if lease is not None:
                    self._held[trial.number] = lease
                    return lease

    def _new(self) -> FrozenTrial:
        """Make a waiting trial: a kill before it is taken leaves one that the next process takes."""
        alive = {LEASE_KEY: self._trials.clock() + self._lease}
        template = create_trial(state=TrialState.WAITING, user_attrs=alive)
        return self._storage.get_trial(self._storage.create_new_trial(self.study._study_id, template))

    def _forget(self, trial: FrozenTrial) -> None:
        """Clear what an earlier try of a trial left: why it failed, and who ran it, who may be dead."""
        if trial.user_attrs.get(LEASE_KEY, 0.0) < self._trials.clock() + self._lease / 2:
            self._set(trial._trial_id, LEASE_KEY, self._trials.clock() + self._lease)
        for key in (FAILURE_KEY, REASON_KEY, OWNER_KEY):
            if trial.user_attrs.get(key) is not None:
                self._set(trial._trial_id, key, None)

    def _take_over(self, trial: FrozenTrial, reason: str) -> bool:
        times = int(trial.user_attrs.get(ORPHANED_KEY) or 0) + 1
        with suppress(UpdateFinishedTrialError):
            self._set(trial._trial_id, ORPHANED_KEY, times)
            if times > _ORPHANINGS:
                return end(self._storage, trial._trial_id, reason)
            for token in records.leases(trial):
                self._set(trial._trial_id, records.LEASE + token, None)
            self._storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            return True
        return False

    def _mark_alive(self, lease: Lease) -> None:
        with suppress(UpdateFinishedTrialError):
            self._set(lease.trial_id, LEASE_KEY, self._trials.clock() + lease.seconds)

    def _set(self, trial_id: int, key: str, value: Any) -> None:
        self._storage.set_trial_user_attr(trial_id, key, value)


def exclusive(storage: BaseStorage) -> Callable[[], AbstractContextManager[None]]:
    """Return the context in which no other process changes the studies of a storage, as far as it allows.

    SQLite ignores row locks, so that two processes could take one trial: a lock file beside it settles who does.

    Args:
        storage: Any storage of Optuna.
    """
    backend = getattr(storage, "_backend", storage)
    if isinstance(backend, JournalFile):
        return backend.batch
    url = getattr(getattr(backend, "engine", None), "url", None)
    file = url.database if url is not None and url.get_backend_name() == "sqlite" else None
    return nullcontext if not file or file == ":memory:" else FileLock(Path(file + ".lock")).held
