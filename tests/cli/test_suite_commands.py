"""The commands of suites: names that scripts rely on, examples of every part, wrong use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from similitude.cli.app import main
from similitude.evaluation.page import suite_results
from similitude.evaluation.rows import Row
from similitude.evaluation.suite import Part, suites
from similitude.fewshot.learners.catalog import LEARNERS
from similitude.fewshot.tasks import TASKS
from tests.fewshot.clues_writer import clues_rows, write_clues

PARTS = [("fewshot", part) for part in suites()["fewshot"].parts()]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clues(tmp_path_factory.mktemp("clues"), clues_rows())


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def needs(part: Part) -> str:
    """The package that a part's example names and that is not installed; empty where nothing is missing."""
    from similitude.fewshot.learners.pretrained import ENCODERS, LANGUAGE_MODELS

    named = {**ENCODERS, **LANGUAGE_MODELS}
    return next((word for word in part.example if word in named and named[word].path is None), "")


def test_every_task_and_learner_is_a_part() -> None:
    parts = {(part.kind, part.name) for _, part in PARTS}
    assert parts == {("task", name) for name in TASKS} | {("learner", name) for name in LEARNERS}


LONG = {"contrastive", "fine-tune"}  # a network is trained for every split


@pytest.mark.parametrize(
    ("suite", "part"),
    [
        pytest.param(s, p, id=f"{s}-{p.kind}-{p.name}", marks=[pytest.mark.slow] * (p.name in LONG))
        for s, p in PARTS
    ],
)
def test_the_example_of_every_part_works(
    suite: str, part: Part, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if needs(part):
        pytest.skip(f"{needs(part)} is not installed")
    arguments = [word.replace("{data}", str(data)) for word in part.example]
    assert run("suite", "run", suite, *arguments, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"]
    assert all(0 <= row["fair"] <= 100 for row in found["rows"])
    assert not found["failures"]


def test_the_json_that_scripts_rely_on(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(
            "suite", "run", "fewshot", "--data", str(data), "--learner", "constant", "--shots", "30", "--json"
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert len(found["rows"]) == 30
    assert all({"task", "shots", "split", "strict", "fair"} <= set(row) for row in found["rows"])
    assert found["aggregate"]["30"]["fair"]["mean"] == pytest.approx(
        sum(row["fair"] for row in found["rows"]) / 30
    )


def test_results_of_two_learners_make_one_page(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for learner in ("constant", "frequency"):
        code = run(
            *("suite", "run", "fewshot", "--data", str(data), "--learner", learner, "--shots", "30"),
            *("--tasks", "sst-2,record", "--out", str(tmp_path / learner)),
        )
        assert code == 0
    page = tmp_path / "page.html"
    capsys.readouterr()
    assert run("suite", "report", str(tmp_path), "--report", str(page), "--json") == 0
    tables = json.loads(capsys.readouterr().out)[0]["tables"]
    subjects = {line["subject"] for table in tables for line in table["lines"]}
    assert {"constant", "frequency", "Human"} <= subjects
    text = page.read_text()
    assert "Beside the floor, item by item" in text
    assert "No constant or random subject" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_results_on_different_data_are_tables_of_their_own(tmp_path: Path) -> None:

    rows = [
        Row("fewshot", "mnli", "x", score, {"shots": 10, "split": split, "data": data})
        for data, score in (("one", 10.0), ("two", 90.0))
        for split in (1, 2)
    ]
    (found,) = suite_results(rows)
    means = {
        table.title: line.tasks["mnli"].value
        for table in found.tables
        for line in table.lines
        if line.subject == "x"
    }
    assert means == {"shots 10, data one": 10.0, "shots 10, data two": 90.0}


def test_a_page_without_a_floor_says_so(data: Path, tmp_path: Path) -> None:
    command = ("suite", "run", "fewshot", "--data", str(data), "--tasks", "record", "--shots", "10")
    assert run(*command, "--learner", "frequency", "--out", str(tmp_path / "rows")) == 0
    page = tmp_path / "page.html"
    assert run("suite", "report", str(tmp_path / "rows"), "--report", str(page)) == 0
    assert "No constant or random subject" in page.read_text()


def test_predictions_are_verified_and_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("suite", "run", "fewshot", "--data", str(data), "--tasks", "mnli", "--shots", "10")
    assert run(*command, "--learner", "chance", "--out", str(tmp_path)) == 0
    file = tmp_path / "predictions.jsonl"
    capsys.readouterr()
    assert run("fewshot", "verify", str(file), "--data", str(data), "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 5
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]) + "\n")
    assert run("fewshot", "verify", str(file), "--data", str(data)) == 2
    assert "shuffled" in capsys.readouterr().err


def test_two_learners_are_compared_in_pairs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: dict[str, list[float]] = {}
    for learner in ("constant", "frequency"):
        command = ("suite", "run", "fewshot", "--data", str(data), "--tasks", "record", "--shots", "10")
        capsys.readouterr()
        assert run(*command, "--learner", learner, "--out", str(tmp_path / learner), "--json") == 0
        rows[learner] = [row["fair"] for row in json.loads(capsys.readouterr().out)["rows"]]
    file = tmp_path / "constant" / "predictions.jsonl"
    assert (
        run("fewshot", "compare", str(tmp_path / "frequency"), str(file), "--data", str(data), "--json") == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["first"], found["second"]) == ("frequency", "constant")
    (line,) = found["comparisons"]
    change = (sum(rows["frequency"]) - sum(rows["constant"])) / 5
    assert line["over_splits"]["value"] == pytest.approx(change)
    assert 0 <= line["p_items"] <= 1
    assert run("fewshot", "compare", str(file), str(tmp_path), "--data", str(data)) == 2
    assert "predictions.jsonl" in capsys.readouterr().err


def test_the_audit_is_a_command(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fewshot", "audit", "--data", str(data), "--json") == 0
    assert "findings" in json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("suite", "list", "fewshots"), "Did you mean fewshot?"),
        (("suite", "report"), "which results?"),
        (("suite", "report", "nowhere"), "no results in nowhere"),
        (("suite", "run", "fewshot", "--data", "nowhere", "--learner", "constant"), "nowhere"),
        (("suite", "run", "fewshot", "--data", "{data}", "--learner", "constnat"), "did you mean 'constant'"),
        (("suite", "run", "fewshot", "--data", "{data}", "--learner", "constant", "--tasks", "imdb"), "imdb"),
        (("suite", "run", "fewshot", "--data", "{data}", "--learner", "constant", "--shots", "ten"), "ten"),
        (
            ("suite", "run", "fewshot", "--data", "{data}", "--learner", "constant", "--encoder", "x"),
            "no option",
        ),
    ],
)
def test_wrong_use_is_told(
    arguments: tuple[str, ...], said: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*(word.replace("{data}", str(data)) for word in arguments)) == 2
    assert said in capsys.readouterr().err
