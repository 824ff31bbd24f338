"""Contrastive fine-tuning: pairs by hand, and embeddings of one label that move together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from similitude.core.errors import LearnerError
from similitude.fewshot.examples import Example, Query
from similitude.fewshot.learners.contrastive import Contrastive, draw_pairs
from similitude.fewshot.learners.tuned import Recipe
from similitude.fewshot.tasks import TASKS
from tests.fewshot.learners.tiny_models import labelled, named, sentiments, tiny_encoder


def test_pairs_are_of_both_kinds_alike_and_never_of_one_example_with_itself():
    items = sentiments()
    labels = {item.id: item.answer for item in items}
    pairs = draw_pairs(items, TASKS["sst-2"], count=101, seed=0)
    assert [sum(alike == kind for *_, alike in pairs) for kind in (1.0, 0.0)] == [51, 50]
    assert all(
        one.id != other.id and (labels[one.id] == labels[other.id]) == alike for one, other, alike in pairs
    )
    assert pairs == draw_pairs(items, TASKS["sst-2"], count=101, seed=0)
    assert pairs != draw_pairs(items, TASKS["sst-2"], count=101, seed=1)


def test_one_kind_of_pairs_takes_all_and_one_example_has_none():
    items = labelled([("a", "x"), ("b", "x"), ("c", "x")])
    assert {alike for *_, alike in draw_pairs(items, TASKS["sst-2"], count=9, seed=0)} == {1.0}
    assert draw_pairs(items[:1], TASKS["sst-2"], count=9, seed=0) == []


def test_labels_move_apart_and_are_told():
    encoder = tiny_encoder(width=32)
    before = encoder.module.table.weight.clone()
    learner = Contrastive(encoder, Recipe(lr=0.05, epochs=1), pairs=320)
    good = np.array([example.answer == {"positive"} for example in sentiments()])
    alike = good[:, None] == good[None]

    def gap(predictor) -> float:
        rows = predictor.features([example.query for example in sentiments()])
        cosines = rows @ rows.T / (np.linalg.norm(rows, axis=1)[:, None] * np.linalg.norm(rows, axis=1)[None])
        return cosines[alike].mean() - cosines[~alike].mean()

    untrained = Contrastive(encoder, Recipe(lr=1e-12, epochs=1), pairs=2).fit(
        sentiments(), TASKS["sst-2"], seed=0
    )
    predictor = learner.fit(sentiments(), TASKS["sst-2"], seed=0)
    assert gap(untrained) < 0.1
    assert gap(predictor) > 0.3
    new = [Query("x", ("bo is fine",), "?"), Query("y", ("a bad plot",), "?")]
    assert predictor.predict(new) == [{"positive"}, {"negative"}]
    assert torch.equal(encoder.module.table.weight, before)


def test_pairs_of_texts_are_read_together():
    items = [
        Example(Query(str(i), (a, b), "?"), (frozenset({y}),))
        for i, (a, b, y) in enumerate([("ann", "bo", "no"), ("bo", "bo", "yes"), ("ann", "ann", "yes")])
    ]
    predictor = Contrastive(tiny_encoder(), pairs=8).fit(items, TASKS["mnli"], seed=0)
    assert predictor.features([items[0].query]).shape == (1, 16)


def test_spans_are_refused_with_the_way_out():
    with pytest.raises(LearnerError, match=r"kind 'spans'\. Use the learner 'probe'"):
        Contrastive(tiny_encoder()).fit(named(), TASKS["conll"], seed=0)
