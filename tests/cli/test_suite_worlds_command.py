"""`similitude suite run worlds`: names that scripts rely on, examples of every part, users' policies, wrong use."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from similitude.evaluation.suite import Part, suites

PARTS = list(suites()["worlds"].parts())

POLICIES = """
    import numpy as np

    class Still:
        observation = "state"

        def __call__(self, observation, info=None):
            return np.zeros(21)

    def still(task, seed):
        return Still()

    def broken(task, seed):
        raise RuntimeError("no weights")

    def nothing(task, seed):
        return 3
"""


@pytest.fixture
def policies(tmp_path: Path) -> str:
    file = tmp_path / "my_policies.py"
    file.write_text(textwrap.dedent(POLICIES))
    return str(file)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of ten frames: what commands do with them is the same."""
    monkeypatch.setattr("similitude.worlds.gym.runner.frame_limit", lambda *_, **__: 10)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("part", PARTS, ids=[f"{part.kind}-{part.name}" for part in PARTS])
def test_the_example_of_every_part_works(part: Part, cli) -> None:
    ran = cli("suite", "run", "worlds", *part.example, "--backend", "plain", "--json")
    assert ran.code == 0
    assert ran.json["rows"]
    assert not ran.json["failures"]
    wanted = part.name if part.kind == "task" else "eat"
    assert {row["task"] for row in ran.json["rows"]} == {wanted}


@pytest.mark.usefixtures("short")
def test_the_json_that_scripts_rely_on(cli) -> None:
    ran = cli(
        *("suite", "run", "worlds", "--tasks", "eat,move", "--worlds", "3", "--policy", "random"),
        *("--backend", "plain", "--json"),
    )
    rows = ran.json["rows"]
    assert [row["task"] for row in rows] == ["eat"] * 3 + ["move"] * 3
    assert all({"task", "difficulty", "seed", "score", "success"} <= set(row) for row in rows)
    assert [row["difficulty"] for row in rows[:3]] == [0.0, 0.6, 1.0]
    assert all(row["score"] == 0 and row["success"] is False for row in rows)
    aggregate = ran.json["aggregate"]
    assert aggregate["success"]["value"] == 0
    assert aggregate["tasks"]["move"]["success"]["count"] == 3
    assert list(aggregate["groups"]) == ["easy"]


@pytest.mark.usefixtures("short")
def test_difficulties_splits_and_folders(cli, tmp_path: Path) -> None:
    command = (
        *(
            "suite",
            "run",
            "worlds",
            "--tasks",
            "eat",
            "--worlds",
            "2",
            "--difficulty",
            "0,1",
            "--split",
            "train",
        ),
        *("--policy", "random", "--backend", "plain", "--out", str(tmp_path / "run"), "--json"),
    )
    first = cli(*command)
    assert [(row["difficulty"], row["seed"]) for row in first.json["rows"]] == [
        *((0, 1000), (0, 1001), (1, 1000), (1, 1001)),
    ]
    again = cli(*command)
    assert "4 of 4 worlds were found" in again.err
    assert again.json["rows"] == first.json["rows"]


@pytest.mark.usefixtures("short")
def test_policies_of_the_users(cli, policies: str, tmp_path: Path) -> None:
    command = ("suite", "run", "worlds", "--tasks", "eat", "--worlds", "2", "--backend", "plain", "--json")
    ran = cli(*command, "--policy", f"{policies}:still", "--out", str(tmp_path / "still"))
    assert (ran.code, ran.json["policy"]) == (0, "still")
    ran = cli(*command, "--policy", f"{policies}:broken")
    assert ran.code == 3
    assert [row["error"] for row in ran.json["failures"]] == ["RuntimeError: no weights"] * 2
    assert ran.json["aggregate"]["success"]["value"] == 0
    ran = cli(*command, "--policy", f"{policies}:nothing")
    assert ran.code == 3
    assert "gave a int, which cannot be called" in ran.json["failures"][0]["error"]


@pytest.mark.slow
def test_scores_are_normalised_and_reported(cli, policies: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    ran = cli(
        *("suite", "run", "worlds", "--tasks", "eat", "--worlds", "4", "--policy", f"{policies}:still"),
        *("--normalise", "--report", str(page), "--out", str(tmp_path / "run"), "--json"),
    )
    assert ran.code == 0
    scale = ran.json["aggregate"]["normalised"]
    assert scale["iqm"]["value"] == 0
    assert scale["optimality_gap"]["value"] == 1
    assert scale["worlds"] + scale["dropped"] == 4
    assert ran.json["beside"]["oracle"]["success"]["value"] >= 0.75
    text = page.read_text()
    assert "Success by difficulty" in text
    assert "No constant or random subject" not in text
    ran = cli("suite", "report", str(tmp_path / "run"), "--report", str(page), "--json")
    lines = ran.json[0]["tables"][0]["lines"]
    assert {line["subject"] for line in lines} == {"still", "random", "oracle"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "random", "--tasks", "ete"), "Did you mean 'eat'"),
        (("--policy", "random", "--tasks", ","), "no task is named"),
        (("--policy", "random", "--worlds", "0"), "at least 1"),
        (("--policy", "random", "--worlds", "1.5"), "1.5 is not a whole number"),
        (("--policy", "random", "--worlds", "60"), "the list has 50"),
        (("--policy", "random", "--difficulty", "2"), "not in [0, 1]"),
        (("--policy", "random", "--difficulty", "hard"), "numbers from 0 to 1"),
        (("--policy", "random", "--split", "final"), "train, validation, test"),
        (("--policy", "nowhere.pt"), "there is no policy at nowhere.pt"),
        (("--policy", "nowhere.py:make"), "there is no file"),
        (("--policy", "random", "--backend", "gpu", "--tasks", "eat", "--worlds", "1"), "backend 'gpu'"),
        (("--policy", "random", "--workers", "0"), "at least 1"),
        (("--tasks", "eat"), "--policy"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], said: str, cli) -> None:
    ran = cli("suite", "run", "worlds", *arguments)
    assert ran.code == 2
    assert said in ran.message + ran.out


def test_the_suite_is_listed(cli) -> None:
    ran = cli("suite", "list", "worlds", "--json")
    assert ran.json[0]["version"] == "isle-eval-v1"
    assert len(ran.json[0]["parts"]) == 22
