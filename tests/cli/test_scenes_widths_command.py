"""`similitude scenes widths`: it runs, resumes and refuses."""

import pytest

SMALL = (
    *("scenes", "widths", "--widths", "4,8", "--rules", "mup", "--objects", "mug,banana", "--seeds", "2"),
    *("--images", "12", "--tests", "8", "--shifts", "occlusion", "--batch-size", "4"),
    *("--lr-min", "2^-9", "--lr-max", "2^-5", "--points", "3", "--json"),
    "--steps",
)


def test_it_runs_then_finds_everything_and_refuses_another_study_in_its_folder(cli, tmp_path):
    ran = cli(*SMALL, "3", "--out", tmp_path / "study")
    assert ran.code == 0
    assert ran.json["ran"] == 6
    assert {one["shift"] for one in ran.json["robustness"]} == {"occlusion"}
    assert "Robustness over width" in (tmp_path / "study" / "report.html").read_text()
    again = cli(*SMALL, "3", "--out", tmp_path / "study")
    assert (again.json["ran"], again.json["found"]) == (0, 6)
    assert again.json["robustness"] == ran.json["robustness"]
    other = cli(*SMALL, "4", "--out", tmp_path / "study")
    assert other.code != 0
    assert "steps was 3, is now 4" in other.message


@pytest.mark.slow
def test_seeds_may_grow(cli, tmp_path):
    fewer = [{"2": "1"}.get(one, one) for one in SMALL]
    first = cli(*fewer, "3", "--out", tmp_path / "study")
    assert first.json["ran"] == 3
    ran = cli(*SMALL, "3", "--out", tmp_path / "study")
    assert {row["seed"] for row in ran.json["rows"]} == {0, 1}
    assert ran.json["ran"] + ran.json["found"] == 6


def test_a_shift_that_is_none_is_refused(cli, tmp_path):
    ran = cli("scenes", "widths", "--shifts", "fog", "--out", tmp_path / "study")
    assert ran.code != 0
    assert "there is no shift 'fog'" in ran.message
    assert not (tmp_path / "study").exists()
