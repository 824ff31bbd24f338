"""Cloze items: features by hand, and a rule that one feature tells."""

from __future__ import annotations

import numpy as np
import pytest

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.cloze_probe import candidate_features, fit_cloze, statement
from similitude.fewshot.learners.embeddings import Embeddings
from tests.fewshot.learners.tiny_models import tiny_encoder

ASKS = "@placeholder lives . What is @placeholder?"


def item(number: int, first: str, second: str) -> Example:
    """Return an item whose answer is named twice."""
    text = f"{first} met {second} .\n@highlight\n{second} is good ."
    return Example(Query(str(number), (text,), ASKS, (first, second, second)), (frozenset({second}),))


def test_features_by_hand():
    embeddings = Embeddings(tiny_encoder())
    query = item(0, "Ann", "Bo").query
    names, rows = candidate_features(embeddings, query)
    assert names == ["Ann", "Bo"]
    sentences = embeddings.texts(["Ann met Bo .", "Bo is good ."])
    filled = embeddings.texts(["Ann lives .", "Bo lives ."])
    gap = embeddings.texts(["@placeholder lives ."])[0]
    near = filled @ sentences.T
    np.testing.assert_allclose(rows[:, 0], near.max(1), atol=1e-6)
    np.testing.assert_allclose(rows[:, 1], near.mean(1), atol=1e-6)
    np.testing.assert_allclose(rows[:, 2], [(sentences @ gap)[0], (sentences @ gap).max()], atol=1e-6)
    np.testing.assert_allclose(rows[:, 3], np.log([2, 3]), atol=1e-6)
    assert rows[:, 4].tolist() == [0, 0]
    assert rows[0, 5] == 0 < rows[1, 5] < 1


def test_the_entity_named_twice_is_learned():
    pairs = [("Ann", "Bo"), ("Bo", "Ann"), ("Paris", "Rome"), ("Oslo", "Paris"), ("Rome", "Oslo")]
    items = [item(i, *pair) for i, pair in enumerate(pairs)]
    predictor = fit_cloze(Embeddings(tiny_encoder()), items[:4])
    assert predictor.predict([items[4].query]) == [items[4].answer]


def test_the_statement_keeps_a_question_without_the_usual_ending():
    assert statement(Query("1", ("",), "who met @placeholder ?"), "Ann") == "who met Ann ?"


def test_an_item_without_candidates_is_refused():
    with pytest.raises(LearnerError, match="item '1': has no candidates"):
        candidate_features(Embeddings(tiny_encoder()), Query("1", ("t",), ASKS))


def test_examples_whose_answer_is_no_candidate_give_the_first():
    odd = Example(Query("1", ("Ann met Bo .",), ASKS, ("Ann", "Bo")), (frozenset({"Oslo"}),))
    assert fit_cloze(Embeddings(tiny_encoder()), [odd]).predict([odd.query]) == [{"Ann"}]
