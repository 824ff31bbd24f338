"""The steps that a cell's Optuna trial can take: waiting, leased, renewed, given back, complete, failed.

A process killed in the middle of a step leaves a state that the next one understands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from similitude.core.errors import StudyError
from similitude.runs import records
from similitude.runs.grid import Cell
from similitude.runs.lease import Lease, LeaseLostError, Owner


class Trials:
    """The trials of one study, as one process changes them.

    Args:
        storage: Optuna's storage.
        study_id: Identifier of the study in it.
        clock: Seconds since the epoch.
    """

    def __init__(self, storage: BaseStorage, study_id: int, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._storage = storage
        self._study_id = study_id
        self._owner = Owner.of_this_process().to_dict()
        # Leases are kept per owner: of processes that take a trial at once, none may overwrite the winner's.
        self._token = uuid4().hex[:16]
        self._serial = 0

    def all(self) -> list[FrozenTrial]:
        """Return all trials by number; they are the storage's own and must not be changed."""
        return self._storage.get_all_trials(self._study_id, deepcopy=False)

    def create(self, cells: Sequence[Cell], *, beside: Iterable[Cell]) -> None:
        """Make a waiting trial for each of some cells.

        Args:
            cells: The new cells.
            beside: The cells that the study has, which share the ranges of the axes.

        Raises:
            StudyError: An axis has values of another kind than before.
        """
        ranges = records.distributions([*beside, *cells])
        for cell in cells:
            try:
                self._storage.create_new_trial(self._study_id, records.waiting_trial(cell, ranges))
            except ValueError as error:  # of a database, which compares the axes of old and new trials
                raise StudyError(
                    f"Cell ({cell}) does not fit the cells that the study has: {error} Keep each axis of one "
                    f"kind (whole, positive, or any numbers), or run it as another study."
                ) from error

    def take(self, cell: Cell, trial: FrozenTrial, *, seconds: float) -> Lease | None:
        """Take a waiting trial; None if another process was faster.

        The lease is written first: a kill in between leaves a waiting trial, not one that runs for nobody.
        """
        self._serial += 1
        lease = Lease(cell, trial.number, trial._trial_id, self._serial, seconds)
        with suppress(UpdateFinishedTrialError):
            self._set_lease(lease, self._terms(lease))
            if self._storage.set_trial_state_values(lease.trial_id, TrialState.RUNNING):
                return lease
            self._set_lease(lease, None)
        return None

    def is_mine(self, trial: FrozenTrial) -> bool:
        """Whether this process has a lease on a trial."""
        return records.leases(trial).get(self._token) is not None

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is still good: not used up, given back, or lost to another process."""
        trial = self._storage.get_trial(lease.trial_id)
        stored = records.leases(trial).get(self._token)
        return trial.state == TrialState.RUNNING and stored is not None and stored["serial"] == lease.serial

    def renew(self, lease: Lease) -> bool:
        """Start the time of a lease anew; False if it is no longer held."""
        with suppress(UpdateFinishedTrialError):
            if self.holds(lease):
                self._set_lease(lease, self._terms(lease))
                return True
        return False

    def give_back(self, lease: Lease) -> None:
        """Make a trial wait again if it is still held; a kill in between leaves it running for nobody."""
        with suppress(UpdateFinishedTrialError):
            if self.holds(lease):
                self._set_lease(lease, None)
                self._storage.set_trial_state_values(lease.trial_id, TrialState.WAITING)

    def complete(self, lease: Lease, value: float, result: dict[str, Any]) -> None:
        """Store a result, then say that it is there.

        Raises:
            LeaseLostError: The trial has been ended by another process.
        """
        try:
            self._storage.set_trial_user_attr(lease.trial_id, records.RESULT, result)
            self._storage.set_trial_state_values(lease.trial_id, TrialState.COMPLETE, [value])
        except UpdateFinishedTrialError as error:
            raise lost(lease) from error

    def end(self, trial_id: int, reason: str) -> bool:
        """End a trial without a result; False if it has ended already."""
        try:
            self._storage.set_trial_user_attr(trial_id, records.REASON, reason)
            self._storage.set_trial_state_values(trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False
        return True

    def _terms(self, lease: Lease) -> dict[str, Any]:
        return {**self._owner, "serial": lease.serial, "expires": self.clock() + lease.seconds}

    def _set_lease(self, lease: Lease, stored: dict[str, Any] | None) -> None:
        self._storage.set_trial_user_attr(lease.trial_id, records.LEASE + self._token, stored)


def lost(lease: Lease) -> LeaseLostError:
    """Return the error that refuses a result which came too late."""
    return LeaseLostError(
        f"The result of cell ({lease.cell}) came after its lease of {lease.seconds:.0f} s was given back or "
        f"lost to another process, and was refused so that the cell has one result. Renew leases while "
        f"computing (Ledger.keep), or take longer ones."
    )
