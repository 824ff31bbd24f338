"""Where a study is kept: a journal file in a folder, or a database by its Optuna storage URL."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.study import StudyDirection

from similitude.core.errors import SimilitudeError, StudyError
from similitude.runs.faults import storage_fault
from similitude.runs.journal import JournalFile, corrupt
from similitude.runs.lock import FileLock

JOURNAL = "study.journal"
_URL_CURVES = Path("similitude-runs") / "curves"


@dataclass(frozen=True)
class Store:
    """An open place of studies.

    Attributes:
        storage: Optuna's storage.
        curves: Folder of the curves of all its studies.
        where: What to call it in messages; passwords are masked.
        exclusive: Context in which no other process changes the studies, as far as the place allows.
    """

    storage: BaseStorage
    curves: Path
    where: str
    exclusive: Callable[[], AbstractContextManager[None]]

    def study_id(self, name: str) -> int | None:
        """Return the identifier of a study, or None if there is none of this name."""
        try:
            return self.storage.get_study_id_from_name(name)
        except KeyError:
            return None

    def create_study(self, name: str, *, direction: StudyDirection = StudyDirection.MINIMIZE) -> int:
        """Return the identifier of a study of one value; it is made, with this direction, if it is not there."""
        known = self.study_id(name)
        if known is not None:
            return known
        try:
            with without_optuna_notices():
                return self.storage.create_new_study([direction], name)
        except optuna.exceptions.DuplicatedStudyError:  # another process was faster
            return self.storage.get_study_id_from_name(name)


def open_store(where: str | Path, *, curves: Path | None = None, create: bool = True) -> Store:
    """Open a place of studies.

    Args:
        where: A folder (made if it is not there), or an Optuna storage URL such as `sqlite:///study.db`.
        curves: Folder of the curves; by default `curves` in the folder, or `similitude-runs/curves` for a
            URL.
        create: False to make nothing that is not there.

    Raises:
        StudyError: The place cannot be opened, or what is there is damaged.
    """
    if "://" in str(where):
        return _open_url(str(where), curves or _URL_CURVES, create=create)
    folder = Path(where)
    path = folder / JOURNAL
    if create:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_fault(folder, error) from error
    journal = JournalFile(path)
    try:
        storage = JournalStorage(journal)
    except SimilitudeError:
        raise
    except Exception as error:  # Optuna replays the records unchecked: a damaged one can raise anything
        raise corrupt(path, journal.line, f"the record cannot be applied ({error!r})") from error
    return Store(storage, curves or folder / "curves", str(path), journal.batch)


def _open_url(url: str, curves: Path, *, create: bool) -> Store:
    # Databases are optional here: whoever keeps a journal file need not load SQLAlchemy.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StudyError(
            f"{url.partition('://')[0]}://... is no storage URL. Give a folder, or a URL as in "
            "sqlite:///study.db or postgresql://user@host/database."
        ) from error
    where = parsed.render_as_string(hide_password=True)
    # SQLite ignores SELECT ... FOR UPDATE, so two processes could take the same cell: a lock file settles it.
    # It is not on the database itself, because closing any handle of that file would drop SQLite's own locks.
    file = parsed.database if parsed.get_backend_name() == "sqlite" else None
    if file and not create and not Path(file).exists():
        raise StudyError(f"There is no database {file}. Give the URL with which the study was run.")
    lock = FileLock(Path(file + ".lock")) if file and file != ":memory:" else None
    with translated(where):
        try:
            storage = optuna.storages.get_storage(url)
        except ImportError as error:
            raise StudyError(
                f"{where} needs a database driver that is not installed: {error}. Install it "
                "(psycopg2-binary for PostgreSQL, PyMySQL for MySQL), or give a folder instead of a URL."
            ) from error
    return Store(storage, curves, where, lock.held if lock else nullcontext)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn errors of a database into `StudyError`."""
    try:
        yield
    except SimilitudeError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("sqlalchemy.", "optuna.")):
            raise
        reason = " ".join(str(error.__cause__ or error).split("\n")[0].split())
        raise StudyError(
            f"The storage {where} failed: {reason}. Finished cells are kept there. Check that the database "
            "can be reached and written, then run the same command again."
        ) from error


@contextmanager
def without_optuna_notices() -> Iterator[None]:
    """Drop the line that Optuna logs about a new study, of this thread alone."""
    thread = threading.get_ident()
    loggers = [
        logging.getLogger(f"optuna.storages.{module}")
        for module in ("journal._storage", "_rdb.storage", "_in_memory")
    ]

    def passes(record: logging.LogRecord) -> bool:
        return record.thread != thread or record.levelno > logging.INFO

    for logger in loggers:
        logger.addFilter(passes)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(passes)
