"""The ledger of a study, kept as an Optuna study: which cells are waiting, running and finished.

Every cell is one Optuna trial. A process takes cells under a lease, and writes a result in the order curve,
numbers, state, so that a cell is finished entirely or not at all.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import polars as pl
from optuna.trial import TrialState

from similitude.core.errors import StudyError
from similitude.runs import fingerprint as fingerprints
from similitude.runs import records
from similitude.runs.curves import CurveFolder
from similitude.runs.grid import Cell
from similitude.runs.heartbeat import renewed
from similitude.runs.lease import Lease, lapse
from similitude.runs.records import Result, Status
from similitude.runs.storage import Store, open_store, translated
from similitude.runs.trials import Trials, lost

LEASE_SECONDS = 300.0
_FINGERPRINT = "similitude:fingerprint"


class Ledger:
    """A study that many processes may work through at once, and that any of them may leave at any moment.

    Made by `Ledger.open`. The life of a cell: `populate` makes it wait, `claim` gives it to one process,
    which ends it by `finish`, `release` or `fail`; `recover` makes cells of dead processes wait again.

    Example:
        >>> import tempfile
        >>> from similitude.runs.grid import cells
        >>> ledger = Ledger.open(tempfile.mkdtemp(), "demo", fingerprint={"steps": 100})
        >>> grid = cells(lr=[0.1, 0.2])
        >>> ledger.populate(grid)
        2
        >>> for lease in ledger.claim(grid):
        ...     ledger.finish(lease, 3 * lease.cell["lr"])
        >>> [result.value for result in ledger.finished().values()]
        [0.30000000000000004, 0.6000000000000001]
    """

    def __init__(self, store: Store, name: str, study_id: int, *, clock: Callable[[], float]) -> None:
        self.name = name
        self.where = store.where
        self._store = store
        self._study_id = study_id
        self._trials = Trials(store.storage, study_id, clock=clock)
        self._curves = CurveFolder(store.curves, name)
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        where: str | Path,
        name: str,
        *,
        fingerprint: Mapping[str, Any] | None = None,
        curves: str | Path | None = None,
        create: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> Ledger:
        """Open a study; it is made if it is not there.

        Nothing is written to a study that exists, so one on read-only storage can be opened and read.

        Args:
            where: A folder, which then holds `study.journal` and `curves/`, or an Optuna storage URL.
            name: Name of the study; one place holds many.
            fingerprint: What is run, as names and plain values (model, data, steps, ...). None to read a
                study, whatever it holds.
            curves: Folder of the curves. Default: `curves` in the folder, `similitude-runs/curves` for a URL.
            create: False to refuse to make a study that is not there.
            clock: Seconds since the epoch, by which leases expire. Machines that share a study must agree on
                it to within a fraction of a lease.

        Raises:
            StudyError: The place cannot be opened, is damaged, or holds a study with another fingerprint.
        """
        if not name:
            raise StudyError("A study needs a name of at least 1 character, and got ''. Name it, e.g. 'mlp'.")
        given = None if fingerprint is None else fingerprints.plain(fingerprint)
        store = open_store(where, curves=None if curves is None else Path(curves), create=create)
        with translated(store.where):
            study_id = store.study_id(name)
            if study_id is None and not create:
                known = ", ".join(repr(other) for other in _names(store)) or "none"
                raise StudyError(
                    f"There is no study {name!r} in {store.where}; studies there: {known}. Give one of these "
                    "names, or the folder in which the study was run."
                )
            if study_id is None or (given is not None and _fingerprint(store, study_id) is None):
                with store.exclusive():
                    study_id = store.create_study(name)
                    if given is not None and _fingerprint(store, study_id) is None:
                        store.storage.set_study_user_attr(study_id, _FINGERPRINT, given)
            if given is not None:
                stored = _fingerprint(store, study_id) or {}
                fingerprints.require_same(stored, given, study=name, where=store.where)
        return cls(store, name, study_id, clock=clock)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What is run, as it was given when the study was made; empty if nothing was given."""
        with self._reading():
            return dict(_fingerprint(self._store, self._study_id) or {})

    @property
    def study(self) -> optuna.Study:
        """The Optuna study itself, for dashboards, samplers and plots of Optuna."""
        with self._reading():
            return optuna.load_study(study_name=self.name, storage=self._store.storage)

    def populate(self, cells: Iterable[Cell]) -> int:
        """Make every cell wait that is not waiting, running or finished; failed cells get another try.

        Args:
            cells: The grid. Cells of earlier grids stay in the study.

        Returns:
            The number of cells made to wait.

        Raises:
            StudyError: The study cannot be written.
        """
        with self.batch():
            there = records.canonical(self._trials.all())
            new = [c for c in dict.fromkeys(cells) if c not in there or records.failed(there[c])]
            self._trials.create(new, beside=there)
            return len(new)

    def claim(self, cells: Iterable[Cell], *, lease_seconds: float = LEASE_SECONDS) -> list[Lease]:
        """Take those of some cells that are waiting; no other process can take them then.

        Args:
            cells: The cells wanted.
            lease_seconds: For how long; renew the leases before that (see `renew`, `keep`), or the cells are
                given to whoever calls `recover` next. A process that dies on this machine is noticed without
                waiting for that.

        Returns:
            The leases of the cells taken, in the order of `cells`.

        Raises:
            StudyError: The study cannot be written.
        """
        with self.batch():
            there = records.canonical(self._trials.all())
            wanted = [(c, there[c]) for c in dict.fromkeys(cells) if c in there]
            free = [(c, t) for c, t in wanted if t.state == TrialState.WAITING]
            tried = [self._trials.take(c, t, seconds=lease_seconds) for c, t in free]
            return [lease for lease in tried if lease is not None]

    def renew(self, leases: Iterable[Lease]) -> list[Lease]:
        """Start the time of some leases anew.

        Returns:
            Those that are no longer held: finished, given back, or lost to another process.

        Raises:
            StudyError: The study cannot be written.
        """
        with self.batch():
            return [lease for lease in leases if not self._trials.renew(lease)]

    @contextmanager
    def keep(self, leases: Sequence[Lease]) -> Iterator[None]:
        """Renew leases in the background while the body of the `with` computes.

        Raises:
            StudyError: A renewal failed; raised at the end of the body, unless that raises itself.
        """
        with renewed(leases, self.renew):
            yield

    def finish(
        self,
        lease: Lease,
        value: float,
        *,
        metrics: Mapping[str, float] | None = None,
        curve: pl.DataFrame | None = None,
    ) -> None:
        """Store the result of a cell. Once this returns, no kill and no loss of power takes it away.

        Args:
            lease: The cell's lease.
            value: The cell's value, the smaller the better. It comes back bit for bit, as do `inf` and `nan`;
                Optuna itself is told `inf` for `nan`, which it does not accept.
            metrics: Further numbers by name.
            curve: The cell's curve, any table.

        Raises:
            LeaseLostError: The cell is no longer this process's; the result is refused.
            StudyError: The study or the curve cannot be written; the cell stays unfinished.
        """
        with self.batch():
            if not self._trials.holds(lease):
                raise lost(lease)
            if curve is not None:
                self._curves.write(lease.trial, curve)
            result = records.encode(value, metrics or {}, curve=curve is not None)
            self._trials.complete(lease, records.objective(float(value)), result)

    def release(self, lease: Lease) -> None:
        """Give a cell back, to be run later; nothing happens if it is no longer held."""
        with self.batch():
            self._trials.give_back(lease)

    def fail(self, lease: Lease, reason: str) -> None:
        """Note that a cell could not be computed; it is tried again once the grid is populated anew.

        Args:
            lease: The cell's lease; nothing happens if it is no longer held.
            reason: Why, for whoever reads the study.
        """
        with self.batch():
            if self._trials.holds(lease):
                self._trials.end(lease.trial_id, reason)

    def recover(self) -> list[Cell]:
        """Make the cells wait again whose process is gone or whose lease has expired.

        Leases of this ledger itself are left alone.

        Returns:
            The cells that were recovered.

        Raises:
            StudyError: The study cannot be written.
        """
        with self.batch():
            trials = self._trials.all()
            there = records.canonical(trials)
            live = Counter(t.user_attrs.get(records.CELL) for t in trials if not records.failed(t))
            recovered = []
            for trial in trials:
                key = trial.user_attrs.get(records.CELL)
                if key is None or trial.state != TrialState.RUNNING or self._trials.is_mine(trial):
                    continue
                reason = lapse(records.leases(trial), now=self._trials.clock())
                if reason is None:
                    continue
                # The new trial comes first: a kill before the old one ends leaves a spare trial, not a gap.
                cell = Cell.from_key(key)
                if live[key] == 1:
                    self._trials.create([cell], beside=there)
                if self._trials.end(trial._trial_id, reason):
                    recovered.append(cell)
            return recovered

    def cells(self) -> tuple[Cell, ...]:
        """Return every cell of the study, finished or not, in the order in which they were populated."""
        with self._reading():
            return tuple(records.canonical(self._trials.all()))

    def finished(self) -> dict[Cell, Result]:
        """Return the results of all finished cells, in the order in which the cells were populated."""
        with self._reading():
            there = records.canonical(self._trials.all())
            return {
                cell: records.decode(trial, curve=self._curves.file(trial.number))
                for cell, trial in there.items()
                if trial.state == TrialState.COMPLETE
            }

    def curve(self, cell: Cell) -> pl.DataFrame:
        """Return the curve of a finished cell.

        Raises:
            StudyError: The cell is not finished, has no curve, or its file is gone or damaged.
        """
        result = self.finished().get(cell)
        if result is None or result.curve is None:
            lacks = "is not finished" if result is None else "was finished without a curve"
            raise StudyError(
                f"There is no curve of cell ({cell}) in study {self.name!r}: it {lacks}. Run the study to "
                "the end, or ask for a cell of `finished()` whose result has one."
            )
        return self._curves.read(result.trial)

    def reasons(self) -> dict[Cell, str]:
        """Return why the failed cells failed."""
        with self._reading():
            there = records.canonical(self._trials.all())
            return {
                cell: str(trial.user_attrs.get(records.REASON, "no reason was stored"))
                for cell, trial in there.items()
                if records.failed(trial)
            }

    def status(self) -> Status:
        """Count the cells of the study by where they are."""
        with self._reading():
            trials = records.canonical(self._trials.all()).values()
        states = Counter("FAIL" if records.failed(trial) else trial.state.name for trial in trials)
        return Status(states["WAITING"], states["RUNNING"], states["COMPLETE"], states["FAIL"])

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make several changes one step: no other process comes in between, and the disk is waited for once.

        Other processes wait meanwhile, so do not compute inside. A process killed inside has made the first
        few of the changes, each of them whole.
        """
        with self._lock, translated(self.where), self._store.exclusive():
            try:
                yield
            finally:
                self._curves.flush()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock, translated(self.where):
            yield


def studies(where: str | Path) -> tuple[str, ...]:
    """Return the names of the studies in a folder or database, in the order in which they were made.

    Raises:
        StudyError: The place cannot be opened, or is damaged.
    """
    store = open_store(where, create=False)
    with translated(store.where):
        return _names(store)


def _names(store: Store) -> tuple[str, ...]:
    return tuple(study.study_name for study in store.storage.get_all_studies())


def _fingerprint(store: Store, study_id: int) -> dict[str, Any] | None:
    return store.storage.get_study_user_attrs(study_id).get(_FINGERPRINT)
