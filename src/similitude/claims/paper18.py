"""Claims of paper 18 (CLUES): what its scores are worth beside a constant answer, and how far few examples take a model.

They need the files of CLUES, which are the user's to get, and weights of an encoder; see `needs`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping

import numpy as np

from similitude.claims.judged import judged
from similitude.claims.needs import CLUES_VARIABLE, ENCODER, check_needs
from similitude.claims.registry import Measured, claim
from similitude.core.chart import Chart, Series
from similitude.core.errors import EvaluationError
from similitude.core.intervals import t_interval
from similitude.core.verdict import Evidence
from similitude.fewshot.learners.catalog import learner
from similitude.fewshot.protocol import FewshotRun
from similitude.fewshot.protocol import run as run_fewshot
from similitude.fewshot.publications import HUMAN, published
from similitude.fewshot.reading import Clues, read_clues
from similitude.fewshot.summary import Cell
from similitude.fewshot.tasks import SHOTS, TASKS

LABELLED = ("sst-2", "mnli", "conll")
"""Tasks that a frozen encoder with a linear readout learns at all."""


@claim(
    "18.constant",
    paper=18,
    statement="BERT-Base fine-tuned on 10 to 30 examples scores 51.3 on CoNLL and 62.8 on WikiANN, without any deviation "
    "(leaderboard).",
    claimed="answering nothing at all, measured on the same tests, gives each of these six scores to the printed digit",
    minutes=0.1,
    needs=("clues",),
)
def constant() -> Measured:
    """Score the constant answer, and hold it against what was published for fine-tuned models."""
    clues = _clues()
    cells = _cells(run_fewshot(clues, learner("constant"), tasks=("conll", "wikiann")))
    rows = {(row.name, row.params["shots"]): row for row in published()}
    evidence, off, series = [], 0.0, []
    for task in ("conll", "wikiann"):
        measured = [cells[task, shots].fair.mean for shots in SHOTS]
        printed = [rows["BERT-Base FT", shots].scores[task] for shots in SHOTS]
        off = max(off, float(np.abs(np.subtract(measured, printed)).max()))
        evidence += [
            Evidence(f"{task}, {shots} shots: the constant", m)
            for shots, m in zip(SHOTS, measured, strict=True)
        ]
        series += [
            Series(f"{task}: answering nothing, measured", SHOTS, measured),
            Series(f"{task}: BERT-Base fine-tuned, published", SHOTS, printed, kind="line"),
        ]
    figure = Chart(
        "The constant answer and a published model",
        "shots",
        "S1 x 100",
        tuple(series),
        "Points on the lines: the model has learned to say nothing.",
        "leaderboard of CLUES",
        y_range=(40.0, 70.0),
    )
    summary = f"the constant answer is within {off:.2f} of what fine-tuned BERT-Base scores on both tasks"
    return judged(off < 0.05, off, "points of S1", summary, evidence, figures=(figure,))


@claim(
    "18.gap",
    paper=18,
    statement="There is a huge gap between people and models in the few-shot setting for most tasks (abstract).",
    claimed=f"a frozen {ENCODER} with a linear readout stays below people by 10 points or more on at least four of the "
    "six tasks at 30 shots (its t-interval over five splits too); at full size at 10 and 20 shots as well",
    minutes=4.0,
    full_minutes=6.5,
    together="probes of CLUES",
    needs=("clues", "encoder"),
)
def gap(*, full: bool = False) -> Measured:
    """Measure a probe on all six tasks beside people."""
    cells = _cells(_probe(SHOTS if full else (10, 30)))
    people = {row.params["shots"]: row.scores for row in published() if row.name == HUMAN}
    gaps: dict[int, list[float]] = {}
    wide, evidence = {}, []
    for shots in SHOTS if full else (30,):
        for task in TASKS:
            measure = cells[task, shots].fair
            low, high = measure.over_splits.low, measure.over_splits.high
            gaps.setdefault(shots, []).append(people[shots][task] - measure.mean)
            wide[shots] = wide.get(shots, 0) + (people[shots][task] - high >= 10.0)
            evidence.append(Evidence(f"{task}, {shots} shots: the probe", measure.mean, (low, high)))
    places = range(len(TASKS))
    figure = Chart(
        "People and a frozen encoder at 30 shots",
        "task",
        "fair S1 x 100",
        (
            Series("people, published", places, [people[30][task] for task in TASKS]),
            Series(
                "probe, measured",
                places,
                [cells[task, 30].fair.mean for task in TASKS],
                [
                    (cells[task, 30].fair.over_splits.low, cells[task, 30].fair.over_splits.high)
                    for task in TASKS
                ],
            ),
        ),
        "People should be above the intervals by 10 points or more on most tasks.",
        "leaderboard of CLUES",
        x_names=tuple(TASKS),
    )
    mean = float(np.mean(gaps[30]))
    summary = f"at 30 shots people are ahead by {mean:.1f} points on average, by 10 or more on {wide[30]} of 6 tasks"
    return judged(
        all(count >= 4 for count in wide.values()),
        mean,
        "points of S1",
        summary,
        evidence,
        t_interval(gaps[30]),
        figures=(figure,),
    )


@claim(
    "18.splits",
    paper=18,
    statement="Few-shot scores vary with the examples that happen to be given, so five splits are scored and their "
    "standard deviation is reported (protocol).",
    claimed="of a frozen encoder with a linear readout on SST-2, MNLI and CoNLL: at 10 shots the five splits differ by "
    "more than 3 points (root mean square of the deviations), and 30 shots score higher than 10 on each task",
    minutes=4.0,
    together="probes of CLUES",
    needs=("clues", "encoder"),
)
def splits() -> Measured:
    """Measure the deviation between splits, and what more examples bring."""
    cells = _cells(_probe((10, 30)))
    few, many = (np.array([cells[task, shots].fair.mean for task in LABELLED]) for shots in (10, 30))
    spread, later = (
        float(np.sqrt(np.mean([cells[task, shots].fair.deviation ** 2 for task in LABELLED])))
        for shots in (10, 30)
    )
    evidence = [
        Evidence(f"{task}, {shots} shots: deviation over splits", cells[task, shots].fair.deviation)
        for task in LABELLED
        for shots in (10, 30)
    ]
    evidence += [
        Evidence(f"{task}: 30 shots less 10", float(many[i] - few[i])) for i, task in enumerate(LABELLED)
    ]
    places = range(len(LABELLED))
    figure = Chart(
        "Score by number of shots, deviation over splits as bars",
        "task",
        "fair S1 x 100",
        tuple(
            Series(
                f"{shots} shots",
                places,
                [cells[task, shots].fair.mean for task in LABELLED],
                [
                    (
                        cells[task, shots].fair.mean - cells[task, shots].fair.deviation,
                        cells[task, shots].fair.mean + cells[task, shots].fair.deviation,
                    )
                    for task in LABELLED
                ],
            )
            for shots in (10, 30)
        ),
        "Bars of several points: one split says little. 30 shots should lie above 10.",
        x_names=LABELLED,
    )
    summary = (
        f"splits differ by {spread:.1f} points at 10 shots and {later:.1f} at 30; 30 shots score "
        f"{float((many - few).mean()):.1f} points more on average"
    )
    return judged(
        spread > 3.0 and bool((many > few).all()),
        spread,
        "points of S1",
        summary,
        evidence,
        figures=(figure,),
    )


def _clues() -> Clues:
    check_needs(("clues",))
    return _read(os.environ[CLUES_VARIABLE])


@functools.cache
def _read(path: str) -> Clues:
    return read_clues(path)


def _probe(shots: tuple[int, ...]) -> FewshotRun:
    check_needs(("clues", "encoder"))
    return _probed(os.environ[CLUES_VARIABLE], shots)


@functools.cache
def _probed(path: str, shots: tuple[int, ...]) -> FewshotRun:
    return run_fewshot(_read(path), learner("probe", encoder=ENCODER), shots=shots)


def _cells(found: FewshotRun) -> Mapping[tuple[str, int], Cell]:
    if found.failures:
        failed = found.failures[0]
        raise EvaluationError(f"{failed.task}, {dict(failed.params)}: {failed.error}")
    return {(cell.task, cell.shots): cell for cell in found.cells}
