"""The protocol of CLUES as one call: a learner on every task, number of shots and split, scored, kept, resumable."""

from __future__ import annotations

import gc
import json
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from similitude.core.citation import cites
from similitude.core.errors import EvaluationError
from similitude.evaluation.rowfile import RowFile
from similitude.evaluation.rows import Row
from similitude.fewshot.examples import Answer, Example
from similitude.fewshot.guard import guarded, guarded_answers
from similitude.fewshot.learners.learner import Learner
from similitude.fewshot.metric import Scores, score
from similitude.fewshot.predictions import VERSION, Place, Predictions, write_predictions
from similitude.fewshot.reading import Clues, clues_task
from similitude.fewshot.summary import Cell, aggregate_of, summarise
from similitude.fewshot.tasks import SHOTS, SPLITS, TASKS
from similitude.report.files import write_atomically
from similitude.runs.engine import Engine, one_line

SUITE = "fewshot"
PREDICTIONS = "predictions.jsonl"


@dataclass(frozen=True)
class FewshotRun:
    """What a learner scored.

    Attributes:
        learner: Its name.
        rows: A row per task, number of shots and split, failed ones too.
        scores: The scores of those that have some, item by item.
        found: How many of them were there already.
    """

    learner: str
    rows: tuple[Row, ...]
    scores: tuple[Scores, ...]
    found: int = 0

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Means, deviations and intervals by task and number of shots; empty where nothing has a score."""
        return summarise(self.scores) if self.scores else ()

    @property
    def failures(self) -> tuple[Row, ...]:
        """The rows without a score."""
        return tuple(row for row in self.rows if row.failed)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON: digest of the data, a short row per split, cells, the leaderboard's aggregate."""
        cells = self.cells
        return {
            "learner": self.learner,
            "data": next((row.params["data"] for row in self.rows), None),
            "rows": [one.to_row() for one in self.scores],
            "cells": [cell.to_dict() for cell in cells],
            "aggregate": {
                str(shots): {
                    metric: None if found is None else {"mean": found.mean, "deviation": found.deviation}
                    for metric, found in (
                        ("strict", aggregate_of(cells, shots, "strict")),
                        ("fair", aggregate_of(cells, shots, "fair")),
                    )
                }
                for shots in dict.fromkeys(cell.shots for cell in cells)
            },
            "failures": [row.to_dict() for row in self.failures],
        }


@cites(18, "protocol: six tasks, three numbers of shots, five splits")
def run(
    clues: Clues,
    learner: Learner,
    *,
    tasks: Iterable[str] = TASKS,
    shots: Iterable[int] = SHOTS,
    splits: Iterable[int] = SPLITS,
    seed: int = 0,
    out: str | Path | None = None,
    engine: Engine | None = None,
    on_done: Callable[[Row], None] = lambda row: None,
) -> FewshotRun:
    """Fit a learner to every split and score its answers to the tests.

    The learner is given one split at a time, and queries without answers; one that peeks, or that still holds examples of
    an earlier split when it has answered for the next, is refused, which ends the run.
    One that fails on a split otherwise leaves a row that says why, and the run goes on.

    Args:
        clues: The data.
        learner: The learner.
        tasks: Names of tasks.
        shots: Numbers of shots.
        splits: Numbers of splits.
        seed: Seed of the learner.
        out: A folder for rows, answers and predictions; splits whose answers it holds, of the same learner, seed and
            data, are not learned again. Nothing is kept where None.
        engine: Where the learner runs; None for this process. See `guarded_answers`.
        on_done: Called with every row as soon as it is there.

    Returns:
        The scores; `predictions.jsonl` in `out` holds the answers where all five splits were run.

    Raises:
        EvaluationError: The learner is refused, nothing is asked for, or the folder holds something else.
        DataError: There is no such task, number of shots or split.

    Example:
        >>> from similitude.fewshot.learners.constant import Constant
        >>> found = run(read_clues("CLUES-JSON.zip"), Constant(), shots=[30])  # doctest: +SKIP
        >>> len(found.rows)  # doctest: +SKIP
        30
    """
    places = list(dict.fromkeys(product(tasks, shots, splits)))
    if not places:
        raise EvaluationError("no task, shots and splits are left to run. Name at least one of each.")
    for place in places:  # wrong names are refused before anything is learned
        clues.train(*place)
    earlier: list[weakref.ref[Example]] = []
    folder = None if out is None else _Folder(Path(out), learner.name, seed, clues)
    known = {} if folder is None else folder.known()
    rows, scores, answers, again = [], [], {}, 0
    for place in places:
        row, found = known.get(place), None
        kept = None if row is None or folder is None else folder.answers(place, len(clues.test(place[0])))
        if row is None or kept is None:
            cut = guarded(clues, *place)
            started = time.monotonic()
            try:
                kept = guarded_answers(learner, cut, seed=seed, engine=engine)
                _check_forgotten(earlier, f"{learner.name} on {cut}")
            except EvaluationError:
                raise
            except Exception as error:
                row = _row(
                    place, learner.name, seed, clues, time.monotonic() - started, error=one_line(error)
                )
            else:
                found = _scored(kept, clues, place)
                row = _row(place, learner.name, seed, clues, time.monotonic() - started, found)
            earlier += [weakref.ref(example) for example in cut.examples]
            del cut
            if folder is not None:
                folder.keep(place, row, kept)
        else:
            again += 1
        rows.append(row)
        if kept is not None:
            answers[place] = kept
            scores.append(found or _scored(kept, clues, place))
        on_done(row)
    if folder is not None:
        folder.finish(answers, clues)
    return FewshotRun(learner.name, tuple(rows), tuple(scores), again)


def verified(predictions: Predictions, clues: Clues) -> FewshotRun:
    """Return the scores of predictions that were made elsewhere, as `run` gives them; what they cost is not known.

    Args:
        predictions: What `read_predictions` found to fit the data.
        clues: The data.
    """
    found = predictions.scores(clues)
    rows = tuple(
        _row((one.task, one.shots, one.split), predictions.learner, None, clues, 0.0, one) for one in found
    )
    return FewshotRun(predictions.learner, rows, found)


def _check_forgotten(earlier: Sequence[weakref.ref[Example]], who: str) -> None:
    """Refuse a learner that still holds the examples of another split than that which it was fitted to last."""
    if any(example() is not None for example in earlier):
        gc.collect()  # what only cycles hold is not kept
    held = sum(example() is not None for example in earlier)
    if held:
        raise EvaluationError(
            f"{who}: refused, because it still holds {held} examples of splits that it was given before, and a learner "
            "may use one split alone. Let fit start anew, and keep no examples in the learner, its class or its module."
        )


def _scored(answers: Sequence[Answer], clues: Clues, place: Place) -> Scores:
    task, shots, split = place
    return score(answers, clues.test(task), task=task, shots=shots, split=split)


def _row(
    place: Place,
    learner: str,
    seed: int | None,
    clues: Clues,
    seconds: float,
    found: Scores | None = None,
    *,
    error: str = "",
) -> Row:
    task, shots, split = place
    metrics = (
        {} if found is None else {k: float(v) for k, v in found.to_row().items() if k in ("strict", "fair")}
    )
    return Row(
        suite=SUITE,
        task=task,
        subject=learner,
        score=metrics.get("fair", float("nan")),
        params={"shots": shots, "split": split, "data": clues.digest[:12]},
        metrics=metrics,
        seed=seed,
        seconds=seconds,
        version=VERSION,
        error=error,
    )


class _Folder:
    """Where rows and answers of a run are kept: an answer file is written before its row."""

    def __init__(self, path: Path, learner: str, seed: int, clues: Clues) -> None:
        self.path, self.learner, self.seed = path, learner, seed
        self.data = clues.digest[:12]
        self.rows = RowFile(path)

    def known(self) -> dict[Place, Row]:
        """Return the finished rows of this learner, seed and data by place."""
        found = {}
        for row in self.rows.read():
            if row.subject != self.learner:
                raise EvaluationError(
                    f"{self.path} holds results of {row.subject!r}, and this is {self.learner!r}. Give every learner a "
                    "folder of its own; `similitude suite report` joins them."
                )
            if row.suite != SUITE or not {"shots", "split"} <= set(row.params):
                raise EvaluationError(
                    f"{self.path} holds rows of something else than `similitude suite run {SUITE}`: {row.item}. Give "
                    "every run a folder of its own."
                )
            if row.seed == self.seed and row.params.get("data") == self.data and not row.failed:
                found[row.task, row.params["shots"], row.params["split"]] = row
        return found

    def answers(self, place: Place, count: int) -> tuple[Answer, ...] | None:
        """Return the answers of a place, None where they are not whole."""
        try:
            data = json.loads(self._file(place).read_text(encoding="utf-8"))
            answers = tuple(frozenset(map(str, one)) for one in data)
        except (OSError, ValueError, TypeError):
            return None
        return answers if len(answers) == count else None

    def keep(self, place: Place, row: Row, answers: Sequence[Answer] | None) -> None:
        """Store a row, and its answers before it."""
        if answers is not None:
            text = json.dumps([sorted(answer) for answer in answers], ensure_ascii=False)
            write_atomically(self._file(place), text)
        self.rows.add(row)

    def finish(self, answers: Mapping[Place, Sequence[Answer]], clues: Clues) -> None:
        """Write the file of predictions: those tasks and shots that have all five splits."""
        whole = {
            place: given
            for place, given in answers.items()
            if all((*place[:2], split) in answers for split in SPLITS)
        }
        if whole:
            write_predictions(self.path / PREDICTIONS, whole, learner=self.learner, clues=clues)

    def _file(self, place: Place) -> Path:
        task, shots, split = place
        name = f"{clues_task(task).stem}_{shots}_{split}_{self.seed}_{self.data}.json"
        return self.path / "answers" / name
