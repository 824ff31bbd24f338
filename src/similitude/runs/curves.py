"""Curves of runs as Parquet files, by trial number: whole or not there at all, whatever kills the writer."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import polars as pl

from similitude.core.errors import StudyError
from similitude.runs.faults import put_on_disk, storage_fault


class CurveFolder:
    """The curves of one study.

    Args:
        parent: Folder of the curves of all studies; it is made when the first curve is written.
        study: Name of the study.
    """

    def __init__(self, parent: Path, study: str) -> None:
        name = quote(study, safe=" ")
        self.path = parent / (name.replace(".", "%2E", 1) if name.startswith(".") else name)
        self._unflushed = False

    def file(self, trial: int) -> Path:
        """Return where the curve of a trial is kept."""
        return self.path / f"{trial}.parquet"

    def write(self, trial: int, curve: pl.DataFrame) -> Path:
        """Store a curve, its columns as they are, and return its file.

        Raises:
            StudyError: The file cannot be written; there is then none for this trial, or the one from before.
        """
        file = self.file(trial)
        parquet = io.BytesIO()
        curve.write_parquet(parquet)
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                with open(part, "wb") as stream:
                    stream.write(parquet.getvalue())
                    stream.flush()
                    os.fsync(stream.fileno())
                os.replace(part, file)
            except BaseException:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise storage_fault(file, error) from error
        self._unflushed = True
        return file

    def flush(self) -> None:
        """Put the names of the curves written so far on the disk, to survive a loss of power."""
        if not self._unflushed or os.name == "nt":
            return
        self._unflushed = False
        put_on_disk(self.path, os.O_RDONLY)

    def read(self, trial: int) -> pl.DataFrame:
        """Read a curve.

        Raises:
            StudyError: The file is not there, or is damaged.
        """
        file = self.file(trial)
        try:
            return pl.read_parquet(file)
        except FileNotFoundError as error:
            raise StudyError(
                f"The curve {file} is not there, though trial {trial} finished with one. Copy the folder of "
                "curves from the machine that ran the study, or name it: curves=..."
            ) from error
        except OSError as error:
            raise storage_fault(file, error) from error
        except pl.exceptions.PolarsError as error:
            raise StudyError(
                f"The curve {file} is damaged: {error}. Restore a copy of it; the trial's result is not "
                "affected."
            ) from error
