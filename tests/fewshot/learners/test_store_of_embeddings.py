"""The store of arrays: round trips, several processes at once, files that are no store."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from similitude.core.errors import EvaluationError
from similitude.fewshot.learners.store import ArrayStore


def test_what_is_written_is_read(tmp_path):
    store = ArrayStore(tmp_path / "new" / "arrays.sqlite")
    arrays = {
        "a": np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
        "b": np.ones((1, 2), np.float32),
    }
    assert store.read(["a"]) == {}
    store.write(arrays)
    found = store.read(["b", "a", "c"])
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[key], arrays[key]) for key in arrays)


def test_an_array_stays_as_first_written(tmp_path):
    store = ArrayStore(tmp_path / "arrays.sqlite")
    store.write({"a": np.zeros((1, 1))})
    store.write({"a": np.ones((1, 1)), "b": np.ones((1, 1))})
    assert {key: a.item() for key, a in store.read(["a", "b"]).items()} == {"a": 0.0, "b": 1.0}


def write_many(path: Path, worker: int) -> None:
    store = ArrayStore(path)
    for k in range(20):
        store.write({f"{k}": np.full((2, 3), k), f"{worker}-{k}": np.full((1, 1), worker)})


def test_several_processes_write_at_once(tmp_path):
    path = tmp_path / "arrays.sqlite"
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        for future in [pool.submit(write_many, path, worker) for worker in range(3)]:
            future.result()
    keys = [str(k) for k in range(20)] + [f"{w}-{k}" for w in range(3) for k in range(20)]
    found = ArrayStore(path).read(keys)
    assert len(found) == 80
    assert all((found[str(k)] == k).all() for k in range(20))


def test_a_file_that_is_no_store_is_refused(tmp_path):
    path = tmp_path / "arrays.sqlite"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(EvaluationError, match=r"arrays\.sqlite: cannot be used as a cache.*Delete it"):
        ArrayStore(path).read(["a"])
