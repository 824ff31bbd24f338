"""The guard: what a learner is given leads nowhere else, and one that peeks is refused however it does."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clues_writer import Rows, clues_rows, write_clues, zip_clues

from similitude.core.errors import EvaluationError
from similitude.fewshot.examples import Answer, Example, Query
from similitude.fewshot.forbidden import refusing
from similitude.fewshot.guard import Guarded, checked_answers, guarded, guarded_answers
from similitude.fewshot.reading import Clues, read_clues
from similitude.fewshot.tasks import Task
from similitude.runs.engine import JobsFailedError
from similitude.runs.pool import ProcessPool


@pytest.fixture(scope="module")
def rows() -> Rows:
    return clues_rows()


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    return zip_clues(tmp_path_factory.mktemp("zip") / "clues.zip", rows)


@pytest.fixture(scope="module")
def clues(zipped: Path) -> Clues:
    return read_clues(zipped)


@pytest.fixture(scope="module")
def data(clues: Clues) -> Guarded:
    return guarded(clues, "sst-2", 10, 2)


@dataclass(frozen=True)
class Honest:
    """Answers "positive", whatever it is asked."""

    name: str = "honest"

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> Honest:
        assert {example.query.question for example in examples} == {"positive or negative?"}
        return self

    def predict(self, queries: Sequence[Query]) -> Any:
        return [frozenset({"positive"})] * len(queries)


@dataclass(frozen=True)
class Peeks(Honest):
    """Reads the data on the way, and does not say so where it is caught."""

    path: str = ""
    how: str = "open"
    quietly: bool = False

    def fit(self, examples: Sequence[Example], task: Task, *, seed: int) -> Peeks:
        try:
            self.peek()
        except EvaluationError:
            if not self.quietly:
                raise
        return self

    def peek(self) -> None:
        if self.how == "open":
            Path(self.path).read_text("latin-1")
        elif self.how == "library":
            read_clues(self.path)
        elif self.how == "descriptor":
            os.close(os.open(self.path, os.O_RDONLY))
        elif self.how == "folder descriptor":
            folder, name = os.path.split(self.path)
            within = os.open(folder, os.O_RDONLY)
            try:
                os.close(os.open(name, os.O_RDONLY, dir_fd=within))
            finally:
                os.close(within)
        elif self.how == "command elsewhere":
            folder, name = os.path.split(self.path)
            subprocess.run(["cat", name], cwd=folder, capture_output=True, check=True)
        elif self.how == "pattern":
            os.system(f"cat {Path(self.path).parent}/*.jsonl > {os.devnull}")
        elif self.how == "command":
            subprocess.run(["cat", self.path], capture_output=True, check=True)
        elif self.how == "shell":
            os.system(f"cat '{self.path}' > {os.devnull}")


@dataclass(frozen=True)
class Returns(Honest):
    """Returns whatever it is told to."""

    answers: Any = None

    def predict(self, queries: Sequence[Query]) -> Any:
        return self.answers


def test_an_honest_learner_passes_and_may_read_its_own_files(data: Guarded, tmp_path: Path):
    own = tmp_path / "weights.bin"
    own.write_bytes(b"\0" * min(data.forbidden.checksums))  # as long as one of the files, with other contents
    answers = guarded_answers(Peeks(path=str(own)), data, seed=0)
    assert answers == (frozenset({"positive"}),) * 210
    Path(data.forbidden.path).read_bytes()  # nothing is refused outside


class Later(Sequence[Answer]):
    """Answers that are read from the data when they are asked for."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __len__(self) -> int:
        return 210

    def __getitem__(self, place: Any) -> Any:
        if place >= len(self):
            raise IndexError
        return frozenset({str(len(Path(self.path).read_bytes()))})


def test_answers_that_peek_when_they_are_asked_for_are_refused(data: Guarded):
    with pytest.raises(EvaluationError, match="refused, because it opened"):
        guarded_answers(Returns(answers=Later(data.forbidden.path)), data, seed=0)


class Fails(Honest):
    def predict(self, queries: Sequence[Query]) -> Any:
        raise ZeroDivisionError("mine")


def test_what_it_is_given_is_one_split_and_queries_alone(clues: Clues, data: Guarded):
    assert data.examples == clues.train("sst-2", 10, 2)
    assert [query.id for query in data.queries] == [example.id for example in clues.test("sst-2")]
    assert all(type(query) is Query for query in data.queries)


def test_nothing_that_it_is_given_leads_to_answers_or_other_splits(clues: Clues, data: Guarded):
    given = (data.examples, data.queries, data.task)
    seen: dict[int, Any] = {}
    todo: list[Any] = list(given)
    while todo:
        thing = todo.pop()
        if id(thing) not in seen and not isinstance(thing, type):
            seen[id(thing)] = thing
            todo += gc.get_referents(thing)
    reached = [thing for thing in seen.values() if isinstance(thing, Example)]
    assert len(reached) == len(data.examples)
    assert not any(isinstance(thing, Clues) for thing in seen.values())
    held = {
        id(part) for example in clues.test("sst-2") for part in (example, example.query, example.query.id)
    }
    assert not held & set(seen)
    for query in data.queries[:3]:
        assert not any(isinstance(holder, Example) for holder in gc.get_referrers(query))


@pytest.mark.parametrize("quietly", [False, True])
@pytest.mark.parametrize("how", ["open", "library", "descriptor", "command", "shell"])
def test_a_learner_that_reads_the_data_is_refused_even_if_it_keeps_quiet(data: Guarded, how, quietly):
    learner = Peeks("thief", data.forbidden.path, how, quietly)
    with pytest.raises(
        EvaluationError, match=r"thief on sst-2, 10 shots, split 2: refused, because it"
    ) as error:
        guarded_answers(learner, data, seed=0)
    assert "clues.zip" in str(error.value)


def test_copies_links_and_unpacked_files_are_recognised(data: Guarded, rows: Rows, tmp_path: Path):
    copy, link = tmp_path / "innocent.bin", tmp_path / "link"
    shutil.copy(data.forbidden.path, copy)
    link.symlink_to(copy)
    folder = write_clues(tmp_path, rows)
    for path in (copy, link, folder / "SST-2/sst_test.jsonl", folder / "MNLI/mnli_train_10_3.jsonl"):
        with pytest.raises(EvaluationError, match="refused, because it opened"):
            guarded_answers(Peeks(path=str(path), quietly=True), data, seed=0)


def test_a_folder_named_in_a_command_is_refused(rows: Rows, tmp_path: Path):
    folder = write_clues(tmp_path, rows)
    given = guarded(read_clues(folder), "sst-2", 10, 1)
    with pytest.raises(EvaluationError, match="started a command that names"):
        guarded_answers(Peeks(path=str(folder), how="shell"), given, seed=0)
    with refusing(given.forbidden) as refused:
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert refused == []


@pytest.mark.parametrize(
    ("how", "path"),
    [
        ("folder descriptor", "SST-2/sst_test.jsonl"),
        ("command elsewhere", "SST-2/sst_test.jsonl"),
        ("pattern", "MNLI/mnli_test.jsonl"),
        ("command", "SST-2"),
        ("command", ""),
    ],
)
def test_ways_around_the_name_of_a_file_are_refused(rows: Rows, tmp_path: Path, how, path):
    folder = write_clues(tmp_path, rows)
    given = guarded(read_clues(tmp_path), "sst-2", 10, 1)
    place = os.path.normpath(folder / path)
    with pytest.raises(EvaluationError, match=r"refused, because it (opened|started a command that names)"):
        guarded_answers(Peeks(path=place, how=how, quietly=True), given, seed=0)


class Sly(str):
    """A text of the learner's own class, which could run its code when it is scored."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def test_answers_are_plain_texts(data: Guarded):
    answers = guarded_answers(Returns(answers=[{Sly("neither")}] * 210), data, seed=0)
    assert {type(text) for answer in answers for text in answer} == {str}


def test_errors_of_the_learner_stay_its_own(data: Guarded):
    with pytest.raises(ZeroDivisionError, match="mine"):
        guarded_answers(Fails(), data, seed=0)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([frozenset()] * 209, "returned 209 answers to 210 queries"),
        ([frozenset()] * 211, "returned 211 answers to 210 queries"),
        ([], "returned 0 answers to 210 queries"),
        (None, "returned NoneType"),
        ("positive", "returned str"),
        (iter([frozenset()] * 210), "returned list_iterator"),
        (["positive"] * 210, "answer 1 is 'positive' of type str"),
        ([frozenset()] * 209 + [frozenset({1})], "answer 210 is .* of type list"),
        ([None] * 210, "answer 1 is 'None' of type NoneType"),
    ],
)
def test_wrong_answers_are_refused(data: Guarded, answers, said):
    with pytest.raises(EvaluationError, match=f"honest on sst-2, 10 shots, split 2: .*{said}"):
        guarded_answers(Returns(answers=answers), data, seed=0)


def test_answers_may_be_any_collections_of_texts():
    expected: tuple[Answer, ...] = (frozenset({"a", "b"}), frozenset())
    assert checked_answers([["a", "b", "a"], ()], 2, who="") == expected


@pytest.mark.slow
def test_in_a_process_of_its_own(data: Guarded):
    pool = ProcessPool(1)
    assert guarded_answers(Honest(), data, seed=0, engine=pool) == (frozenset({"positive"}),) * 210
    with pytest.raises(EvaluationError, match="refused, because it opened"):
        guarded_answers(Peeks("thief", data.forbidden.path, quietly=True), data, seed=0, engine=pool)
    with pytest.raises(JobsFailedError, match="ZeroDivisionError: mine"):
        guarded_answers(Fails(), data, seed=0, engine=pool)
