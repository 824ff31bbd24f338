"""`similitude fewshot widths`: its JSON, its page, and that the same command goes on from what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from similitude.cli.app import main
from tests.fewshot.clues_writer import clues_rows, write_clues
from tests.fewshot.widths.tiny_study import tiny_text


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def test_a_small_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_clues(tmp_path, clues_rows())
    (tmp_path / "text.txt").write_text(tiny_text().train)
    command = [
        *("fewshot", "widths", "--data", str(data), "--tasks", "conll", "--widths", "16,32"),
        *("--text", str(tmp_path / "text.txt"), "--splits", "1,2", "--shots", "10", "--points", "3"),
        *("--pretraining-steps", "2", "--steps", "1", "--depth", "1", "--length", "24", "--gammas", "1,4"),
        *("--workers", "1", "--out", str(tmp_path / "out"), "--json"),
    ]
    assert run(*command) == 0
    first = json.loads(capsys.readouterr().out)
    assert set(first["tasks"]["conll"]) == {"mup", "sp"}
    assert first["found"] == 0
    assert {q["width"] for q in first["qualities"]} == {16, 32}
    assert "Few-shot quality over width" in Path(first["report"]).read_text()
    assert run(*command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["ran"] == 0
    assert again["qualities"] == first["qualities"]
    assert run("suite", "report", str(tmp_path / "out"), "--report", str(tmp_path / "suite.html")) == 0


def test_wrong_use_is_told_before_anything_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["fewshot", "widths", "--data", str(tmp_path), "--out", str(out), "--widths"]
    assert run(*command, "64") == 2
    assert "at least two widths" in capsys.readouterr().err
    assert run(*command, "64,128") == 2
    assert not out.exists()
