"""The protocol: what is scored, kept, found again after a kill, refused, and what one bad split does not stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from similitude.core.errors import DataError, EvaluationError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.learners.constant import Constant
from similitude.fewshot.predictions import read_predictions
from similitude.fewshot.protocol import run, verified
from similitude.fewshot.reading import Clues, read_clues
from similitude.fewshot.tasks import SPLITS, Task
from tests.fewshot.clues_writer import clues_rows, write_clues


@pytest.fixture(scope="module")
def clues(tmp_path_factory: pytest.TempPathFactory) -> Clues:
    return read_clues(write_clues(tmp_path_factory.mktemp("clues"), clues_rows()))


class Counting:
    """A constant learner that knows how often it was fitted, and fails or answers wrongly where it is told to."""

    def __init__(self, name: str = "counting", fails: int = 0, drops: int = 0) -> None:
        self.name, self.fails, self.drops = name, fails, drops
        self.fitted = 0

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> Counting:
        self.fitted += 1
        if self.fitted == self.fails:
            raise MemoryError("no memory left")
        self.answer = Constant().fit(examples, task, seed=seed)
        return self

    def predict(self, queries: Sequence[Query]) -> list[Answer]:
        return self.answer.predict(queries[self.drops :])


def test_a_folder_of_other_rows_is_refused(clues: Clues, tmp_path: Path) -> None:
    RowFile(tmp_path).add(Row("other", "sst-2", "constant", 1.0))
    with pytest.raises(EvaluationError, match="holds rows of something else"):
        run(clues, Constant(), tasks=["sst-2"], shots=[10], out=tmp_path)


class Hoards(Counting):
    """Keeps the examples of all splits, or of the last alone."""

    def __init__(self, everything: bool) -> None:
        super().__init__("hoards")
        self.everything = everything
        self.examples: list[Example] = []

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> Counting:
        self.examples = [*self.examples, *examples] if self.everything else list(examples)
        return super().fit(examples, task, seed=seed)


def test_a_learner_that_keeps_the_examples_of_other_splits_is_refused(clues: Clues) -> None:
    with pytest.raises(
        EvaluationError, match="sst-2, 10 shots, split 2: refused, because it still holds 10 "
    ):
        run(clues, Hoards(everything=True), tasks=["sst-2"], shots=[10])
    assert len(run(clues, Hoards(everything=False), tasks=["sst-2"], shots=[10]).rows) == 5


def test_every_split_has_a_row_and_a_score_of_its_own_items(clues: Clues) -> None:
    found = run(clues, Constant(), tasks=["sst-2", "conll"], shots=[10, 30])
    assert len(found.rows) == len(found.scores) == 2 * 2 * 5
    assert {len(one.fair) for one in found.scores if one.task == "conll"} == {600}
    empty = sum(not example.answer for example in clues.test("conll")) / 600
    conll = [row for row in found.rows if row.task == "conll"]
    assert [row.score for row in conll] == pytest.approx([100 * empty] * 10)
    assert {row.metrics["strict"] for row in conll} == {0.0}  # [] is not [""] there


def test_a_folder_is_continued_and_its_predictions_verify(clues: Clues, tmp_path: Path) -> None:
    learner = Counting(fails=3)
    first = run(clues, learner, tasks=["mnli"], shots=[10], out=tmp_path)
    assert [row.params["split"] for row in first.failures] == [3]
    assert "no memory left" in first.failures[0].error
    assert len(first.scores) == 4
    assert not (tmp_path / "predictions.jsonl").exists()
    second = run(clues, learner, tasks=["mnli"], shots=[10], out=tmp_path)
    assert learner.fitted == 6  # five, and the failed one once more
    assert (second.found, len(second.scores)) == (4, 5)
    again = verified(read_predictions(tmp_path / "predictions.jsonl", clues), clues)
    assert again.to_dict()["rows"] == second.to_dict()["rows"]


def test_answers_that_are_lost_or_cut_are_learned_again(clues: Clues, tmp_path: Path) -> None:
    run(clues, Counting(), tasks=["mnli"], shots=[10], out=tmp_path)
    files = sorted((tmp_path / "answers").iterdir())
    files[0].unlink()
    files[1].write_text(files[1].read_text()[:100])
    learner = Counting()
    run(clues, learner, tasks=["mnli"], shots=[10], out=tmp_path)
    assert learner.fitted == 2


def test_a_killed_run_goes_on(clues: Clues, tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "from similitude.fewshot.learners.constant import Constant\n"
        "from similitude.fewshot.protocol import run\n"
        "from similitude.fewshot.reading import read_clues\n"
        "run(read_clues(sys.argv[1]), Constant(), out=sys.argv[2], on_done=lambda row: (print(1, flush=True), "
        "time.sleep(0.05)))"
    )
    command = [sys.executable, "-c", code, clues.source, str(tmp_path)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert killed.stdout is not None
    told = [killed.stdout.readline() for _ in range(7)]
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert told == ["1\n"] * 7
    kept = len(RowFile(tmp_path).read())
    assert 7 <= kept <= 90
    found = run(clues, Constant(), out=tmp_path)
    assert found.found == kept
    assert found.to_dict()["rows"] == run(clues, Constant()).to_dict()["rows"]


def test_other_seeds_and_learners_do_not_mix(clues: Clues, tmp_path: Path) -> None:
    run(clues, Counting(), tasks=["mnli"], shots=[10], splits=[1], out=tmp_path)
    other = Counting()
    assert run(clues, other, tasks=["mnli"], shots=[10], splits=[1], out=tmp_path, seed=1).found == 0
    with pytest.raises(EvaluationError, match="holds results of 'counting'"):
        run(clues, Constant(), tasks=["mnli"], shots=[10], splits=[1], out=tmp_path)


def test_a_learner_that_peeks_or_miscounts_ends_the_run(clues: Clues) -> None:
    class Peeking(Counting):
        def predict(self, queries: Sequence[Query]) -> list[Answer]:
            text = (Path(clues.source) / "SST-2" / "sst_test.jsonl").read_text()
            return [frozenset(json.loads(line)["answer"]) for line in text.splitlines()]

    with pytest.raises(EvaluationError, match="refused, because it opened"):
        run(clues, Peeking(), tasks=["sst-2"], shots=[10], splits=[1])
    with pytest.raises(EvaluationError, match="209 answers to 210 queries"):
        run(clues, Counting(drops=1), tasks=["sst-2"], shots=[10], splits=[1])


def test_wrong_places_are_refused_before_anything_is_learned(clues: Clues) -> None:
    learner = Counting()
    with pytest.raises(DataError, match="'imdb' is not a task"):
        run(clues, learner, tasks=["sst-2", "imdb"])
    with pytest.raises(DataError, match="31 shots"):
        run(clues, learner, shots=[10, 31])
    with pytest.raises(EvaluationError, match="no task"):
        run(clues, learner, tasks=[])
    assert learner.fitted == 0


def test_the_aggregate_takes_all_six_tasks_and_splits(clues: Clues) -> None:
    whole = run(clues, Constant(), shots=[30]).to_dict()
    means = {cell["task"]: cell["fair"]["mean"] for cell in whole["cells"]}
    assert whole["aggregate"]["30"]["fair"]["mean"] == pytest.approx(sum(means.values()) / 6)
    part = run(clues, Constant(), shots=[30], splits=SPLITS[:4]).to_dict()
    assert part["aggregate"]["30"] == {"strict": None, "fair": None}
