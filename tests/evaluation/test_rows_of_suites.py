"""Rows of results: their form, and files of them that survive kills, several writers and damage."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from similitude.core.errors import EvaluationError
from similitude.evaluation.rowfile import RowFile, read_rows
from similitude.evaluation.rows import Row


def row(split: int = 1, **changes: object) -> Row:
    values = {
        "suite": "fewshot",
        "task": "mnli",
        "subject": "probe",
        "score": 40.0,
        "params": {"split": split},
    }
    return Row(**{**values, **changes})  # type: ignore[arg-type]


def _add(path: str, first: int, count: int) -> None:
    file = RowFile(path)
    for split in range(first, first + count):
        file.add(row(split))


def test_a_row_survives_json_with_scores_that_json_lacks() -> None:
    failed = row(score=math.nan, error="the learner raised", metrics={"strict": math.inf})
    back = Row.from_dict(json.loads(json.dumps(failed.to_dict(), allow_nan=False)))
    assert back.failed
    assert back.error == "the learner raised"
    assert math.isnan(back.metrics["strict"])


def test_the_key_tells_who_answered_and_the_item_does_not() -> None:
    assert row(1).item == row(1, subject="constant", seed=3, width=64).item
    keys = {
        r.key
        for r in (row(1), row(2), row(1, seed=1), row(1, width=64), row(1, rule="mup"), row(1, subject="x"))
    }
    assert len(keys) == 6


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"suite": "fewshot"}, "lacks task, subject, score"),
        ({**row().to_dict(), "shots": 3}, "has shots too"),
        ({**row().to_dict(), "score": "high"}, "could not convert"),
        ({**row().to_dict(), "metrics": [1]}, "no attribute 'items'"),
    ],
)
def test_what_is_no_row_is_refused(data: dict[str, object], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        Row.from_dict(data)


def test_of_rows_with_one_key_the_last_counts(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "run")
    for score in (1.0, 2.0):
        file.add(row(score=score))
    assert [r.score for r in file.read()] == [2.0]
    assert file.path == tmp_path / "run" / "rows.jsonl"


def test_rows_of_several_processes_are_all_there(tmp_path: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        list(pool.map(_add, [str(tmp_path)] * 3, (0, 100, 200), (20, 20, 20)))
    assert len(RowFile(tmp_path).read()) == 60


def test_a_killed_writer_loses_at_most_the_row_it_was_writing(tmp_path: Path) -> None:
    code = (
        "import sys; from similitude.evaluation.rowfile import RowFile; from similitude.evaluation.rows import Row\n"
        "file = RowFile(sys.argv[1])\n"
        "for split in range(100_000): file.add(Row('s', 't', 'x', 1.0, {'split': split})); print(split, flush=True)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [int(writer.stdout.readline()) for _ in range(25)]
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    splits = [r.params["split"] for r in RowFile(tmp_path).read()]
    assert splits[: len(told)] == told


def test_a_torn_line_is_cut_off_by_the_next_row(tmp_path: Path) -> None:
    file = RowFile(tmp_path)
    file.add(row(1))
    with open(file.path, "ab") as torn:
        torn.write(b'{"suite": "fewsh')
    assert [r.params["split"] for r in file.read()] == [1]
    file.add(row(2))
    assert [r.params["split"] for r in file.read()] == [1, 2]


def test_a_damaged_line_is_named_and_left(tmp_path: Path) -> None:
    file = RowFile(tmp_path)
    file.add(row(1))
    with open(file.path, "ab") as damage:
        damage.write(b"hello\n")
    before = file.path.read_bytes()
    with pytest.raises(EvaluationError, match=r"line 2 of .*rows\.jsonl"):
        file.read()
    assert file.path.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"params": None}, "'params' is None, but dict is expected"),
        ({"params": "ab"}, "'params' is 'ab'"),
        ({"params": {"shots": [1]}}, r"the parameter 'shots' is \[1\]"),
        ({"task": 3}, "'task' is 3, but str is expected"),
        ({"subject": ["x"]}, "'subject' is"),
        ({"seconds": "3"}, "'seconds' is '3', but int or float is expected"),
        ({"seed": True}, "'seed' is True, but int or null is expected"),
        ({"width": "w"}, "'width' is 'w'"),
        ({"success": "True"}, "'success' is 'True'"),
        ({"score": "high"}, "could not convert"),
    ],
)
def test_rows_of_wrong_types_are_named(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps({**row(1).to_dict(), **changes}) + "\n")
    with pytest.raises(EvaluationError, match=f"line 1 of .*this is no row of results: .*{said}"):
        read_rows([tmp_path])


def test_results_are_read_from_folders_below(tmp_path: Path) -> None:
    RowFile(tmp_path / "a").add(row(1))
    RowFile(tmp_path / "b" / "c").add(row(2))
    assert {r.params["split"] for r in read_rows([tmp_path])} == {1, 2}
    with pytest.raises(EvaluationError, match="no results in"):
        read_rows([tmp_path / "nowhere"])
    with pytest.raises(EvaluationError, match="no rows"):
        read_rows([])


def test_adding_takes_milliseconds_in_a_long_file(tmp_path: Path) -> None:
    file = RowFile(tmp_path)
    file.path.write_bytes(b"".join(json.dumps(row(i).to_dict()).encode() + b"\n" for i in range(50_000)))
    started = time.process_time()
    file.add(row(60_000))
    assert time.process_time() - started < 0.5  # reading the file again would take several seconds
