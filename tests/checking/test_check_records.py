"""Checks as data and as text."""

import json
import math

import pytest
from rich.console import Console

from similitude.checking.records import Check, CheckRow
from similitude.core.errors import PlanError
from similitude.core.verdict import Evidence, Outcome, Verdict
from similitude.report.check_table import check_table


def _row(name: str, slope: float, *, note: str = "", ok: bool = True, low: float | None = None) -> CheckRow:
    start = slope - 0.1 if low is None else low
    return CheckRow(
        name, "update", slope, start, slope + 0.1, 0.0, ok, note, "hidden", "contract", (1.0, 2.0, 4.0)
    )


def _check() -> Check:
    rows = (
        _row("a.weight", 0.02),
        _row("b.weight", 0.9, ok=False),
        _row("c.weight", 0.4, note="a bottleneck"),
    )
    verdict = Verdict(
        Outcome.GROWS, "'b.weight' does not scale", (Evidence("x", 0.9, (0.8, 1.0), "0"),), ("b",), "mend"
    )
    return Check(
        "mup",
        "AdamW",
        (64, 128, 256),
        (0, 1, 2),
        6,
        0.002,
        {"width": 64},
        rows,
        verdict,
        ((2.0, 1.0),) * 3,
        ("note",),
    )


def test_checks_round_trip_through_json(tmp_path):
    found = _check()
    assert Check.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert Check.load(found.save(tmp_path / "check.json")) == found


def test_intervals_without_end_survive():
    row = _row("a", 0.1, low=-math.inf)
    found = Check("mup", "SGD", (1, 2, 4), (0,), 1, 0.1, {"width": 1}, (row,), Verdict(Outcome.OK, ""))
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert Check.from_dict(json.loads(text)).rows[0].low == -math.inf


def test_what_is_no_check_is_told(tmp_path):
    with pytest.raises(PlanError, match="this is not a check: KeyError"):
        Check.from_dict({"rule": "mup"})
    with pytest.raises(PlanError, match="cannot be read as a check"):
        Check.load(tmp_path / "missing.json")
    with pytest.raises(PlanError, match="cannot be written"):
        _check().save(tmp_path / "no" / "folder.json")


def test_rows_know_how_far_they_are_off():
    good, bad, noted = _check().rows
    assert good.good
    assert not bad.good
    assert bad.off == 0.9
    assert _check().offenders == (bad,)
    assert noted.ok
    assert not _row("a", 0.0, low=-0.9).decided
    assert _row("a", 0.9).decided


def test_the_text_has_the_verdict_first_then_what_is_off():
    text = str(_check()).splitlines()
    assert text[1] == "grows: 'b.weight' does not scale"
    assert any("off: b.weight, update: +0.90 [+0.80, +1.00], expected 0" in line for line in text)
    assert any("explained: c.weight" in line and "a bottleneck" in line for line in text)
    assert any("update: 1 of 3 within 0.15, worst b.weight +0.90" in line for line in text)


@pytest.mark.parametrize("render", [check_table, lambda check: check])
def test_tables_are_whole_at_80_columns(render):
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(_check()))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("b.weight", "grows", "mend", "+0.90", "note", "a bottleneck", "1 of 3"):
        assert word in text
    assert "…" not in text
