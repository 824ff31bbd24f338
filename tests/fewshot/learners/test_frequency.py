"""The frequency learner, against counts by hand."""

from __future__ import annotations

import pytest

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.frequency import Frequency, most_named, stands_in
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.tiny_models import labelled, named


def test_labels_get_the_majority():
    predictor = Frequency().fit(labelled([("x", "b"), ("y", "a"), ("z", "b")]), TASKS["sst-2"], seed=0)
    assert predictor.predict([Query("9", ("a",), "?")]) == [frozenset({"b"})]


def test_spans_are_remembered_by_question():
    predictor = Frequency().fit(named(), TASKS["conll"], seed=0)
    text = ("Bo saw Paris and Anna",)
    assert predictor.predict([Query("1", text, "list the people"), Query("2", text, "list the places")]) == [
        {"Bo"},
        {"Paris"},
    ]
    assert predictor.predict([Query("3", text, "list the rivers")]) == [frozenset()]


def test_one_span_is_the_most_frequent_that_stands_there():
    items = [
        Example(Query(str(i), ("t",), f"q{i}"), (frozenset({a}),))
        for i, a in enumerate(("Oslo", "Rome", "Rome"))
    ]
    predictor = Frequency().fit(items, TASKS["squad"], seed=0)
    answers = predictor.predict(
        [Query("1", ("Oslo and Rome",), "?"), Query("2", ("Oslo",), "?"), Query("3", ("-",), "?")]
    )
    assert answers == [{"Rome"}, {"Oslo"}, frozenset()]


@pytest.mark.parametrize(
    ("candidates", "question", "expected"),
    [
        (("Ann", "Bo", "Bo"), "@placeholder left", "Bo"),
        (("Ann", "Bo", "Bo"), "Bo met @placeholder", "Ann"),
        (("Ann", "Bo", "Bo"), "Bo and Ann met @placeholder", "Bo"),
        (("Ann", "Bo"), "@placeholder left", "Ann"),
    ],
)
def test_a_cloze_item_gets_the_entity_named_most_often(candidates, question, expected):
    query = Query("1", ("text",), question, candidates)
    assert most_named(query) == expected
    item = Example(query, (frozenset({"Ann"}),))
    assert Frequency().fit([item], TASKS["record"], seed=0).predict([query]) == [{expected}]


def test_strings_with_signs_are_found_as_words():
    assert stands_in("U.S. (north)", "the U.S. (north) coast")
    assert not stands_in("U.S.", "the UXSX coast")


def test_no_examples_are_refused():
    with pytest.raises(LearnerError, match="0 examples"):
        Frequency().fit([], TASKS["squad"], seed=0)
