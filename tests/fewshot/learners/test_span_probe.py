"""One span or none: sentences and runs against brute force; when it pays to answer."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.span_probe import best_run, fit_span, question_features, sentences
from tests.fewshot.learners.tiny_models import tiny_encoder

PEOPLE, PLACES = ("Ann", "Bo"), ("Paris", "Rome", "Oslo")


def asked(answerable: bool, count: int = 12) -> list[Example]:
    """Return items that ask where someone is; without an answer the text names no place."""
    items = []
    for i in range(count):
        person, place = PEOPLE[i % 2], PLACES[i % 3]
        text = f"the film was good . {person} lives in {place} ." if answerable else "the film was good ."
        answer = frozenset({place}) if answerable else frozenset()
        items.append(Example(Query(str(i), (text,), f"where lives {person} ?"), (answer,)))
    return items


@given(st.lists(st.floats(-5, 5).map(lambda x: round(x, 2)), min_size=1, max_size=8))
def test_the_best_run_has_the_largest_sum(scores):
    value, (first, last) = best_run(np.array(scores))
    sums = [sum(scores[i : j + 1]) for i in range(len(scores)) for j in range(i, len(scores))]
    assert np.isclose(value, max(sums))
    assert np.isclose(sum(scores[first : last + 1]), value)


def test_sentences_cover_the_words():
    text = "It rains. Does it?\nYes!  Good"
    assert [text[a:b] for a, b in sentences(text)] == ["It rains.", "Does it?", "Yes!", "Good"]
    assert sentences("  ") == []


def test_features_are_finite_for_empty_texts_and_questions():
    embeddings = Embeddings(tiny_encoder())
    assert question_features(embeddings, Query("1", ("",), "who ?")).shape == (0, 10)
    assert np.isfinite(question_features(embeddings, Query("1", ("Ann met Bo .",), ""))).all()


def test_answers_that_can_be_learned_are_given():
    embeddings = Embeddings(tiny_encoder(width=64))
    items = asked(answerable=True)
    predictor = fit_span(embeddings, items)
    assert np.isfinite(predictor.least)
    right = sum(
        answer == item.answer
        for answer, item in zip(predictor.predict([i.query for i in items]), items, strict=True)
    )
    assert right >= 10


def test_where_there_never_is_an_answer_none_is_given():
    items = asked(answerable=False)
    predictor = fit_span(Embeddings(tiny_encoder()), items)
    assert predictor.least == np.inf
    assert predictor.predict([items[0].query]) == [frozenset()]


def test_one_example_is_enough():
    (item,) = asked(answerable=True, count=1)
    assert fit_span(Embeddings(tiny_encoder()), [item]).predict([item.query]) in ([frozenset()], [{"Paris"}])
