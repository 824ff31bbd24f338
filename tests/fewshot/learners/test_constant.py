"""The constant learner, against counts by hand; on real data against numbers computed before from the raw files."""

from __future__ import annotations

import pytest

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.constant import Constant, most_frequent
from similitude.fewshot.learners.learner import Learner, Predictor
from similitude.fewshot.tasks import TASKS, Task
from tests.fewshot.learners.tiny_models import labelled

QUERIES = [Query("a", ("any text",), "?"), Query("b", ("another",), "?")]


def test_gives_the_majority_to_all():
    predictor = Constant().fit(labelled([("x", "b"), ("y", "a"), ("z", "b")]), TASKS["sst-2"], seed=0)
    assert predictor.predict(QUERIES) == [frozenset({"b"})] * 2
    assert isinstance(Constant(), Learner)
    assert isinstance(predictor, Predictor)


def test_ties_go_to_nothing_then_to_the_order_of_labels_then_to_the_alphabet():
    def spans(*answers: set[str]) -> list[Example]:
        return [Example(Query(str(i), ("t",), "?"), (frozenset(a),)) for i, a in enumerate(answers)]

    assert most_frequent(spans({"x"}, set(), {"y"}), TASKS["squad"]) == frozenset()
    assert most_frequent(spans({"a"}, {"b"}), Task("own", "Own", "sentence", labels=("b", "a"))) == {"b"}
    assert most_frequent(spans({"y"}, {"x"}), TASKS["squad"]) == {"x"}


def test_a_cloze_item_gets_its_first_candidate():
    item = Example(Query("1", ("Ann met Bo",), "@placeholder?", ("Ann", "Bo")), (frozenset({"Bo"}),))
    assert Constant().fit([item], TASKS["record"], seed=0).predict([item.query]) == [frozenset({"Ann"})]


def test_no_examples_are_refused():
    with pytest.raises(LearnerError, match="SST-2: 0 examples"):
        Constant().fit([], TASKS["sst-2"], seed=0)
