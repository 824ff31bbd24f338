"""The curve of a run from a file: JSON lines, a table, or Parquet as studies keep it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from similitude.core.errors import DataError

_LOSSES = ("loss", "train_loss", "train/loss")
_TIMES = ("time", "step", "steps", "epoch")
_READERS = {
    ".jsonl": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".ndjson": lambda path: pl.read_ndjson(path, infer_schema_length=None),
    ".csv": lambda path: pl.read_csv(path, infer_schema_length=None),
    ".parquet": pl.read_parquet,
}


@dataclass(frozen=True, eq=False)
class RunLog:
    """A run as a file had it.

    Attributes:
        losses: Loss of every row that has one, shape (T,).
        times: Time or step of each, shape (T,).
        columns: The other columns that are numbers throughout, by name, shape (T,) each.
        loss: Name of the column of the loss.
        clock: Name of the column of the time; "row" where there is none.
        notes: What was left out.
    """

    losses: np.ndarray
    times: np.ndarray
    columns: dict[str, np.ndarray]
    loss: str
    clock: str
    notes: tuple[str, ...]


def read_run(
    path: Path, *, loss: str | None = None, time: str | None = None, columns: Sequence[str] | None = None
) -> RunLog:
    """Read the curve of a run.

    Args:
        path: A file that ends in .jsonl, .ndjson, .csv or .parquet.
        loss: Column of the loss; one of the usual names by default.
        time: Column of the time, likewise; the number of the row where there is none.
        columns: Columns that are kept beside; by default all that are numbers throughout.

    Raises:
        DataError: The file is not there, is of another kind or damaged, or lacks a column.
    """
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise DataError(f"{path}: a run is a file that ends in {', '.join(_READERS)}.")
    try:
        table = reader(path)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there. Name the file of a run.") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error
    numeric = [name for name, kind in table.schema.items() if kind.is_numeric()]
    chosen = _column(path, numeric, loss, _LOSSES, "--loss")
    if chosen is None:
        raise DataError(
            f"{path} has no column {' or '.join(_LOSSES)}, but {', '.join(numeric) or 'no numbers'}. Give --loss."
        )
    clock = _column(path, numeric, time, _TIMES, "--time")
    missing = [name for name in columns or () if name not in numeric]
    if missing:
        raise DataError(f"--columns {missing[0]}: {path} has the columns {', '.join(numeric)}.")
    kept = table.filter(pl.col(chosen).is_not_null())
    notes = [f"{len(table) - len(kept)} rows without {chosen} are left out"] if len(kept) < len(table) else []
    others = numeric if columns is None else list(columns)
    taken = {
        name: kept[name].to_numpy().astype(float)
        for name in others
        if name not in (chosen, clock) and kept[name].is_not_null().all()
    }
    taken = {name: column for name, column in taken.items() if np.isfinite(column).all()}
    left = [name for name in others if name not in (chosen, clock, *taken)]
    if left:
        notes.append(f"columns with gaps are left out: {', '.join(left)}")
    return RunLog(
        kept[chosen].to_numpy().astype(float),
        np.arange(len(kept), dtype=float) if clock is None else kept[clock].to_numpy().astype(float),
        taken,
        chosen,
        clock or "row",
        tuple(notes),
    )


def _column(
    path: Path, numeric: Sequence[str], name: str | None, usual: Sequence[str], option: str
) -> str | None:
    if name is not None and name not in numeric:
        raise DataError(
            f"{option} {name}: {path} has the columns {', '.join(numeric) or 'none that are numbers'}."
        )
    return name or next((n for n in usual if n in numeric), None)
