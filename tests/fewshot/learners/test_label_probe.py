"""Label probes on a bag of words, whose labels one word tells."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.embeddings import Embeddings
from similitude.fewshot.learners.label_probe import fit_labels, label_features
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.tiny_models import sentiments, tiny_encoder


def fit(examples, task):
    embeddings = Embeddings(tiny_encoder(width=64))
    return fit_labels(lambda queries: label_features(embeddings, queries), examples, task)


def test_a_word_that_tells_the_label_is_learned():
    predictor = fit(sentiments(), TASKS["sst-2"])
    new = [
        ("ann is good", "positive"),
        ("bo is poor", "negative"),
        ("oslo was fine", "positive"),
        ("a bad film", "negative"),
    ]
    assert predictor.predict([Query("x", (text,), "?") for text, _ in new]) == [{label} for _, label in new]
    assert predictor.predict([]) == []


def test_pairs_see_both_texts_and_how_they_differ():
    embeddings = Embeddings(tiny_encoder())
    query = Query("1", ("ann met bo", "ann met bo"), "?")
    u = embeddings.texts(["ann met bo"])[0]
    (row,) = label_features(embeddings, [query])
    np.testing.assert_allclose(row, np.concatenate([u, u, 0 * u, 4 * u * u, [1.0]]), atol=1e-6)


def test_equal_pairs_are_told_from_different_ones():
    words = ["ann", "bo", "paris", "rome", "oslo", "film", "plot", "good"]
    rows = [(a, a, "entailment") for a in words[:6]] + [
        (a, b, "contradiction") for a, b in pairwise(words[:7])
    ]
    items = [Example(Query(str(i), (a, b), "?"), (frozenset({y}),)) for i, (a, b, y) in enumerate(rows)]
    predictor = fit(items, TASKS["mnli"])
    new = [("who", "who", "entailment"), ("where", "lives", "contradiction"), ("bad", "bad", "entailment")]
    assert predictor.predict([Query("x", (a, b), "?") for a, b, _ in new]) == [{y} for *_, y in new]


def test_what_is_no_label_is_refused():
    with pytest.raises(LearnerError, match="item 'x': has 2 answers"):
        fit([Example(Query("x", ("t",), "?"), (frozenset({"a", "b"}),))], TASKS["sst-2"])
    with pytest.raises(LearnerError, match=r"these items have \[1, 2\]"):
        label_features(Embeddings(tiny_encoder()), [Query("1", ("a",), "?"), Query("2", ("a", "b"), "?")])
