"""Files of predictions: they come back as they were written, and every way to be wrong is refused with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from clues_writer import clues_rows, write_clues

from similitude.core.errors import DataError, EvaluationError
from similitude.fewshot.metric import score
from similitude.fewshot.predictions import Place, read_predictions, write_predictions
from similitude.fewshot.reading import Clues, read_clues

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def clues(tmp_path_factory: pytest.TempPathFactory) -> Clues:
    return read_clues(write_clues(tmp_path_factory.mktemp("clues"), clues_rows()))


@pytest.fixture(scope="module")
def answers(clues: Clues) -> dict[Place, list[frozenset[str]]]:
    """The true answers of conll at 10 shots, with every third one emptied, other ones by split."""
    return {
        ("conll", 10, split): [
            frozenset() if (i + split) % 3 == 0 else e.answer for i, e in enumerate(clues.test("conll"))
        ]
        for split in range(1, 6)
    }


@pytest.fixture(scope="module")
def lines(clues: Clues, answers, tmp_path_factory: pytest.TempPathFactory) -> Lines:
    path = write_predictions(tmp_path_factory.mktemp("p") / "p.jsonl", answers, learner="mine", clues=clues)
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def verified(lines: Lines, clues: Clues, tmp_path: Path) -> Callable[[Callable[[Lines], object]], Any]:
    """Verify the file after a change to its lines."""

    def make(change: Callable[[Lines], object]) -> Any:
        edited = deepcopy(lines)
        change(edited)
        path = tmp_path / "p.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in edited))
        return read_predictions(path, clues)

    return make


def test_they_come_back_and_score_as_they_were(verified, answers, clues: Clues, lines: Lines):
    found = verified(lambda edited: None)
    assert found.answers == {place: tuple(given) for place, given in answers.items()}
    assert (found.learner, found.data) == ("mine", clues.digest)
    expected = [
        score(a, clues.test("conll"), task="conll", shots=s, split=k) for (_, s, k), a in answers.items()
    ]
    assert list(found.scores(clues)) == expected
    assert set(lines[1]) == {"task", "shots", "split", "id", "prediction"}
    assert len(lines) == 1 + 5 * 600


def shuffle(edited: Lines) -> None:
    edited[5], edited[9] = edited[9], edited[5]


def sort_by_id(edited: Lines) -> None:
    edited[1:] = sorted(edited[1:], key=lambda line: (line["split"], line["id"]))


CHANGES = {
    "another format": (lambda e: e[0].update(format="other"), "Line 1 is no header"),
    "no learner": (lambda e: e[0].pop("learner"), "Line 1 is no header"),
    "no header": (lambda e: e.pop(0), "Line 1 is no header"),
    "another version": (lambda e: e[0].update(version="clues-0"), "of version 'clues-0', but this is 'clues-1'"),
    "other data": (lambda e: e[0].update(data="f" * 64), "of data ffffffffffff, but"),
    "a row less": (lambda e: e.pop(7), "conll, 10 shots, split 1: 599 answers to 600 items; '3_1' is missing"),
    "an id twice": (lambda e: e[7].update(id=e[6]["id"]), r"Line 8: .*split 1 has the id '.*' twice"),
    "a row twice": (lambda e: e.insert(8, dict(e[7])), r"Line 9: .* has the id '.*' twice"),
    "an unknown id": (lambda e: e[7].update(id="x"), "1 ids are not in the test, such as 'x'"),
    "two rows swapped": (shuffle, "split 1: the answers are shuffled: line 6 is of"),
    "another order": (sort_by_id, "the answers are shuffled"),
    "a number as id": (lambda e: e[7].update(id=3), "Line 8: id has to be a text"),
    "a text as answer": (lambda e: e[7].update(prediction="Ada"), "Line 8: id has to be a text and prediction a list"),
    "a number in an answer": (lambda e: e[7].update(prediction=["a", 1]), "Line 8: the prediction"),
    "a missing field": (lambda e: e[7].pop("prediction"), "line 8: prediction is missing"),
    "a missing split": (lambda e: e.__delitem__(slice(601, 1201)), "conll, 10 shots: split 2 is missing"),
    "an unknown task": (lambda e: e[7].update(task="glue"), "line 8: there is no split 1 of task 'glue'"),
    "a list as task": (lambda e: e[7].update(task=[]), "line 8: there is no split"),
    "unknown shots": (lambda e: e[7].update(shots=11), "with 11 shots"),
    "true as split": (lambda e: e[7].update(split=True), "there is no split True"),
    "no answers": (lambda e: e.__delitem__(slice(1, None)), "It has no answers"),
}  # fmt: skip


@pytest.mark.parametrize("fault", CHANGES)
def test_a_wrong_file_is_refused_with_the_reason(verified, fault):
    change, said = CHANGES[fault]
    with pytest.raises(EvaluationError, match=rf"p\.jsonl is refused\. .*{said}"):
        verified(change)


def test_all_reasons_are_given_up_to_a_number(verified):
    def many(edited: Lines) -> None:
        for line in edited[1:20]:
            line["task"] = "glue"

    with pytest.raises(EvaluationError, match=r"And 12 more\.") as error:
        verified(many)
    assert str(error.value).count("there is no split") == 8


def test_broken_files_name_their_line(lines: Lines, clues: Clues, tmp_path: Path):
    path = tmp_path / "p.jsonl"
    for data, said in ((b"", "is empty"), (b"{}\n{", "line 2: is not JSON"), (b"\xff\xfe", "not UTF-8")):
        path.write_bytes(data)
        with pytest.raises(DataError, match=said):
            read_predictions(path, clues)


def test_a_split_with_too_few_answers_is_not_written(clues: Clues, tmp_path: Path):
    with pytest.raises(EvaluationError, match="1 answers to 600 items"):
        write_predictions(
            tmp_path / "p.jsonl", {("conll", 10, 1): [frozenset()]}, learner="mine", clues=clues
        )
    assert not list(tmp_path.iterdir())
