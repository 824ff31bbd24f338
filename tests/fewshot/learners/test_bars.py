"""On the real data, where it is: what the anchors and a frozen MiniLM score at 30 shots, mean of five splits."""

from __future__ import annotations

from pathlib import Path

import pytest

from similitude.fewshot.learners.catalog import MINILM, learner
from similitude.fewshot.learners.pretrained import ENCODERS
from similitude.fewshot.metric import fair_score
from similitude.fewshot.reading import Clues, read_clues
from similitude.fewshot.tasks import SPLITS, TASKS

DATA = Path(__file__).parents[4] / "shared/data/CLUES-JSON.zip"


@pytest.fixture(scope="module")
def clues() -> Clues:
    if not DATA.exists():
        pytest.skip(f"{DATA} is not there")
    return read_clues(DATA)


def mean(clues: Clues, name: str, task: str, **options) -> float:
    """Return the fair score at 30 shots, mean over the splits, times 100."""
    made = learner(name, **options)
    test = clues.test(task)
    queries = [example.query for example in test]
    found = []
    for split in SPLITS:
        answers = made.fit(clues.train(task, 30, split), TASKS[task], seed=0).predict(queries)
        scores = [fair_score(answer, example) for answer, example in zip(answers, test, strict=True)]
        found.append(100 * sum(scores) / len(scores))
    return sum(found) / len(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("constant", "sst-2", 53.7),
        ("constant", "mnli", 33.3),
        ("constant", "conll", 51.3),
        ("constant", "wikiann", 62.8),
        ("constant", "squad", 49.5),
        ("frequency", "record", 19.0),
    ],
)
def test_anchors(clues, name, task, expected):
    assert mean(clues, name, task) == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "least"), [("sst-2", 66.0), ("mnli", 39.0), ("conll", 66.0)])
def test_a_frozen_minilm(clues, task, least, tmp_path):
    pytest.importorskip("transformers")
    if ENCODERS[MINILM].path is None:
        pytest.skip(f"{MINILM} is not installed")
    assert mean(clues, "probe", task, encoder=MINILM, cache=tmp_path) >= least
