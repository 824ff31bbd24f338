"""Files of predictions: one JSON object a line, so that scores of learners that ran elsewhere can be computed again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from similitude.core.errors import EvaluationError
from similitude.data.files import read_exactly, reading, regular_file
from similitude.fewshot.examples import Answer, Example
from similitude.fewshot.metric import Scores, score
from similitude.fewshot.reading import Clues
from similitude.fewshot.rows import Row, parse_lines
from similitude.fewshot.tasks import SHOTS, SPLITS, TASKS
from similitude.report.files import write_atomically

FORMAT = "similitude-predictions"
VERSION = "clues-1"
"""Version of the protocol: six tasks, 10, 20 and 30 shots, five splits, the tests in the order of their files, S1."""

SHOWN = 8
"""Faults of a file that are named; the others are counted."""

Place = tuple[str, int, int]
"""Task, shots and split."""


@dataclass(frozen=True)
class Predictions:
    """Answers that were found to fit the data.

    Attributes:
        learner: Name of the learner.
        data: SHA-256 over the files of the data that they belong to.
        answers: By task, shots and split, the answers in the order of the test.
    """

    learner: str
    data: str
    answers: Mapping[Place, tuple[Answer, ...]]

    def scores(self, clues: Clues) -> tuple[Scores, ...]:
        """Score them.

        Args:
            clues: The data that they belong to.
        """
        return tuple(
            score(answers, clues.test(task), task=task, shots=shots, split=split)
            for (task, shots, split), answers in self.answers.items()
        )


def write_predictions(
    path: str | Path, answers: Mapping[Place, Sequence[Answer]], *, learner: str, clues: Clues
) -> Path:
    """Write a learner's answers.

    The first line is the header, with the SHA-256 over the files of the data:
    `{"format": "similitude-predictions", "version": "clues-1", "learner": ..., "data": ...}`. Every other line is one
    answer, those of a split in the order of the test:
    `{"task": "conll", "shots": 10, "split": 1, "id": "883_1", "prediction": ["Belgrade"]}`.

    Args:
        path: Where to write; an existing file is replaced.
        answers: By task, shots and split, one answer per item of the test, in order.
        learner: Name of the learner.
        clues: The data.

    Raises:
        EvaluationError: A split has not as many answers as its test has items.
        ReportError: The file cannot be written.
    """
    lines: list[dict[str, Any]] = [
        {"format": FORMAT, "version": VERSION, "learner": learner, "data": clues.digest}
    ]
    for (task, shots, split), given in answers.items():
        test = clues.test(task)
        if len(given) != len(test):
            raise EvaluationError(
                f"{task}, {shots} shots, split {split}: {len(given)} answers to {len(test)} items. Give one per item."
            )
        place = {"task": task, "shots": shots, "split": split}
        lines += [
            {**place, "id": example.id, "prediction": sorted(answer)}
            for example, answer in zip(test, given, strict=True)
        ]
    return write_atomically(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def read_predictions(path: str | Path, clues: Clues) -> Predictions:
    """Read predictions and verify that they are whole and fit the data, or refuse them.

    Refused are files of other data or another version; with unknown tasks, shots or splits; in which a split of a task
    and number of shots is missing; and splits with another number of answers than the test, ids that are unknown or there
    twice, another order than the test's, or answers that are not lists of texts.

    Args:
        path: The file.
        clues: The data.

    Raises:
        DataError: The file is missing, not UTF-8 or not of JSON lines.
        EvaluationError: It is refused; the text has every reason.
    """
    path = regular_file(path)
    with reading(path), path.open("rb") as stream:
        data = bytes(read_exactly(stream, path.stat().st_size, path))
    header, *rows = parse_lines(data, str(path))
    faults = _faults_of_header(header, clues)
    places: dict[Place, list[tuple[int, Row]]] = {}
    if not faults:
        for number, row in enumerate(rows, 2):
            place, fault = _place(row)
            if place is None:
                faults.append(f"line {number}: {fault}")
            else:
                places.setdefault(place, []).append((number, row))
        faults += _missing(places)
        for place, found in places.items():
            faults += _faults_of_split(place, found, clues.test(place[0]))
    if faults:
        more = f" And {len(faults) - SHOWN} more." if len(faults) > SHOWN else ""
        raise EvaluationError(f"{path} is refused. " + " ".join(f"{f}." for f in faults[:SHOWN]) + more)
    answers = {
        place: tuple(frozenset(row["prediction"]) for _, row in found) for place, found in places.items()
    }
    return Predictions(str(header["learner"]), clues.digest, answers)


def _faults_of_header(header: Row, clues: Clues) -> list[str]:
    if header.get("format") != FORMAT or not isinstance(header.get("learner"), str):
        return [
            f"Line 1 is no header: {{'format': '{FORMAT}', 'version': '{VERSION}', 'learner': ..., 'data': ...}} is "
            "expected"
        ]
    faults = []
    if header.get("version") != VERSION:
        faults.append(f"It is of version {header.get('version')!r}, but this is {VERSION!r}")
    if header.get("data") != clues.digest:
        faults.append(
            f"It is of data {str(header.get('data'))[:12]}, but {clues.source} is {clues.digest[:12]}"
        )
    return faults


def _place(row: Row) -> tuple[Place | None, str]:
    missing = [name for name in ("task", "shots", "split", "id", "prediction") if name not in row]
    if missing:
        return None, f"{', '.join(missing)} is missing"
    task, shots, split = row["task"], row["shots"], row["split"]
    known = isinstance(task, str) and task in TASKS and shots in SHOTS and split in SPLITS
    if not known or type(shots) is not int or type(split) is not int:  # True is 1, and 10.0 is 10
        return None, f"there is no split {split!r} of task {task!r} with {shots!r} shots"
    return (task, shots, split), ""


def _missing(places: Iterable[Place]) -> list[str]:
    there = set(places)
    if not there:
        return ["It has no answers"]
    faults = []
    for task in TASKS:
        for shots in SHOTS:
            splits = [split for split in SPLITS if (task, shots, split) in there]
            if splits and len(splits) < len(SPLITS):
                absent = ", ".join(str(split) for split in SPLITS if split not in splits)
                faults.append(f"{task}, {shots} shots: split {absent} is missing, all five are needed")
    return faults


def _faults_of_split(place: Place, found: Sequence[tuple[int, Row]], test: Sequence[Example]) -> list[str]:
    where = f"{place[0]}, {place[1]} shots, split {place[2]}"
    for number, row in found:
        texts = row["prediction"]
        if not isinstance(row["id"], str) or not isinstance(texts, list):
            return [f"Line {number}: id has to be a text and prediction a list of texts"]
        if not all(isinstance(text, str) for text in texts):
            return [f"Line {number}: the prediction {str(texts)[:60]} is not a list of texts"]
    ids, wanted = [row["id"] for _, row in found], [example.id for example in test]
    seen: set[str] = set()
    for (number, _), name in zip(found, ids, strict=True):
        if name in seen:
            return [f"Line {number}: {where} has the id {name!r} twice"]
        seen.add(name)
    unknown = [name for name in ids if name not in set(wanted)]
    if unknown:
        return [f"{where}: {len(unknown)} ids are not in the test, such as {unknown[0]!r}"]
    if len(ids) != len(wanted):
        absent = next(name for name in wanted if name not in seen)
        return [f"{where}: {len(ids)} answers to {len(wanted)} items; {absent!r} is missing"]
    if ids != wanted:
        at = next(i for i, pair in enumerate(zip(ids, wanted, strict=True)) if pair[0] != pair[1])
        return [
            f"{where}: the answers are shuffled: line {found[at][0]} is of {ids[at]!r}, where the test has "
            f"{wanted[at]!r}. Order is part of the format, because answers that lost it may have lost their ids as well"
        ]
    return []
