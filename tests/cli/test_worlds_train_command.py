"""`similitude worlds train`: what lies in the folder afterwards, going on, wrong use."""

import json

import pytest

SMALL = ("--width", "8", "--base", "8", "--clone", "4", "--clone-steps", "20", "--envs", "4", "--worlds", "2")


@pytest.fixture(autouse=True)
def _short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("learning.watching", "gym.runner"):
        monkeypatch.setattr(f"similitude.worlds.{module}.frame_limit", lambda *_, **__: 40)


def test_an_agent_is_trained_played_and_reported(cli, tmp_path) -> None:
    out = tmp_path / "agent"
    command = ("worlds", "train", "--out", str(out), *SMALL, "--json")
    ran = cli(*command, "--steps", "400")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert said["frames"] == 400
    assert said["oracles_solved"] > 0.5
    assert said["demonstrated_frames"] > 10
    assert {row["task"] for row in said["rows"]} == {"eat"}
    assert [row["policy"] for row in said["rows"]] == ["state-8-400"] * 2 + ["random"] * 2
    assert said["test"][0]["agent"]["count"] == 2
    page = (out / "report.html").read_text()
    assert "An agent in generated worlds" in page
    assert "then PPO, 400 frames" in page

    more = cli(*command, "--steps", "800")
    assert json.loads(more.out)["frames"] == 800
    assert len(json.loads(more.out)["learning"]) == 2
    again = cli(*command, "--steps", "8e2")
    assert json.loads(again.out)["rows"] == json.loads(more.out)["rows"]

    suite = ("suite", "run", "worlds", "--policy", str(out / "policy.pt"), "--tasks", "eat", "--worlds", "1")
    played = cli(*suite, "--json")
    assert played.code == 0, played.err
    assert json.loads(played.out)["rows"][0]["success"] in (True, False)

    rows = cli("suite", "report", str(out / "rows"), "--report", str(tmp_path / "page.html"))
    assert rows.code == 0, rows.err
    assert "state-8-800" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--tasks", "eta"), "eta"),
        (("--worlds", "0"), "at least 1"),
        (("--steps", "2.5"), "2.5 is not a whole number"),
        (("--seed", "one"), "one is not a whole number"),
        (("--width", "10"), "multiple of 4"),
        (("--observation", "flat", "--resolution", "20"), "multiples of 8"),
        (("--difficulty", "2"), "cannot be"),
        (("--clone", "-1"), "give 0 or more"),
    ],
)
def test_wrong_use(cli, tmp_path, wrong, said) -> None:
    ran = cli("worlds", "train", "--out", str(tmp_path), *wrong)
    assert ran.code == 2
    assert said in ran.err + ran.out
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_folder_of_another_training(cli, tmp_path) -> None:
    cli("worlds", "train", "--out", str(tmp_path), *SMALL, "--steps", "0")
    ran = cli("worlds", "train", "--out", str(tmp_path), *SMALL, "--steps", "0", "--seed", "1")
    assert ran.code == 2
    assert "holds a training with seed 0, and this one has 1" in ran.err
