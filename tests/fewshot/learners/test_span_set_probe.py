"""Sets of spans: places and runs against brute force, and words that are told by their embedding."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.span_set_probe import fit_span_sets, runs, spans_in
from similitude.fewshot.learners.words import word_ranges
from tests.fewshot.learners.tiny_models import named, tiny_encoder


@given(st.lists(st.sampled_from(["", "a", "b"]), max_size=12))
def test_runs_are_maximal_and_cover_the_class(classes):
    found = runs(classes, "a")
    assert [k for first, last in found for k in range(first, last + 1)] == [
        k for k, name in enumerate(classes) if name == "a"
    ]
    assert all(after[0] > before[1] + 1 for before, after in pairwise(found))


def test_answers_that_do_not_stand_in_the_text_are_left_out():
    assert spans_in("Ann of New York met Annie", frozenset({"New York", "York Ann", "Ann"})) == [
        (0, 0),
        (2, 3),
    ]
    assert spans_in("a b", frozenset()) == []


def test_known_words_are_found_and_joined():
    predictor = fit_span_sets(Embeddings(tiny_encoder(width=64)), named())
    text = ("Bo  saw Oslo Paris",)
    people, places = Query("1", text, "list the people"), Query("2", text, "list the places")
    assert predictor.predict([people, places]) == [{"Bo"}, {"Oslo Paris"}]
    assert predictor.predict([Query("3", ("",), "list the people")]) == [frozenset()]
    assert len(word_ranges(text[0])) == 4


def test_a_question_that_was_never_asked_is_refused():
    predictor = fit_span_sets(Embeddings(tiny_encoder()), named())
    with pytest.raises(
        LearnerError, match=r"item '7' asks 'list the rivers'.*'list the people', 'list the places'"
    ):
        predictor.predict([Query("7", ("a b",), "list the rivers")])


def test_examples_without_any_answer_predict_nothing():
    nothing = [item for item in named() if not item.answer]
    predictor = fit_span_sets(Embeddings(tiny_encoder()), nothing)
    assert predictor.predict([item.query for item in nothing]) == [frozenset()] * len(nothing)
