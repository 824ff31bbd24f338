"""Claims of paper 18: what they need, and scores whose change turns them red."""

from __future__ import annotations

from pathlib import Path

import pytest

from similitude.claims import paper18
from similitude.claims.needs import CLUES_VARIABLE, NEEDS, check_needs, unmet
from similitude.claims.registry import registered
from similitude.cli.app import main
from similitude.core.errors import DataError
from similitude.core.verdict import Outcome
from similitude.evaluation.aggregate import Estimate
from similitude.fewshot.publications import HUMAN, published
from similitude.fewshot.summary import Cell, Measure
from similitude.fewshot.tasks import SHOTS, TASKS

REAL = Path(__file__).parents[3] / "shared" / "data" / "CLUES-JSON.zip"
PEOPLE = {row.params["shots"]: row.scores for row in published() if row.name == HUMAN}


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code


def cell(task: str, shots: int, mean: float, deviation: float = 4.0) -> Cell:
    estimate = Estimate(mean, mean - 5.0, mean + 5.0, 5, "t")
    measure = Measure(mean, deviation, estimate, estimate)
    return Cell(task, shots, (1, 2, 3, 4, 5), measure, measure)


def found(monkeypatch, mean, deviation=lambda task, shots: 4.0) -> None:
    cells = {(t, s): cell(t, s, mean(t, s), deviation(t, s)) for t in TASKS for s in SHOTS}
    for name in ("_clues", "_probe", "run_fewshot"):
        monkeypatch.setattr(paper18, name, lambda *args, **options: None)
    monkeypatch.setattr(paper18, "_cells", lambda run: cells)


def test_without_the_files_a_claim_says_how_to_get_them(monkeypatch, capsys):
    monkeypatch.delenv(CLUES_VARIABLE, raising=False)
    with pytest.raises(DataError, match="similitude data get clues"):
        paper18.constant()
    assert "SIMILITUDE_CLUES=PATH" in unmet(("clues",))
    assert exit_code("claims", "run", "18.constant") == 3
    assert "similitude data get clues" in " ".join(capsys.readouterr().out.split())
    assert all(name in NEEDS for entry in registered().values() for name in entry.needs)


def test_all_leaves_out_what_cannot_be_measured(monkeypatch, capsys):
    monkeypatch.delenv(CLUES_VARIABLE, raising=False)
    constant = registered()["18.constant"]
    monkeypatch.setattr("similitude.claims.registry._ENTRIES", {"18.constant": constant})
    assert exit_code("claims", "run", "--all", "--json") == 0
    out, err = capsys.readouterr()
    assert out.strip() == "[]"
    assert "18.constant is left out" in " ".join(err.split())


def test_files_that_are_there_are_found(monkeypatch, tmp_path):
    monkeypatch.setenv(CLUES_VARIABLE, str(tmp_path))
    assert unmet(("clues",)) == ""
    check_needs(("clues",))
    monkeypatch.setenv(CLUES_VARIABLE, str(tmp_path / "none"))
    assert unmet(("clues",))


@pytest.mark.parametrize(("off", "outcome"), [(0.0, Outcome.OK), (0.2, Outcome.INCONSISTENT)])
def test_a_constant_with_another_score_turns_the_claim_red(monkeypatch, off, outcome):
    found(monkeypatch, lambda task, shots: {"conll": 51.3, "wikiann": 62.8 + off}.get(task, 0.0))
    measured = paper18.constant()
    assert measured.verdict.outcome is outcome
    assert measured.value == pytest.approx(off)


@pytest.mark.parametrize(("behind", "outcome"), [(16.0, Outcome.OK), (14.0, Outcome.INCONSISTENT)])
def test_a_gap_within_the_interval_turns_the_claim_red(monkeypatch, behind, outcome):
    found(monkeypatch, lambda task, shots: PEOPLE[shots][task] - behind)  # half an interval is 5
    for full in (False, True):
        measured = paper18.gap(full=full)
        assert measured.verdict.outcome is outcome
        assert measured.value == pytest.approx(behind)


def test_splits_that_agree_or_shots_that_do_not_help_turn_the_claim_red(monkeypatch):
    found(monkeypatch, lambda task, shots: 50.0 + shots)
    assert paper18.splits().verdict.ok
    found(monkeypatch, lambda task, shots: 50.0 + shots, lambda task, shots: 2.9)
    assert not paper18.splits().verdict.ok
    found(monkeypatch, lambda task, shots: 50.0 - shots if task == "mnli" else 50.0 + shots)
    assert not paper18.splits().verdict.ok


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="needs the published CLUES files")
def test_the_constant_of_the_real_files(monkeypatch):
    monkeypatch.setenv(CLUES_VARIABLE, str(REAL))
    measured = paper18.constant()
    assert measured.verdict.ok
    assert measured.value < 0.05
    assert measured.figures
