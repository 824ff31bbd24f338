"""Playing fixed worlds: rows, their seeds, going on after an end, policies from everywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from similitude.core.errors import EvaluationError, WorldError
from similitude.evaluation.page import render_suite_page, suite_results
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.runs.pool import ProcessPool
from similitude.worlds import make_world
from similitude.worlds.protocol.definition import EVALUATION
from similitude.worlds.protocol.playing import numbers_of, play, row_record, takes_info
from similitude.worlds.protocol.saved_policies import ScriptedPolicy
from similitude.worlds.protocol.subjects import Subject, oracle_subject, random_subject, subject_named
from similitude.worlds.protocol.suite import SUMMARIES, WorldsSuite
from similitude.worlds.splits import WorldName, fixed_worlds
from similitude.worlds.tasks.catalog import TASKS

WORLDS = fixed_worlds("test", tasks=["eat", "move"], count=2)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of ten frames, for the plain backend."""
    monkeypatch.setattr("similitude.worlds.gym.runner.frame_limit", lambda *_, **__: 10)


class Still:
    """Stands still, and counts."""

    observation = "state"

    def __init__(self, task: str, seed: int) -> None:
        self.task, self.seed, self.frames = task, seed, 0

    def reset(self) -> None:
        self.frames = 0

    def __call__(self, observation: Any, info: Mapping[str, Any] | None = None) -> np.ndarray:
        assert set(observation) == {"proprioception", "state"}
        self.frames += 1
        return np.zeros(21)


def _fails_on_move(task: str, seed: int) -> Any:
    if task == "move":
        raise ValueError("legs missing")
    return Still(task, seed)


@pytest.mark.usefixtures("short")
def test_rows_say_what_was_played() -> None:
    told: list[Row] = []
    played = play(Subject("still", Still), WORLDS, backend="plain", on_done=told.append)
    assert list(played.rows) == told
    for row, name in zip(played.rows, WORLDS, strict=True):
        assert WorldName(row.task, row.params["difficulty"], row.params["world"]) == name  # type: ignore[arg-type]
        world = make_world(*name)
        assert row.params["digest"] == world.digest[:16]
        assert (row.suite, row.version, row.success, row.score) == ("worlds", EVALUATION, False, 0.0)
        assert row.metrics == {"frames": 10.0, **numbers_of(world.parameters)}
        assert Row.from_dict(json.loads(json.dumps(row.to_dict()))) == row
    record = row_record(played.rows[0])
    assert {"task", "difficulty", "seed", "score", "success"} <= set(record)
    assert (record["seed"], record["task"]) == (WORLDS[0].seed, "eat")


@pytest.mark.usefixtures("short")
def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made: list[str] = []

    def make(task: str, seed: int) -> Still:
        made.append(task)
        return Still(task, seed)

    class StopError(Exception):
        pass

    def stop(row: Row) -> None:
        raise StopError

    subject = Subject("still", make)
    with pytest.raises(StopError):
        play(subject, WORLDS, out=tmp_path, backend="plain", on_done=stop)
    assert len(RowFile(tmp_path).read()) == 1
    again = play(subject, WORLDS, out=tmp_path, backend="plain")
    assert (again.found, len(again.rows), len(made)) == (1, 4, 4)
    assert play(subject, WORLDS, out=tmp_path, backend="plain").found == 4
    assert play(subject, WORLDS, out=tmp_path, backend="plain", seed=1).found == 0
    with pytest.raises(EvaluationError, match="a folder of its own"):
        play(random_subject(), WORLDS, out=tmp_path, backend="plain")


@pytest.mark.usefixtures("short")
def test_what_a_policy_raises_is_in_its_row_and_is_tried_again(tmp_path: Path) -> None:
    played = play(Subject("legless", _fails_on_move), WORLDS, out=tmp_path, backend="plain")
    assert [row.error for row in played.failures] == ["ValueError: legs missing"] * 2
    assert [row.failed for row in played.rows] == [False, False, True, True]
    assert play(Subject("legless", Still), WORLDS, out=tmp_path, backend="plain").found == 2


@pytest.mark.usefixtures("short")
def test_a_policys_seed_is_the_worlds_and_not_the_order() -> None:
    seeds: dict[Any, int] = {}

    def make(task: str, seed: int) -> Still:
        seeds[len(seeds)] = seed
        return Still(task, seed)

    subject = Subject("x", make)
    play(subject, WORLDS, backend="plain")
    play(subject, tuple(reversed(WORLDS)), backend="plain")
    play(subject, WORLDS, backend="plain", seed=1)
    told = list(seeds.values())
    assert told[:4] == told[7:3:-1]
    assert len(set(told)) == 8


@pytest.mark.usefixtures("short")
def test_random_and_oracle_play() -> None:
    for subject in (random_subject(), oracle_subject()):
        first, second = (play(subject, WORLDS[:1], backend="plain").rows[0] for _ in range(2))
        assert not first.failed
        assert first.metrics == second.metrics
        assert first.score == second.score
    assert subject_named("chance") is None


@pytest.mark.slow
def test_processes_give_the_same_rows() -> None:
    worlds = fixed_worlds("test", tasks=["eat"], count=2)
    here = play(oracle_subject(), worlds, backend="plain")
    apart = play(oracle_subject(), worlds, backend="plain", engine=ProcessPool(2))
    assert here.rows[0].success
    assert [row_record(row) | {"seconds": 0} for row in here.rows] == [
        row_record(row) | {"seconds": 0} for row in apart.rows
    ]


@pytest.mark.usefixtures("short")
def test_rows_of_a_policy_that_changed_are_not_its_own(tmp_path: Path) -> None:
    file, out = tmp_path / "net.pt", tmp_path / "out"
    subject = Subject("net", Still, file)
    file.write_bytes(b"before")
    play(subject, WORLDS[:2], out=out, backend="plain")
    assert play(subject, WORLDS, out=out, backend="plain").found == 2
    file.write_bytes(b"after")
    with pytest.raises(EvaluationError, match="played by another"):
        play(subject, WORLDS, out=out, backend="plain")
    assert play(subject, WORLDS, out=tmp_path / "anew", backend="plain").found == 0


@pytest.mark.usefixtures("short")
def test_a_policy_may_do_without_info() -> None:
    def make(task: str, seed: int) -> Any:
        return lambda observation: np.zeros(21)

    (row,) = play(Subject("x", make), WORLDS[:1], backend="plain").rows
    assert not row.failed
    assert [
        takes_info(one) for one in (lambda o: 0, lambda o, info=None: 0, lambda *o: 0, Still("eat", 0))
    ] == [*(False, True, True, True)]


@pytest.mark.parametrize("seed", [-1, 0.5])
def test_seeds_of_policies_that_are_none_are_told(seed: Any) -> None:
    with pytest.raises(WorldError, match="the seed"):
        play(random_subject(), WORLDS[:1], backend="plain", seed=seed)


def test_no_worlds_are_told() -> None:
    with pytest.raises(EvaluationError, match="no world is named"):
        play(random_subject(), [])


def test_a_saved_policy_plays(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.observation = "state"
            self.linear = torch.nn.Linear(51, 21)

        def forward(self, observation: dict[str, torch.Tensor]) -> torch.Tensor:
            return 3.0 * self.linear(observation["proprioception"])

    net = Net()
    torch.jit.save(torch.jit.script(net), str(tmp_path / "net.pt"))
    policy = ScriptedPolicy(tmp_path / "net.pt")
    seen = np.linspace(-1, 1, 51, dtype=np.float32)
    action = policy({"proprioception": seen, "state": np.zeros(178, np.float32)})
    expected = np.clip(
        3 * (seen @ net.linear.weight.detach().numpy().T + net.linear.bias.detach().numpy()), -1, 1
    )
    assert policy.observation == "state"
    assert action == pytest.approx(expected, abs=1e-5)
    with pytest.raises(WorldError, match="there is no policy at"):
        ScriptedPolicy(tmp_path / "nowhere.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(WorldError, match="holds no TorchScript module"):
        ScriptedPolicy(tmp_path / "text.pt")


def test_every_task_and_policy_is_a_part() -> None:
    parts = {(part.kind, part.name) for part in WorldsSuite().parts()}
    assert parts == {*(("task", task) for task in TASKS), ("policy", "random"), ("policy", "oracle")}
    assert set(SUMMARIES) == set(TASKS)


def _rows(subject: str, level: float) -> list[Row]:
    generator = np.random.default_rng(len(subject))
    rows = []
    for world in range(40):
        difficulty = world / 40
        success = bool(generator.uniform() < level * (1 - 0.8 * difficulty))
        params = {"difficulty": difficulty, "world": world, "digest": "0"}
        metrics = {"world.gap": 1 + difficulty + 0.1 * generator.normal(), "frames": 10.0}
        rows.append(
            Row("worlds", "eat", subject, float(success), params, metrics, success, version=EVALUATION)
        )
    return rows


def test_the_page_shows_difficulty_scale_and_failures() -> None:
    rows = [*_rows("random", 0.05), *_rows("oracle", 2.0), *_rows("net", 0.9)]
    (found,) = suite_results(rows)
    titles = [figure.title for figure in found.figures]
    for wanted in (
        "Success by difficulty",
        "Normalised score by task",
        "What goes with success of net on eat",
    ):
        assert any(wanted in title for title in titles), titles
    assert found.floor
    charts = {chart.title: chart for chart in WorldsSuite().charts(rows)}
    assert charts["Normalised score by task, net"].x_names == ("eat",)
    assert [one.label for one in charts["Success by difficulty"].series] == ["oracle", "net", "random"]
    text = render_suite_page(rows)
    assert "gap" in text
    assert "Normalised score by task" not in render_suite_page(_rows("net", 0.9))
