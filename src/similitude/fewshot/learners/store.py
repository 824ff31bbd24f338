"""A store of arrays on disk by the hash of what they were computed from, safe for several processes at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from similitude.core.errors import EvaluationError

WAIT = 120.0
"""Seconds that one process waits while another writes."""


class ArrayStore:
    """Float32 arrays by key in one SQLite file, which is created when first written.

    A connection lives for one call, so that a store can be pickled and used by forked workers. An array of a key never
    changes: what another process has stored meanwhile stays.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the arrays that are stored of these keys.

        Raises:
            EvaluationError: The file is not a store.
        """
        if not self.path.exists():
            return {}
        found = {}
        with self._connection() as connection:
            for key in keys:
                row = connection.execute("SELECT rows, data FROM arrays WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    found[key] = np.frombuffer(row[1], dtype="<f4").reshape(row[0], -1).copy()
        return found

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Store two-dimensional arrays, all or none of them.

        Raises:
            EvaluationError: The file cannot be written or is not a store.
        """
        rows = [(key, len(a), np.ascontiguousarray(a, dtype="<f4").tobytes()) for key, a in arrays.items()]
        with self._connection() as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO arrays VALUES (?, ?, ?)", rows)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=WAIT)) as connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS arrays (key TEXT PRIMARY KEY, rows INTEGER, data BLOB) WITHOUT ROWID"
                )
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise EvaluationError(
                f"{self.path}: cannot be used as a cache of embeddings ({error}). Delete it, or name another folder."
            ) from error
