"""Answers drawn at random: their distribution, and that nothing but seed and id decides them."""

from __future__ import annotations

from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.chance import Chance
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.tiny_models import labelled

ITEMS = labelled([("x", "a"), ("y", "b"), ("z", "b"), ("w", "b")])
QUERIES = [Query(str(i), ("t",), "?") for i in range(2000)]


def test_answers_are_as_frequent_as_in_the_examples():
    answers = Chance().fit(ITEMS, TASKS["sst-2"], seed=0).predict(QUERIES)
    share = sum(answer == {"b"} for answer in answers) / len(answers)
    assert abs(share - 0.75) < 4 * (0.75 * 0.25 / len(answers)) ** 0.5


def test_other_queries_and_their_order_do_not_matter():
    predictor = Chance().fit(ITEMS, TASKS["sst-2"], seed=3)
    assert predictor.predict(QUERIES[::-1]) == predictor.predict(QUERIES)[::-1]
    assert predictor.predict(QUERIES[5:6]) == predictor.predict(QUERIES)[5:6]
    assert predictor.predict(QUERIES) != Chance().fit(ITEMS, TASKS["sst-2"], seed=4).predict(QUERIES)


def test_candidates_are_drawn_from_the_item():
    item = Example(Query("1", ("t",), "?", ("Ann", "Bo")), (frozenset({"Bo"}),))
    answers = [
        Chance().fit([item], TASKS["record"], seed=seed).predict([item.query])[0] for seed in range(40)
    ]
    assert set(answers) == {frozenset({"Ann"}), frozenset({"Bo"})}
