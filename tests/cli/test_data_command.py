"""`similitude data`: CLUES is listed, and put in place from a zip."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fewshot.clues_writer import clues_rows, zip_clues


def test_clues_is_listed_and_found_in_the_data_folder(cli, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SIMILITUDE_DATA", str(tmp_path))
    listed = {one["name"]: one for one in json.loads(cli("data", "list", "--json").out)["data"]}
    assert (listed["clues"]["kind"], listed["clues"]["found"]) == ("few-shot", False)
    assert listed["clues"]["get"].startswith(
        "similitude data get clues --to $SIMILITUDE_DATA --from https://"
    )
    path = zip_clues(tmp_path / "any.zip", clues_rows())
    ran = cli("data", "get", "clues", "--from", str(path), "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["path"] == str(tmp_path / "CLUES-JSON")
    assert len(found["files"]) == 96
    assert found["published"] is False
    listed = {one["name"]: one for one in json.loads(cli("data", "list", "--json").out)["data"]}
    assert listed["clues"]["where"] == str(tmp_path / "CLUES-JSON")


def test_it_says_what_was_written_and_what_is_wrong(cli, tmp_path: Path):
    path = zip_clues(tmp_path / "any.zip", clues_rows())
    ran = cli("data", "get", "clues", "--from", str(path), "--to", str(tmp_path))
    assert ran.code == 0
    assert "96 files in" in ran.out
    assert "96 of 96 files differ from the published ones" in ran.out
    assert "MIT (Microsoft)" in ran.out
    path.write_bytes(path.read_bytes()[:1000])
    ran = cli("data", "get", "clues", "--from", str(path), "--to", str(tmp_path / "other"))
    assert ran.code == 2
    assert "damaged" in ran.err
