"""The leaderboard: order, constants always there, incomplete and contradicting results, published rows marked."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from similitude.core.errors import EvaluationError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.fewshot.guard import guarded, guarded_answers
from similitude.fewshot.leaderboard import constant_anchor, leaderboard
from similitude.fewshot.learners.constant import Constant
from similitude.fewshot.metric import score
from similitude.fewshot.reading import read_clues
from similitude.fewshot.summary import Metric, summarise
from similitude.fewshot.tasks import SHOTS, SPLITS, TASKS

REAL = Path(__file__).parents[3] / "shared" / "data" / "CLUES-JSON.zip"


def report(path: Path, learner: str, value: float, *, tasks=TASKS, splits=SPLITS, shots: int = 30) -> Path:
    rows = [
        {"task": task, "shots": shots, "split": split, "strict": value / 2, "fair": value + split}
        for task in tasks
        for split in splits
    ]
    path.write_text(json.dumps({"learner": learner, "rows": rows, "aggregate": {}}))
    return path


def test_the_best_mean_comes_first_and_the_constant_and_published_rows_are_there(tmp_path: Path):
    report(tmp_path / "a.json", "good", 60)
    report(tmp_path / "b.json", "bad", 30)
    board = leaderboard([tmp_path])
    names = [one.name for one in board.standings if one.overall]
    assert names[:3] == ["Human", "good", "constant"]
    assert names.index("bad") == len(names) - 1
    means = [one.overall.mean for one in board.standings if one.overall]
    assert means == sorted(means, reverse=True)
    kinds = {one.name: one.kind for one in board.standings}
    assert (kinds["good"], kinds["constant"], kinds["Human"]) == ("measured", "constant", "human")
    assert kinds["T5-Large FT"] == kinds["LiST"] == "published"
    good = next(one for one in board.standings if one.name == "good")
    assert (good.means["mnli"], good.deviations["mnli"]) == pytest.approx((63, 2**0.5))
    rest = [one.overall for one in board.standings[len(names) :]]
    assert rest == [None] * 6
    strict = leaderboard([tmp_path], metric="strict")
    assert next(one for one in strict.standings if one.name == "good").means["mnli"] == 30


def constants(path: Path) -> set[tuple[str, float | None]]:
    found = [one for one in leaderboard([path]).standings if one.name == "constant"]
    return {(one.kind, one.means.get("conll")) for one in found}


@pytest.mark.parametrize(("tasks", "value"), [(tuple(TASKS), 43), (("mnli",), None)])
def test_nothing_that_calls_itself_constant_hides_the_known_one(tmp_path: Path, tasks, value):
    report(tmp_path / "c.json", "constant", 40, tasks=tasks)
    assert constants(tmp_path) == {("measured", value), ("constant", 51.33)}


def test_a_measured_constant_that_is_the_known_one_takes_its_place(tmp_path: Path):
    rows = [
        {"task": task, "shots": 30, "split": split, "fair": value}
        for task, value in constant_anchor(30).scores.items()
        for split in SPLITS
    ]
    (tmp_path / "c.json").write_text(json.dumps({"learner": "constant", "rows": rows}))
    ((kind, value),) = constants(tmp_path)
    assert (kind, value) == ("measured", pytest.approx(51.33))


def test_results_on_different_data_do_not_rank(tmp_path: Path):
    for name, data in (("a", "9691"), ("b", "1234")):
        path = report(tmp_path / f"{name}.json", name, 50)
        path.write_text(json.dumps({**json.loads(path.read_text()), "data": data}))
    with pytest.raises(EvaluationError, match=r"different data \(9691 in .*a\.json, 1234 in .*b\.json\)"):
        leaderboard([tmp_path])


def test_by_task_and_by_shots(tmp_path: Path):
    path = report(tmp_path / "a.json", "mine", 95, tasks=["record"])
    by_task = leaderboard([path], task="record").standings
    assert [one.name for one in by_task[:2]] == ["mine", "Human"]
    assert leaderboard([path]).standings[0].name == "Human"
    ten = leaderboard([report(tmp_path / "b.json", "mine", 95, shots=10)], shots=10)
    assert [one.name for one in ten.standings[:2]] == ["mine", "Human"]
    assert next(one for one in ten.standings if one.name == "Human").means["record"] == 94.1
    with pytest.raises(EvaluationError, match="'glue' is not a task"):
        leaderboard([path], task="glue")
    with pytest.raises(EvaluationError, match="10, 20, 30 shots, not 15"):
        leaderboard([path], shots=15)


def test_a_task_without_all_splits_does_not_count_and_is_said(tmp_path: Path):
    report(tmp_path / "a.json", "short", 60, splits=[1, 2, 4])
    (short,) = [one for one in leaderboard([tmp_path]).standings if one.name == "short"]
    assert (short.means, short.overall) == ({}, None)
    assert "conll has 3 of 5 splits" in short.note


def test_rows_of_stored_runs_are_read_too(tmp_path: Path):
    file = RowFile(tmp_path / "run")
    for split in SPLITS:
        params = {"shots": 30, "split": split}
        file.add(
            Row("fewshot", "mnli", "stored", 50.0 + split, params, {"fair": 50.0 + split, "strict": 1.0})
        )
    file.add(Row("fewshot", "mnli", "failed", float("nan"), {"shots": 30, "split": 1}, error="out of memory"))
    names = {one.name: one for one in leaderboard([tmp_path]).standings}
    assert names["stored"].means == {"mnli": 53.0}
    assert "failed" not in names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no report of a run .JSONDecodeError"),
        ("[]", "is no report of a run .TypeError"),
        ('{"rows": []}', "is no report of a run .KeyError: 'learner'"),
        ('{"learner": 3, "rows": []}', "'learner' has to be a text"),
        ('{"learner": "a", "rows": [{"task": "mnli"}]}', "row 1 is no row of a run .KeyError: 'shots'"),
        (
            '{"learner": "a", "rows": [{"task": "mnli", "shots": 10, "split": 1, "fair": 101}]}',
            "task 'mnli' with score 101",
        ),
        ('{"learner": "a", "rows": [{"task": "mnli", "shots": 10, "split": 1, "fair": NaN}]}', "score nan"),
        ('{"learner": "a", "rows": [{"task": "x", "shots": 10, "split": 1, "fair": 1}]}', "task 'x'"),
    ],
)
def test_malformed_reports_are_named(tmp_path: Path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(EvaluationError, match=rf"a\.json.*{said}"):
        leaderboard([tmp_path])


def test_nothing_and_contradictions(tmp_path: Path):
    with pytest.raises(EvaluationError, match="no results"):
        leaderboard([tmp_path])
    report(tmp_path / "a.json", "mine", 60)
    report(tmp_path / "b.json", "mine", 61)
    with pytest.raises(EvaluationError, match="'mine' has 62 on sst-2, 30 shots, split 1, but 61 in another"):
        leaderboard([tmp_path])


def test_the_table_and_the_json(tmp_path: Path):
    report(tmp_path / "a.json", "mine", 60)
    board = leaderboard([tmp_path])
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(board)
    text = console.export_text()
    assert "43.1±6.7" in text
    assert "human and published: README.md of microsoft/CLUES" in text
    assert "DeBERTa-Large PT" in text
    data = json.loads(json.dumps(board.to_dict(), allow_nan=False))
    assert [line["name"] for line in data["standings"]] == [one.name for one in board.standings]


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here; it is not part of the repository")
def test_the_constants_are_those_of_the_published_files():
    clues = read_clues(REAL)
    scores = []
    for task in TASKS:
        for shots in SHOTS:
            for split in SPLITS:
                answers = guarded_answers(Constant(), guarded(clues, task, shots, split), seed=0)
                scores.append(score(answers, clues.test(task), task=task, shots=shots, split=split))
    metrics: tuple[Metric, ...] = ("strict", "fair")
    for cell in summarise(scores):
        for metric in metrics:
            anchor = constant_anchor(cell.shots, metric)
            measured = getattr(cell, metric)
            assert anchor.scores[cell.task] == pytest.approx(measured.mean, abs=0.00501)
            assert anchor.deviations[cell.task] == pytest.approx(measured.deviation, abs=0.00501)
