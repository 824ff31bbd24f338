"""`similitude worlds pin|check`: what is written, exit codes, wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from similitude.worlds import make_world


def test_all_fixed_worlds_are_pinned(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("similitude.worlds.protocol.pins.digest_of", lambda name: f"{name.seed % 2**32:016x}")
    file = tmp_path / "pins.json"
    ran = cli("worlds", "pin", "--out", str(file), "--json")
    assert (ran.code, ran.json["worlds"]) == (0, 3060)
    found = json.loads(file.read_text())
    assert (found["evaluation"], set(found["digests"])) == (
        "isle-eval-v1",
        {"train", "validation", "test", "sample"},
    )
    assert found["digests"]["train"]["move"][7] == f"{7:016x}"


def test_a_check_says_which_worlds_differ(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [make_world("eat", level, 0).digest[:16] for level in (0.0, 0.5, 1.0)]
    monkeypatch.setattr("similitude.worlds.protocol.pins.pinned", lambda: {"sample": {"eat": digests}})
    ran = cli("worlds", "check", "--tasks", "eat", "--json")
    assert (ran.code, ran.json) == (0, {"split": "sample", "worlds": 3, "differ": []})
    digests[2] = "f" * 16
    ran = cli("worlds", "check", "--tasks", "eat")
    assert ran.code == 1
    assert "2 of 3 worlds" in ran.out
    assert "f" * 16 in ran.out
    assert cli("worlds", "check", "--split", "final").code == 2
    assert cli("worlds", "check", "--tasks", "ete").code == 2
