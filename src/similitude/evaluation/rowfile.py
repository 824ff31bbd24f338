"""Rows in a file, one JSON object a line, appended as they are measured: what a killed process had finished is kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from similitude.core.errors import EvaluationError
from similitude.evaluation.rows import Row
from similitude.runs.faults import storage_fault
from similitude.runs.lock import FileLock

ROWS = "rows.jsonl"
"""Name of the file of rows in a folder of results."""


class RowFile:
    """A file of rows, or a folder that holds one; several processes may append at once.

    Args:
        path: The file, or a folder, in which it is `rows.jsonl`; made when the first row is added.

    Example:
        >>> import tempfile
        >>> file = RowFile(tempfile.mkdtemp())
        >>> file.add(Row("fewshot", "mnli", "constant", 33.3))
        >>> [row.score for row in file.read()]
        [33.3]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        given = Path(path)
        self.path = given if given.suffix == ".jsonl" else given / ROWS

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns.

        What a killed process left of a line is cut off first.

        Raises:
            StudyError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (
                FileLock(self.path.with_name(f".{self.path.name}.lock")).held(),
                open(self.path, "a+b") as file,
            ):
                file.truncate(_end_of_lines(file.seek(0, os.SEEK_END), self.path))
                file.write(json.dumps(row.to_dict(), allow_nan=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_fault(self.path, error) from error

    def read(self) -> list[Row]:
        """Return the rows, of rows with one key the last, in the order of the file; none where there is no file.

        Raises:
            EvaluationError: A line is something else; its number is named.
            StudyError: The file cannot be read.
        """
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise storage_fault(self.path, error) from error
        found: dict[str, Row] = {}
        for place, line in enumerate(
            lines[:-1], start=1
        ):  # behind the last end of line stands nothing, or a torn line
            try:
                data = json.loads(line)
                row = Row.from_dict(data if isinstance(data, dict) else {})
            except (ValueError, EvaluationError) as error:
                raise EvaluationError(
                    f"line {place} of {self.path}: {error} The file was left as it is; remove that line, or name a file "
                    "that `similitude suite run --out` wrote."
                ) from error
            found[row.key] = row
        return list(found.values())


def read_rows(paths: Iterable[str | os.PathLike[str]]) -> list[Row]:
    """Return the rows of several files or folders; of a folder, those of all files below it.

    Raises:
        EvaluationError: There are none, or a file holds something else.
    """
    found: dict[str, Row] = {}
    for path in map(Path, paths):
        files = sorted(path.rglob(ROWS)) if path.is_dir() else [path]
        if not files or not all(file.is_file() for file in files):
            raise EvaluationError(
                f"there are no results in {path}. Name a folder or a {ROWS} that `similitude suite run --out` wrote."
            )
        for file in files:
            found.update({row.key: row for row in RowFile(file).read()})
    if not found:
        raise EvaluationError("there are no rows of results. Run a suite first: `similitude suite list`.")
    return list(found.values())


def _end_of_lines(size: int, path: Path) -> int:
    """Return where the last whole line of a file ends."""
    with open(path, "rb") as file:
        end = size
        while end:
            start = max(0, end - 65_536)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                return start + place + 1
            end = start
    return 0
